"""After 400 days the ledger forgets what is over, by age and never by length, and nothing that is owed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from notifier.actions import ActionKind, Reason
from notifier.audit import Audit
from notifier.ledger import Ledger, Rules
from notifier.retention import KEEP_DAYS, Retention, Retired
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, World, run_dry
from tests.money.shop import ANNA, DAY, IDENTITY, NOW, OPEN, apology, coupon, message
from tests.money.test_delivery import WORDS, gifts

LATER = NOW + KEEP_DAYS * DAY
Story = Callable[[World, Audit, Retention], Awaitable[None]]


def play(valkey: Valkey, prefix: str, story: Story, rules: Rules = OPEN) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, rules)
            await ledger.open(None, NOW)
            audit = Audit(store, ledger, IDENTITY)
            await story(World(store, ledger), audit, Retention(store, ledger, audit, 7 * DAY))

    asyncio.run(run())


async def weekly(retention: Retention, since: int, until: int) -> Retired:
    """As a daemon does that is switched on now and then; all that went."""
    claims = entries = 0
    for now in [*range(since, until, 6 * DAY), until, until]:
        gone = await retention.run(now)
        claims, entries = claims + gone.claims, entries + gone.entries
    return Retired(claims, entries)


def test_what_is_over_goes_after_400_days_and_not_a_day_before(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit, retention: Retention) -> None:
        for day in range(3):
            await world.ledger.claim_all(gifts(f"c-{day}", str(day)), NOW + day * DAY)
            await run_dry(await world.delivery(), NOW + day * DAY)
        assert await weekly(retention, NOW, LATER) == Retired(0, 0)
        assert await weekly(retention, LATER, LATER + DAY + 1) == Retired(4, 8)
        left = [claim.proposal.customer_id async for claim in world.ledger.all()]
        assert left == ["c-2"] * 2
        entries = [record.body["at"] async for record in audit.records()]
        assert min(entries) == NOW + 2 * DAY
        assert await audit.verify() == []
        assert (await world.ledger.counts())["done"] == 2

    play(valkey, prefix, story)


def test_what_is_owed_stays_at_any_age_with_its_part_of_the_log(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit, retention: Retention) -> None:
        from notifier.sending import Capabilities

        world.staff.capabilities = Capabilities()
        world.staff.answers.append(LOST)
        upgrade = {"kind": ActionKind.UPGRADE_SHIPPING, "template": "upgrade_shipping", "channel": "shop"}
        (doubt,) = await world.ledger.claim_all(
            [message("c-0", "0", variables={**WORDS, "tracking_number": "SF1"}, amount=700, **upgrade)], NOW
        )
        await run_dry(await world.delivery(), NOW)
        assert await world.state(doubt.proposal.action_id) == "unknown"
        (big,) = await world.ledger.claim_all([coupon("c-1", "1", amount=9_000)], NOW)
        await world.ledger.claim_all(gifts("c-2", "2"), NOW)
        await run_dry(await world.delivery(), NOW)
        before = [record.entry_id async for record in audit.records()]
        assert await weekly(retention, NOW, LATER + DAY) == Retired(2, 0)
        assert [record.entry_id async for record in audit.records()] == before
        assert {claim.state async for claim in world.ledger.all()} == {"unknown", "held"}
        assert (doubt.reason, big.reason) == (Reason.OK, Reason.NEEDS_APPROVAL)
        assert await audit.verify() == []
        await world.ledger.reject(big.proposal.action_id, ANNA, LATER)
        await world.ledger.resolve(doubt.proposal.action_id, "failed", ANNA, LATER)
        assert (await retention.run(LATER + DAY)).claims == 2
        assert await audit.verify() == []

    play(valkey, prefix, story, replace(OPEN, approval_above=5_000))


def test_a_customers_budget_of_400_days_slides(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, budget_customer=900, cap=10)

    async def story(world: World, audit: Audit, retention: Retention) -> None:
        async def ask(order: str, now: int) -> Reason:
            (decided,) = await world.ledger.claim_all([coupon("c-1", order, expires_at=now + DAY)], now)
            await run_dry(await world.delivery(), now)
            return decided.reason

        assert await ask("1", NOW) is Reason.OK
        assert await ask("2", NOW + 399 * DAY) is Reason.BUDGET_CUSTOMER
        await weekly(retention, NOW, LATER + DAY)
        assert await ask("3", LATER + DAY) is Reason.OK
        assert await ask("4", LATER + 200 * DAY) is Reason.BUDGET_CUSTOMER
        assert await audit.verify() == []

    play(valkey, prefix, story, rules)


def test_a_clock_that_jumps_ten_years_makes_it_forget_hours_at_most(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit, _weekly: Retention) -> None:
        retention = Retention(world.store, world.ledger, audit)
        await retention.run(NOW)
        await world.ledger.claim_all(apology(), NOW)
        await run_dry(await world.delivery(), NOW)
        for _ in range(24):  # a day before somebody sees the clock
            assert await retention.run(NOW + 3_650 * DAY) == Retired(0, 0)
        assert len([claim async for claim in world.ledger.all()]) == 2
        assert await audit.verify() == []

    play(valkey, prefix, story)


def test_a_claim_that_vanished_without_being_retired_still_shows(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit, retention: Retention) -> None:
        for day in (0, 2):
            await world.ledger.claim_all(gifts(f"c-{day}", str(day)), NOW + day * DAY)
            await run_dry(await world.delivery(), NOW + day * DAY)
        assert (await weekly(retention, NOW, LATER + DAY)).claims == 2
        assert await audit.verify() == []
        (some, *_) = [claim.action_id async for claim in world.ledger.all()]
        await world.store.delete(world.ledger.key("action", some))
        assert await audit.verify() != []

    play(valkey, prefix, story)
