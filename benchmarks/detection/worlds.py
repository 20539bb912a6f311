"""A synthetic world, what the engine found in it, and what flat rules and a hindsight fit would have.

`stalls` runs the engine with the detectors on which stalls depend, and no policy: flat rules have none either.
`whole` is the production replay with all detectors and policy, for what customers would have been told.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.detection.engine import found_in
from benchmarks.detection.rules import flat, lognormal, waits
from config.settings import Settings
from detectors.facility_congested import FacilityCongested
from detectors.feed_silent import FeedSilent
from detectors.findings import Finding
from detectors.interfaces import PlaceDetector
from monitor.evaluate import Costs, Report, evaluate
from monitor.evaluate.matching import FOREVER, match
from monitor.evaluate.measures import Measures, measure, ratio
from monitor.evaluate.records import ACTION, EPISODE, World, anomalies, family, world
from monitor.replay import replay_files
from monitor.simulate import simulate

FLAT = (24.0, 36.0, 48.0, 60.0, 72.0, 96.0)
LANE_Z = (1.5, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0)
# What the default policy writes to the customer of a parcel at once, whichever detector found it.
MESSAGES = (
    "promise_broken", "presumed_lost",
    "pickup_stalled", "facility_stalled", "linehaul_stalled", "delivery_stalled", "collection_stalled",
)  # fmt: skip
OURS = (0.0, 0.2, 0.25, 0.3, 0.32, 0.34, 0.36, 0.38, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
BESIDE = "flat 48 h"


@dataclass(frozen=True, slots=True)
class Judged:
    """`stalls` has one row a rule and threshold; our own rows are thresholds on the score at opening. `standing` has the
    same, with complaints that were written while the parcel stood still, instead of all that followed its last scan.
    `points` has our rows, in both ways, of all that opens and at the surest threshold that reaches the recall of `BESIDE`.
    `any_message` is the share of the complaints about stalled parcels
    before which any of `MESSAGES` was found of the parcel since it had begun to stand; None without such complaints.
    """

    scenario: str
    seed: int
    stalls: dict[str, list[Measures]]
    standing: dict[str, list[Measures]]
    points: dict[str, tuple[Measures, Measures]]
    any_message: float | None


def stalls(folder: Path, scenario: str, seed: int, parcels: int, days: int, tick_seconds: int) -> Judged:
    simulate(folder, parcels, days, seed, scenario)
    truth = anomalies(folder / "truth.ndjson")
    place: list[PlaceDetector] = [FeedSilent(), FacilityCongested()]
    found = frame(found_in([folder / "events.ndjson"], tick_seconds, place=place))
    here = world(folder / "truth.ndjson", found)
    gaps = waits(folder / "events.ndjson", here.end)
    ours = found.filter((pl.col("family") == "stall") & (pl.col("subject_type") == "parcel"))
    rules = {
        "ours": [(f"ours, score > {level:g}", ours.filter(pl.col("score") >= level)) for level in OURS],
        "flat": [(f"flat {hours:g} h", flat(gaps, hours)) for hours in FLAT],
        "lane": [(f"lane, z {z:g}", lognormal(gaps, z)) for z in LANE_Z],
    }
    said = truth, while_standing(truth)
    every, standing = (
        {kind: [_row(name, found, of, here) for name, found in rows] for kind, rows in rules.items()}
        for of in said
    )
    theirs = next(row for row in every["flat"] if row.detector == BESIDE)
    levels = {
        "all that open": 0.0,
        "at its recall": surest(ours, truth, here, theirs.recall or 0.0),
    }
    points = {
        name: (
            _row(name, ours.filter(pl.col("score") >= level), said[0], here),
            _row(name, ours.filter(pl.col("score") >= level), said[1], here),
        )
        for name, level in levels.items()
    }
    return Judged(scenario, seed, every, standing, points, any_message(found, truth))


def surest(ours: pl.DataFrame, truth: pl.DataFrame, here: World, recall: float) -> float:
    """The highest score at opening above which a recall is still reached; the lowest where it never is."""
    levels = ours["score"].unique().sort().to_list()

    def too_high(level: float) -> bool:
        return (_row("ours", ours.filter(pl.col("score") >= level), truth, here).recall or 0.0) < recall

    return float(levels[max(bisect_left(levels, True, key=too_high) - 1, 0)]) if levels else 0.0


def any_message(found: pl.DataFrame, truth: pl.DataFrame) -> float | None:
    complained = _of_parcels(truth).filter(~pl.col("minor") & pl.col("complained").is_not_null())
    said = found.filter(pl.col("kind").is_in(list(MESSAGES)) & (pl.col("subject_type") == "parcel"))
    told = said.select("subject_id", "opened").join(complained, on="subject_id")
    since = pl.col("opened").is_between("starts", "complained", closed="left")
    return ratio(told.filter(since)["anomaly"].n_unique(), len(complained))


def _of_parcels(truth: pl.DataFrame) -> pl.DataFrame:
    """No flat rule speaks of unpacked orders or refunds."""
    return truth.filter((pl.col("family") == "stall") & (pl.col("subject_type") == "parcel"))


def while_standing(truth: pl.DataFrame) -> pl.DataFrame:
    """Without complaints from before a parcel was due to move on, or from after it had."""
    complained = pl.col("complained")
    inside = (complained >= pl.col("due")) & (complained < pl.col("ends").fill_null(FOREVER))
    return truth.with_columns(complained=pl.when(inside).then(complained))


def whole(folder: Path, scenario: str, seed: int, parcels: int, days: int, tick_seconds: int) -> Report:
    simulate(folder, parcels, days, seed, scenario)
    engine = {"replay_tick_seconds": tick_seconds, "sweep_seconds": max(60, tick_seconds)}
    settings = Settings.model_validate({"engine": engine})
    asyncio.run(replay_files([folder / "events.ndjson"], folder / "replay", settings))
    return evaluate(folder / "replay", folder / "truth.ndjson")


def frame(findings: Iterable[Finding]) -> pl.DataFrame:
    """Episodes of findings as they come from an engine, as `monitor.evaluate.records.episodes` reads them of a file."""
    rows: dict[str, dict[str, Any]] = {}
    for one in findings:
        subject = one.subject
        row = rows.setdefault(
            one.finding_id,
            {
                "finding_id": one.finding_id, "detector": one.detector, "kind": str(one.kind),
                "family": family(str(one.kind), str(subject.type)), "key": f"{subject.type}:{subject.id}",
                "subject_type": str(subject.type), "subject_id": subject.id, "opened": one.opened_at,
                "closed": None, "score": one.score, "best": 0.0, "close_reason": None,
                "feed": one.evidence.get("feed"),
            },
        )  # fmt: skip
        row["best"] = max(row["best"], one.score)
        if str(one.state) == "closed":
            row["closed"], row["close_reason"] = one.as_of, str(one.close_reason)
    return pl.DataFrame(list(rows.values()), schema=EPISODE)


def judged(name: str, mine: pl.DataFrame, truth: pl.DataFrame, here: World) -> Measures:
    """Episodes and anomalies of one family; minor anomalies are neither demanded nor false alarms."""
    major = truth.filter(~pl.col("minor"))
    matched = match(mine.select(EPISODE.keys()), truth, here)
    pairs = matched.pairs.join(major.select("anomaly"), on="anomaly", how="semi")
    none = pl.DataFrame(schema=ACTION)
    return measure(here.scenario, name, mine, major, pairs, matched.left_out, none, here.days, Costs())


def _row(name: str, found: pl.DataFrame, truth: pl.DataFrame, here: World) -> Measures:
    return judged(name, found, _of_parcels(truth), here)
