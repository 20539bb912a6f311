"""A customer's no that a provider tells: to all that will come, or to one message."""

from __future__ import annotations

from notifier.actions import Outcome, Reason
from notifier.audit import Audit
from notifier.sending import Answer, Cause, SendResult
from tests.fakes.valkey import Valkey
from tests.money.sending import World, run_dry
from tests.money.shop import DAY, HOUR, IDENTITY, NOW, message
from tests.money.test_delivery import WORDS, gifts, play

STOPPED = SendResult(Answer.PERMANENT, Cause.OPTED_OUT, detail="21610")
UNASKED = SendResult(Answer.PERMANENT, Cause.NO_CONSENT, detail="43101")


def test_who_answered_stop_hears_no_more_and_costs_no_more(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer.answers.append(STOPPED)
        first = message(variables=WORDS)
        queued = message(order="1002", capped=False, variables=WORDS, not_before=NOW + DAY)
        await world.ledger.claim_all([first, queued], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        next_order = await world.ledger.claim_all(gifts(order="2002"), NOW + HOUR)
        assert {(one.outcome, one.reason) for one in next_order} == {(Outcome.SUPPRESSED, Reason.OPTED_OUT)}
        (other,) = await world.ledger.claim_all([message("c-2", "3", variables=WORDS)], NOW + HOUR)
        assert other.outcome is Outcome.SEND
        await run_dry(delivery, NOW + DAY)
        claims = await world.ledger.claims([first.action_id, queued.action_id])
        assert [(one.state, one.why) for one in claims] == [("failed", "opted_out")] * 2
        assert world.shop.made == {}
        assert [one.customer_id for one in world.customer.read] == ["c-2"]
        log = [record.body async for record in Audit(world.store, world.ledger, IDENTITY).records()]
        said = [(one["to"], one["source"], one["who"]) for one in log if one["event"] == "consent"]
        assert said == [("out", "customer", "customer")], "the channel that was told, and whose word it is"

    play(valkey, prefix, story)


def test_a_consent_that_is_used_up_says_nothing_of_the_next_message(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer.answers.append(UNASKED)
        first = message(variables=WORDS)
        await world.ledger.claim_all([first], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        (claim,) = await world.ledger.claims([first.action_id])
        assert (claim.state, claim.why) == ("failed", "no_consent")
        (again,) = await world.ledger.claim_all([message(order="2002", variables=WORDS)], NOW + HOUR)
        assert again.outcome is Outcome.SEND
        await run_dry(delivery, NOW + HOUR)
        assert len(world.customer.read) == 1

    play(valkey, prefix, story)


def test_a_customers_word_is_kept_with_its_time_and_where_it_was_given(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        said = {"source": "checkout", "text_version": "3", "who": "shop"}
        await world.ledger.consent("c-1", "offer", allowed=True, now=NOW, **said)
        proof = (await Audit(world.store, world.ledger, IDENTITY).export("c-1"))["consent"]
        assert proof == {
            "offer": "in",
            "offer:at": str(NOW),
            "offer:source": "checkout",
            "offer:text": "3",
        }

    play(valkey, prefix, story)
