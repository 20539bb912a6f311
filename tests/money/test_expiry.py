"""What waits for a person longer than it is welcome is ended, with its money and caps."""

from __future__ import annotations

from dataclasses import replace

from config.settings import NotifySettings
from monitor.reports import Reports
from notifier.actions import Outcome, Reason
from notifier.audit import Audit
from notifier.ledger import Ledger
from notifier.retention import KEEP_DAYS, Retention, Retired
from notifier.sending import Capabilities
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN, apology, coupon, message, play
from tests.money.test_delivery import WORDS
from tests.money.test_reports import Said, no_uplift
from tests.notifications.test_messages import DESK

ASKS = replace(OPEN, approval_above=5_000)
OVER = NOW + 2 * DAY  # the last moment of the offer


def test_an_expired_approval_gives_money_and_cap_back(valkey: Valkey, prefix: str) -> None:
    async def story(store: Store, ledger: Ledger) -> None:
        gift, words = await ledger.claim_all(apology(amount=8_000), NOW)
        assert gift.outcome is words.outcome is Outcome.HELD
        assert await ledger.expire(OVER) == []
        assert await ledger.expire(OVER + 1) == [
            replace(one, outcome=Outcome.SUPPRESSED, reason=Reason.EXPIRED, decided_at=OVER + 1)
            for one in (gift, words)
        ]
        assert await ledger.expire(OVER + HOUR) == []
        assert await ledger.held() == []
        assert (await ledger.counts())["held"] == 0
        assert (await ledger.budgets("CNY", NOW))["day"].spent == 0
        (again,) = await ledger.claim_all([coupon("c-1", "1002", expires_at=OVER + DAY)], OVER + 2)
        assert again.reason is Reason.OK, "nothing was given, so no cap holds"
        assert await ledger.approve(gift.proposal.action_id, ANNA, OVER + 3) == "expired"
        assert await ledger.reject(gift.proposal.action_id, ANNA, OVER + 3) == "not_held"
        audit = Audit(store, ledger, IDENTITY)
        assert await audit.verify() == []
        assert [one.body["event"] async for one in audit.records()].count("expire") == 2

    play(valkey, prefix, story, ASKS)


def test_only_what_is_over_is_ended(valkey: Valkey, prefix: str) -> None:
    async def story(_store: Store, ledger: Ledger) -> None:
        await ledger.claim_all([coupon("c-1", "1", amount=8_000)], NOW)
        await ledger.claim_all([coupon("c-2", "2", amount=8_000, expires_at=OVER + DAY)], NOW)
        await ledger.claim_all([coupon("c-3", "3", amount=8_000, expires_at=None)], NOW)
        ended = await ledger.expire(OVER + 1)
        assert [one.proposal.order_id for one in ended] == ["1"]
        assert {one.proposal.order_id for one in await ledger.held()} == {"2", "3"}

    play(valkey, prefix, story, ASKS)


def test_on_hold_nothing_is_ended_before_the_shop_was_asked(valkey: Valkey, prefix: str) -> None:
    """The coupon may have been given in a past that a restore took away."""

    async def story(_store: Store, ledger: Ledger) -> None:
        await ledger.hold(ANNA, NOW)
        await ledger.claim_all(apology(), NOW)
        assert await ledger.expire(OVER + 1) == []
        assert len(await ledger.held()) == 2
        await ledger.release(ANNA, OVER + 1)
        assert await ledger.held() == []

    play(valkey, prefix, story)


def test_nobody_is_asked_about_what_is_over(valkey: Valkey, prefix: str) -> None:
    async def story(_store: Store, ledger: Ledger) -> None:
        await ledger.claim_all(apology(amount=8_000), NOW)
        notify = NotifySettings(approval_receivers=("boss",))
        reports = Reports(
            lambda: (notify, "Asia/Shanghai", "p1"), ledger, no_uplift, Said(), list, list, dict, lambda: DESK
        )
        asked = [await reports.run(NOW + hour * HOUR) for hour in range(60)]
        assert sum(asked) == 49, "once an hour, the hour of its end included"
        assert not any(asked[49:])

    play(valkey, prefix, story, ASKS)


def test_words_in_doubt_hold_no_log_for_ever(valkey: Valkey, prefix: str) -> None:
    """A mail that may or may not have gone, and that nobody ever resolved."""

    async def story(store: Store, ledger: Ledger) -> None:
        world = World(store, ledger)
        world.customer.capabilities = Capabilities()
        world.customer.answers.append(LOST)
        (doubt,) = await ledger.claim_all([message("c-0", "0", variables=WORDS)], NOW)
        await run_dry(await world.delivery(), NOW)
        assert await world.state(doubt.proposal.action_id) == "unknown"
        audit = Audit(store, ledger, IDENTITY)
        retention = Retention(store, ledger, audit, 800 * DAY)
        await ledger.claim_all([coupon("c-1", "1")], NOW + 10 * DAY)
        await retention.run(NOW)
        at_400 = await retention.run(NOW + KEEP_DAYS * DAY + 1)
        assert at_400.claims == 1
        assert at_400.entries > 0
        assert (await ledger.counts())["unknown"] == 0
        assert await store.call("ZCARD", ledger.key("unknown")) == 0
        assert await audit.verify() == []
        assert await retention.run(NOW + KEEP_DAYS * DAY + 1) == Retired(0, 0)

    play(valkey, prefix, story)
