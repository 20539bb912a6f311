"""Findings and decisions as the JSON records that `replay` writes and the daemon publishes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from babel.numbers import get_currency_precision

from detectors.findings import Finding
from notifier.actions import Decided

MILLISECONDS: Final = 1000


def when(moment: int) -> str:
    """RFC 3339, UTC, with milliseconds only where there are some."""
    seconds, rest = divmod(moment, MILLISECONDS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


def money(amount: int, currency: str) -> float:
    """Minor units to the contract's number in major units."""
    return float(Decimal(amount).scaleb(-get_currency_precision(currency)))


def finding_record(finding: Finding) -> dict[str, Any]:
    record: dict[str, Any] = {
        "finding_id": finding.finding_id,
        "detector": finding.detector,
        "kind": str(finding.kind),
        "subject": {"type": str(finding.subject.type), "id": finding.subject.id},
        "started_at": when(finding.started_at),
        "opened_at": when(finding.opened_at),
        "as_of": when(finding.as_of),
        "state": str(finding.state),
        "score": round(float(finding.score), 6),
    }
    if finding.close_reason is not None:
        record["close_reason"] = str(finding.close_reason)
    record["evidence"] = {name: finding.evidence[name] for name in sorted(finding.evidence)}
    return record


def action_record(decided: Decided) -> dict[str, Any]:
    proposal = decided.proposal
    record: dict[str, Any] = {
        "action_id": proposal.action_id,
        "kind": str(proposal.kind),
        "decided_at": when(decided.decided_at),
        "finding_id": proposal.finding_id,
        "subject": _subject(proposal.subject),
    }
    optional: Mapping[str, Any] = {
        "customer_id": proposal.customer_id,
        "order_id": proposal.order_id,
        "template": proposal.template or None,
        "channel": proposal.channel or None,
        "amount": money(proposal.amount, proposal.currency) if proposal.amount else None,
        "currency": proposal.currency if proposal.amount else None,
        "coupon_code": decided.coupon_code,
        "incident_id": proposal.incident_id,
    }
    record |= {name: value for name, value in optional.items() if value is not None}
    record |= {"decision": str(decided.outcome), "reason": str(decided.reason), "rule": proposal.rule}
    if decided.arm is not None:
        record["arm"] = str(decided.arm)
    return record


def _subject(text: str) -> dict[str, str]:
    kind, _, identity = text.partition(":")
    return {"type": kind, "id": identity}
