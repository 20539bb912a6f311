"""What the ledger speaks of: its rules, its claims, and the people who decide. No store, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from notifier.actions import ActionKind, Arm, Outcome, Proposal, Reason
from notifier.sending import Instant


@dataclass(frozen=True, slots=True)
class Rules:
    """What limits every claim. Budgets are minor units of their own currency; 0 switches one off."""

    shadow: bool = True
    holdout: int = 1_000  # of 10,000 customers
    cap: int = 1  # apologies a customer in `cap_days`
    cap_days: int = 90
    yearly: int = 3
    contact_cap: int = 1  # orders' worth of apologies a phone or e-mail in `cap_days`
    address_cap: int = 3  # and an address, which families and offices share
    budget_tenant: int = 0  # a calendar month
    budget_day: int = 0
    budget_incident: int = 0
    budget_customer: int = 0  # in 400 days
    burst: float = 2.0  # how far an hour may run ahead of an even pace; 0: no pacing
    approval_above: int = 5_000  # a single compensation; 0: never asks
    two_above: int = 0  # takes two people, and so does ending hold, breaker and kill switch; 0: one is enough
    breaker: int = 600  # decisions a minute that are never too many; 0: no breaker
    breaker_factor: float = 10.0  # times the usual rate
    explicit_consent: bool = False  # offers only to those who said yes
    timezone: str = "Asia/Shanghai"  # whose days and hours budgets have


@dataclass(frozen=True, slots=True)
class Head:
    """How far the ledger had come: kept with every checkpoint, so that a store put back shows."""

    ledger: str
    seq: int


class Budget(NamedTuple):
    spent: int
    left: float  # infinite where there is no limit


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, why, and from where (cli, link, console): what the audit log asks of every change."""

    who: str
    why: str = ""
    source: str = ""

    @property
    def identity(self) -> str:
        """The same person by whatever way: a link says so behind the name."""
        return self.who.removesuffix(" (link)").strip().casefold()


class SecondPersonNeededError(Exception):
    """Two people must say so. `asked` is `second_needed`, or `same_person` where the first one came back."""

    def __init__(self, asked: str) -> None:
        super().__init__(asked)
        self.asked = asked


@dataclass(frozen=True, slots=True)
class Claim:
    """One action as the store has it now: the decision, and how far its delivery is."""

    action_id: str
    proposal: Proposal
    outcome: Outcome
    reason: Reason
    decided_at: Instant
    arm: Arm | None
    coupon_code: str | None
    state: str
    attempts: int
    due: Instant
    why: str
    detail: str
    provider_id: str | None
    sent_at: Instant | None
    reserved: int
    checksum_holds: bool
    first_approver: str = ""  # of two
    template: str = ""  # where the words went without the offer
    began_at: Instant = 0  # of the last attempt
    said: str = ""  # what its text is known by
    withdrawn: bool = False  # failed, as it was no longer wanted
    shadow: bool = False  # decided in shadow mode: it cost nothing and said nothing


class Wanted(msgspec.Struct, omit_defaults=True):
    """What the claim script asks of one proposal."""

    id: str
    kind: ActionKind
    lane: str
    ch: str
    policy: str
    purpose: str
    words: bool
    cur: str
    group: str
    amount: int
    capped: bool = False
    dep: str | None = None
    fb: str | None = None
    exp: Instant | None = None
    nb: Instant | None = None
    inc: str | None = None
    who: str | None = None
    cid: str | None = None
    cause: str | None = None
    code: str | None = None
    arm: Arm | None = None
    contacts: tuple[str, ...] = ()


def read_claim(action_id: str, fields: Mapping[str, bytes], checksum: str) -> Claim:
    """From the fields of its hash; `checksum` is what the record's should be."""
    record = fields["p"]
    text = {name: value.decode() for name, value in fields.items() if name != "p"}
    return Claim(
        action_id=action_id,
        proposal=msgspec.json.decode(record, type=Proposal),
        outcome=Outcome(text["outcome"]),
        reason=Reason(text["reason"]),
        decided_at=int(text["at"]),
        arm=Arm(text["arm"]) if text.get("arm") else None,
        coupon_code=text.get("code") or None,
        state=text["state"],
        attempts=int(text.get("n", 0)),
        due=int(float(text.get("due", 0))),
        why=text.get("why", ""),
        detail=text.get("detail", ""),
        provider_id=text.get("pid"),
        sent_at=int(text["sent"]) if "sent" in text else None,
        reserved=int(text.get("money", 0)),
        checksum_holds="erased" in text or text["sum"] == checksum,
        first_approver=text.get("first", ""),
        template=text.get("tpl", ""),
        began_at=int(float(text.get("began", 0))),
        said=text.get("said", ""),
        withdrawn="withdrawn" in text,
        shadow="shadow" in text or text["reason"] == Reason.SHADOW,
    )
