"""The synthetic world: the same bytes for the same seed, events that keep the contract, a truth that happened."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from config.regions import regions
from monitor.decode import Decoder
from monitor.names import Names
from monitor.simulate import SCENARIOS, Summary, simulate
from monitor.simulate.network import network
from monitor.stream import Frame
from tests.simulate.rules import broken


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("mixed")
    return out, simulate(out, parcels=3000, days=20, seed=7, scenario="mixed")


@pytest.fixture(scope="module")
def events(world: tuple[Path, Summary]) -> list[dict[str, Any]]:
    return read(world[0] / "events.ndjson")


@pytest.fixture(scope="module")
def truth(world: tuple[Path, Summary]) -> list[dict[str, Any]]:
    return read(world[0] / "truth.ndjson")


def test_a_seed_gives_the_same_bytes_and_another_seed_another_world(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        simulate(tmp_path / name, parcels=400, days=6, seed=seed, scenario="mixed")
    for file in ("events.ndjson", "truth.ndjson", "truth.json"):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert first == again
        assert first != other


def test_a_compressed_world_holds_the_same_events(tmp_path: Path) -> None:
    import zstandard

    simulate(tmp_path / "plain", parcels=200, days=4, seed=1, scenario="calm")
    simulate(tmp_path / "packed", parcels=200, days=4, seed=1, scenario="calm", compress=True)
    with (tmp_path / "packed" / "events.ndjson.zst").open("rb") as file:
        unpacked = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert unpacked == (tmp_path / "plain" / "events.ndjson").read_bytes()


def test_every_event_keeps_the_contract(events: list[dict[str, Any]]) -> None:
    faults = [(event["event_id"], broken(event)) for event in events if broken(event)]
    assert faults == []


def test_events_come_in_the_order_in_which_they_were_received(events: list[dict[str, Any]]) -> None:
    received = [event["received_at"] for event in events]
    assert received == sorted(received)
    assert all(event["received_at"] >= event["occurred_at"] for event in events)


def test_events_arrive_twice_and_out_of_order_but_an_id_is_one_event(events: list[dict[str, Any]]) -> None:
    seen: dict[tuple[str, str], dict[str, Any]] = {}
    doubled = late = 0
    newest: dict[str, str] = {}
    for event in events:
        key = event["source"], event["event_id"]
        if key in seen:
            doubled += 1
            assert {**event, "received_at": ""} == {**seen[key], "received_at": ""}
        elif event["kind"] == "tracking":
            late += event["occurred_at"] < newest.get(event["tracking_number"], "")
            newest[event["tracking_number"]] = max(
                event["occurred_at"], newest.get(event["tracking_number"], "")
            )
        seen[key] = event
    assert doubled > 100
    assert late > 100


def test_every_region_is_in_the_region_table() -> None:
    table = regions()
    ground = network()
    codes = {*ground.codes, *ground.districts}
    assert {code for code in codes if code not in table} == set()


def test_the_base_rates_are_those_of_the_field(tmp_path: Path) -> None:
    """Six of a hundred parcels late, about five complaints a hundred orders: `calm` is an ordinary month."""
    summary = simulate(tmp_path, parcels=6000, days=30, seed=11, scenario="calm")
    assert 0.04 < summary.late_share < 0.09
    assert 0.035 < summary.complaints_per_order < 0.075


def test_a_stall_of_the_truth_is_a_silence_in_the_events(
    events: list[dict[str, Any]], truth: list[dict[str, Any]]
) -> None:
    scans: dict[str, set[str]] = defaultdict(set)
    for event in events:
        if event["kind"] == "tracking":
            scans[event["tracking_number"]].add(event["occurred_at"])
    stalls = [t for t in truth if t["kind"].endswith("_stalled") and t["subject"]["type"] == "parcel"]
    assert len(stalls) > 50
    for stall in stalls:
        until = stall["ends_at"] or "9"
        between = [at for at in scans[stall["subject"]["id"]] if stall["starts_at"] < at < until]
        assert between == [], stall


def test_complaints_of_the_truth_are_complaints_of_the_stream(
    events: list[dict[str, Any]], truth: list[dict[str, Any]]
) -> None:
    told = {
        (event["order_id"], event["occurred_at"])
        for event in events
        if event["kind"] == "complaint" and event["status"] in {"opened", "reopened"}
    }
    complained = [t for t in truth if t["complained_at"]]
    found = sum((t["order_id"], t["complained_at"]) in told for t in complained)
    assert len(complained) > 20
    assert found >= 0.98 * len(complained)  # a silent feed swallows one in a hundred


def test_a_silent_feed_delivers_nothing_and_then_a_heap(
    events: list[dict[str, Any]], truth: list[dict[str, Any]]
) -> None:
    outage = next(t for t in truth if t["kind"] == "feed_silent")
    mine = [event["received_at"] for event in events if event["source"] == outage["subject"]["id"]]
    assert not [at for at in mine if outage["starts_at"] < at < outage["ends_at"]]
    heap = [at for at in mine if outage["ends_at"] <= at < outage["ends_at"].replace(":00+", ":59+")]
    assert heap


def test_false_signoffs_leave_every_kind_of_trace(tmp_path: Path) -> None:
    simulate(tmp_path, parcels=12_000, days=20, seed=2, scenario="false_signoffs")
    causes = Counter(t["cause"] for t in read(tmp_path / "truth.ndjson") if t["kind"] == "signature_suspect")
    kinds = {
        "instant", "other_city", "burst", "night", "deadline", "rescanned", "no_consent", "silent", "courier",
    }  # fmt: skip
    assert kinds <= set(causes)


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("sale_day", "facility_congested"),
        ("hub_jam", "facility_congested"),
        ("storm", "facility_congested"),
        ("feed_outage", "feed_silent"),
        ("complaint_wave", "complaint_spike"),
        ("mixed", "carrier_degraded"),
    ],
)
def test_a_scenario_has_what_its_name_says(tmp_path: Path, scenario: str, kind: str) -> None:
    summary = simulate(tmp_path, parcels=6000, days=20, seed=4, scenario=scenario)
    assert summary.anomalies.get(kind, 0) >= 1, summary


def test_every_scenario_has_the_everyday_troubles(tmp_path: Path) -> None:
    for scenario in SCENARIOS:
        summary = simulate(tmp_path / scenario, parcels=1500, days=12, seed=9, scenario=scenario)
        assert {"facility_stalled", "promise_broken", "pickup_stalled"} <= set(summary.anomalies)


def test_what_cannot_be_simulated_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scenario 'earthquake'; there are calm, sale_day"):
        simulate(tmp_path, parcels=200, days=5, seed=1, scenario="earthquake")
    with pytest.raises(ValueError, match="at least 100 parcels"):
        simulate(tmp_path, parcels=0, days=5, seed=1, scenario="calm")


def test_the_decoder_takes_every_event(world: tuple[Path, Summary]) -> None:
    data = (world[0] / "events.ndjson").read_bytes()
    decoded = list(Decoder(Names()).decode([Frame("batch", data)]))
    assert [dead for one in decoded for dead in one.dead] == []
    assert sum(one.events for one in decoded) == world[1].events
