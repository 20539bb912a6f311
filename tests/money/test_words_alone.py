"""Words whose coupon will never come: they go without it or are given up, whoever decided what in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.actions import Proposal, Reason
from tests.fakes.valkey import Valkey
from tests.money.sending import NEVER, World, run_dry
from tests.money.shop import ANNA, DAY, NOW, OPEN
from tests.money.test_delivery import gifts, play

BREAKS = replace(OPEN, breaker=1, breaker_factor=0.0)
ASKS = replace(OPEN, approval_above=100)


async def come_to_rest(world: World, *, fallback: bool) -> None:
    """The words are said without the offer, or given up with a reason; never left to wait for nothing."""
    delivery = await world.delivery()
    for day in range(4):
        await run_dry(delivery, NOW + day * DAY)
    assert not (await world.ledger.counts()).get("waiting")
    (_, words) = [
        claim async for claim in world.ledger.all() if claim.proposal.depends_on or claim.coupon_code
    ]
    if fallback:
        assert [read.template for read in world.customer.read] == ["late"]
        assert (words.state, words.template) == ("done", "late")
    else:
        assert world.customer.read == []
        assert (words.state, words.why) == ("failed", "dependency")
    assert world.shop.made == {}


def pair(*, fallback: bool) -> tuple[Proposal, Proposal]:
    gift, words = gifts()
    return gift, words if fallback else replace(words, fallback=None)


@pytest.mark.parametrize("fallback", [True, False])
def test_a_coupon_that_failed_while_its_words_were_held(valkey: Valkey, prefix: str, fallback: bool) -> None:
    """The breaker trips between the two, and the shop refuses the coupon before anybody lets the words go."""

    async def story(world: World) -> None:
        decided = await world.ledger.claim_all(pair(fallback=fallback), NOW)
        assert [one.reason for one in decided] == [Reason.OK, Reason.BREAKER]
        world.shop.answers.append(NEVER)
        await run_dry(await world.delivery(), NOW)
        assert await world.ledger.release(ANNA, NOW) == 1
        await come_to_rest(world, fallback=fallback)

    play(valkey, prefix, story, BREAKS)


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize("no", ["rejected", "too late"])
def test_words_that_were_approved_and_a_coupon_that_was_not(
    valkey: Valkey, prefix: str, no: str, fallback: bool
) -> None:
    async def story(world: World) -> None:
        gift, words = pair(fallback=fallback)
        if no == "too late":
            gift = replace(gift, expires_at=NOW)
        await world.ledger.claim_all([gift, words], NOW)
        assert await world.ledger.approve(words.action_id, ANNA, NOW) == "done"
        assert await world.state(words.action_id) == "waiting"
        if no == "rejected":
            assert await world.ledger.reject(gift.action_id, ANNA, NOW) == "done"
        else:
            assert await world.ledger.approve(gift.action_id, ANNA, NOW + 1) == "expired"
        await come_to_rest(world, fallback=fallback)

    play(valkey, prefix, story, ASKS)


def test_a_coupon_that_was_rejected_takes_the_words_that_waited_with_it_along(
    valkey: Valkey, prefix: str
) -> None:
    async def story(world: World) -> None:
        gift, words = pair(fallback=True)
        await world.ledger.claim_all([gift, words], NOW)
        await world.ledger.reject(gift.action_id, ANNA, NOW)
        assert await world.ledger.approve(words.action_id, ANNA, NOW) == "not_held"
        await run_dry(await world.delivery(), NOW)
        assert world.customer.read == []

    play(valkey, prefix, story, ASKS)
