"""One world on disk: `events.ndjson` (or `.zst`), `truth.ndjson`, `truth.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import zstandard

from monitor.simulate.cohort import Cohort, grow
from monitor.simulate.faults import SALE_AT, plan
from monitor.simulate.feeding import deliver, in_order, lines, moment
from monitor.simulate.network import Floats, network
from monitor.simulate.rhythm import DAY, OFFSET
from monitor.simulate.tables import Tables
from monitor.simulate.truth import truth

CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Summary:
    """`late_share` is of parcels promised within the world; `complaints_per_order` counts first complaints only."""

    scenario: str
    seed: int
    start: str
    end: str
    parcels: int
    orders: int
    events: int
    complaints: int
    late_share: float
    complaints_per_order: float
    anomalies: dict[str, int]
    minor: dict[str, int]


def beginning(scenario: str, seed: int, days: int) -> int:
    """Local midnight, on a weekday that depends on the seed; a sale falls on 11 November."""
    if scenario == "sale_day":
        day = datetime(2025, 11, 11, tzinfo=UTC) - timedelta(days=round(SALE_AT * days))
    else:
        day = datetime(2025, 5, 12, tzinfo=UTC) + timedelta(days=seed % 14)
    return int(day.timestamp() * 1000) - OFFSET


def simulate(
    out: Path,
    parcels: int = 20_000,
    days: int = 30,
    seed: int = 1,
    scenario: str = "mixed",
    *,
    compress: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> Summary:
    """ValueError for an unknown scenario or a world too small to hold anything (100 parcels, 2 days)."""
    if parcels < 100 or days < 2:
        raise ValueError("a world needs at least 100 parcels and 2 days")
    tell = progress or (lambda _what, _share: None)
    start = beginning(scenario, seed, days)
    end = start + days * DAY
    chance = np.random.default_rng(np.random.SeedSequence([seed, 1_000_003]))
    faults = plan(scenario, chance, (start, end), parcels, network())
    tell("the world turns", 0.05)
    cohort = grow(seed, 0, (start, end), parcels, faults, max(100, parcels * 7 // 10))
    tables = Tables(cohort, seed)
    tell("events", 0.2)
    events = in_order(written(seed, cohort, tables)).filter(pl.col("_received") < end)
    out.mkdir(parents=True, exist_ok=True)
    name = out / ("events.ndjson.zst" if compress else "events.ndjson")
    _write(name, events["line"], tell)
    tell("truth", 0.95)
    known = truth(cohort, tables, end).sort("starts_at", "kind", "subject_id", "due_at")
    _write_truth(out / "truth.ndjson", known)
    summary = _summary(cohort, known, events, (start, end), scenario, seed)
    (out / "truth.json").write_text(
        json.dumps({**asdict(summary), "plan": asdict(replace(faults))}, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    tell("done", 1.0)
    return summary


def written(seed: int, cohort: Cohort, tables: Tables) -> list[pl.DataFrame]:
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2_000_003, cohort.number]))
    frames = (("order", tables.orders()), ("tracking", tables.scans()), ("complaint", tables.complaints()))
    return [lines(kind, deliver(rng, cohort.plan, frame)) for kind, frame in frames]


def _chunks(text: pl.Series, tell: Callable[[str, float], None]) -> Iterator[bytes]:
    for first in range(0, len(text), CHUNK):
        tell("events", 0.4 + 0.5 * first / max(1, len(text)))
        yield ("\n".join(text[first : first + CHUNK].to_list()) + "\n").encode()


def _write(path: Path, text: pl.Series, tell: Callable[[str, float], None]) -> None:
    if path.suffix == ".zst":
        with path.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as packed:
            for chunk in _chunks(text, tell):
                packed.write(chunk)
        return
    with path.open("wb") as file:
        for chunk in _chunks(text, tell):
            file.write(chunk)


def _write_truth(path: Path, known: pl.DataFrame) -> None:
    times = ("starts_at", "due_at", "ends_at", "complained_at")
    rows = known.with_row_index("_row").select(
        pl.format("T{}", pl.col("_row").cast(pl.String).str.zfill(7)).alias("anomaly_id"),
        "kind",
        pl.struct(type="subject_type", id="subject_id").alias("subject"),
        *(moment(name).alias(name) for name in times),
        "cause",
        "minor",
        "order_id",
        "tracking_number",
        "customer_id",
        "carrier",
        "region",
        "cost",
        "parcels",
    )
    rows.write_ndjson(path)


def _summary(
    cohort: Cohort, known: pl.DataFrame, events: pl.DataFrame, span: tuple[int, int], scenario: str, seed: int
) -> Summary:
    end = float(span[1])
    due = cohort.promised < end
    delivered: Floats = np.where(np.isnan(cohort.signing.delivered), np.inf, cohort.signing.delivered)
    told = cohort.complaints
    first = int(((told.again < 0) & (told.at < end)).sum())
    local = [datetime.fromtimestamp(at / 1000, tz=UTC).isoformat() for at in span]

    def counts(rows: pl.DataFrame) -> dict[str, int]:
        return dict(rows.group_by("kind").len().sort("kind").iter_rows())

    return Summary(
        scenario=scenario,
        seed=seed,
        start=local[0],
        end=local[1],
        parcels=len(cohort.parcels),
        orders=len(cohort.orders),
        events=len(events),
        complaints=int((told.at < end).sum()),
        late_share=round(float((delivered > cohort.promised)[due].mean()), 4) if due.any() else 0.0,
        complaints_per_order=round(first / len(cohort.orders), 4),
        anomalies=counts(known.filter(~pl.col("minor"))),
        minor=counts(known.filter(pl.col("minor"))),
    )
