"""The rules that our stalls are held against fire where they should: after so many hours, or beyond the lane's usual."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from benchmarks.detection.rules import flat, lognormal, waits
from benchmarks.detection.worlds import any_message, surest
from monitor.evaluate.records import ANOMALY, EPISODE, World

START = datetime(2025, 5, 1, tzinfo=UTC)
HOUR = 3_600_000
DAY = 24 * HOUR


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat(timespec="milliseconds")


def scan(parcel: str, status: str, occurred: float, received: float | None = None) -> dict[str, str]:
    return {
        "kind": "tracking", "event_id": f"{parcel}{occurred}", "source": "f", "tracking_number": parcel, "carrier": "sf",
        "status": status, "occurred_at": at(occurred), "received_at": at(occurred if received is None else received),
    }  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> pl.DataFrame:
    """Thirty quick parcels, one that waited three days for its next scan, one that never got it."""
    events = []
    for number in range(30):
        events += [scan(f"P{number}", "accepted", 1), scan(f"P{number}", "delivered", 6 + number % 3)]
    events += [scan("SLOW", "accepted", 1), scan("SLOW", "arrived", 60, 73), scan("SLOW", "delivered", 74)]
    events += [scan("LOST", "accepted", 10), scan("LOST", "accepted", 10)]
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return waits(path, int((START + timedelta(hours=200)).timestamp() * 1000))


def hours(found: pl.DataFrame) -> dict[str, float]:
    start = int(START.timestamp() * 1000)
    return {row["subject_id"]: (row["opened"] - start) / HOUR for row in found.iter_rows(named=True)}


def test_a_wait_ends_when_the_next_scan_is_received_not_when_it_happened(table: pl.DataFrame) -> None:
    known = {(row["tracking_number"], row["status"]): row["hours"] for row in table.iter_rows(named=True)}
    assert known["SLOW", "accepted"] == 72.0
    assert known["LOST", "accepted"] == 190.0
    assert ("P1", "delivered") not in known


def test_a_flat_rule_fires_after_its_hours(table: pl.DataFrame) -> None:
    assert hours(flat(table, 48)) == {"SLOW": 49.0, "LOST": 58.0}
    assert hours(flat(table, 100)) == {"LOST": 110.0}


def test_a_lane_rule_fires_beyond_what_is_usual_there(table: pl.DataFrame) -> None:
    assert set(hours(lognormal(table, 3.0))) == {"SLOW", "LOST"}
    assert hours(lognormal(table, 99.0)) == {}


def message(parcel: str, kind: str, opened: int) -> dict[str, str | int]:
    return {"kind": kind, "family": kind, "subject_type": "parcel", "subject_id": parcel, "opened": opened}


@pytest.mark.parametrize(
    ("said", "share"),
    [
        ([], 0.0),
        ([("A", "promise_broken", 50)], 0.5),
        ([("A", "promise_broken", 100)], 0.0),  # as the complaint is written
        ([("A", "promise_broken", 5)], 0.0),  # before it stood still
        ([("A", "late_predicted", 50)], 0.0),  # nobody is written to
        ([("A", "facility_stalled", 60), ("A", "presumed_lost", 70), ("B", "promise_broken", 20)], 1.0),
        ([("C", "facility_stalled", 60)], 0.0),  # nobody complained
    ],
)
def test_any_message_counts_complaints_whose_parcel_had_been_written_about(
    said: list[tuple[str, str, int]], share: float
) -> None:
    stall = {"family": "stall", "subject_type": "parcel", "starts": 10, "due": 20, "minor": False}
    rows = [
        {"anomaly": 1, "subject_id": "A", "complained": 100, **stall},
        {"anomaly": 2, "subject_id": "B", "complained": 90, **stall},
        {"anomaly": 3, "subject_id": "C", "complained": None, **stall},
        {"anomaly": 4, "subject_id": "D", "complained": 90, **stall, "minor": True},
    ]
    truth = pl.DataFrame(rows, schema=ANOMALY)
    found = pl.DataFrame([message(*one) for one in said], schema=EPISODE)
    assert any_message(found, truth) == share


def of_parcel(number: int, score: float) -> tuple[dict[str, object], dict[str, object]]:
    """A finding and the true stall that it is about."""
    name = f"P{number}"
    found = {
        "finding_id": name, "detector": "stall", "kind": "facility_stalled", "family": "stall", "key": f"parcel:{name}",
        "subject_type": "parcel", "subject_id": name, "opened": 2 * HOUR, "score": score, "best": score,
    }  # fmt: skip
    stall = {
        "anomaly": number, "kind": "facility_stalled", "family": "stall", "subject_type": "parcel", "subject_id": name,
        "starts": HOUR, "due": HOUR, "tracking_number": name, "minor": False, "cost": 0.0,
    }  # fmt: skip
    return found, stall


@pytest.mark.parametrize(
    ("recall", "level"), [(0.0, 0.9), (0.25, 0.9), (0.5, 0.8), (0.55, 0.6), (0.8, 0.3), (1.5, 0.3)]
)
def test_the_surest_threshold_is_the_highest_that_still_reaches_what_is_asked(
    recall: float, level: float
) -> None:
    pairs = [of_parcel(number, score) for number, score in enumerate((0.9, 0.8, 0.6, 0.3))]
    ours = pl.DataFrame([found for found, _ in pairs], schema=EPISODE)
    truth = pl.DataFrame([stall for _, stall in pairs], schema=ANOMALY)
    assert surest(ours, truth, World("calm", 0, DAY), recall) == level
    assert surest(ours.clear(), truth, World("calm", 0, DAY), recall) == 0.0
