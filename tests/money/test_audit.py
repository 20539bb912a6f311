"""The log that shows what was altered, the books that agree with the shop, and a customer's own data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from notifier.actions import Outcome, Reason
from notifier.audit import Audit
from notifier.compose import Composer
from notifier.ledger import Claim, Ledger, Rules
from notifier.reconcile import Reconciler
from notifier.retention import KEEP_DAYS, Retention
from notifier.sending import Capabilities, CouponsUnavailableError, Message, Trace
from notifier.store import Store
from notifier.templates import Templates
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, NEVER, Shop, World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN, apology, coupon, message
from tests.money.test_delivery import WORDS, gifts


def play(
    valkey: Valkey, prefix: str, story: Callable[[World, Audit], Awaitable[None]], rules: Rules = OPEN
) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, rules)
            await ledger.open(None, NOW)
            await story(World(store, ledger), Audit(store, ledger, IDENTITY))

    asyncio.run(run())


async def a_busy_day(world: World) -> None:
    """Some of everything: done, failed, held, rejected, approved, suppressed."""
    world.shop.answers.extend([NEVER, LOST])
    for number in range(8):
        await world.ledger.claim_all(gifts(f"c-{number}", str(number)), NOW + number)
    big = [coupon(f"d-{number}", str(number), amount=9_000) for number in range(3)]
    await world.ledger.claim_all(big, NOW)
    await world.ledger.approve(big[0].action_id, ANNA, NOW)
    await world.ledger.reject(big[1].action_id, ANNA, NOW)
    await world.ledger.claim_all([coupon("d-9", "9", suppressed=Reason.NO_RULE), message("c-1", "77")], NOW)
    delivery = await world.delivery()
    await run_dry(delivery, NOW)
    await run_dry(delivery, NOW + HOUR)


BUSY = replace(OPEN, approval_above=5_000)


def test_after_a_busy_day_the_chain_the_records_and_the_budgets_agree(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        await a_busy_day(world)
        assert await audit.verify() == []
        events = {record.body["event"] async for record in audit.records()}
        assert {"claimed", "approve", "reject", "done", "failed"} <= events
        approved = [record.body async for record in audit.records() if record.body["event"] == "approve"]
        assert [(one["who"], one["why"], one["from"]) for one in approved] == [
            ("anna", "looked at it", "test")
        ]

    play(valkey, prefix, story, BUSY)


def test_no_customer_is_named_in_the_log(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        await world.ledger.claim_all(gifts("li.lei@example.com", "1001"), NOW)
        await world.ledger.consent(
            "li.lei@example.com",
            "offer",
            allowed=False,
            now=NOW,
            source="sms",
            text_version="1",
            who="customer",
        )
        text = b"".join([record.raw async for record in audit.records()])
        assert b"li.lei" not in text

    play(valkey, prefix, story)


@pytest.mark.parametrize("harm", ["flip", "drop", "record", "outcome", "budget", "claim"])
def test_what_is_altered_shows(valkey: Valkey, prefix: str, harm: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        await a_busy_day(world)
        log, key = world.ledger.key("audit"), world.ledger.key
        entries = await world.store.stream_range(log)
        sent = [claim.action_id async for claim in world.ledger.all() if claim.outcome is Outcome.SEND]
        some = sent[0]
        if harm == "flip":
            raw = (entries[5].get(b"body") or b"").replace(b"5", b"6", 1)
            later = [(entry.id, entry.fields) for entry in entries[5:]]
            await world.store.stream_delete(log, *(one for one, _ in later))
            for place, (_, fields) in enumerate(later):
                body = raw if place == 0 else fields[1]
                await world.store.stream_add(log, {"body": body, "hash": fields[3]})
        elif harm == "drop":
            await world.store.stream_delete(log, entries[7].id)
        elif harm == "record":
            record = await world.store.hash_get(key("action", some), "p")
            assert record is not None
            await world.store.hash_set(key("action", some), {"p": record.replace(b"delay", b"delax")})
        elif harm == "outcome":
            await world.store.hash_set(key("action", some), {"outcome": "suppressed"})
        elif harm == "claim":
            await world.store.delete(key("action", some))
        else:
            (budget,) = [one async for one in world.store.keys("ledger", "live", "budget", "CNY", "day", "*")]
            await world.store.increment(budget, -500)
        assert await audit.verify() != []

    play(valkey, prefix, story, BUSY)


def test_the_top_receivers_come_first(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        for number in range(3):
            await world.ledger.claim_all([coupon("c-greedy", str(number))], NOW + number * 91 * DAY)
        await world.ledger.claim_all([coupon("c-one", "9", amount=700), message("c-two", "10")], NOW)
        await world.ledger.claim_all([coupon("c-four", "11"), coupon("c-five", "12")], NOW)
        for erased in ("c-four", "c-five"):
            await audit.erase(erased, ANNA, NOW)
        found = await audit.receivers(NOW)
        assert [(one.customer_id, one.amount, one.coupons) for one in found] == [
            ("c-greedy", 1500, 3),
            ("c-one", 700, 1),
            ("c-two", 0, 0),
        ]

    play(valkey, prefix, story)


def test_a_customer_can_have_it_all_and_have_it_erased(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        await world.ledger.claim_all(gifts("c-1", "1001"), NOW)
        await run_dry(await world.delivery(), NOW)
        await world.ledger.claim_all(
            [message("c-1", "1001", template="arrived", capped=False, variables=WORDS)], NOW
        )
        await world.ledger.claim_all(gifts("c-2", "1002"), NOW)
        mine = await audit.export("c-1")
        assert [one["kind"] for one in mine["actions"]].count("message") == 2
        assert await audit.erase("c-1", ANNA, NOW) == (3, [])
        assert (await audit.export("c-1"))["actions"] == []
        assert len((await audit.export("c-2"))["actions"]) == 2
        texts = [str(claim.proposal) async for claim in world.ledger.all()]
        assert not any("c-1" in text or "'1001'" in text for text in texts)
        assert await audit.verify() == []
        await run_dry(await world.delivery(), NOW)
        assert {read.customer_id for read in world.customer.read} == {"c-1", "c-2"}
        assert len(world.customer.read) == 2, "what was queued for the erased is not sent"
        (again,) = await world.ledger.claim_all([message("c-1", "1003")], NOW)
        assert again.reason is Reason.CUSTOMER_CAP, "a cap outlives the name"

    play(valkey, prefix, story)


def test_a_message_whose_reply_was_lost_keeps_its_name_until_it_is_resolved(
    valkey: Valkey, prefix: str
) -> None:
    """Whoever resolves it must be able to ask the provider about that customer."""

    async def story(world: World, audit: Audit) -> None:
        world.customer.capabilities = Capabilities()
        world.customer.answers.append(LOST)
        (doubt,) = await world.ledger.claim_all([message(variables=WORDS)], NOW)
        action_id = doubt.proposal.action_id
        await run_dry(await world.delivery(), NOW)
        assert await audit.erase("c-1", ANNA, NOW) == (0, [action_id])
        kept = await world.ledger.get(action_id)
        assert kept is not None
        assert (kept.state, kept.proposal.customer_id) == ("unknown", "c-1")
        assert await world.ledger.resolve(action_id, "done", ANNA, NOW)
        assert await audit.erase("c-1", ANNA, NOW) == (1, [])

    play(valkey, prefix, story)


def test_after_a_restore_the_shops_codes_are_asked_and_nobody_is_paid_twice(
    valkey: Valkey, prefix: str
) -> None:
    """The store is put back as it was before the coupon; the shop has it; the engine replays and claims again."""

    async def run() -> None:
        async with Store(valkey.url, prefix) as before, Store(valkey.url, prefix + "b") as after:
            lost = World(before, Ledger(before, IDENTITY, OPEN))
            await lost.ledger.open(None, NOW)
            (gift, words) = await lost.ledger.claim_all(gifts(), NOW)
            await run_dry(await lost.delivery(), NOW)
            head = await lost.ledger.head()

            restored = World(after, Ledger(after, IDENTITY, OPEN), shop=lost.shop)
            await restored.ledger.open(head, NOW + HOUR)
            assert set(await restored.ledger.switches()) == {"hold"}
            reconciler = Reconciler(after, restored.ledger, {"coupons": restored.shop}, {})
            books = await reconciler.shop(NOW + HOUR)
            assert (books.at_shop, books.unknown_to_us, books.missing, books.unpaid) == (1, 1, (), ())
            await restored.ledger.release(ANNA, NOW + HOUR)
            again = await restored.ledger.claim_all([*gifts(), *gifts("c-2", "1002")], NOW + HOUR)
            await run_dry(await restored.delivery(), NOW + HOUR)
            assert again[0].coupon_code == gift.coupon_code
            assert await restored.state(gift.proposal.action_id) == "done"
            assert await restored.state(words.proposal.action_id) == "unknown"
            assert (restored.shop.asked, len(restored.shop.made)) == (2, 2)
            assert [read.customer_id for read in restored.customer.read] == ["c-2"]
            assert (await restored.ledger.budgets("CNY", NOW))["day"].spent == 1000
            assert await Audit(after, restored.ledger, IDENTITY).verify() == []

    asyncio.run(run())


def test_the_books_name_what_does_not_agree(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        (gone,) = await world.ledger.claim_all([coupon("c-1", "1")], NOW)
        await run_dry(await world.delivery(), NOW)
        world.shop.answers.append(NEVER)
        (refused,) = await world.ledger.claim_all([coupon("c-2", "2")], NOW)
        await run_dry(await world.delivery(), NOW)
        world.shop.made = {refused.coupon_code or "": world.shop.made[gone.coupon_code or ""]}
        books = await Reconciler(world.store, world.ledger, {"coupons": world.shop}, {}).shop(NOW + 1)
        assert books.missing == (gone.proposal.action_id,)
        assert books.unpaid == (refused.proposal.action_id,)

    play(valkey, prefix, story)


def test_a_code_is_a_stranger_once_and_a_retired_one_never(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        (gift,) = await world.ledger.claim_all([coupon()], NOW)
        await run_dry(await world.delivery(), NOW)
        world.shop.made["SRYSTRANGER"] = world.shop.made[gift.coupon_code or ""]
        retention = Retention(world.store, world.ledger, audit, 800 * DAY)
        await retention.run(NOW)
        later = NOW + (KEEP_DAYS + 1) * DAY
        assert (await retention.run(later)).claims == 1
        reconciler = Reconciler(world.store, world.ledger, {"coupons": world.shop}, {})
        looks = [await reconciler.shop(later) for _ in range(2)]
        assert [(one.at_shop, one.unknown_to_us) for one in looks] == [(2, 1), (2, 0)]
        events = [record.body["event"] async for record in audit.records()]
        assert events.count("codes_known") == 1

    play(valkey, prefix, story)


def test_what_was_sent_while_the_shop_was_asked_is_not_missed(valkey: Valkey, prefix: str) -> None:
    """Its list is from before the coupon."""

    async def story(world: World, audit: Audit) -> None:
        (gift,) = await world.ledger.claim_all([coupon()], NOW)
        await run_dry(await world.delivery(), NOW + HOUR)
        world.shop.made.clear()
        reconciler = Reconciler(world.store, world.ledger, {"coupons": world.shop}, {})
        for asked_at in (NOW, NOW + HOUR):
            assert (await reconciler.shop(asked_at)).missing == ()
        assert (await reconciler.shop(NOW + HOUR + 1)).missing == (gift.proposal.action_id,)

    play(valkey, prefix, story)


def test_a_shop_that_does_not_list_its_codes_frees_nothing(valkey: Valkey, prefix: str) -> None:
    class Mute(Shop):
        async def codes(self, prefix: str, now: int) -> AsyncIterator[str]:
            if prefix:
                raise CouponsUnavailableError("shop")
            yield ""

    async def story(world: World, audit: Audit) -> None:
        with pytest.raises(CouponsUnavailableError):
            await Reconciler(world.store, world.ledger, {"coupons": Mute()}, {}).shop(NOW)

    play(valkey, prefix, story)


def test_an_unknown_message_is_looked_up_where_the_provider_can_be_asked(valkey: Valkey, prefix: str) -> None:
    from tests.money.sending import Room

    class Desk(Room):
        async def trace(self, message: Message, began_at: int, now: int) -> Trace:
            assert began_at == NOW
            return answers[str(message.customer_id)]

    answers = {"c-1": Trace.DONE, "c-2": Trace.ABSENT, "c-3": Trace.UNANSWERED, "c-4": Trace.FAILED}

    async def story(world: World, audit: Audit) -> None:
        world.customer = Desk("customer", capabilities=Capabilities())
        world.customer.answers.extend([LOST] * 4)
        wanted = [message(f"c-{number}", str(number), variables=WORDS) for number in (1, 2, 3, 4)]
        await world.ledger.claim_all(wanted, NOW)
        await run_dry(await world.delivery(), NOW)
        composer = Composer(world.ledger, Templates())

        async def sent_as(claim: Claim) -> Message | None:
            return await composer.sent_as(claim, world.contact)

        reconciler = Reconciler(world.store, world.ledger, {}, {"customer": world.customer}, sent_as)
        counts = {"done": 1, "failed": 1, "retry": 1, "unknown": 1}
        assert await reconciler.unknowns(NOW + HOUR) == counts
        states = [await world.state(one.action_id) for one in wanted]
        assert states == ["done", "pending", "unknown", "failed"]

    play(valkey, prefix, story)


def test_an_apology_in_two_parts_is_one_receiver(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, audit: Audit) -> None:
        await world.ledger.claim_all(apology("c-1", "1"), NOW)
        (one,) = await audit.receivers(NOW)
        assert (one.actions, one.coupons) == (2, 1)

    play(valkey, prefix, story)


def test_a_full_store_that_knows_us_is_opened(valkey: Valkey, prefix: str) -> None:
    """As before each checkpoint: where that failed, nothing would be trimmed, and it would stay full."""

    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            head = await ledger.open(None, NOW)
            (before,) = (await store.call("CONFIG", "GET", "maxmemory")).values()
            await store.call("CONFIG", "SET", "maxmemory", "1")
            try:
                assert await ledger.open(head, NOW) == head
            finally:
                await store.call("CONFIG", "SET", "maxmemory", before)

    asyncio.run(run())
