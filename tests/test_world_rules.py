"""The rules that our stalls are held against fire where they should: after so many hours, or beyond the lane's usual."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from benchmarks.detection.rules import flat, lognormal, waits

START = datetime(2025, 5, 1, tzinfo=UTC)
HOUR = 3_600_000


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
