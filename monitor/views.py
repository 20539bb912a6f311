"""Incidents and claims as the JSON that the HTTP interface shows; no contact data in any of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from detectors.findings import Instant
from monitor.engine import ParcelView
from monitor.incidents import View
from monitor.records import finding_record, money, when
from monitor.subjects import CUSTOMER, INCIDENT
from notifier.actions import ActionKind
from notifier.ledger import Claim


def incident_record(view: View, now: Instant) -> dict[str, Any]:
    """`now`: the engine's. `as_of` is when the summary was true: of what is counted, now or at its end."""
    return {
        "incident_id": view.incident_id,
        "state": str(view.phase),
        "kind": view.family,
        "subject": f"{view.place.type}:{view.place.id}",
        "severity": view.severity,
        "opened_at": when(view.opened_at),
        "since": when(view.since),
        "as_of": _when(view.as_of or view.resolved_at or now),
        "parcels": view.open,
        "money": {currency: money(amount, currency) for currency, amount in view.money.items()},
        "summary": view.evidence.get("en") or f"{view.open} open findings",
        "muted": [str(mute) for mute, _ in view.mutes],
        "acknowledged_by": view.acknowledged_by,
    }


def parcel_record(view: ParcelView) -> dict[str, Any]:
    """What an order page shows: where it is, when it should come, what is wrong with it."""
    low, middle, high = view.expected or (None, None, None)
    return {
        "tracking_number": view.tracking_number,
        "status": view.status.name.lower(),
        "segment": view.segment.name.lower(),
        "finished": view.finished,
        "since": _when(view.since),
        "last_scan": _when(view.last_scan),
        "carrier": view.carrier,
        "lane": view.lane,
        "facility": view.facility,
        "region": view.region,
        "feed": view.feed,
        "promised_at": _when(view.promised),
        "carrier_estimate": _when(view.estimated),
        "expected": {"p05": _when(low), "p50": _when(middle), "p95": _when(high)} if view.expected else None,
        "findings": [finding_record(one) for one in view.findings],
    }


def _when(moment: int | None) -> str | None:
    return when(moment) if moment else None


def claim_record(claim: Claim) -> dict[str, Any]:
    proposal = claim.proposal
    return {
        "entry_id": claim.action_id,
        "state": claim.state,
        "withdrawn": claim.withdrawn,  # failed, as it was no longer wanted
        "kind": str(proposal.kind),
        "channel": proposal.channel,
        "subject": proposal.subject,
        "amount": money(proposal.amount, proposal.currency) if proposal.amount else None,
        "currency": proposal.currency if proposal.amount else None,
        "rule": proposal.rule,
        "attempts": claim.attempts,
        "due_at": when(claim.due) if claim.due else None,
        "cause": claim.why or _cause(claim),
    }


def budget_text(spent: int, left: float, currency: str) -> str:
    rest = "no limit" if left == math.inf else f"{money(int(left), currency):.2f} left"
    return f"{money(spent, currency):.2f} {currency} spent, {rest}"


def _cause(claim: Claim) -> str:
    agreed = f", {claim.first_approver} agreed, one more is needed" if claim.first_approver else ""
    return f"{claim.reason}{agreed}"


def story_lines(
    subject: str,
    parcel: Mapping[str, Any] | None,
    records: Sequence[Mapping[str, Any]],
    claims: Mapping[str, Claim] | None = None,
) -> list[str]:
    """The story of a subject as a person reads it, oldest first; `claims` by action tell what became of each yes."""
    lines = [subject]
    if parcel is not None:
        known = [
            f"{key} {('no', 'yes')[value] if isinstance(value, bool) else value}"
            for key, value in parcel.items()
            if isinstance(value, str | int | float) and value not in ("", None)
        ]
        lines.append("  now: " + ", ".join(known))
    for record in records:
        if record["what"] == "finding":
            lines += _finding_lines(record)
        else:
            lines += _action_lines(record) + _became(record, (claims or {}).get(str(record["action_id"])))
    if not records and not subject.startswith((INCIDENT, CUSTOMER)):
        lines.append("  nothing was found about it, so nothing was decided")
    return lines


def _became(record: Mapping[str, Any], claim: Claim | None) -> list[str]:
    """What delivery made of a yes; a no ends with its reason."""
    if claim is None or record["decision"] == "suppressed":
        return []
    if claim.state == "none":
        return [f"      no longer held: {claim.reason}"] if record["decision"] == "held" else []
    if claim.state == "done":
        words = (
            f" in the words {claim.template}" if claim.template not in {"", claim.proposal.template} else ""
        )
        return [f"      done{f' {when(claim.sent_at)}' if claim.sent_at else ''}{words}"]
    due = f", due {when(claim.due)}" if claim.due and claim.state == "pending" else ""
    why = f": {claim.why}" if claim.why and claim.why != "ok" else ""
    return [f"      {'withdrawn' if claim.withdrawn else claim.state}{why}{due}"]


def _finding_lines(record: Mapping[str, Any]) -> list[str]:
    evidence = record["evidence"]
    text = f"  {record['as_of']}  {record['kind']} {record['state']} (score {record['score']:.2f}, {record['finding_id']})"
    if record.get("close_reason"):
        text += f": {record['close_reason']}"
    sentence = evidence.get("en")
    return [text, f"      {sentence}"] if sentence and record["state"] != "closed" else [text]


def _action_lines(record: Mapping[str, Any]) -> list[str]:
    amount = f" {record['amount']:.2f} {record['currency']}" if record.get("amount") else ""
    arm = f", {record['arm']} arm" if record.get("arm") else ""
    words = f", words {record['template']}" if record["kind"] == ActionKind.MESSAGE else ""
    decision = f"{record['kind']}{amount}: {record['decision']}, because {record['reason']}"
    return [
        f"  {record['decided_at']}  {decision} (rule {record['rule'] or 'none'}{words}{arm}, {record['action_id']})"
    ]
