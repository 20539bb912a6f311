"""One exchange with a provider: how long it may take, what holds meanwhile, and from when its answer counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from notifier.actions import Proposal, Reason
from notifier.channels.smtp import SmtpOptions
from notifier.delivery import DeliveryRules
from notifier.pacing import QuietHours
from notifier.sending import Answer, Capabilities, Cause, Instant, Message, SendResult
from tests.fakes.valkey import Valkey
from tests.money.sending import DONE, LOST, Room, World, run_dry, turn
from tests.money.shop import HOUR, NOW, coupon, message, ops_alert
from tests.money.test_delivery import READY, WORDS, play

SECOND = 1000
LEASE = DeliveryRules().lease_ms


@dataclass
class Slow(Room):
    """Has the words at once, and answers when `answering` is set."""

    capabilities: Capabilities = field(default_factory=Capabilities)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message, now: Instant) -> SendResult:
        self.read.append(message)
        self.began.set()
        await self.answering.wait()
        return self.answers.popleft() if self.answers else DONE  # type: ignore[return-value]


@pytest.mark.parametrize("proposal", [message(variables=WORDS), ops_alert(variables=READY)])
def test_what_is_under_way_is_not_begun_again_when_its_lease_ends(
    valkey: Valkey, prefix: str, proposal: Proposal
) -> None:
    """The clock jumped an hour ahead: the lease is over, the attempt is not."""

    async def story(world: World) -> None:
        room = Slow(proposal.channel)
        world.customer = world.ops = room
        await world.ledger.claim_all([proposal], NOW)
        delivery = await world.delivery()
        assert await delivery.run_once(NOW) == 1
        await room.began.wait()
        assert await delivery.run_once(NOW + 3600 * SECOND) == 0
        room.answering.set()
        await delivery.idle()
        assert await world.state(proposal.action_id) == "done"
        assert len(room.read) == 1

    play(valkey, prefix, story)


def test_a_lease_that_ended_with_its_daemon_is_taken_by_the_next(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.ops = room = Slow("ops")
        (alert,) = await world.ledger.claim_all([ops_alert(variables=READY)], NOW)
        first = await world.delivery()
        await first.run_once(NOW)
        await room.began.wait()
        await first.drain(0)
        room.answering.set()
        second = await world.delivery()
        assert await turn(second, NOW + LEASE) == 1
        assert await world.state(alert.proposal.action_id) == "done"

    play(valkey, prefix, story)


def test_an_alert_whose_second_reply_is_lost_after_its_first_daemon_died_is_not_said_a_third_time(
    valkey: Valkey, prefix: str
) -> None:
    async def story(world: World) -> None:
        world.ops = room = Slow("ops")
        (alert,) = await world.ledger.claim_all([ops_alert(variables=READY)], NOW)
        first = await world.delivery()
        await first.run_once(NOW)
        await room.began.wait()
        await first.drain(0)
        room.answering.set()
        room.answers.append(LOST)
        second = await world.delivery()
        for attempt in range(1, 5):
            await turn(second, NOW + attempt * LEASE)
        assert await world.state(alert.proposal.action_id) == "unknown"
        assert len(room.read) == 2

    play(valkey, prefix, story)


@pytest.mark.parametrize("night", [True, False])
def test_what_may_have_been_said_is_not_given_up_as_unsaid(valkey: Valkey, prefix: str, night: bool) -> None:
    """The worker died in the evening; the next one finds the words too late, at once or after it waited for the morning."""

    async def story(world: World) -> None:
        world.customer = room = Slow("customer", capabilities=Capabilities(idempotent=True))
        world.rules = replace(world.rules, quiet=QuietHours())
        words = message(variables=WORDS, expires_at=NOW + 12 * HOUR)
        await world.ledger.claim_all([words], NOW)
        first = await world.delivery()
        await first.run_once(NOW)
        await room.began.wait()
        await first.drain(0)
        second = await world.delivery()
        if night:
            await turn(second, NOW + 6 * HOUR)  # 22:00 in Shanghai
            assert [(one.verdict.state, one.verdict.reason) for one in world.steps] == [
                ("defer", Reason.QUIET_HOURS)
            ]
        await turn(second, NOW + 17 * HOUR)
        assert await world.state(words.action_id) == "unknown", "it has lost nobody their cap"
        (again,) = await world.ledger.claim_all([message(order="1002")], NOW + 17 * HOUR)
        assert again.reason is Reason.CUSTOMER_CAP

    play(valkey, prefix, story)


def test_a_channel_that_hangs_holds_up_no_other(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer = room = Slow("customer")
        world.rules = replace(world.rules, concurrency=4, per_channel=2)
        await world.ledger.claim_all([message(f"c-{n}", str(n), variables=WORDS) for n in range(6)], NOW)
        delivery = await world.delivery()
        assert [await delivery.run_once(NOW) for _ in range(3)] == [2, 0, 0]
        (alert,) = await world.ledger.claim_all([ops_alert(variables=READY)], NOW)
        assert await delivery.run_once(NOW) == 1
        room.answering.set()
        await delivery.idle()
        assert await world.state(alert.proposal.action_id) == "done"
        assert len(room.read) == 2
        await run_dry(delivery, NOW)
        assert len(room.read) == 6

    play(valkey, prefix, story)


@pytest.mark.parametrize(("keys", "state"), [(True, "pending"), (False, "unknown")])
def test_an_exchange_that_does_not_end_is_a_lost_reply(
    valkey: Valkey, prefix: str, keys: bool, state: str
) -> None:
    async def story(world: World) -> None:
        world.customer = Slow("customer", capabilities=Capabilities(idempotent=keys))
        world.rules = replace(world.rules, exchange_seconds=0.05)
        await world.ledger.claim_all([message(variables=WORDS)], NOW)
        with capture_logs() as logs:
            await turn(await world.delivery(), NOW)
        (step,) = world.steps
        assert step.result == SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY, detail="Deadline")
        assert not step.verdict.crashed
        assert await world.state(step.entry.action_id) == state
        assert logs == [], "a provider's silence is no error of ours"

    play(valkey, prefix, story)


def test_a_coupon_whose_shop_does_not_answer_in_time_is_asked_for_again(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        issue = world.shop.issue

        async def hang(*given: object) -> SendResult:
            await issue(*given)  # type: ignore[arg-type]
            await asyncio.Event().wait()
            raise AssertionError

        world.shop.issue = hang  # type: ignore[assignment,method-assign]
        world.rules = replace(world.rules, exchange_seconds=0.05)
        (gift,) = await world.ledger.claim_all([coupon()], NOW)
        delivery = await world.delivery()
        await turn(delivery, NOW)
        world.shop.issue = issue  # type: ignore[method-assign]
        await run_dry(delivery, NOW + LEASE)
        assert await world.state(gift.proposal.action_id) == "done"
        assert (world.shop.asked, len(world.shop.made)) == (2, 1)

    play(valkey, prefix, story)


def test_the_wait_that_was_asked_for_counts_from_the_answer(valkey: Valkey, prefix: str) -> None:
    """The provider took 40 s to say "not within 30 s"; the channel rests as long as the message waits."""

    async def story(world: World) -> None:
        clock = [NOW]
        world.ops = room = Slow("ops")
        room.answers.append(SendResult(Answer.RETRY, Cause.RATE, retry_after=30.0))
        first, second = (ops_alert(subject=f"facility:{n}", cause=f"ops:{n}", variables=READY) for n in "12")
        await world.ledger.claim_all([first], NOW)
        delivery = await world.delivery(clock=lambda: clock[0])
        await delivery.run_once(NOW)
        await room.began.wait()
        clock[0] = answered = NOW + 40 * SECOND
        room.answering.set()
        await delivery.idle()
        assert world.steps[-1].now == answered
        due = await world.ledger.oldest_due()
        assert due is not None
        assert due >= answered + 30 * SECOND
        await world.ledger.claim_all([second], answered)
        await turn(delivery, answered + 29 * SECOND)
        assert (world.steps[-1].verdict.state, world.steps[-1].verdict.reason) == (
            "defer",
            Reason.RATE_LIMITED,
        )
        clock[0] = answered + 60 * SECOND
        await run_dry(delivery, clock[0])
        assert len(room.read) == 3

    play(valkey, prefix, story)


def test_a_mail_gives_up_before_delivery_does_and_delivery_before_its_lease() -> None:
    rules = DeliveryRules()
    assert rules.exchange_seconds * 1000 < rules.lease_ms
    with pytest.raises(ValidationError):
        SmtpOptions(host="h", sender="a@b.example", deadline_seconds=rules.exchange_seconds)
