"""How well a young shop is told of what will be late: late predictions of simulated shops by days since their first event.

`demo` is the shop of `make run`, another scenario a world of `forestall simulate`. A parcel is late when it was not signed by
the moment that was promised; of the parcels promised within the world.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.detection.engine import found_in
from benchmarks.detection.tables import Options, show
from detectors.clock import DAY, HOUR
from detectors.feed_silent import FeedSilent
from detectors.findings import State
from detectors.late import LatePredicted
from monitor.demo import HISTORY_DAYS, PARCELS_A_DAY, START
from monitor.simulate import World, simulate

SCENARIOS = ("demo", "calm", "hub_jam")
DAYS = (0, 7, 10, 20, 30, 50)
PARCELS = 400  # a day
TICK_SECONDS = 3600
READ = ("kind", "tracking_number", "status", "occurred_at", "received_at", "promised_at")
COLUMNS = (
    "scenario", "days", "told", "said", "true", "late, of", "found", "a day before the promise",
    "the metric at the end",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shop:
    """`promises` has tracking_number, promised, late; `told` tracking_number, at, score; times since the first event."""

    promises: pl.DataFrame
    told: pl.DataFrame
    gap: float | None  # what the detector itself says at the end


def lived(folder: Path, scenario: str, seed: int, days: int) -> Shop:
    events = folder / "events.ndjson"
    if scenario == "demo":
        start = int(START.timestamp() * 1000)
        world = World(seed, start, parcels_per_day=PARCELS_A_DAY, history_days=HISTORY_DAYS)
        folder.mkdir(parents=True)
        events.write_bytes(b"\n".join(world.until(world.begin + days * DAY)))
    else:
        simulate(folder, PARCELS * days, days, seed, scenario)
    detector = LatePredicted()
    found = found_in([events], TICK_SECONDS, place=[FeedSilent()], parcel=[detector])
    opened = [one for one in found if one.detector == detector.name and one.state is State.OPENED]
    told = pl.DataFrame(
        [(one.subject.id, one.opened_at, one.score) for one in opened],
        schema={"tracking_number": pl.String, "at": pl.Int64, "score": pl.Float64},
        orient="row",
    ).unique("tracking_number", keep="first", maintain_order=True)
    promises, first = _promises(events)
    since = told.with_columns(pl.col("at") - first)
    return Shop(promises, since.join(promises, on="tracking_number"), detector.calibration_error())


def _promises(events: Path) -> tuple[pl.DataFrame, int]:
    read = pl.read_ndjson(events, schema=dict.fromkeys(READ, pl.String)).with_columns(
        pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="ms").dt.timestamp("ms")
        for name in READ
        if name.endswith("_at")
    )
    begin, end = int(read["received_at"].item(0)), int(read["received_at"].item(-1))
    signed = read.filter((pl.col("kind") == "tracking") & pl.col("status").is_in(["delivered", "collected"]))
    ended = signed.group_by("tracking_number").agg(ended=pl.col("occurred_at").min())
    shipped = read.filter((pl.col("kind") == "order") & (pl.col("status") == "shipped"))
    promised = shipped.unique("tracking_number", keep="first", maintain_order=True).join(
        ended, on="tracking_number", how="left"
    )
    return promised.filter(pl.col("promised_at") < end).select(
        "tracking_number",
        promised=pl.col("promised_at") - begin,
        late=pl.col("ended").is_null() | (pl.col("ended") > pl.col("promised_at")),
    ), begin


def rows(scenario: str, shops: Sequence[Shop]) -> list[tuple[object, ...]]:
    """Means over the shops, by the day of telling and, of late parcels, by the day of the promise."""
    gaps = [one.gap for one in shops if one.gap is not None]
    out: list[tuple[object, ...]] = []
    for first, last in pairwise(DAYS):
        span = pl.col("at").is_between(first * DAY, last * DAY, closed="left")
        due = pl.col("promised").is_between(first * DAY, last * DAY, closed="left")
        told = pl.concat([one.told.filter(span) for one in shops])
        promises = pl.concat([one.promises.filter(due) for one in shops])
        if not len(promises):
            continue
        late = pl.concat([one.told.filter(due & pl.col("late")) for one in shops])
        count = int(promises["late"].sum())
        early = late.filter(pl.col("at") <= pl.col("promised") - 24 * HOUR)
        said, true = _mean(told["score"]), _mean(told["late"])
        found = (len(one) / max(count, 1) for one in (late, early))
        gap = float(np.mean(gaps)) if gaps and last == DAYS[-1] else "-"
        each = (f"{first}-{last}", len(told) / len(shops), said, true)
        out.append((scenario, *each, f"{count}, {len(promises)}", *found, gap))
    return out


def _mean(column: pl.Series) -> float | str:
    return float(column.cast(pl.Float64).to_numpy().mean()) if len(column) else "-"


def table(options: Options) -> None:
    """`--seeds`, or two from `--seed` on; the worlds are as long as `DAYS`."""
    seeds = options.seeds or (options.seed, options.seed + 1)
    with tempfile.TemporaryDirectory(prefix="forestall-young-") as name:
        found: list[tuple[object, ...]] = []
        for scenario in options.scenarios or SCENARIOS:
            shops = [lived(Path(name) / f"{scenario}-{seed}", scenario, seed, DAYS[-1]) for seed in seeds]
            found += rows(scenario, shops)
    show(f"Late predictions of young shops, seeds {', '.join(map(str, seeds))}", COLUMNS, found)
