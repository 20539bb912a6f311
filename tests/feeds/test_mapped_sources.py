"""Records of mapped files go the way of pushes: counted, copied, classified, and read again with a mended mapping."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.loading import ConfigError
from config.plugins import FeedSettings
from config.regions import regions
from config.settings import IntakeSettings, Settings
from monitor.deadletter import DeadLetters
from monitor.feeds.classify import Classifier
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.sources.registry import build_sources
from monitor.feeds.station import check_feeds
from monitor.feeds.watch import Watch
from monitor.intake import Intake
from monitor.letters import Format
from monitor.metrics import Metrics
from monitor.stream import EventStream
from monitor.vocabulary import DeadReason
from notifier.store import Store
from tests.feeds.cases import NOW
from tests.feeds.polling import taken
from tests.feeds.test_refused import count, hotline, push, row

pytestmark = pytest.mark.anyio
SCANS: dict[str, Any] = {
    "event": "tracking",
    "occurred_at": "at",
    "fields": {"tracking_number": "no", "carrier": "by", "status": "state", "region": "place"},
    "values": {"status": {"到达": "arrived"}},
}
COMPLAINTS: dict[str, Any] = {
    "event": "complaint",
    "occurred_at": "at",
    "fields": {"complaint_id": "no", "status": "state", "text": "said"},
    "values": {"status": {"新建": "opened"}},
}


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    metrics = Metrics(process=False)
    letters = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        yield Desk({"hotline": hotline()}, intake, letters, StoreMemory(store), metrics, watch=Watch())


async def drop(desk: Desk, folder: Path, rows: list[Any], name: str = "drop", **options: Any) -> None:
    """A file of these records, taken by a source of that name."""
    section = FeedSettings.model_validate({"type": "folder", "path": str(folder), **options})
    (source,) = build_sources({name: section}, regions(), desk)
    lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
    (folder / "some.ndjson").write_text("\n".join(lines), encoding="utf-8")
    await source.run(NOW)
    await source.run(NOW)
    assert (folder / "taken" / "some.ndjson").exists()


def scan(number: int, **more: Any) -> dict[str, Any]:
    return {"no": f"SF{number}", "by": "sf", "state": "到达", "at": "2026-11-21T10:00:00Z", **more}


async def test_none_of_a_file_that_cannot_be_read_is_lost(desk: Desk, tmp_path: Path) -> None:
    rows = [scan(number, at=None, when="2026-11-21T10:00:00Z") for number in range(1500)]
    with capture_logs() as said:
        await drop(desk, tmp_path, rows, map=SCANS)
    assert [one["event"] for one in said] == ["feed.poisoned", "folder.dead_letters"]
    assert (said[0]["feed"], said[1]["refused"]) == ("drop", 1500)
    assert count(desk, "deadletter", reason="missing_field") == 1500
    assert desk.status["drop"].report(NOW)["dead_letters"] == 1500
    letters = await desk.letters.list(count=2000)
    assert {(one.feed, one.format) for one in letters} == {("drop", Format.RECORD)}
    assert len(letters) == 1500
    await drop(desk, tmp_path, [], map={**SCANS, "occurred_at": "when"})
    assert await desk.letters.replay(desk.replay) == (1500, 0)
    assert desk.status["drop"].report(NOW)["events"] == 1500
    assert await desk.letters.count() == 0


async def test_unknown_codes_and_places_are_counted_and_the_watch_is_told(
    store: Store, desk: Desk, tmp_path: Path
) -> None:
    rows = [scan(1, state="???"), scan(2, place="Atlantis"), scan(3, place="江苏省苏州市"), "{oops"]
    await drop(desk, tmp_path, rows, map=SCANS)
    found = {one["tracking_number"]: one["status"] for one in await taken(store)}
    assert found == {"SF1": "unknown", "SF2": "arrived", "SF3": "arrived"}
    assert count(desk, "unknown_codes", feed="drop") == 1
    assert count(desk, "unplaced", feed="drop") == 1
    assert desk.watch is not None
    assert len(desk.watch) == 3
    report = desk.status["drop"].report(NOW)
    assert (report["type"], report["events"], report["unknown_codes"]) == ("folder", 3, {"???": 1})
    reasons = {one.reason for one in await desk.letters.list()}
    assert reasons == {DeadReason.UNKNOWN_CODE, DeadReason.MALFORMED_JSON}


async def test_complaints_of_files_are_read_by_the_classifier(
    store: Store, desk: Desk, tmp_path: Path
) -> None:
    desk.classifier = Classifier()
    said = "快递一直没到，都十天了"
    await drop(
        desk,
        tmp_path,
        [{"no": "1", "state": "新建", "at": "2026-11-21T10:00:00Z", "said": said}],
        map=COMPLAINTS,
    )
    (event,) = await taken(store)
    assert event["category"] == "logistics"


async def test_canonical_lines_that_are_refused_have_the_name_of_their_source(
    desk: Desk, tmp_path: Path
) -> None:
    with capture_logs() as said:
        await drop(desk, tmp_path, ["{}", "{oops"])
    assert [(one["event"], one["refused"]) for one in said] == [("folder.dead_letters", 2)]
    assert {(one.feed, one.format) for one in await desk.letters.list()} == {("drop", Format.EVENT)}
    assert desk.status["drop"].report(NOW)["dead_letters"] == 2


async def test_a_source_and_a_feed_of_one_name_read_their_own_letters(
    store: Store, desk: Desk, tmp_path: Path
) -> None:
    await drop(desk, tmp_path, [scan(1, at="soon")], "hotline", map=SCANS)
    await push(desk, "hotline", {"rows": [row(1, state="售后")]})
    desk.add_reader(hotline(values={"status": {"售后": "opened"}}))
    assert await desk.letters.replay(desk.replay) == (1, 1)
    assert [one["kind"] for one in await taken(store)] == ["complaint"]
    (left,) = await desk.letters.list()
    assert left.format == Format.RECORD


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"sources": {"folder": {"pfad": "/drop"}}}, "sources.folder.pfad: no such key"),
        ({"sources": {"bus": {"type": "kafa"}}}, "sources.bus: no source 'kafa'"),
        (
            {"feeds": {"gorgias": {"secret": "s", "order_pattern": "("}}},
            "feeds.gorgias.order_pattern: is no regular expression",
        ),
        (
            {"feeds": {"zendesk": {"secret": "s", "order_pattern": "T[0-9]+"}}},
            "feeds.zendesk.order_pattern: needs a group",
        ),
    ],
)
def test_a_source_or_a_pattern_that_cannot_work_is_found_by_the_check(
    section: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_feeds(Settings.model_validate(section))
    assert problem in "\n".join(caught.value.problems)


def test_the_check_names_what_is_wrong_in_feeds_and_sources_at_once() -> None:
    wrong = {"feeds": {"easypost": {"secret": ""}}, "sources": {"bus": {"type": "kafa"}}}
    with pytest.raises(ConfigError) as caught:
        check_feeds(Settings.model_validate(wrong))
    assert len(caught.value.problems) == 2
