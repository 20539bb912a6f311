"""What leaves, when, how often, and what becomes of it: on a real store, with rooms that answer as told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from notifier.actions import ActionKind, Proposal, Reason
from notifier.delivery import DeliveryRules
from notifier.ledger import Ledger, Rules
from notifier.outbox import Entry, FencedError
from notifier.pacing import Backoff
from notifier.sending import Answer, Capabilities, Cause, Contact, Limits, Message, SendResult
from notifier.store import Store, StoreError
from tests.fakes.valkey import Valkey
from tests.money.sending import LATER, LOST, NEVER, World, run_dry, turn
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN, apology, coupon, message, ops_alert

READY = {"message": {"title": "t", "body": "b", "fields": [["stock", "3021"]]}}
WORDS = {"order_id": "1001", "kind": "promise_broken", "carrier": "SF", "promised_at": NOW - DAY, "texts": {}}


def gifts(customer: str = "c-1", order: str = "1001", **changes: object) -> list[Proposal]:
    return apology(customer, order, variables={**WORDS, "order_id": order}, **changes)


def play(valkey: Valkey, prefix: str, story: Callable[[World], Awaitable[None]], rules: Rules = OPEN) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, rules)
            await ledger.open(None, NOW)
            await story(World(store, ledger))

    asyncio.run(run())


def test_the_coupon_comes_first_and_the_words_name_it(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        gift, words = await world.ledger.claim_all(gifts(), NOW)
        delivery = await world.delivery()
        assert await turn(delivery, NOW) == 1
        assert list(world.shop.made) == [gift.coupon_code]
        assert world.customer.read == []
        assert await turn(delivery, NOW) == 1
        (read,) = world.customer.read
        assert gift.coupon_code is not None
        assert gift.coupon_code in read.body
        assert "¥5.00" in read.body
        assert read.key == words.proposal.action_id
        assert await turn(delivery, NOW) == 0
        assert await world.ledger.counts() == {"pending": 0, "waiting": 0, "sending": 0, "done": 2}

    play(valkey, prefix, story)


@pytest.mark.parametrize("refused", [False, True])
def test_words_that_have_an_hour_of_their_own_wait_for_it(valkey: Valkey, prefix: str, refused: bool) -> None:
    """Whether their coupon came before it or will not come."""

    async def story(world: World) -> None:
        world.shop.answers.extend([NEVER] if refused else [])
        gift, words = gifts()
        alone = message("c-2", "1002", variables=WORDS, not_before=NOW + HOUR)
        await world.ledger.claim_all([gift, replace(words, not_before=NOW + HOUR), alone], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW + HOUR - 1)
        assert (world.shop.asked, world.customer.read) == (1, [])
        await run_dry(delivery, NOW + HOUR)
        assert {read.customer_id for read in world.customer.read} == {"c-1", "c-2"}

    play(valkey, prefix, story)


def test_a_coupon_whose_reply_was_lost_is_asked_for_again_and_is_one_coupon(
    valkey: Valkey, prefix: str
) -> None:
    async def story(world: World) -> None:
        world.shop.answers.extend([LOST, LATER, LOST])
        (gift, _) = await world.ledger.claim_all(gifts(), NOW)
        delivery = await world.delivery()
        for hour in range(6):
            await run_dry(delivery, NOW + hour * HOUR)
        assert await world.state(gift.proposal.action_id) == "done"
        assert (world.shop.asked, len(world.shop.made)) == (4, 1)
        assert (await world.ledger.budgets("CNY", NOW))["day"][0] == 500

    play(valkey, prefix, story)


def test_a_coupon_refused_for_good_gives_the_money_back_and_the_words_go_alone(
    valkey: Valkey, prefix: str
) -> None:
    async def story(world: World) -> None:
        world.shop.answers.append(NEVER)
        gift, words = await world.ledger.claim_all(gifts(), NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        assert await world.state(gift.proposal.action_id) == "failed"
        assert await world.state(words.proposal.action_id) == "done"
        assert (await world.ledger.budgets("CNY", NOW))["day"][0] == 0
        left = [key async for key in world.store.keys("ledger", "live", "budget", "*")]
        assert left == [], "or each hour leaves a counter of nothing behind"
        assert "SRY" not in world.customer.read[0].body
        assert world.customer.read[0].template == "late"

    play(valkey, prefix, story)


def test_words_without_a_fallback_fail_with_their_coupon(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.shop.answers.append(NEVER)
        gift, words = gifts()
        await world.ledger.claim_all([gift, replace(words, fallback=None)], NOW)
        await run_dry(await world.delivery(), NOW)
        assert world.customer.read == []
        assert await world.ledger.counts() == {"pending": 0, "waiting": 0, "sending": 0, "failed": 2}
        (decided,) = await world.ledger.claim_all([message(order="2")], NOW)
        assert decided.reason is Reason.OK, "who heard nothing may hear something later"

    play(valkey, prefix, story)


def test_a_message_on_a_channel_without_keys_is_not_sent_twice(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer.capabilities = Capabilities(idempotent=False)
        world.customer.answers.append(LOST)
        (sms,) = await world.ledger.claim_all([message(variables=WORDS)], NOW)
        delivery = await world.delivery()
        for hour in range(5):
            await run_dry(delivery, NOW + hour * HOUR)
        assert await world.state(sms.proposal.action_id) == "unknown"
        assert len(world.customer.read) == 1
        assert await world.ledger.resolve(sms.proposal.action_id, "retry", ANNA, NOW + 5 * HOUR)
        await run_dry(delivery, NOW + 5 * HOUR)
        assert len(world.customer.read) == 2, "a person may say: send it again"

    play(valkey, prefix, story)


def test_who_prefers_twice_to_never_can_say_so(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer.capabilities = Capabilities(idempotent=False)
        world.customer.answers.append(LOST)
        world.rules = replace(world.rules, resend_unknown=True)
        await world.ledger.claim_all([message(variables=WORDS)], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        await run_dry(delivery, NOW + HOUR)
        assert len(world.customer.read) == 2

    play(valkey, prefix, story)


@pytest.mark.parametrize("idempotent", [True, False])
def test_an_attempt_that_died_with_its_worker(valkey: Valkey, prefix: str, idempotent: bool) -> None:
    """The worker is gone between the trace and the answer; the next one knows that something may have left."""

    async def story(world: World) -> None:
        world.customer.capabilities = Capabilities(idempotent=idempotent)
        (words,) = await world.ledger.claim_all([message(variables=WORDS)], NOW)
        first = await world.delivery()
        sent = world.customer.send

        began = asyncio.Event()

        async def die(*arguments: object) -> SendResult:
            began.set()
            await asyncio.Event().wait()
            raise AssertionError

        world.customer.send = die  # type: ignore[assignment,method-assign]
        assert await first.run_once(NOW) == 1
        await began.wait()
        assert await first.drain(0) == 1
        world.customer.send = sent  # type: ignore[method-assign]
        second = await world.delivery()
        assert await turn(second, NOW + 1000) == 0, "the lease holds"
        await turn(second, NOW + 200_000)
        assert await world.state(words.proposal.action_id) == ("done" if idempotent else "unknown")

    play(valkey, prefix, story)


@pytest.mark.parametrize("cause", [Cause.RATE, Cause.NETWORK, Cause.SERVER, Cause.AUTH])
def test_the_wait_a_provider_asks_for_is_kept_by_everybody(valkey: Valkey, prefix: str, cause: Cause) -> None:
    async def story(world: World) -> None:
        world.customer.answers.append(SendResult(Answer.RETRY, cause, retry_after=600.0))
        world.rules = replace(world.rules, concurrency=1)
        await world.ledger.claim_all([message(f"c-{n}", str(n), variables=WORDS) for n in range(3)], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        await run_dry(delivery, NOW + 599_000)
        assert world.customer.read == []
        await run_dry(delivery, NOW + 610_000)
        assert len(world.customer.read) == 3

    play(valkey, prefix, story)


def test_a_rate_is_never_exceeded_and_nothing_is_lost(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.ops.limits = Limits(per_minute=20)
        await world.ledger.claim_all(
            [ops_alert(subject=f"facility:{n}", cause=f"ops:{n}", variables=READY) for n in range(50)], NOW
        )
        delivery = await world.delivery()
        seen = []
        for second in range(200):
            await run_dry(delivery, NOW + second * 1000)
            seen.append(len(world.ops.read))
        assert seen[-1] == 50
        assert max(later - earlier for earlier, later in zip(seen, seen[60:], strict=False)) <= 20

    play(valkey, prefix, story)


def test_a_provider_that_asks_for_an_age_is_asked_again_and_said_to_be_down(
    valkey: Valkey, prefix: str
) -> None:
    """It told one of them to come in an hour: the others wait for a quarter, and somebody hears of it."""

    async def story(world: World) -> None:
        world.customer.answers.append(SendResult(Answer.RETRY, Cause.RATE, retry_after=3600.0))
        world.rules = replace(world.rules, concurrency=1)
        await world.ledger.claim_all([message(f"c-{n}", str(n), variables=WORDS) for n in range(3)], NOW)
        delivery = await world.delivery()
        with capture_logs() as logs:
            await run_dry(delivery, NOW)
        rests = [one for one in logs if one["event"] == "channel.rests"]
        assert [(one["channel"], one["cause"]) for one in rests] == [("customer", "rate")]
        assert 900 <= rests[0]["seconds"] <= 905
        assert delivery.down(NOW + 600_000)["customer"] == 600
        assert delivery.down(NOW + 600_000)["ops"] == 0
        await run_dry(delivery, NOW + 890_000)
        assert world.customer.read == []
        await run_dry(delivery, NOW + 906_000)
        assert len(world.customer.read) == 2
        assert delivery.down(NOW + 907_000)["customer"] == 0

    play(valkey, prefix, story)


def test_a_channel_whose_last_message_expired_is_not_said_to_be_down_for_good(
    valkey: Valkey, prefix: str
) -> None:
    async def story(world: World) -> None:
        minute = 60_000
        world.customer.answers.extend([LATER] * 100)
        await world.ledger.claim_all([message(variables=WORDS, expires_at=NOW + 30 * minute)], NOW)
        delivery = await world.delivery()
        for passed in range(50):
            await run_dry(delivery, NOW + passed * minute)
        assert await world.state(world.steps[-1].entry.action_id) == "failed"
        assert delivery.down(NOW + 30 * minute)["customer"] > 20 * 60
        assert delivery.down(NOW + 2 * HOUR)["customer"] == 0

    play(valkey, prefix, story)


def test_a_picture_counts_against_the_rate(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.ops.limits = Limits(per_minute=20)
        world.ops.answers.extend([SendResult(Answer.DONE, requests=2)] * 30)
        await world.ledger.claim_all(
            [ops_alert(subject=f"facility:{n}", cause=f"ops:{n}", variables=READY) for n in range(30)], NOW
        )
        delivery = await world.delivery()
        for second in range(60):
            await run_dry(delivery, NOW + second * 1000)
        assert len(world.ops.read) == 10

    play(valkey, prefix, story)


def test_too_much_for_one_number_stops_nobody_else(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer.answers.append(SendResult(Answer.RETRY, Cause.RECIPIENT_RATE))
        world.rules = replace(world.rules, concurrency=1)
        await world.ledger.claim_all([message(f"c-{n}", str(n), variables=WORDS) for n in range(3)], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        assert len(world.customer.read) == 2
        assert Reason.RATE_LIMITED in {step.verdict.reason for step in world.steps}

    play(valkey, prefix, story)


def test_a_poisonous_entry_ends_and_the_others_flow(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.rules = replace(world.rules, poison_after=3, per_channel=1, concurrency=1)
        bad, good = message("c-1", "1", variables=WORDS), message("c-2", "2", variables=WORDS)
        sent = world.customer.send

        async def send(message: Message, now: int) -> SendResult:
            if message.customer_id == "c-1":
                raise ZeroDivisionError("13800138000")
            return await sent(message, now)

        world.customer.send = send  # type: ignore[method-assign]
        await world.ledger.claim_all([bad, good], NOW)
        delivery = await world.delivery()
        with capture_logs() as logs:
            for hour in range(12):
                await run_dry(delivery, NOW + hour * HOUR)
        assert {(one["event"], one["error"], one["place"].partition(":")[0]) for one in logs} == {
            ("channel.crashed", "ZeroDivisionError", "test_delivery.py")
        }
        assert "13800138000" not in str(logs), "an error's own text may quote a customer"
        assert await world.state(good.action_id) == "done"
        assert await world.state(bad.action_id) == "unknown", "it may have been sent: nobody can say"

    play(valkey, prefix, story)


def test_our_own_failure_before_the_request_ends_and_gives_all_back(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        async def contacts(*_: object) -> Contact | None:
            raise ZeroDivisionError

        world.rules = replace(world.rules, poison_after=3)
        (gift,) = await world.ledger.claim_all([coupon(expires_at=None)], NOW)
        delivery = await world.delivery(contacts=contacts)
        with capture_logs() as logs:
            for hour in range(12):
                await run_dry(delivery, NOW + hour * HOUR)
        assert [one["event"] for one in logs] == ["delivery.crashed"] * 3
        assert await world.state(gift.proposal.action_id) == "failed"
        assert (world.steps[-1].verdict.detail, world.shop.asked) == ("poison", 0)
        assert (await world.ledger.budgets("CNY", NOW))["day"].spent == 0

    play(valkey, prefix, story)


def test_a_store_that_is_away_is_told_to_the_caller_and_is_no_poison(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        async def away(_entry: Entry, _now: int) -> Reason | None:
            raise StoreError("away")

        world.rules = replace(world.rules, poison_after=1)
        await world.ledger.claim_all([message(variables=WORDS)], NOW)
        with capture_logs() as logs, pytest.raises(StoreError):
            await turn(await world.delivery(recheck=away), NOW)
        assert (logs, world.steps) == ([], [])
        await run_dry(await world.delivery(), NOW + world.rules.lease_ms)
        assert len(world.customer.read) == 1

    play(valkey, prefix, story)


def test_a_template_that_is_gone_fails_its_message_and_no_other(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        bad, good = (
            message("c-1", "1", template="gone", variables=WORDS),
            message("c-2", "2", variables=WORDS),
        )
        await world.ledger.claim_all([bad, good], NOW)
        await run_dry(await world.delivery(), NOW)
        assert [await world.state(one.action_id) for one in (bad, good)] == ["failed", "done"]

    play(valkey, prefix, story)


def test_the_older_daemon_is_fenced_off(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all(gifts(), NOW)
        paused = await world.delivery()
        awake = await world.delivery()
        with pytest.raises(FencedError):
            await paused.run_once(NOW)
        await run_dry(awake, NOW)
        assert len(world.customer.read) == 1

    play(valkey, prefix, story)


def test_a_daemon_fenced_in_the_middle_begins_nothing(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all([message(variables=WORDS)], NOW)
        paused = await world.delivery()
        assert await paused.run_once(NOW) == 1  # leased, not yet begun: no task has run
        await world.delivery()
        await paused.idle()
        assert world.customer.read == []

    play(valkey, prefix, story)


def test_kill_and_hold_stop_what_is_queued(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        alert = ops_alert(variables=READY)
        await world.ledger.claim_all([*gifts(), alert], NOW)
        delivery = await world.delivery()
        await world.ledger.kill(ANNA, NOW)
        await run_dry(delivery, NOW)
        assert (world.shop.asked, world.ops.read) == (0, [])
        await world.ledger.revive(ANNA, NOW)
        await world.ledger.hold(ANNA, NOW)
        await run_dry(delivery, NOW)
        assert (world.shop.asked, len(world.ops.read)) == (0, 1)
        await world.ledger.release(ANNA, NOW)
        await run_dry(delivery, NOW)
        assert (world.shop.asked, len(world.customer.read)) == (1, 1)

    play(valkey, prefix, story)


def test_a_record_that_was_changed_is_not_paid(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        (gift, _) = await world.ledger.claim_all(gifts(), NOW)
        key = world.ledger.key("action", gift.proposal.action_id)
        record = await world.store.hash_get(key, "p")
        assert record is not None
        await world.store.hash_set(key, {"p": record.replace(b'"amount":500', b'"amount":50000')})
        await run_dry(await world.delivery(), NOW)
        assert world.shop.made == {}

    play(valkey, prefix, story)


def test_staff_get_tickets_by_their_own_channel(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        ticket = message(
            kind=ActionKind.TICKET,
            template="ticket_lost",
            channel="shop",
            variables={**WORDS, "tracking_number": "SF1"},
        )
        await world.ledger.claim_all([ticket], NOW)
        await run_dry(await world.delivery(), NOW)
        assert world.staff.read[0].recipient is None
        assert "SF1" in world.staff.read[0].body

    play(valkey, prefix, story)


def test_a_channel_nobody_configured_says_so(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all([message(channel="carrier_pigeon", variables=WORDS)], NOW)
        await run_dry(await world.delivery(), NOW)
        assert world.steps[0].verdict.detail == "no_channel"

    play(valkey, prefix, story)


def test_six_hours_of_outage_end_in_a_paced_drain(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.shop.limits = Limits(per_second=2)
        world.rules = replace(world.rules, backoff=Backoff(5, 600))
        await world.ledger.claim_all([coupon(f"c-{n}", str(n)) for n in range(40)], NOW)
        delivery = await world.delivery()
        world.shop.answers.extend([LATER] * 10_000)
        for minute in range(0, 360, 5):
            await turn(delivery, NOW + minute * 60_000)
        knocks = world.shop.asked
        assert knocks < 150, "one that is down is not hammered"
        world.shop.answers.clear()
        for second in range(1200):
            await turn(delivery, NOW + 6 * HOUR + second * 1000)
        assert len(world.shop.made) == 40

    play(valkey, prefix, story)


def test_the_rules_have_sound_defaults() -> None:
    rules = DeliveryRules()
    assert not rules.resend_unknown
    assert rules.lease_ms > 2 * 15_000
