"""From proposals to the commands of the claim script, and from its answers to decisions. No store, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from notifier.actions import ActionKind, Arm, Decided, Outcome, Proposal, Reason
from notifier.claims import Rules, Wanted
from notifier.identity import Identity
from notifier.scripts import script
from notifier.sending import Instant

DAY_MS: Final = 86_400_000
BATCH: Final = 64  # claims a script: some 4 ms in which the store serves nobody else
WITH_CODE: Final = frozenset({ActionKind.COUPON})
WORDS: Final = frozenset({ActionKind.MESSAGE, ActionKind.COUPON})


class Claiming:
    def __init__(self, identity: Identity, root: str, opted_out: str) -> None:
        """`root` is the ledger's key, `opted_out` that of the set of customers who said no."""
        self.script = script("claim")
        self._identity = identity
        self._root = root
        self._opted_out = opted_out

    def commands(self, proposals: Sequence[Proposal], rules: Rules, now: Instant) -> list[tuple[Any, ...]]:
        """In order, `BATCH` claims each."""
        shared = msgspec.json.encode(self._shared(rules, now))
        return [
            self._command(proposals[start : start + BATCH], shared, rules)
            for start in range(0, len(proposals), BATCH)
        ]

    def _command(self, proposals: Sequence[Proposal], shared: bytes, rules: Rules) -> tuple[Any, ...]:
        parts: list[bytes | str] = []
        for proposal in proposals:
            parts += (
                self._lookup(proposal) if proposal.suppressed is not None else self._wanted(proposal, rules)
            )
        return "EVALSHA", self.script.sha, 1, self._root, shared, *parts

    @staticmethod
    def _lookup(proposal: Proposal) -> tuple[bytes, str, str]:
        """Policy's no is not claimed, as it may be a yes tomorrow; but what was claimed before stands."""
        return msgspec.json.encode({"id": proposal.action_id, "look": True}), "", ""

    def _wanted(self, proposal: Proposal, rules: Rules) -> tuple[bytes, bytes, str]:
        record = msgspec.json.encode(proposal)
        return msgspec.json.encode(self._parameters(proposal, rules)), record, self._identity.checksum(record)

    def _shared(self, rules: Rules, now: Instant) -> dict[str, Any]:
        """What is the same for every claim of a batch."""
        local = datetime.fromtimestamp(now / 1000, ZoneInfo(rules.timezone))
        return {
            "now": now,
            "space": "shadow" if rules.shadow else "live",
            "month": f"{local:%Y-%m}",
            "day_name": f"{local:%Y-%m-%d}",
            "hour_name": f"{local:%Y-%m-%dT%H}",
            "hours_left": 24 - local.hour,
            "opted_out": self._opted_out,
            "shadow": rules.shadow,
            "explicit": rules.explicit_consent,
            "cap": rules.cap,
            "cap_ms": rules.cap_days * DAY_MS,
            "yearly": rules.yearly,
            "contact_cap": rules.contact_cap,
            "address_cap": rules.address_cap,
            "tenant": rules.budget_tenant,
            "day": rules.budget_day,
            "incident": rules.budget_incident,
            "customer": rules.budget_customer,
            "burst": rules.burst,
            "approval": rules.approval_above,
            "breaker": rules.breaker,
            "factor": rules.breaker_factor,
        }

    def _parameters(self, proposal: Proposal, rules: Rules) -> Wanted:
        action_id, customer = proposal.action_id, proposal.customer_id
        who = self._identity.pseudonym(customer) if customer else None
        group = f"{proposal.order_id or ''}|{proposal.cause}"
        return Wanted(
            id=action_id,
            kind=proposal.kind,
            lane="ops" if proposal.kind is ActionKind.OPS_ALERT else "customer",
            ch=proposal.channel,
            policy=proposal.policy_version,
            purpose=proposal.purpose,
            words=proposal.kind in WORDS,
            amount=proposal.amount,
            cur=proposal.currency,
            group=group,
            capped=proposal.capped and customer is not None,
            dep=proposal.depends_on,
            fb=proposal.fallback,
            exp=proposal.expires_at,
            nb=proposal.not_before,
            inc=proposal.incident_id,
            who=customer,
            cid=who,
            cause=_cause(who, proposal) if proposal.amount else None,
            code=self._identity.coupon_code(action_id) if proposal.kind in WITH_CODE else None,
            arm=self._arm(proposal, rules),
            contacts=proposal.contact_hashes,
        )

    def _arm(self, proposal: Proposal, rules: Rules) -> Arm | None:
        if proposal.customer_id is None or not proposal.holdout:
            return None
        return Arm.HOLDOUT if self._identity.bucket(proposal.customer_id) < rules.holdout else Arm.TREATED


def decided(proposal: Proposal, answer: Any, now: Instant) -> Decided:
    if proposal.suppressed is not None and len(answer) == 1:
        return Decided(proposal, Outcome.SUPPRESSED, proposal.suppressed, now)
    repeated, outcome, reason, arm, code, at = answer
    return Decided(
        proposal=proposal,
        outcome=Outcome(outcome.decode()),
        reason=Reason(reason.decode()),
        decided_at=int(at),
        arm=Arm(arm.decode()) if arm else None,
        coupon_code=code.decode() if code else None,
        repeated=bool(repeated),
    )


def _cause(who: str | None, proposal: Proposal) -> str:
    text = f"{who or 'none'}\0{proposal.order_id or ''}\0{proposal.cause}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
