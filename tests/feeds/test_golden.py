"""Every feed turns its payloads into exactly the events that stand beside them, whatever the order or number of pushes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.plugins import FeedSettings
from config.regions import regions
from monitor.feeds.base import Push
from monitor.feeds.canonical import Code
from monitor.feeds.mapping import STATUSES
from monitor.feeds.registry import FEEDS, build, plugin
from monitor.vocabulary import DeliveredTo
from tests.feeds.cases import GOLDEN, NOW, OPTIONS, feed, outcome, pairs, payloads, push


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_every_feed_brings_golden_pairs(kind: str) -> None:
    assert kind in OPTIONS
    assert payloads(kind), f"no payloads under tests/golden/feeds/{kind}"


@pytest.mark.parametrize(("kind", "path"), pairs(), ids=lambda value: getattr(value, "stem", value))
def test_a_payload_becomes_the_events_beside_it(kind: str, path: Path) -> None:
    one = feed(kind)
    pushed = push(one, path)
    one.verify(pushed)
    expected = json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))
    assert outcome(one, pushed) == expected


@pytest.mark.parametrize(("kind", "path"), pairs(), ids=lambda value: getattr(value, "stem", value))
def test_every_event_keeps_the_contract(kind: str, path: Path) -> None:
    for event in outcome(feed(kind), push(feed(kind), path)).get("events", []):
        assert event["source"] == kind
        assert event["status"] in STATUSES[event["kind"]]
        assert event["occurred_at"].endswith("Z")
        assert msgspec.json.decode(msgspec.json.encode(event["occurred_at"]), type=msgspec.Raw)
        assert event.get("delivered_to", "unknown").upper() in DeliveredTo.__members__
        if event.get("region"):
            assert event["region"] in regions()


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_repeated_and_reordered_pushes_change_nothing(kind: str) -> None:
    one = feed(kind)
    pushes = [push(one, path, NOW + later) for later, path in enumerate(payloads(kind))]
    seen = {_events(one, order) for order in itertools.islice(itertools.permutations(pushes), 24)}
    seen.add(_events(one, pushes * 3))
    assert len(seen) == 1


def _events(one: Any, pushes: Any) -> str:
    """The set of events that a stream of pushes leaves behind: the first of each id."""
    found: dict[str, Any] = {}
    for pushed in pushes:
        for event in outcome(one, pushed).get("events", []):
            found.setdefault(event["event_id"], {**event, "received_at": ""})
    return json.dumps(found, sort_keys=True)


def test_the_history_of_a_parcel_grows_without_repeats() -> None:
    """Kuaidi100 sends everything each time; a scan keeps its id when newer ones stand above it."""
    one = feed("kuaidi100")
    whole = json.loads((GOLDEN / "kuaidi100" / "on_the_way.json").read_text(encoding="utf-8"))["body"]
    lines = whole["lastResult"]["data"]
    ids: list[set[str]] = []
    for known in range(1, len(lines) + 1):
        whole["lastResult"]["data"] = lines[-known:]
        parsed = one.parse(one.sign(json.dumps(whole).encode(), NOW))
        ids.append({event["event_id"] for event in parsed.events})
    assert [len(some) for some in ids] == list(range(1, len(lines) + 1))
    assert all(earlier < later for earlier, later in itertools.pairwise(ids))


def test_no_two_providers_share_a_code_table() -> None:
    kuaidi100, kdniao = plugin("kuaidi100"), plugin("kdniao")
    assert kuaidi100 is not kdniao
    from monitor.feeds.kdniao.codes import CODES as KDNIAO
    from monitor.feeds.kuaidi100.codes import CODES as KUAIDI100

    assert KUAIDI100["202"] == Code("exception")
    assert KDNIAO["202"] == Code("out_for_delivery")


def test_a_chinese_scan_without_a_zone_is_beijing_time() -> None:
    one = feed("kuaidi100")
    body = {
        "lastResult": {
            "nu": "Y1",
            "com": "yunda",
            "data": [{"ftime": "2026-07-01 08:00:00", "statusCode": "1"}],
        }
    }
    (event,) = one.parse(one.sign(json.dumps(body).encode(), NOW)).events
    assert event["occurred_at"] == "2026-07-01T00:00:00Z"


def test_summer_time_of_the_place_is_observed() -> None:
    one = feed("aftership", timezone="UTC")
    body = {
        "msg": {
            "tracking_number": "9",
            "slug": "usps",
            "checkpoints": [
                {
                    "checkpoint_time": "2026-07-01T08:00:00",
                    "subtag": "InTransit_001",
                    "country_iso3": "USA",
                    "state": "CA",
                }
            ],
        }
    }
    (event,) = one.parse(one.sign(json.dumps(body).encode(), NOW)).events
    assert event["occurred_at"] == "2026-07-01T15:00:00Z"


def test_couriers_are_pseudonyms_and_no_phone_number_leaves_the_feed() -> None:
    for kind in ("kuaidi100", "kdniao"):
        text = json.dumps([outcome(feed(kind), push(feed(kind), path)) for path in payloads(kind)])
        assert "courier_id" in text
        assert "13900001111" not in text
        assert "13700002222" not in text


def test_an_instance_gives_its_own_name_to_its_events() -> None:
    section = FeedSettings.model_validate({"type": "easypost", "secret": "x"})
    one = build("warehouse-2", section, regions())
    pushed = Push(payloads("easypost")[0].read_bytes(), {}, {}, NOW)
    assert one.name == "warehouse-2"
    assert one.parse(pushed).events == []
    signed = push(one, payloads("easypost")[0])
    assert {event["source"] for event in one.parse(signed).events} == {"warehouse-2"}
