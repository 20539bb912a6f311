"""Parcels about which a provider answers nothing: they are counted, let others pass, and tell a missing right."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from config.plugins import FeedSettings
from config.regions import regions
from monitor.cli.feeds import COLUMNS, short
from monitor.directory import Directory
from monitor.feeds.desk import Desk
from monitor.feeds.pollers.kuaidi100 import MOST_DOUBTFUL
from monitor.feeds.pollers.registry import build_pollers
from monitor.feeds.pollers.runner import Runner
from monitor.feeds.watch import HOUR
from notifier.http import Http
from notifier.store import Store
from tests.fakes.server import FakeServer, Request, Response
from tests.feeds.polling import LATER, Kuaidi100, SeventeenTrack, built, silent, taken
from tests.test_directory import batch, order

pytestmark = pytest.mark.anyio
MINUTE = 60_000
NO_RIGHT = {"result": False, "returnCode": "400", "message": "提交的数据不完整，或者贵公司没授权"}


class Choosy:
    """Knows the parcels that begin with K, as 17TRACK knows those that were registered."""

    def __init__(self) -> None:
        self.knows = SeventeenTrack()
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Response:
        numbers = [one["number"] for one in request.json()]
        self.asked += numbers
        known = [{"number": one} for one in numbers if one.startswith("K")]
        answer = self.knows(Request("POST", "/", request.headers, json.dumps(known).encode()))
        body = json.loads(answer.body)
        body["data"]["rejected"] = [
            {"number": one, "error": {"code": -18019902, "message": "register first"}}
            for one in numbers
            if not one.startswith("K")
        ]
        return Response.of(body)


def runner_of(store: Store, desk: Desk, http: Http, **sections: dict[str, Any]) -> Runner:
    assert desk.watch is not None
    return Runner(store, desk, desk.watch, built(desk, http, **sections).parcels)


def refused(desk: Desk, name: str) -> float | None:
    return desk.metrics.registry.get_sample_value("forestall_poller_refused_total", {"poller": name})


async def test_parcels_that_a_provider_turns_down_shut_nobody_out(store: Store, desk: Desk) -> None:
    provider = Choosy()
    async with FakeServer(provider) as server, Http() as http:
        runner = runner_of(store, desk, http, **{"17track": {"key": "k3y", "url": server.url}})
        silent(desk, *(f"X{number:04d}" for number in range(1100)), name="17track", carrier="usps")
        silent(desk, "K1", "K2", name="17track", carrier="usps")
        moment = LATER
        for _ in range(30):
            desk.status["17track"].last_event_at = moment
            await runner.run(moment)
            moment += 300  # pays for one question
        assert {one["tracking_number"] for one in await taken(store)} == {"K1", "K2"}
        assert len(provider.asked) == len(set(provider.asked)) == 1102
        assert refused(desk, "17track") == 1100


async def test_a_parcel_that_is_refused_twice_is_asked_about_no_more_until_it_is_mentioned(
    store: Store, desk: Desk
) -> None:
    provider = Choosy()
    async with FakeServer(provider) as server, Http() as http:
        runner = runner_of(store, desk, http, **{"17track": {"key": "k3y", "url": server.url}})
        silent(desk, "X1", name="17track", carrier="usps")
        for half_hours in range(12):
            moment = LATER + half_hours * HOUR // 2
            desk.status["17track"].last_event_at = moment
            await runner.run(moment)
        assert provider.asked == ["X1", "X1"]
        polling = desk.status["17track"].report(LATER)["pollers"]["17track"]
        assert (polling["refused"], polling["dropped"], polling["trouble"]) == (2, 1, None)
        silent(desk, "X1", name="17track", carrier="usps")
        desk.status["17track"].last_event_at = LATER + 6 * HOUR
        await runner.run(LATER + 6 * HOUR)
        assert provider.asked == ["X1"] * 3


async def test_carriers_that_want_a_phone_number_are_left_out_and_that_is_said_once(
    store: Store, desk: Desk
) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        options = {"customer": "CUST", "key": "k3y", "url": server.url, "per_second": 50}
        runner = runner_of(store, desk, http, kuaidi100=options)
        silent(desk, *(f"SF{number}" for number in range(1500)), carrier="sf")
        silent(desk, "ZT1", carrier="zto")
        silent(desk, "FREIGHT", carrier="shunfengkuaiyun")
        silent(desk, "YT1")
        with structlog.testing.capture_logs() as logs:
            await runner.run(LATER)
            await runner.run(LATER + MINUTE)
        assert [json.loads(one.form["param"])["num"] for one in server.requests] == ["YT1"]
        said = [one["carrier"] for one in logs if one["event"] == "poller.without"]
        assert said == ["sf", "zto", "shunfengkuaiyun"]
        report = desk.status["kuaidi100"].report(LATER)
        assert report["pollers"]["kuaidi100"]["without"] == ["sf", "zto", "shunfengkuaiyun"]
        row = short(report)
        assert set(COLUMNS) <= set(row)
        assert row["polling"] == "kuaidi100: well, not sf, zto, shunfengkuaiyun"


async def test_where_the_shop_allows_it_four_digits_of_the_phone_are_named(store: Store, desk: Desk) -> None:
    """To carriers that ask for them, and no more of it; whose phone is not known is not asked about."""
    directory = Directory(store)
    contacts = {
        "SF1": {"phone": "+86 138-0000-0701"},
        "SF2": {"email": "a@example.com"},
        "YT1": {"phone": "13900000702"},
    }
    orders = [
        order("shipped", 1, order_id=f"of-{parcel}", tracking_number=parcel, contact=contact)
        for parcel, contact in contacts.items()
    ]
    await directory.remember(batch(orders=orders))
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        options = {"customer": "CUST", "key": "k3y", "url": server.url, "per_second": 50, "phones": True}
        sections = {"kuaidi100": FeedSettings.model_validate(options)}
        pollers = build_pollers(sections, desk.feeds, regions(), http, directory.phone_of)
        silent(desk, "SF1", "SF2", "SF3", carrier="sf")
        silent(desk, "YT1")
        assert desk.watch is not None
        with structlog.testing.capture_logs() as logs:
            await Runner(store, desk, desk.watch, pollers.parcels).run(LATER)
        asked = [json.loads(one.form["param"]) for one in server.requests]
        assert [(one["num"], one.get("phone")) for one in asked] == [("SF1", "0701"), ("YT1", None)]
        assert logs == []
        polling = desk.status["kuaidi100"].pollers["kuaidi100"]
        assert (polling.refused, polling.unasked) == (0, 2)
        assert "2 not asked" in short(desk.status["kuaidi100"].report(LATER))["polling"]


async def test_a_parcel_that_cannot_be_asked_about_rests_until_its_phone_is_known(
    store: Store, desk: Desk
) -> None:
    """It is no answer of the provider: trouble that was there stays, and the parcel is not given up."""
    directory = Directory(store)
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        options = {"customer": "CUST", "key": "wrong", "url": server.url, "per_second": 50, "phones": True}
        sections = {"kuaidi100": FeedSettings.model_validate(options)}
        pollers = build_pollers(sections, desk.feeds, regions(), http, directory.phone_of)
        assert desk.watch is not None
        runner = Runner(store, desk, desk.watch, pollers.parcels)
        silent(desk, "YT1")
        await runner.run(LATER)
        polling = desk.status["kuaidi100"].pollers["kuaidi100"]
        assert polling.trouble == "auth"
        desk.watch.drop("YT1")
        silent(desk, "SF1", carrier="sf")
        moment = LATER
        for _ in range(4):
            moment += 2 * HOUR
            desk.status["kuaidi100"].last_event_at = moment
            await runner.run(moment)
        assert (polling.trouble, polling.backoff.failures) == ("auth", 1)
        assert (polling.dropped, refused(desk, "kuaidi100")) == (0, 0)
        assert len(server.requests) == 1
        known = order("shipped", 1, order_id="O1", tracking_number="SF1", contact={"phone": "13800000701"})
        await directory.remember(batch(orders=[known]))
        moment += 24 * HOUR
        desk.status["kuaidi100"].last_event_at = moment
        await runner.run(moment)
        assert json.loads(server.requests[-1].form["param"])["phone"] == "0701"


async def test_parcels_that_cannot_be_asked_about_cost_nobody_a_question(store: Store, desk: Desk) -> None:
    async with FakeServer(Kuaidi100()) as server, Http() as http:
        options = {"customer": "CUST", "key": "k3y", "url": server.url, "per_second": 1, "phones": True}
        runner = runner_of(store, desk, http, kuaidi100=options)
        silent(desk, *(f"SF{number}" for number in range(50)), carrier="sf")
        silent(desk, "YT1", "YT2")
        await runner.run(LATER)
        assert [json.loads(one.form["param"])["num"] for one in server.requests] == ["YT1"]


async def test_a_right_that_is_missing_is_no_fault_of_so_many_parcels(store: Store, desk: Desk) -> None:
    """Kuaidi100 has one code for a question that is not whole and for a customer who may not ask."""
    async with FakeServer(lambda _request: Response.of(NO_RIGHT)) as server, Http() as http:
        options = {"customer": "CUST", "key": "k3y", "url": server.url, "per_second": 50}
        runner = runner_of(store, desk, http, kuaidi100=options)
        silent(desk, *(f"YT{number:02d}" for number in range(20)))
        await runner.run(LATER)
        assert len(server.requests) == MOST_DOUBTFUL
        polling = desk.status["kuaidi100"].pollers["kuaidi100"]
        assert (polling.trouble, polling.dropped) == ("auth", 0)
        told = short(desk.status["kuaidi100"].report(LATER))["polling"]
        assert told == "kuaidi100: auth, 1 in a row, 5 refused"
        assert refused(desk, "kuaidi100") == MOST_DOUBTFUL
        await runner.run(LATER + 30_000)
        assert len(server.requests) == MOST_DOUBTFUL
        server.handler = Kuaidi100()
        await runner.run(LATER + 5 * MINUTE)
        assert polling.trouble is None
        assert len({one["tracking_number"] for one in await taken(store)}) == 20 - MOST_DOUBTFUL
        desk.status["kuaidi100"].last_event_at = LATER + HOUR
        await runner.run(LATER + HOUR)  # those that were turned down for want of a right were not forgotten
        assert len({one["tracking_number"] for one in await taken(store)}) == 20


async def test_refusals_among_answers_are_no_trouble(store: Store, desk: Desk) -> None:
    provider = Kuaidi100()

    def answer(request: Request) -> Response:
        odd = int(json.loads(request.form["param"])["num"][2:]) % 2
        return Response.of(NO_RIGHT) if odd else provider(request)

    async with FakeServer(answer) as server, Http() as http:
        options = {"customer": "CUST", "key": "k3y", "url": server.url, "per_second": 50}
        runner = runner_of(store, desk, http, kuaidi100=options)
        silent(desk, *(f"YT{number:02d}" for number in range(20)))
        await runner.run(LATER)
        assert desk.status["kuaidi100"].pollers["kuaidi100"].trouble is None
        assert refused(desk, "kuaidi100") == 10
