"""A shop for tests of the money path: proposals, rules without limits, a ledger on the real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from notifier.actions import ActionKind, Proposal
from notifier.identity import Identity
from notifier.ledger import Ledger, Person, Rules
from notifier.store import Store
from tests.fakes.valkey import Valkey

T = TypeVar("T")
NOW = 1_795_334_400_000  # 2026-11-22T08:00:00Z, 16:00 in Shanghai
HOUR, DAY = 3_600_000, 86_400_000
IDENTITY = Identity(b"a tenant key of tests, 32 bytes!")
OPEN = Rules(shadow=False, holdout=0, approval_above=0, breaker=0, burst=0)
ANNA = Person("anna", "looked at it", "test")


def coupon(customer: str = "c-1", order: str | None = "1001", **changes: Any) -> Proposal:
    base = Proposal(
        kind=ActionKind.COUPON,
        finding_id="F1",
        subject="parcel:SF1",
        cause="delay",
        template="coupon_late",
        channel="coupons",
        rule="late",
        policy_version="default-1",
        customer_id=customer,
        order_id=order,
        tracking_number="SF1",
        amount=500,
        purpose="offer",
        expires_at=NOW + 2 * DAY,
    )
    return replace(base, **changes)


def message(customer: str = "c-1", order: str | None = "1001", **changes: Any) -> Proposal:
    given = {
        "kind": ActionKind.MESSAGE,
        "template": "late",
        "channel": "customer",
        "amount": 0,
        "purpose": "service",
    }
    return coupon(customer, order, **{**given, **changes})


def apology(customer: str = "c-1", order: str | None = "1001", **changes: Any) -> list[Proposal]:
    """The coupon, and the words about it."""
    gift = coupon(customer, order, **changes)
    shared = {name: changes[name] for name in ("variables", "not_before", "expires_at") if name in changes}
    words = message(
        customer, order, template="late_coupon", depends_on=gift.action_id, fallback="late", **shared
    )
    return [gift, words]


def ops_alert(**changes: Any) -> Proposal:
    base = coupon(kind=ActionKind.OPS_ALERT, template="ops_alert", channel="ops", amount=0, purpose="service")
    return replace(base, customer_id=None, order_id=None, capped=False, holdout=False, **changes)


def with_ledger(
    valkey: Valkey, prefix: str, story: Callable[[Ledger], Awaitable[T]], rules: Rules = OPEN
) -> T:
    async def run() -> T:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, rules)
            await ledger.open(None, NOW)
            return await story(ledger)

    return asyncio.run(run())


def play(
    valkey: Valkey, prefix: str, story: Callable[[Store, Ledger], Awaitable[None]], rules: Rules = OPEN
) -> None:
    """A story of a ledger and the store under it."""

    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, rules)
            await ledger.open(None, NOW)
            await story(store, ledger)

    asyncio.run(run())
