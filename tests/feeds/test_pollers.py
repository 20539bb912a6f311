"""Pollers against providers of our own that check signature, rate and shape, over real HTTP and a real store."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from config.regions import regions
from config.settings import FeedSettings, IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.pollers.base import MOST_ANSWER_BYTES, Backoff, Trouble
from monitor.feeds.pollers.paging import newest
from monitor.feeds.pollers.plan import Plan, allowance
from monitor.feeds.pollers.registry import Pollers, build_pollers
from monitor.feeds.pollers.runner import Runner
from monitor.feeds.registry import FeedConfigError
from monitor.feeds.watch import HOUR, Quiet, Watch
from monitor.intake import Intake
from monitor.metrics import Metrics
from monitor.stream import EventStream
from notifier.http import Http
from notifier.store import Store
from tests.fakes.server import FakeServer, Fault, Request, Response
from tests.feeds.cases import NOW, feed

pytestmark = pytest.mark.anyio
LATER = NOW + 30 * HOUR


class Kuaidi100:
    """Signs as the provider does; knows every parcel but those that begin with X."""

    def __call__(self, request: Request) -> Response:
        form = request.form
        expected = hashlib.md5((form["param"] + "k3y" + "CUST").encode()).hexdigest().upper()  # noqa: S324
        if form["sign"] != expected:
            return Response.of({"result": False, "returnCode": "503", "message": "验证签名失败"})
        question = json.loads(form["param"])
        if question["num"].startswith("X"):
            return Response.of({"result": False, "returnCode": "500", "message": "查询无结果"})
        return Response.of(
            {
                "message": "ok",
                "nu": question["num"],
                "com": question["com"],
                "status": "200",
                "state": "0",
                "data": [
                    {"ftime": "2026-11-22 12:00:00", "context": "到达【嘉兴转运中心】", "statusCode": "1002"}
                ],
            }
        )


class SeventeenTrack:
    def __call__(self, request: Request) -> Response:
        if request.headers.get("17token") != "k3y":
            return Response.of({"code": -18010002}, 401)
        numbers = [one["number"] for one in request.json()]
        assert len(numbers) <= 40
        events = [{"time_utc": "2026-11-22T04:00:00Z", "sub_status": "InTransit_Other", "location": "X"}]
        accepted = [
            {
                "number": number,
                "carrier": 1,
                "track_info": {"tracking": {"providers": [{"provider": {"name": "USPS"}, "events": events}]}},
            }
            for number in numbers
        ]
        return Response.of({"code": 0, "data": {"accepted": accepted, "rejected": []}})


class Erp:
    """Two pages of shipped orders, then nothing; the cursor is its own."""

    pages: tuple[list[dict[str, Any]], ...] = (
        [{"no": "O1", "buyer": 7, "state": "SHIPPED", "at": "2026-11-21 10:00:00", "fee": "12.50"}],
        [{"no": "O2", "buyer": 8, "state": "PAID", "at": 1795305600}],
    )

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer t0ken":
            return Response.of({}, 403)
        at = int(request.query.get("since", "0"))
        rows = self.pages[at] if at < len(self.pages) else []
        return Response.of(
            {"rows": rows, "next": str(min(at + 1, len(self.pages))), "more": at + 1 < len(self.pages)}
        )


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    metrics, letters = Metrics(process=False), DeadLetters(store)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        feeds = {"kuaidi100": feed("kuaidi100"), "17track": feed("17track")}
        yield Desk(feeds, intake, letters, StoreMemory(store), metrics, watch=Watch())


async def taken(store: Store) -> list[dict[str, Any]]:
    entries = await store.stream_range(EventStream(store).key(0))
    lines = [(entry.get(b"batch") or entry.get(b"e") or b"").split(b"\n") for entry in entries]
    return [msgspec.json.decode(line) for some in lines for line in some]


def built(desk: Desk, http: Http, **sections: dict[str, Any]) -> Pollers:
    wanted = {name: FeedSettings.model_validate(section) for name, section in sections.items()}
    return build_pollers(wanted, desk.feeds, regions(), http)


def silent(desk: Desk, *parcels: str, name: str = "kuaidi100", carrier: str = "yto") -> None:
    """These were mentioned a day ago, and the feed has spoken of others since."""
    assert desk.watch is not None
    events = [
        {"kind": "tracking", "tracking_number": one, "carrier": carrier, "status": "accepted", "source": name}
        for one in parcels
    ]
    desk.watch.note(events, NOW)
    desk.status[name].last_event_at = LATER - 60_000


async def test_kuaidi100_is_asked_about_silent_parcels_and_its_answer_is_read_as_a_push(
    store: Store, desk: Desk
) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        pollers = built(
            desk, http, kuaidi100={"customer": "CUST", "key": "k3y", "url": server.url, "per_second": 50}
        )
        silent(desk, "YT1", "X2")
        assert desk.watch is not None
        runner = Runner(store, desk, desk.watch, pollers.parcels)
        await runner.run(LATER)
        await runner.run(LATER + 1000)
        (event,) = await taken(store)
        assert (event["tracking_number"], event["status"], event["source"]) == ("YT1", "arrived", "kuaidi100")
        assert json.loads(server.requests[0].form["param"])["com"] == "yuantong"
        assert len(server.requests) == 2  # each once: the same waybill is asked about at most every half hour


async def test_a_wrong_key_stops_the_asking_until_the_back_off_has_passed(store: Store, desk: Desk) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        pollers = built(desk, http, kuaidi100={"customer": "CUST", "key": "wrong", "url": server.url})
        silent(desk, "YT1")
        assert desk.watch is not None
        runner = Runner(store, desk, desk.watch, pollers.parcels)
        await runner.run(LATER)
        await runner.run(LATER + 30_000)
        assert len(server.requests) == 1
        await runner.run(LATER + 61_000)
        assert len(server.requests) == 2
        assert runner.report(LATER + 61_000)["kuaidi100"]["failures"] == 2


async def test_17track_is_asked_about_forty_at_a_time(store: Store, desk: Desk) -> None:
    async with FakeServer(SeventeenTrack()) as server, Http() as http:
        pollers = built(desk, http, **{"17track": {"key": "k3y", "url": server.url}})
        silent(desk, *(f"L{number:03d}" for number in range(50)), name="17track", carrier="usps")
        assert desk.watch is not None
        runner = Runner(store, desk, desk.watch, pollers.parcels)
        await runner.run(LATER)
        assert [len(request.json()) for request in server.requests] == [40, 10]
        assert len(await taken(store)) == 50


async def test_a_silent_feed_is_left_alone(store: Store, desk: Desk) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        pollers = built(desk, http, kuaidi100={"customer": "CUST", "key": "k3y", "url": server.url})
        silent(desk, "YT1")
        desk.status["kuaidi100"].last_event_at = NOW
        assert desk.watch is not None
        await Runner(store, desk, desk.watch, pollers.parcels).run(LATER)
        assert server.requests == []


@pytest.mark.parametrize("step", [Fault.RESET, Response(503), Response(429, headers={"retry-after": "600"})])
async def test_a_provider_in_trouble_is_waited_for(store: Store, desk: Desk, step: Fault | Response) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        server.script.append(step)
        pollers = built(desk, http, kuaidi100={"customer": "CUST", "key": "k3y", "url": server.url})
        silent(desk, "YT1")
        assert desk.watch is not None
        runner = Runner(store, desk, desk.watch, pollers.parcels)
        await runner.run(LATER)
        assert await taken(store) == []
        wait = runner.report(LATER)["kuaidi100"]["wait_seconds"]
        assert wait == (600 if isinstance(step, Response) and step.status == 429 else 60)
        await runner.run(LATER + wait * 1000)
        assert len(await taken(store)) == 1


async def test_only_one_of_two_daemons_asks(store: Store, desk: Desk) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        pollers = built(desk, http, kuaidi100={"customer": "CUST", "key": "k3y", "url": server.url})
        silent(desk, "YT1")
        assert desk.watch is not None
        one = Runner(store, desk, desk.watch, pollers.parcels, holder="one")
        other = Runner(store, desk, desk.watch, pollers.parcels, holder="other")
        await one.run(LATER)
        await other.run(LATER + 40 * HOUR)
        assert len(server.requests) == 1


ERP = {
    "type": "json",
    "headers": {"Authorization": "Bearer t0ken"},
    "per_second": 1000,
    "cursor": {"parameter": "since", "path": "next", "more": "more"},
    "map": {
        "event": "order",
        "records": "rows",
        "occurred_at": "at",
        "event_id": "no",
        "timezone": "Asia/Shanghai",
        "fields": {"order_id": "no", "customer_id": "buyer", "status": "state", "amount": "fee"},
        "constants": {"currency": "CNY"},
        "values": {"status": {"SHIPPED": "shipped", "PAID": "paid"}},
    },
}


async def test_a_list_is_read_page_by_page_and_its_cursor_survives_a_restart(
    store: Store, desk: Desk
) -> None:
    async with FakeServer(Erp()) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert [(one["order_id"], one["status"]) for one in await taken(store)] == [
            ("O1", "shipped"),
            ("O2", "paid"),
        ]
        assert (await taken(store))[0]["occurred_at"] == "2026-11-21T02:00:00Z"
        before = len(server.requests)
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW + HOUR)
        assert [request.query["since"] for request in server.requests[before:]] == ["2"]
        assert desk.status["erp"].events == 2


async def test_a_list_is_read_no_more_often_than_it_should_be(store: Store, desk: Desk) -> None:
    async with FakeServer(Erp()) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url, "every_seconds": 600})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        for seconds in (0, 1, 599):
            await runner.run(NOW + seconds * 1000)
        assert len(server.requests) == 2
        await runner.run(NOW + 600_000)
        assert len(server.requests) == 3
        await runner.run(NOW - HOUR)  # the clock was set back
        assert len(server.requests) == 4


class Numbered:
    """Orders by number, from `since` on, a hundred a page."""

    def __call__(self, request: Request) -> Response:
        since = int(request.query.get("since", "950"))
        rows = [
            {"no": number, "at": "2026-11-21 10:00:00", "buyer": "C1", "state": "PAID", "fee": 1}
            for number in range(since, min(since + 100, 1200))
        ]
        return Response.of({"rows": rows, "more": since < 1100})


async def test_a_cursor_of_numbers_moves_on_from_999_to_1000(store: Store, desk: Desk) -> None:
    async with FakeServer(Numbered()) as server, Http() as http:
        cursor = {"parameter": "since", "newest": "no", "more": "more"}
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert [request.query.get("since") for request in server.requests] == [None, "1049", "1148"]
        assert {int(one["order_id"]) for one in await taken(store)} == set(range(950, 1200))


@pytest.mark.parametrize(
    ("values", "largest"),
    [
        (["999", "1000"], "1000"),
        (["-5", "-10.5"], "-5"),
        (["9.5", "10"], "10"),
        (["2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"], "2026-11-21T10:00:00Z"),
        (["a9", "10"], "a9"),
        ([], None),
    ],
)
def test_the_newest_is_the_largest_number_or_else_text(values: list[str], largest: str | None) -> None:
    assert newest(values) == largest


async def test_a_list_of_more_than_a_megabyte_is_read(store: Store, desk: Desk) -> None:
    rows = [
        {"no": f"O{number}", "at": "2026-11-21 10:00:00", "buyer": "C", "state": "PAID", "note": "n" * 2000}
        for number in range(600)
    ]
    async with FakeServer(lambda _request: Response.of({"rows": rows})) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        assert len(await taken(store)) == 600
        assert runner.report(NOW)["erp"]["failures"] == 0


async def test_an_answer_that_is_too_large_is_called_so(store: Store, desk: Desk) -> None:
    huge = Response(200, b"[" + b" " * MOST_ANSWER_BYTES + b"]")
    async with FakeServer(lambda _request: huge) as server, Http() as http:
        (poller,) = built(desk, http, erp={**ERP, "url": server.url}).lists
        assert (await poller.read("", NOW)).trouble is Trouble.TOO_LARGE


async def test_17track_is_asked_about_half_as_many_where_its_answer_is_too_large(
    store: Store, desk: Desk
) -> None:
    provider = SeventeenTrack()

    def answer(request: Request) -> Response:
        if len(request.json()) > 20:
            return Response(200, b" " * (MOST_ANSWER_BYTES + 1))
        return provider(request)

    async with FakeServer(answer) as server, Http() as http:
        pollers = built(desk, http, **{"17track": {"key": "k3y", "url": server.url}})
        silent(desk, *(f"L{number:03d}" for number in range(40)), name="17track", carrier="usps")
        assert desk.watch is not None
        runner = Runner(store, desk, desk.watch, pollers.parcels)
        await runner.run(LATER)
        assert (len(server.requests), await taken(store)) == (1, [])
        await runner.run(LATER + 61_000)
        assert [len(request.json()) for request in server.requests] == [40, 20, 20]
        assert len(await taken(store)) == 40


def test_every_wrong_poller_is_told_with_its_place() -> None:
    sections = {
        "kuaidi100": FeedSettings.model_validate({"customer": "C", "key": "k"}),
        "17track": FeedSettings.model_validate({"key": " ", "feed": "17track"}),
        "dhl": FeedSettings.model_validate({}),
        "erp": FeedSettings.model_validate({"type": "json", "url": "ftp://x", "map": {"event": "order"}}),
    }
    with pytest.raises(FeedConfigError) as caught:
        build_pollers(sections, {}, regions(), None)
    text = "\n".join(caught.value.problems)
    assert "pollers.kuaidi100.feed: no feed 'kuaidi100' is configured" in text
    assert "pollers.17track.key: is empty" in text
    assert "pollers.dhl: no poller 'dhl'" in text
    assert "pollers.erp.url: is not an http or https URL" in text


def test_a_parcel_without_news_is_asked_about_less_and_less() -> None:
    plan = Plan(each_ms=30 * 60_000)
    quiet = [Quiet("A", "sf", "kuaidi100", HOUR)]
    moments: list[int] = []
    now = 0
    while len(moments) < 4:
        if plan.due(quiet, now, 10):
            moments.append(now)
            plan.note(["A"], now)
        now += 10 * 60_000
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert gaps == [HOUR // 2, HOUR, 2 * HOUR]


def test_rates_pay_for_the_time_that_passed() -> None:
    assert allowance(3, 10_000) == 30
    assert allowance(3, 10 * 60_000) == 180
    assert allowance(0.01, 1000) == 1


def test_back_off_doubles_up_to_an_hour_and_ends_with_a_good_answer() -> None:
    backoff = Backoff()
    waits = []
    for _ in range(8):
        backoff.failed(0, None)
        waits.append(backoff.until // 60_000)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.worked()
    assert backoff.open(0)


def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    """What was said to wait for a minute would wait for as long as the clock went back."""
    backoff, plan = Backoff(), Plan(each_ms=30 * 60_000)
    backoff.failed(NOW + HOUR, None)
    assert not backoff.open(NOW + HOUR)
    assert backoff.open(NOW)
    quiet = [Quiet("YT1", "yto", "kuaidi100", 86_400_000)]
    plan.note(["YT1"], NOW + HOUR)
    assert plan.due(quiet, NOW + HOUR, 9) == []
    assert plan.due(quiet, NOW, 9) == quiet
