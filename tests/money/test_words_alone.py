"""Words whose coupon will never come: they go without it or are given up, whoever decided what in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.actions import Outcome, Proposal, Reason
from notifier.ledger import Rules
from tests.fakes.valkey import Valkey
from tests.money.sending import NEVER, World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, NOW, OPEN, coupon
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


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (replace(OPEN, budget_tenant=100), Reason.BUDGET_TENANT),
        (replace(OPEN, budget_day=100), Reason.BUDGET_DAY),
        (replace(OPEN, budget_day=1_200, burst=1.0), Reason.BUDGET_HOUR),
        (replace(OPEN, budget_incident=100), Reason.BUDGET_INCIDENT),
        (replace(OPEN, budget_customer=100), Reason.BUDGET_CUSTOMER),
        (replace(OPEN, explicit_consent=True), Reason.NO_CONSENT),
        (OPEN, Reason.OPTED_OUT),
        (ASKS, Reason.EXPIRED),
    ],
    ids=lambda value: str(value) if isinstance(value, Reason) else "",
)
def test_a_no_to_the_offer_alone_is_no_no_to_the_apology(
    valkey: Valkey, prefix: str, rules: Rules, reason: Reason
) -> None:
    async def story(world: World) -> None:
        ledger = world.ledger
        gift, words = (replace(one, incident_id="I1") for one in pair(fallback=True))
        words = replace(words, depends_on=gift.action_id)
        if reason is Reason.BUDGET_HOUR:  # somebody had what the hour has
            await ledger.claim_all([coupon("c-9", "9", amount=100)], NOW)
        if reason is Reason.OPTED_OUT:
            said = {"source": "shop", "text_version": "", "who": "customer"}
            await ledger.consent("c-1", "offer", allowed=False, now=NOW, **said)
        await ledger.claim_all([gift], NOW)
        if reason is Reason.EXPIRED:  # nobody said yes in time
            await ledger.approve(gift.action_id, ANNA, NOW + 3 * DAY)
        claim = await ledger.get(gift.action_id)
        assert claim is not None
        assert (claim.outcome, claim.reason) == (Outcome.SUPPRESSED, reason)
        now = NOW + HOUR
        (decided,) = await ledger.claim_all([words], now)
        assert decided.reason is Reason.OK
        await run_dry(await world.delivery(), now)
        assert [read.template for read in world.customer.read] == ["late"]

    play(valkey, prefix, story, rules)
