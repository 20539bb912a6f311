"""What a feed cannot read, or intake refuses of what it read: counted, kept under its name, and read again when mended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.plugins import FeedSettings
from config.regions import regions
from config.settings import IntakeSettings
from monitor.deadletter import KEEP_MS, DeadLetters
from monitor.feeds.base import Feed, Outcome, Push
from monitor.feeds.batch import Batches
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.registry import build
from monitor.intake import Intake
from monitor.letters import MOST_RAW_BYTES, Format, Letter
from monitor.metrics import Metrics
from monitor.stream import EventStream
from monitor.vocabulary import DeadReason
from notifier.store import Store
from tests.feeds.cases import NOW, SECRET, feed
from tests.feeds.polling import taken

pytestmark = pytest.mark.anyio
HOUR, DAY = 3_600_000, 86_400_000
MAP: dict[str, Any] = {
    "event": "complaint",
    "records": "rows",
    "occurred_at": "at",
    "event_id": "no",
    "fields": {"complaint_id": "no", "status": "state", "category": "kind"},
    "values": {"status": {"新建": "opened"}},
}


def hotline(**more: Any) -> Feed:
    section = FeedSettings.model_validate({"type": "generic", "secret": SECRET, "map": {**MAP, **more}})
    return build("hotline", section, regions())


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    metrics = Metrics(process=False)
    letters = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        feeds = {"kuaidi100": feed("kuaidi100"), "hotline": hotline()}
        yield Desk(feeds, intake, letters, StoreMemory(store), metrics)


async def push(desk: Desk, name: str, body: Any, at: int = NOW) -> None:
    one = desk.feeds[name]
    answer = await desk.receive(one, one.sign(json.dumps(body).encode(), at))
    assert answer == one.reply(Outcome.ACCEPTED, Push(b"", {}, {}, at))


def row(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"no": f"C{number}", "state": "新建", "at": "2026-11-21T10:00:00Z", **more}


def scans(number: str, *codes: str, when: str = "2026-11-21 10:00:00") -> dict[str, Any]:
    data = [{"ftime": when, "context": "x", "statusCode": code} for code in codes]
    return {"status": "polling", "lastResult": {"nu": number, "com": "yuantong", "data": data}}


def count(desk: Desk, name: str, **labels: str) -> float:
    return desk.metrics.registry.get_sample_value(f"forestall_{name}_total", labels) or 0.0


async def test_the_rest_of_a_long_form_is_counted_as_not_kept(store: Store, desk: Desk) -> None:
    body = scans("YT1", *["103"] * 600, when="2026-11-25 10:00:00")
    await push(desk, "kuaidi100", body)
    (letter,) = await desk.letters.list()
    assert (letter.cut, letter.whole > 65_536) == (True, True)
    assert count(desk, "deadletter_unkept", why="cut") == 1
    assert await desk.letters.replay(desk.replay) == (0, 1)


async def test_what_intake_refuses_of_a_push_is_the_feeds_dead_letter(store: Store, desk: Desk) -> None:
    """Three days ahead: the feed reads it, intake does not take it, the provider was told "accepted"."""
    body = scans("YT1", "103", when="2026-11-25 10:00:00")
    body["lastResult"]["data"].append({"ftime": "2026-11-21 10:00:00", "context": "x", "statusCode": "103"})
    for again in range(2):
        await push(desk, "kuaidi100", body, NOW + again)
    assert {one["occurred_at"] for one in await taken(store)} == {"2026-11-21T02:00:00Z"}
    (letter,) = await desk.letters.list()
    assert (letter.feed, letter.format) == ("kuaidi100", Format.PUSH)
    assert letter.reason == DeadReason.TIME_OUT_OF_RANGE
    assert desk.status["kuaidi100"].report(NOW)["dead_letters"] == 2
    assert desk.status["kuaidi100"].report(NOW)["events"] == 2
    assert count(desk, "deadletter", reason="time_out_of_range") == 2
    assert await desk.letters.replay(desk.replay) == (0, 1)
    assert await desk.letters.count() == 1


async def test_pushes_that_go_together_are_each_told_of_their_own(store: Store) -> None:
    """While the first is written, the others wait and become one submission."""
    async with Intake(EventStream(store), DeadLetters(store), IntakeSettings(linger_ms=0)) as intake:
        batches = Batches(intake)
        good = b'{"kind":"engagement","event_id":"%d","occurred_at":"2026-11-21T10:00:00Z",'
        good += b'"customer_id":"7","status":"opened"}\n'
        pieces = [(good % 1, 1), (good % 2 + b"{}\n", 2), (b"[]\n" + good % 3, 2), (good % 4, 1)]
        refused = await asyncio.gather(*(batches.submit(data, lines, NOW) for data, lines in pieces))
    told = [[(one.index, one.reason) for one in dead] for dead in refused]
    assert told == [[], [(1, DeadReason.MISSING_FIELD)], [(0, DeadReason.NOT_AN_OBJECT)], []]
    assert await DeadLetters(store).count() == 0


async def test_a_mended_mapping_reads_what_was_refused_again(store: Store, desk: Desk) -> None:
    await push(
        desk, "hotline", {"rows": [row(1), row(2, state="售后"), row(3, state="售后"), row(4, state="?")]}
    )
    assert {one["complaint_id"] for one in await taken(store)} == {"C1"}
    assert [one.reason for one in await desk.letters.list()] == [DeadReason.UNKNOWN_CODE] * 3
    desk.add_reader(hotline(values={"status": {"新建": "opened", "售后": "opened"}}))
    assert await desk.letters.replay(desk.replay) == (2, 1)
    assert {one["complaint_id"] for one in await taken(store)} == {"C1", "C2", "C3"}
    (left,) = await desk.letters.list()
    assert b"C4" in left.raw


async def test_a_record_of_a_push_too_large_to_be_kept_is_kept_alone(store: Store, desk: Desk) -> None:
    rows = [row(number, note="x" * 2000) for number in range(60)]
    rows[17]["at"] = "soon"
    assert len(json.dumps(rows)) > MOST_RAW_BYTES
    await push(desk, "hotline", {"rows": rows})
    (letter,) = await desk.letters.list()
    assert (letter.cut, letter.reason) == (False, DeadReason.BAD_TIME)
    assert len(letter.raw) < 3000
    assert len(await taken(store)) == 59


async def test_a_page_of_a_list_has_another_reader_than_the_feed_of_its_name(desk: Desk) -> None:
    """As a list poller with the name of a feed hands it in: more records than are read in one go, one of them bad."""
    pages = hotline(records="items")
    desk.add_reader(pages, Format.PAGE)
    items = [row(number) for number in range(1200)]
    items[700]["state"] = "售后"
    page = pages.sign(json.dumps({"items": items}).encode(), NOW)
    await desk.take(pages, page, pages.parse(page), asked=True)
    (letter,) = await desk.letters.list()
    assert (letter.feed, letter.format) == ("hotline", Format.PAGE)
    assert desk.status["hotline"].report(NOW)["events"] == 1199
    assert await desk.letters.replay(desk.replay) == (0, 1)
    desk.add_reader(hotline(records="items", values={"status": {"售后": "opened"}}), Format.PAGE)
    assert await desk.letters.replay(desk.replay) == (1, 0)


async def test_an_unknown_code_is_copied_once_an_hour_however_many_parcels_have_it(desk: Desk) -> None:
    for number in range(30):
        await push(desk, "kuaidi100", scans(f"YT{number}", "103", "1099"), NOW + number)
    assert count(desk, "unknown_codes", feed="kuaidi100") == 30
    assert await desk.letters.count() == 1
    await push(desk, "kuaidi100", scans("YT1", "1098"), NOW)
    assert await desk.letters.count() == 2
    await push(desk, "kuaidi100", scans("YT1", "1099"), NOW + HOUR)
    assert await desk.letters.count() == 3


async def test_each_place_that_is_in_no_region_is_counted(desk: Desk) -> None:
    body = scans("YT1", "103", "104", "105")
    for number, one in enumerate(body["lastResult"]["data"]):
        one |= {"areaName": "某地" if number else "广东,深圳市", "ftime": f"2026-11-21 10:00:0{number}"}
    await push(desk, "kuaidi100", body)
    assert count(desk, "unplaced", feed="kuaidi100") == 2
    assert desk.status["kuaidi100"].report(NOW)["unplaced"] == 2


async def test_one_sender_of_rubbish_costs_the_others_no_letter(desk: Desk) -> None:
    rubbish = [row(number, at="soon") for number in range(1500)]
    with capture_logs() as said:
        await push(desk, "hotline", {"rows": rubbish})
    assert [(one["event"], one["feed"]) for one in said] == [("feed.poisoned", "hotline")]
    assert await desk.letters.count() == 1500
    await push(desk, "kuaidi100", scans("YT1", "103", when="2026-11-25 10:00:00"))
    assert (await desk.letters.list(count=1))[0].feed == "kuaidi100"
    assert count(desk, "deadletter", reason="bad_time") == 1500


async def test_what_is_optional_and_out_of_range_does_not_cost_the_event(store: Store, desk: Desk) -> None:
    await push(desk, "hotline", {"rows": [row(1, kind="售后"), row(2, kind="logistics")]})
    found = {one["complaint_id"]: one.get("category") for one in await taken(store)}
    assert found == {"C1": None, "C2": "logistics"}
    assert desk.status["hotline"].report(NOW)["fields_left_out"] == {"category": 1}
    assert count(desk, "fields_left_out", feed="hotline", field="category") == 1
    assert await desk.letters.count() == 0


@pytest.mark.parametrize("eta", ["0001-01-01T00:00:00", "9999-12-31T00:00:00Z", "1970-01-01"])
async def test_an_estimate_that_is_no_date_does_not_cost_the_scan(store: Store, desk: Desk, eta: str) -> None:
    mapped = {
        "event": "tracking",
        "records": "",
        "occurred_at": "at",
        "event_id": None,
        "fields": {
            "tracking_number": "no",
            "carrier": "by",
            "status": "state",
            "facility": "hub",
            "estimated_at": "eta",
        },
        "values": {},
    }
    desk.feeds = {**desk.feeds, "hotline": hotline(**mapped)}
    desk.add_reader(desk.feeds["hotline"])
    hub = "圳" * 80
    body = {"no": "SF1", "by": "sf", "state": "arrived", "at": "2026-11-21T10:00:00Z", "hub": hub, "eta": eta}
    await push(desk, "hotline", body)
    (event,) = await taken(store)
    assert event["facility"] == "圳" * 66
    assert "estimated_at" not in event
    assert await desk.letters.count() == 0


async def test_a_letter_that_breaks_its_reader_does_not_keep_the_others_from_being_read(desk: Desk) -> None:
    broken = [
        Letter(DeadReason.BAD_TIME, "", raw, "hotline", NOW, format=Format.PUSH)
        for raw in (b'{"kind": "complaint", "phone": "13800138000"}', b"[13800138000]", b"\xff")
    ]
    await desk.letters.park(broken)
    await push(desk, "hotline", {"rows": [row(1, state="售后")]})
    desk.add_reader(hotline(values={"status": {"售后": "opened"}}))
    with capture_logs() as said:
        assert await desk.letters.replay(desk.replay) == (1, 3)
    assert [one["event"] for one in said] == ["dead_letter.failed"] * 3
    assert "13800138000" not in str(said)


async def test_letters_that_nobody_looked_at_go_after_some_months_and_it_is_said(desk: Desk) -> None:
    letters = desk.letters
    days = [Letter(DeadReason.BAD_TIME, "at", b"{}", f"erp{day}", NOW + day * DAY) for day in (0, 0, 1, 2)]
    await letters.park(days)
    with capture_logs() as said:
        assert await letters.expire(NOW + KEEP_MS) == 0
        assert await letters.expire(NOW + KEEP_MS + 1) == 2
    assert [one.feed for one in await letters.list()] == ["erp2", "erp1"]
    assert count(desk, "deadletter_unkept", why="age") == 2
    assert said == [
        {"event": "dead_letters.dropped", "log_level": "warning", "why": "age", "count": 2, "dropped": 2}
        | {"feeds": {"erp0": 2}}
    ]


async def test_letters_that_nobody_wants_are_dropped_by_who_sent_them(desk: Desk) -> None:
    await push(desk, "hotline", {"rows": [row(1, at="soon"), row(2, state="?")]})
    await push(desk, "kuaidi100", scans("YT1", "1099"))
    assert await desk.letters.drop(feed="hotline", reason=DeadReason.BAD_TIME) == 1
    assert await desk.letters.drop(feed="hotline") == 1
    (left,) = await desk.letters.list()
    assert left.feed == "kuaidi100"
    assert await desk.letters.drop(ids={"0-1"}) == 0
    assert await desk.letters.drop(ids={left.id}) == 1
    assert count(desk, "deadletter_unkept", why="person") == 3
