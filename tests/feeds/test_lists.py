"""Lists over real HTTP: each is read to its end, or fails where people see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from config.plugins import FeedSettings
from config.settings import Settings
from monitor.feeds.desk import Desk
from monitor.feeds.pollers.base import MOST_ANSWER_BYTES, Trouble
from monitor.feeds.pollers.paging import CursorOptions, newest
from monitor.feeds.pollers.runner import Runner
from monitor.feeds.registry import FeedConfigError
from monitor.feeds.station import open_station
from monitor.feeds.watch import HOUR, Watch
from monitor.intake import Intake
from monitor.metrics import Metrics
from notifier.http import Http
from notifier.store import Store
from tests.fakes.server import FakeServer, Request, Response
from tests.feeds.cases import NOW
from tests.feeds.polling import ERP, Erp, built, taken

pytestmark = pytest.mark.anyio


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


BY_TIME = {"parameter": "since", "newest": "at", "more": "more"}


def rows(*times: str) -> list[dict[str, Any]]:
    return [{"no": f"O{place:03d}", "buyer": 1, "state": "PAID", "at": at} for place, at in enumerate(times)]


class Orders:
    """The orders since a time, that time included, a hundred an answer; pages where they are asked for."""

    def __init__(self, orders: list[dict[str, Any]]) -> None:
        self.orders = orders

    def __call__(self, request: Request) -> Response:
        since, page = request.query.get("since", ""), int(request.query.get("page", "1"))
        found = [one for one in self.orders if one["at"] >= since]
        part = found[100 * (page - 1) : 100 * page]
        return Response.of({"rows": part, "more": len(found) > 100 * page})


async def seen(store: Store) -> int:
    return len({one["order_id"] for one in await taken(store)})


def trouble(desk: Desk, name: str = "erp") -> str | None:
    return desk.status[name].pollers[name].trouble


SECONDS = [f"2026-11-21T10:{place // 60:02d}:{place % 60:02d}Z" for place in range(250)]


async def test_a_list_newest_first_without_pages_is_a_failure(store: Store, desk: Desk) -> None:
    """What is older than its first page would never be asked for."""
    async with FakeServer(Orders(rows(*reversed(SECONDS)))) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": BY_TIME, "url": server.url})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        assert await seen(store) == 100
        assert trouble(desk) == "unordered"
        assert await store.get(store.key("poller", "erp", "cursor")) is None


@pytest.mark.parametrize("order", [SECONDS, SECONDS[::-1], ["2026-11-21T10:00:00Z"] * 250])
async def test_with_pages_a_list_in_any_order_is_read_to_its_end(
    store: Store, desk: Desk, order: list[str]
) -> None:
    cursor = {**BY_TIME, "page": "page"}
    async with FakeServer(Orders(rows(*order))) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        assert [one.query["page"] for one in server.requests] == ["1", "2", "3"]
        assert await seen(store) == 250
        await runner.run(NOW + HOUR)
        assert server.requests[3].query["since"] == max(order)
        assert trouble(desk) is None


async def test_a_walk_over_pages_goes_on_after_a_restart(store: Store, desk: Desk) -> None:
    """Also where the pages say nothing of what follows: the first empty one is the end."""
    provider = Orders(rows(*reversed(SECONDS)))
    cursor = {"parameter": "since", "newest": "at", "page": "page"}
    async with FakeServer(provider) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        server.script.extend([provider(Request("GET", "/", {}, b"")), Response(503)])
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert await seen(store) == 100
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW + HOUR)
        assert [one.query["page"] for one in server.requests] == ["1", "2", "2", "3", "4"]
        assert await seen(store) == 250


async def test_a_page_parameter_that_the_list_does_not_read_is_a_failure(store: Store, desk: Desk) -> None:
    cursor = {**BY_TIME, "page": "seite"}
    async with FakeServer(Orders(rows(*SECONDS))) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert len(server.requests) == 2
        assert trouble(desk) == "stuck"


async def test_more_of_one_time_than_an_answer_holds_is_a_failure(store: Store, desk: Desk) -> None:
    async with FakeServer(Orders(rows(*["2026-11-21T10:00:00Z"] * 250))) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": BY_TIME, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert len(server.requests) == 2
        assert (await seen(store), trouble(desk)) == (100, "stuck")


async def test_a_full_answer_has_more_behind_it(store: Store, desk: Desk) -> None:
    cursor = {"parameter": "since", "newest": "at", "full": 100}
    async with FakeServer(Orders(rows(*SECONDS))) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert (len(server.requests), await seen(store)) == (3, 250)
        assert trouble(desk) is None


async def test_an_empty_page_is_not_the_end_where_there_is_more(store: Store, desk: Desk) -> None:
    pages = {"": ([], "1", True), "1": (rows(SECONDS[0]), "2", False), "2": ([], "2", False)}

    def answer(request: Request) -> Response:
        found, following, more = pages[request.query.get("since", "")]
        return Response.of({"rows": found, "next": following, "more": more})

    async with FakeServer(answer) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        await runner.run(NOW + HOUR)
        assert [one.query.get("since") for one in server.requests] == [None, "1", "2"]
        assert (await seen(store), trouble(desk)) == (1, None)


async def test_without_a_word_of_more_an_empty_page_moves_the_cursor_for_the_next_time(
    store: Store, desk: Desk
) -> None:
    """A provider may mint a new cursor for each answer: to follow at once would never end."""

    def answer(request: Request) -> Response:
        return Response.of({"rows": [], "next": str(int(request.query.get("since", "0")) + 1)})

    cursor = {"parameter": "since", "path": "next"}
    async with FakeServer(answer) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        for hour in range(3):
            await runner.run(NOW + hour * HOUR)
        assert [one.query.get("since") for one in server.requests] == [None, "1", "2"]


async def test_more_without_a_way_to_it_is_a_failure(store: Store, desk: Desk) -> None:
    answer = Response.of({"rows": rows(SECONDS[0]), "next": None, "more": True})
    async with FakeServer(lambda _request: answer) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert (await seen(store), trouble(desk)) == (1, "stuck")


@pytest.mark.parametrize(
    "body", [{"code": 40101, "msg": "token expired"}, {"rows": "none"}, {"Rows": []}, "no", None]
)
async def test_an_answer_without_the_list_is_a_failure_that_is_seen(
    store: Store, desk: Desk, body: Any
) -> None:
    async with FakeServer(lambda _request: Response.of(body)) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        polling = desk.status["erp"].report(NOW)["pollers"]["erp"]
        assert (polling["trouble"], polling["failures"]) == ("shape", 1)
        assert polling["retry_at"] == "2026-11-22T00:01:00.000Z"
        counted = desk.metrics.registry.get_sample_value(
            "forestall_poller_troubles_total", {"poller": "erp", "trouble": "shape"}
        )
        assert counted == 1
        server.handler = Erp()
        await runner.run(NOW + HOUR)
        assert desk.status["erp"].report(NOW)["pollers"]["erp"]["trouble"] is None


@pytest.mark.parametrize(("body", "more"), [({"rows": None}, {}), ({"next": "1"}, {"may_be_absent": True})])
async def test_an_empty_list_may_be_null_and_absent_where_that_is_said(
    store: Store, desk: Desk, body: dict[str, Any], more: dict[str, Any]
) -> None:
    async with FakeServer(lambda _request: Response.of(body)) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, **more, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert trouble(desk) is None


async def test_a_wrong_path_of_the_newest_is_a_failure(store: Store, desk: Desk) -> None:
    cursor = {"parameter": "since", "newest": "changed"}
    async with FakeServer(Orders(rows(*SECONDS))) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "cursor": cursor, "url": server.url})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
        assert trouble(desk) == "shape"


async def test_of_two_daemons_one_reads_the_list_and_the_other_only_when_it_is_gone(
    store: Store, desk: Desk
) -> None:
    async with FakeServer(Erp()) as server, Http() as http:
        pollers = built(desk, http, erp={**ERP, "url": server.url, "every_seconds": 300})
        one = Runner(store, desk, Watch(), lists=pollers.lists, holder="one")
        other = Runner(store, desk, Watch(), lists=pollers.lists, holder="other")
        await one.run(NOW)
        lock = store.key("poller", "erp", "lock")
        assert await store.call("PTTL", lock) > 300_000  # until it reads again, and longer
        await other.run(NOW + 299_000)
        await one.run(NOW + 300_000)
        assert len(server.requests) == 3
        await store.delete(lock)  # as when "one" is gone
        await other.run(NOW + 600_000)
        assert len(server.requests) == 4


async def test_daemons_of_two_folders_on_one_store_are_two(store: Store, desk: Desk, tmp_path: Path) -> None:
    async with FakeServer(Erp()) as server, Http() as http:
        pollers = {"erp": FeedSettings.model_validate({**ERP, "url": server.url})}
        settings = [Settings(data_dir=tmp_path / name, pollers=pollers) for name in ("one", "other")]
        intake, letters = cast("Intake", desk.intake), desk.letters
        one, other = (
            open_station(some, store, intake, letters, Metrics(process=False), http) for some in settings
        )
        await one.poll(NOW)
        await other.poll(NOW + 300_000)
        assert len(server.requests) == 2
        # A restart takes up its own, on another machine or under another path as well: a container that was replaced.
        (tmp_path / "one").rename(tmp_path / "moved")
        moved = settings[0].model_copy(update={"data_dir": tmp_path / "moved"})
        again = open_station(moved, store, intake, letters, Metrics(), http)
        await again.poll(NOW + 300_000)
        assert len(server.requests) == 3


async def test_who_stops_gives_its_lists_back_and_not_another_ones(
    store: Store, desk: Desk, tmp_path: Path
) -> None:
    async with FakeServer(Erp()) as server, Http() as http:
        pollers = {"erp": FeedSettings.model_validate({**ERP, "url": server.url})}
        intake, letters = cast("Intake", desk.intake), desk.letters
        one, other, third = (
            open_station(
                Settings(data_dir=tmp_path / name, pollers=pollers), store, intake, letters, Metrics(), http
            )
            for name in ("one", "other", "third")
        )
        await one.poll(NOW)
        await one.close()
        asked = len(server.requests)
        await other.poll(NOW + 1000)
        assert len(server.requests) == asked + 1
        await one.close()
        await third.poll(NOW + 2000)
        assert len(server.requests) == asked + 1


async def test_a_store_that_is_away_when_the_daemon_stops_keeps_it_from_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    away = Store(f"unix://{tmp_path}/none.sock")
    async with Http() as http:
        intake, letters = cast("Intake", desk.intake), desk.letters
        pollers = {"erp": FeedSettings.model_validate({**ERP, "url": "http://127.0.0.1:1"})}
        settings = Settings(data_dir=tmp_path, pollers=pollers)
        station = open_station(settings, away, intake, letters, Metrics(), http)
        await station.close()
    await away.close()


@pytest.mark.parametrize(
    ("cursor", "problem"),
    [
        ({"parameter": "since"}, "needs `path` or `newest`, one of the two"),
        ({"parameter": "since", "path": "next", "full": 9}, "`page` and `full` belong to `newest`"),
        ({"parameter": "since", "newest": "at", "overlap_seconds": 1}, "`overlap_seconds` needs `page`"),
    ],
)
def test_a_cursor_that_would_stand_still_is_refused(desk: Desk, cursor: dict[str, Any], problem: str) -> None:
    with pytest.raises(FeedConfigError, match=problem):
        built(desk, Http(), erp={**ERP, "cursor": cursor, "url": "http://127.0.0.1:1"})


@pytest.mark.parametrize(
    ("at", "asked"),
    [
        ("2026-11-20T10:00:00", "2026-11-20T09:59:58"),
        ("2026-11-20T10:00:00Z", "2026-11-20T09:59:58Z"),
        ("2026-11-20T10:00:01.250+08:00", "2026-11-20T09:59:59.250000+08:00"),
        ("4711", "4711"),
        ("", ""),
    ],
)
def test_a_walk_begins_before_the_newest_time_and_at_any_other_value(at: str, asked: str) -> None:
    cursor = CursorOptions(parameter="since", newest="at", page="page", overlap_seconds=2)
    assert cursor.asked_from(at) == asked
