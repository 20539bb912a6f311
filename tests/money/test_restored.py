"""A store put back to before it paid: what the shop has is done, counts, and its words are not said twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from notifier.actions import Outcome, Reason
from notifier.audit import Audit
from notifier.ledger import Ledger, Rules
from notifier.reconcile import Books, Reconciler
from notifier.sending import Capabilities
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, Shop, World, run_dry
from tests.money.shop import ANNA, HOUR, IDENTITY, NOW, OPEN, coupon
from tests.money.test_delivery import gifts

LATER = NOW + HOUR


class Restored:
    """Two stores: what the first one did is at the shop and with the customer; the second never heard of it."""

    def __init__(self, before: World, after: World) -> None:
        self.before, self.after = before, after
        after.shop, after.customer = before.shop, before.customer
        after.customer.capabilities = Capabilities()

    async def lose(self) -> None:
        await self.before.ledger.claim_all(gifts(), NOW)
        await run_dry(await self.before.delivery(), NOW)
        assert (len(self.shop.made), len(self.after.customer.read)) == (1, 1)
        await self.after.ledger.open(await self.before.ledger.head(), LATER)
        assert set(await self.after.ledger.switches()) == {"hold"}

    @property
    def shop(self) -> Shop:
        return self.before.shop

    async def ask(self) -> Books:
        world = self.after
        return await Reconciler(world.store, world.ledger, {"coupons": world.shop}, {}).shop(LATER)

    async def doubts(self) -> dict[str, int]:
        """What a look-up finds to ask the providers about."""
        world = self.after
        return await Reconciler(world.store, world.ledger, {}, {}).unknowns(LATER + HOUR)

    async def states(self) -> list[str]:
        return [claim.state for claim in await self.after.ledger.claims([one.action_id for one in gifts()])]

    async def holds(self) -> None:
        """Paid once, counted once, said once, though everything that can go goes."""
        world = self.after
        await world.ledger.release(ANNA, LATER)
        await run_dry(await world.delivery(), LATER)
        assert await self.states() == ["done", "unknown"]
        assert (await self.doubts())["unknown"] == 1
        assert (len(world.shop.made), len(world.customer.read)) == (1, 1)
        assert (await world.ledger.budgets("CNY", LATER))["day"].spent == 500
        assert await Audit(world.store, world.ledger, IDENTITY).verify() == []
        (next_order,) = await world.ledger.claim_all([coupon(order="1002")], LATER)
        assert next_order.reason is Reason.CUSTOMER_CAP


def play(
    valkey: Valkey, prefix: str, story: Callable[[Restored], Awaitable[None]], rules: Rules = OPEN
) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as one, Store(valkey.url, prefix + "b") as other:
            before, after = (
                World(one, Ledger(one, IDENTITY, OPEN)),
                World(other, Ledger(other, IDENTITY, rules)),
            )
            await before.ledger.open(None, NOW)
            await story(Restored(before, after))

    asyncio.run(run())


@pytest.mark.parametrize("first", ["the shop is asked", "the claims come"])
def test_on_hold_a_claim_that_comes_again_is_done_and_its_words_are_not_said_again(
    valkey: Valkey, prefix: str, first: str
) -> None:
    async def story(restored: Restored) -> None:
        await restored.lose()
        if first == "the shop is asked":
            assert (await restored.ask()).unknown_to_us == 1
        decided = await restored.after.ledger.claim_all(gifts(), LATER)
        books = await restored.ask()  # as `forestall release` does
        if first == "the shop is asked":
            assert [one.outcome for one in decided] == [Outcome.SEND] * 2
            assert (books.unpaid, books.found) == ((), ())
        else:
            assert [one.reason for one in decided] == [Reason.HOLD] * 2
            assert (books.unpaid, books.found) == ((), (decided[0].proposal.action_id,))
        assert await restored.states() == ["done", "unknown"], "also while it is held"
        await restored.holds()

    play(valkey, prefix, story)


def test_a_copy_from_before_the_sending_sends_nothing_again(valkey: Valkey, prefix: str) -> None:
    """The claims are in it, and wait for their hour: the shop and the customer have had them since."""

    async def story(restored: Restored) -> None:
        await restored.after.ledger.open(None, NOW)
        await restored.after.ledger.claim_all(gifts(), NOW)
        await restored.lose()
        assert await restored.states() == ["pending", "waiting"]
        (gift, _) = gifts()
        assert (await restored.ask()).found == (gift.action_id,)
        await restored.holds()

    play(valkey, prefix, story)


def test_a_code_of_our_own_attempt_is_left_to_delivery(valkey: Valkey, prefix: str) -> None:
    """Its reply was lost: the words are surely unsaid, and go when the coupon is known to be there."""

    async def story(restored: Restored) -> None:
        world = restored.before
        world.shop.answers.append(LOST)
        await world.ledger.claim_all(gifts(), NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        books = await Reconciler(world.store, world.ledger, {"coupons": world.shop}, {}).shop(NOW)
        assert (books.at_shop, books.found) == (1, ())
        await run_dry(delivery, LATER)
        assert len(world.customer.read) == 1

    play(valkey, prefix, story)


@pytest.mark.parametrize(
    "rules",
    [
        replace(OPEN, budget_day=1),
        replace(OPEN, approval_above=1),
        replace(OPEN, breaker=1, breaker_factor=0.0),
        replace(OPEN, holdout=10_000),
    ],
    ids=["budget", "approval", "breaker", "holdout"],
)
def test_what_was_given_counts_whatever_the_limits_say_now(valkey: Valkey, prefix: str, rules: Rules) -> None:
    async def story(restored: Restored) -> None:
        await restored.lose()
        await restored.ask()
        gift, words = await restored.after.ledger.claim_all(gifts(), LATER)
        assert gift.outcome is Outcome.SEND
        assert words.outcome is (Outcome.SUPPRESSED if rules.holdout else Outcome.SEND)
        assert "breaker" not in await restored.after.ledger.switches()
        assert (await restored.after.ledger.budgets("CNY", LATER))["day"].spent == 500

    play(valkey, prefix, story, rules)


def test_neither_a_kill_switch_nor_an_opt_out_hides_what_was_given(valkey: Valkey, prefix: str) -> None:
    async def story(restored: Restored) -> None:
        ledger = restored.after.ledger
        await restored.lose()
        await restored.ask()
        await ledger.kill(ANNA, LATER)
        await ledger.consent(
            "c-1", "all", allowed=False, now=LATER, source="sms", text_version="1", who="customer"
        )
        gift, words = await ledger.claim_all(gifts(), LATER)
        assert (gift.outcome, words.reason) == (Outcome.SEND, Reason.KILL_SWITCH)
        assert (await ledger.budgets("CNY", LATER))["day"].spent == 500

    play(valkey, prefix, story)


@pytest.mark.parametrize("capped_before", [False, True])
def test_what_was_given_takes_every_cap_of_whoever_has_it(
    valkey: Valkey, prefix: str, capped_before: bool
) -> None:
    """Also the phone's, where the customer's own cap is full already."""

    async def story(restored: Restored) -> None:
        before, ledger = restored.before, restored.after.ledger
        gift = coupon(contact_hashes=("p:1",))
        await before.ledger.claim_all([gift], NOW)
        await run_dry(await before.delivery(), NOW)
        await ledger.open(None, LATER)
        await restored.ask()
        if capped_before:
            await ledger.claim_all([coupon(order="1000")], LATER)
        (again,) = await ledger.claim_all([gift], LATER)
        assert again.outcome is Outcome.SEND
        wanted = [coupon(order="1002"), coupon("c-2", "1003", contact_hashes=("p:1",))]
        decided = await ledger.claim_all(wanted, LATER)
        assert [one.reason for one in decided] == [Reason.CUSTOMER_CAP, Reason.CONTACT_CAP]

    play(valkey, prefix, story)


def test_another_coupon_that_is_given_up_does_not_make_room_for_a_third(valkey: Valkey, prefix: str) -> None:
    """It was held for the same cause before the claim of the one that was given came again."""

    async def story(restored: Restored) -> None:
        before, ledger = restored.before, restored.after.ledger
        given, other, third = (
            coupon(template=name, capped=False) for name in ("coupon_late", "coupon_customs", "coupon_lost")
        )
        await before.ledger.claim_all([given], NOW)
        await run_dry(await before.delivery(), NOW)
        await ledger.open(await before.ledger.head(), LATER)
        await restored.ask()
        decided = await ledger.claim_all([other, given], LATER)
        assert [one.outcome for one in decided] == [Outcome.HELD, Outcome.SEND]
        await ledger.reject(other.action_id, ANNA, LATER)
        await ledger.release(ANNA, LATER)
        (again,) = await ledger.claim_all([third], LATER)
        assert again.reason is Reason.ALREADY_COMPENSATED

    play(valkey, prefix, story)
