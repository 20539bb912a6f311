"""The ledger as a few dictionaries: slow, obvious, and in agreement with the real one after every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from notifier.actions import Outcome, Proposal, Reason
from notifier.identity import Identity
from notifier.ledger import Rules
from tests.money.shop import DAY

FALLS_BACK = {
    Reason.OPTED_OUT,
    Reason.BUDGET_DAY,
    Reason.COUPON_FAILED,
    Reason.CHANNEL_REJECTED,
    Reason.EXPIRED,
}


@dataclass
class Kept:
    """A decision, and what it holds: money of a day, a place in the customer's cap."""

    proposal: Proposal
    outcome: Outcome
    reason: Reason
    day: str
    money: int = 0
    capped: bool = False
    dead: bool = False  # a coupon that will not come


@dataclass
class Model:
    rules: Rules
    identity: Identity
    kept: dict[str, Kept] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    # customer -> group -> [since, how many actions]
    caps: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    killed: bool = False
    hold: bool = False

    def claim(self, proposal: Proposal, now: int) -> tuple[Outcome, Reason]:
        if (known := self.kept.get(proposal.action_id)) is not None:
            return known.outcome, known.reason
        day = datetime.fromtimestamp(now / 1000, ZoneInfo(self.rules.timezone)).strftime("%Y-%m-%d")
        no = self._no(proposal, now, day)
        outcome, reason = (Outcome.SUPPRESSED, no) if no else self._yes(proposal)
        one = self.kept[proposal.action_id] = Kept(proposal, outcome, reason, day)
        if outcome is not Outcome.SUPPRESSED:
            one.money, one.capped = proposal.amount, True
            self.spent[day] = self.spent.get(day, 0) + one.money
            groups = self.caps.setdefault(str(proposal.customer_id), {})
            groups.setdefault(_group(proposal), [now, 0])[1] += 1
        return outcome, reason

    def _no(self, proposal: Proposal, now: int, day: str) -> Reason | None:
        customer = str(proposal.customer_id)
        if self.killed:
            return Reason.KILL_SWITCH
        if customer in self.opted_out:
            return Reason.OPTED_OUT
        others = [at for group, (at, _) in self.caps.get(customer, {}).items() if group != _group(proposal)]
        if any(now - at < self.rules.cap_days * DAY for at in others):
            return Reason.CUSTOMER_CAP
        if sum(now - at < 365 * DAY for at in others) >= self.rules.yearly:
            return Reason.CUSTOMER_CAP
        if proposal.depends_on is not None:
            gift = self.kept[proposal.depends_on]
            if gift.outcome is Outcome.SUPPRESSED and gift.reason not in FALLS_BACK:
                return gift.reason
        if self.identity.bucket(customer) < self.rules.holdout:
            return Reason.HOLDOUT
        if proposal.amount and self.spent.get(day, 0) + proposal.amount > self.rules.budget_day:
            return Reason.BUDGET_DAY
        return None

    def _yes(self, proposal: Proposal) -> tuple[Outcome, Reason]:
        if self.hold:
            return Outcome.HELD, Reason.HOLD
        if proposal.amount > self.rules.approval_above:
            return Outcome.HELD, Reason.NEEDS_APPROVAL
        if proposal.depends_on is not None and self.kept[proposal.depends_on].outcome is Outcome.HELD:
            return Outcome.HELD, self.kept[proposal.depends_on].reason
        return Outcome.SEND, Reason.OK

    def release(self, action_id: str) -> None:
        """Nothing was given, nothing was said."""
        one = self.kept[action_id]
        self.spent[one.day] -= one.money
        one.money = 0
        if one.capped:
            one.capped = False
            groups = self.caps[str(one.proposal.customer_id)]
            groups[_group(one.proposal)][1] -= 1
            if not groups[_group(one.proposal)][1]:
                del groups[_group(one.proposal)]

    def again(self, action_id: str, now: int) -> None:
        """Words that were given up are to be said after all, and count again."""
        one = self.kept[action_id]
        one.dead, one.capped = False, True
        groups = self.caps.setdefault(str(one.proposal.customer_id), {})
        groups.setdefault(_group(one.proposal), [now, 0])[1] += 1

    def word(self, action_id: str, word: str, now: int, only: Reason | None = None) -> str:
        one = self.kept[action_id]
        if one.outcome is not Outcome.HELD:
            return "not_held"
        if only is not None and one.reason is not only:
            return "other_reason"
        expired = (one.proposal.expires_at or 0) < now
        waiting = [
            kept
            for kept in self.kept.values()
            if kept.outcome is Outcome.HELD and kept.proposal.depends_on == action_id
        ]
        for kept in [one, *waiting]:
            if word == "approve" and not expired:
                kept.outcome, kept.reason = Outcome.SEND, Reason.OK
            else:
                kept.outcome = Outcome.SUPPRESSED
                kept.reason = Reason.REJECTED if word == "reject" else Reason.EXPIRED
                self.release(kept.proposal.action_id)
        return "expired" if expired and word == "approve" else "done"

    def let_go(self, action_id: str, now: int) -> None:
        """The end of a hold, for one action; coupons first. A large one still waits for its own yes."""
        one = self.kept[action_id]
        if one.outcome is not Outcome.HELD or one.reason is not Reason.HOLD:
            return
        gift = self.kept.get(one.proposal.depends_on or "")
        if one.proposal.amount > self.rules.approval_above:
            one.reason = Reason.NEEDS_APPROVAL
        elif gift is not None and gift.outcome is Outcome.HELD:
            one.reason = gift.reason
        else:
            self.word(action_id, "approve", now, Reason.HOLD)


def _group(proposal: Proposal) -> Any:
    return f"{proposal.order_id}|{proposal.cause}"
