"""The daily and the weekly digest, from a real ledger; and the sign of life."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from config.settings import NotifySettings
from monitor.heartbeat import Heartbeat
from monitor.links import Act
from monitor.reports import DAY, Reports, Tally, scheduled
from monitor.uplift import Uplift, measure
from notifier.actions import Outcome
from notifier.http import Http
from notifier.ledger import Ledger
from notifier.ops_message import ops_message, words
from notifier.store import Store
from tests.fakes.server import FakeServer, Response
from tests.fakes.valkey import Valkey
from tests.money.sending import NEVER, World, run_dry
from tests.money.shop import HOUR, IDENTITY, OPEN, apology, coupon
from tests.money.test_delivery import gifts
from tests.notifications.test_messages import DESK, LINKS

ZONE = ZoneInfo("Asia/Shanghai")
SETTINGS = NotifySettings(digest_receivers=("ops",), locale="en")


def at(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=ZONE).timestamp() * 1000)  # type: ignore[arg-type, misc]


MONDAY = at(2026, 11, 23, 9)


@pytest.mark.parametrize(
    ("now", "kinds"),
    [
        (MONDAY, ["daily", "weekly"]),
        (MONDAY + HOUR, ["daily", "weekly"]),
        (MONDAY - 1, []),
        (MONDAY + 7 * HOUR, []),
        (MONDAY + DAY, ["daily"]),
    ],
)
def test_a_digest_has_its_hour_and_is_left_out_when_that_is_long_past(now: int, kinds: list[str]) -> None:
    assert [kind for kind, _, _ in scheduled(SETTINGS, "Asia/Shanghai", now)] == kinds


@pytest.mark.parametrize("hour", [2, 9])  # 02:00 is not, or twice, in these nights
@pytest.mark.parametrize("first", [datetime(2026, 10, 20), datetime(2026, 3, 23)])  # noqa: DTZ001
def test_each_hour_is_in_one_digest_also_where_the_clock_is_set(first: datetime, hour: int) -> None:
    settings = SETTINGS.model_copy(update={"daily_digest_hour": hour})
    begin = round(first.replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() * 1000)
    written = {}
    for now in range(begin, begin + 15 * DAY, HOUR):
        for kind, at, since in scheduled(settings, "Europe/Berlin", now):
            written[kind, at] = since
    for kind, fewest in (("daily", 14), ("weekly", 2)):
        told = sorted((since, at) for (one, at), since in written.items() if one == kind)
        assert len(told) >= fewest
        assert [since for since, _ in told[1:]] == [at for _, at in told[:-1]]


def test_no_receivers_no_digest() -> None:
    assert scheduled(NotifySettings(), "Asia/Shanghai", MONDAY) == []


async def no_uplift(_now: int) -> Uplift:
    return measure([])


class Said:
    async def all(self) -> Mapping[str, Mapping[str, int]]:
        return {"signatures": {"useful": 1, "noise": 9}, "feed_silent": {"useful": 4, "noise": 0}}


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_the_digest_tells_what_was_sent_what_was_not_and_what_it_cost(
    valkey: Valkey, prefix: str, locale: str
) -> None:
    settings = SETTINGS.model_copy(update={"locale": locale})

    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            decided = MONDAY - 5 * HOUR
            await ledger.open(None, decided)
            await ledger.claim_all(apology(), decided)
            await ledger.claim_all([coupon("c-1", "1002")], decided)  # one apology in 90 days
            reports = Reports(
                lambda: (settings, "Asia/Shanghai", "p1"),
                ledger,
                no_uplift,
                Said(),
                list,
                list,
                lambda: {"late_predicted": 0.021},
                lambda: DESK,
                lambda: {"facility_stalled": 1_234},
            )
            assert await reports.run(MONDAY + 1) == 2
            assert await reports.run(MONDAY + HOUR) == 0
            claims = [claim async for claim in ledger.all() if claim.proposal.template == "ops/report"]
            daily = next(claim for claim in claims if claim.proposal.rule == "report-daily")
            text = ops_message(daily.proposal.variables, key="k", locale=locale)
            whole = text.title + text.body + str(text.fields)
            assert "coupon 2" in whole or "优惠券 2" in whole
            assert "stuck in a facility 1,234" in whole or "网点内停滞 1,234" in whole
            assert "5.00" in whole
            say = words()[locale]["cause"]
            assert say["customer_cap"] in whole or say["already_compensated"] in whole
            assert "2.1%" in whole
            assert "9 noise" in whole or "误报 9" in whole
            again = await Reports(
                lambda: (settings, "Asia/Shanghai", "p1"),
                ledger,
                no_uplift,
                Said(),
                list,
                list,
                dict,
                lambda: DESK,
            ).run(MONDAY + 2 * HOUR)
            assert again == 2, "after a restart it is claimed again"
            after = [claim async for claim in ledger.all() if claim.proposal.template == "ops/report"]
            assert len(after) == len(claims), "and is the same claim"

    asyncio.run(run())


def test_what_was_given_up_was_not_sent_and_cost_nothing(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, MONDAY)
            world = World(store, ledger)
            world.shop.answers.append(NEVER)
            await ledger.claim_all([*gifts("c-1", "1"), *gifts("c-2", "2")], MONDAY)
            await run_dry(await world.delivery(), MONDAY)
            tally = Tally()
            async for claim in ledger.all():
                tally.add(claim)
            assert (tally.decided["coupon"], tally.sent["coupon"], tally.money) == (2, 1, {"CNY": 500})
            assert tally.withheld == {"channel_rejected": 1}

    asyncio.run(run())


def test_what_waits_for_approval_is_told_once_an_hour_with_buttons(valkey: Valkey, prefix: str) -> None:
    settings = NotifySettings(approval_receivers=("ops",), locale="en")

    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, replace(OPEN, approval_above=400))
            await ledger.open(None, MONDAY)
            (gift, words_of_it) = await ledger.claim_all(apology(), MONDAY)
            assert (gift.outcome, words_of_it.outcome) == (Outcome.HELD, Outcome.HELD)
            reports = Reports(
                lambda: (settings, "Asia/Shanghai", "p1"),
                ledger,
                no_uplift,
                Said(),
                list,
                list,
                dict,
                lambda: DESK,
            )
            assert [await reports.run(MONDAY + wait) for wait in (1, HOUR // 2, HOUR + 1)] == [1, 0, 1]
            claims = [claim async for claim in ledger.all() if claim.proposal.template == "ops/report"]
            text = ops_message(claims[0].proposal.variables, key="k", locale="en")
            approve, reject = text.buttons  # of the words none: they are decided with their coupon
            assert (approve.label, reject.label) == (
                f"Approve {gift.proposal.action_id}",
                f"Reject {gift.proposal.action_id}",
            )
            link = LINKS.verify(approve.url.rpartition("/")[2], MONDAY + 1)
            assert (link.act, link.subject) == (Act.APPROVE, gift.proposal.action_id)
            assert "5.00" in text.body

    asyncio.run(run())


def test_the_sign_of_life_is_given_while_all_is_well_and_only_then() -> None:
    async def run() -> None:
        async with Http() as http, FakeServer(lambda _: Response(200)) as watcher:
            settings = NotifySettings(heartbeat_url=SecretStr(f"{watcher.url}/ping/s3cret"))
            healthy = [True]
            heart = Heartbeat(lambda: settings, http, lambda: healthy[0])
            assert await heart.beat(MONDAY)
            watcher.script.append(Response(500))
            assert not await heart.beat(MONDAY + 1_000), "not due yet"
            assert not await heart.beat(MONDAY + 60_000)
            healthy[0] = False
            assert not await heart.beat(MONDAY + 180_000)
            assert len(watcher.requests) == 2
            healthy[0] = True
            assert await heart.beat(MONDAY - HOUR), "the clock was set back: a silent hour would be an alarm"

    asyncio.run(run())
