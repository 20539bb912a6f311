"""Pollers against providers of our own that check signature, rate and shape, over real HTTP and a real store."""

from __future__ import annotations

import itertools
import json

import pytest

from config.plugins import FeedSettings
from config.regions import regions
from monitor.feeds.desk import Desk
from monitor.feeds.pollers.backoff import Backoff
from monitor.feeds.pollers.base import MOST_ANSWER_BYTES
from monitor.feeds.pollers.plan import Plan, allowance
from monitor.feeds.pollers.registry import build_pollers
from monitor.feeds.pollers.runner import Runner
from monitor.feeds.registry import FeedConfigError
from monitor.feeds.watch import HOUR
from notifier.http import Http
from notifier.store import Store
from tests.fakes.server import FakeServer, Fault, Request, Response
from tests.feeds.cases import NOW
from tests.feeds.polling import LATER, Kuaidi100, SeventeenTrack, built, silent, taken

pytestmark = pytest.mark.anyio


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
        "plain": FeedSettings.model_validate(
            {"type": "17track", "key": "k", "url": "http://17track.example"}
        ),
        "dhl": FeedSettings.model_validate({}),
        "erp": FeedSettings.model_validate({"type": "json", "url": "ftp://x", "map": {"event": "order"}}),
    }
    with pytest.raises(FeedConfigError) as caught:
        build_pollers(sections, {}, regions(), None)
    text = "\n".join(caught.value.problems)
    assert "pollers.kuaidi100.feed: no feed 'kuaidi100' is configured" in text
    assert "pollers.17track.key: is empty" in text
    assert "pollers.plain.url: must be https" in text
    assert "pollers.dhl: no poller 'dhl'" in text
    assert "pollers.erp.url: is not an http or https URL" in text


def test_a_parcel_without_news_is_asked_about_less_and_less() -> None:
    plan = Plan(each_ms=30 * 60_000)
    moments: list[int] = []
    now = 0
    while len(moments) < 4:
        if plan.opens_at("A", now) is None:
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
    plan.note(["YT1"], NOW + HOUR)
    assert plan.opens_at("YT1", NOW + HOUR) == NOW + HOUR + 30 * 60_000
    assert plan.opens_at("YT1", NOW) is None
