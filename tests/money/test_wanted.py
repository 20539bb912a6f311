"""What is asked once more at the moment of sending: is it night, has it moved, is it stale, has somebody said no?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.actions import Reason
from notifier.pacing import QuietHours
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, World, run_dry, turn
from tests.money.shop import DAY, HOUR, NOW, coupon, message, ops_alert
from tests.money.test_delivery import READY, WORDS, gifts, play


def test_nobody_is_woken_and_the_morning_is_the_customers_own(valkey: Valkey, prefix: str) -> None:
    night = NOW + 9 * HOUR  # 01:00 in Shanghai, 17:00 in London

    async def story(world: World) -> None:
        world.rules = replace(world.rules, quiet=QuietHours())
        await world.ledger.claim_all(
            [
                message("c-1", "1", variables=WORDS),
                message("c-2", "2", variables=WORDS, timezone="Europe/London"),
            ],
            night,
        )
        delivery = await world.delivery()
        await run_dry(delivery, night)
        assert [read.customer_id for read in world.customer.read] == ["c-2"]
        await run_dry(delivery, night + 7 * HOUR - 1000)
        assert len(world.customer.read) == 1
        await run_dry(delivery, night + 7 * HOUR)
        assert len(world.customer.read) == 2

    play(valkey, prefix, story)


def test_ops_do_not_wait_for_the_morning_and_a_coupon_waits_with_its_words(
    valkey: Valkey, prefix: str
) -> None:
    """A coupon given at night would stand unsaid where the parcel comes before the words may go."""
    night, morning = NOW + 9 * HOUR, NOW + 16 * HOUR

    async def story(world: World) -> None:
        world.rules = replace(world.rules, quiet=QuietHours())
        both = [*gifts("c-1", "1"), *gifts("c-2", "2"), ops_alert(variables=READY)]
        await world.ledger.claim_all(both, night)
        delivery = await world.delivery()
        await run_dry(delivery, night)
        assert (len(world.shop.made), len(world.ops.read), len(world.customer.read)) == (0, 1, 0)
        world.moved["1"] = Reason.RECOVERED
        await run_dry(delivery, morning)
        assert [coupon.customer_id for coupon in world.shop.made.values()] == ["c-2"]
        assert [read.customer_id for read in world.customer.read] == ["c-2"]
        assert (await world.ledger.budgets("CNY", night))["day"].spent == 500, "of c-2 alone"

    play(valkey, prefix, story)


@pytest.mark.parametrize("reason", [Reason.RECOVERED, Reason.TICKET_OPEN])
def test_a_parcel_that_moved_gets_no_apology_and_costs_nothing(
    valkey: Valkey, prefix: str, reason: Reason
) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all(gifts(), NOW)
        world.moved["1001"] = reason
        await run_dry(await world.delivery(), NOW)
        assert (world.shop.asked, world.customer.read) == (0, [])
        assert (await world.ledger.budgets("CNY", NOW))["day"][0] == 0
        assert {step.verdict.reason for step in world.steps} == {reason}

    play(valkey, prefix, story)


def test_a_coupon_that_may_exist_is_looked_up_before_its_money_goes_back(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.shop.answers.append(LOST)
        gift, _ = await world.ledger.claim_all(gifts(), NOW)
        delivery = await world.delivery()
        await turn(delivery, NOW)
        world.moved["1001"] = Reason.RECOVERED
        world.shop.finds = False
        await turn(delivery, NOW + HOUR)
        assert await world.state(gift.proposal.action_id) == "pending", (
            "the shop did not answer: nothing is concluded"
        )
        world.shop.finds = True
        await turn(delivery, NOW + 2 * HOUR)
        assert await world.state(gift.proposal.action_id) == "done"
        assert (await world.ledger.budgets("CNY", NOW))["day"][0] == 500

    play(valkey, prefix, story)


def test_a_stale_apology_is_dropped_not_sent(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all(gifts(), NOW)
        await run_dry(await world.delivery(), NOW + 3 * DAY)
        assert (world.shop.asked, world.customer.read) == (0, [])
        assert {step.verdict.reason for step in world.steps} == {Reason.EXPIRED}
        assert (await world.ledger.budgets("CNY", NOW))["day"][0] == 0

    play(valkey, prefix, story)


def test_who_opts_out_between_claim_and_sending_is_left_alone(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all(gifts(), NOW)
        await world.ledger.consent(
            "c-1", "all", allowed=False, now=NOW, source="sms", text_version="1", who="c"
        )
        await run_dry(await world.delivery(), NOW)
        assert (world.shop.asked, world.customer.read) == (0, [])

    play(valkey, prefix, story)


def test_without_a_contact_the_message_fails_and_the_coupon_stays(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.contact = None
        gift, words = await world.ledger.claim_all(gifts(), NOW)
        await run_dry(await world.delivery(), NOW)
        assert await world.state(gift.proposal.action_id) == "done"
        assert await world.state(words.proposal.action_id) == "failed"
        (other,) = await world.ledger.claim_all([coupon(order="2")], NOW)
        assert other.reason is Reason.CUSTOMER_CAP, "the coupon was given: the cap stands"

    play(valkey, prefix, story)


def test_patience_waits_in_the_outbox_and_ends_when_the_parcel_moves(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        week = NOW + 4 * DAY
        await world.ledger.claim_all(gifts(not_before=week, expires_at=week + 2 * DAY), NOW)
        delivery = await world.delivery()
        await run_dry(delivery, week - 1)
        assert world.shop.asked == 0
        await run_dry(delivery, week)
        assert (world.shop.asked, len(world.customer.read)) == (1, 1)

    play(valkey, prefix, story)


def test_a_follow_up_goes_to_those_who_heard_the_apology(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        gift, words = gifts()
        arrived = message(template="arrived", depends_on=words.action_id, capped=False, variables=WORDS)
        await world.ledger.claim_all([gift, words], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        await world.ledger.claim_all([arrived], NOW + DAY)
        await run_dry(delivery, NOW + DAY)
        assert [read.template for read in world.customer.read] == ["late_coupon", "arrived"]

    play(valkey, prefix, story)
