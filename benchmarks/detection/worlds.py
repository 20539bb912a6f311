"""A synthetic world, what the production replay found in it, and what flat rules and a hindsight fit would have."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.detection.rules import flat, lognormal, waits
from config.settings import Settings
from monitor.evaluate import Costs, Report, evaluate
from monitor.evaluate.matching import match
from monitor.evaluate.measures import Measures, measure
from monitor.evaluate.records import ACTION, EPISODE, World, anomalies, episodes, world
from monitor.replay import replay_files
from monitor.simulate import simulate

FLAT = (24.0, 36.0, 48.0, 60.0, 72.0, 96.0)
LANE_Z = (1.5, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0)
OURS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Judged:
    """`stalls` has one row a rule and threshold; our own rows are thresholds on the score at opening."""

    scenario: str
    seed: int
    stalls: dict[str, list[Measures]]
    report: Report


def judged(folder: Path, scenario: str, seed: int, parcels: int, days: int, tick_seconds: int) -> Judged:
    simulate(folder, parcels, days, seed, scenario)
    engine = {"replay_tick_seconds": tick_seconds, "sweep_seconds": max(60, tick_seconds)}
    settings = Settings.model_validate({"engine": engine})
    asyncio.run(replay_files([folder / "events.ndjson"], folder / "replay", settings))
    truth = anomalies(folder / "truth.ndjson")
    found = episodes(folder / "replay" / "findings.ndjson")
    here = world(folder / "truth.ndjson", found)
    gaps = waits(folder / "events.ndjson", here.end)
    ours = found.filter((pl.col("family") == "stall") & (pl.col("subject_type") == "parcel"))
    stalls = {
        "ours": [
            _row(f"ours, score > {level:g}", ours.filter(pl.col("score") >= level), truth, here)
            for level in OURS
        ],
        "flat": [_row(f"flat {hours:g} h", flat(gaps, hours), truth, here) for hours in FLAT],
        "lane": [_row(f"lane, z {z:g}", lognormal(gaps, z), truth, here) for z in LANE_Z],
    }
    return Judged(scenario, seed, stalls, evaluate(folder / "replay", folder / "truth.ndjson"))


def _row(name: str, found: pl.DataFrame, truth: pl.DataFrame, here: World) -> Measures:
    """Stalls of parcels only: no flat rule speaks of unpacked orders or refunds."""
    mine = found.select(EPISODE.keys())
    stalls = truth.filter((pl.col("family") == "stall") & (pl.col("subject_type") == "parcel"))
    major = stalls.filter(~pl.col("minor"))
    matched = match(mine, stalls, here)
    pairs = matched.pairs.join(major.select("anomaly"), on="anomaly", how="semi")
    none = pl.DataFrame(schema=ACTION)
    return measure(here.scenario, name, mine, major, pairs, matched.left_out, none, here.days, Costs())
