"""The tables of our own simulator: stalls beside flat rules and a hindsight fit, signatures, and what silence told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import polars as pl

from benchmarks.detection.engine import found_in
from benchmarks.detection.tables import Options, show
from benchmarks.detection.worlds import BESIDE as RULE
from benchmarks.detection.worlds import OURS, Judged, frame, judged, stalls, whole
from detectors.signature import SignatureSuspect
from monitor.evaluate.measures import Measures
from monitor.evaluate.records import anomalies, world
from monitor.simulate import simulate

SCENARIOS = ("calm", "sale_day", "hub_jam", "storm", "feed_outage", "false_signoffs", "complaint_wave")
OTHERS = ("signatures", "silence")  # tables of their own worlds
COLUMNS = ("rule", "precision", "recall", "alarms a day", "found before the complaint", "lead h", "delay h")
NAMES = ("precision", "recall", "alarms_a_day", "found_before", "lead_hours", "delay_hours")
_BEFORE = NAMES.index("found_before")
BESIDE = (
    "scenario", "ours", "precision", "times", "recall", "found before the complaint",
    "complaints while it stood", "delay h", "ours, by any message",
)  # fmt: skip
PARCELS = int(os.environ.get("FORESTALL_WORLD_PARCELS", "12000"))
DAYS = 30
TICK_SECONDS = 3600
SIGNATURE_TICK_SECONDS = 600  # gestures of a courier are told apart by minutes


def table(options: Options) -> None:
    """`--seeds`, or five from `--seed` on, for each scenario of `--scenarios` (all)."""
    seeds = options.seeds or tuple(range(options.seed, options.seed + 5))
    with tempfile.TemporaryDirectory(prefix="forestall-worlds-") as name:
        folder = Path(name)
        summary: list[tuple[object, ...]] = []
        chosen = options.scenarios or (*SCENARIOS, *OTHERS)
        for scenario in (name for name in chosen if name not in OTHERS):
            worlds = [
                stalls(folder / f"{scenario}-{seed}", scenario, seed, PARCELS, DAYS, TICK_SECONDS)
                for seed in seeds
            ]
            title = f"Stalls in `{scenario}`, seeds {', '.join(map(str, seeds))}: {PARCELS} parcels in {DAYS} days"
            show(title, COLUMNS, stall_rows(worlds))
            summary += [(scenario, *row) for row in beside(worlds)]
        if summary:
            show("Beside the flat 48 h rule, means over the seeds: flat, ours", BESIDE, summary)
        if "signatures" in chosen:
            _signatures(folder, seeds)
        if "silence" in chosen:
            _silence(folder, seeds)


def stall_rows(worlds: Sequence[Judged]) -> list[tuple[object, ...]]:
    return [
        (worlds[0].stalls[kind][place].detector, *average([w.stalls[kind][place] for w in worlds]))
        for kind in ("ours", "lane", "flat")
        for place in range(len(worlds[0].stalls[kind]))
    ]


def average(rows: Sequence[Measures]) -> tuple[float | str, ...]:
    def of(name: str) -> float | str:
        known = [value for row in rows if (value := getattr(row, name)) is not None]
        return mean(known) if known else "-"

    return tuple(of(name) for name in NAMES)


def beside(worlds: Sequence[Judged]) -> list[tuple[object, ...]]:
    """Every stall that opens; world by world at our surest threshold that reaches the flat rule's recall; and at one
    threshold for all worlds, the surest that on the mean reaches its recall and finds as many before the complaint.
    """
    flat = [_of(one.stalls["flat"], RULE) for one in worlds]
    then = [_of(one.standing["flat"], RULE) for one in worlds]
    messages = [one.any_message for one in worlds if one.any_message is not None]
    both = _one_threshold(worlds, average(flat))
    points = {name: [one.points[name] for one in worlds] for name in worlds[0].points} | {
        f"score > {OURS[both]:g} in all": [
            (one.stalls["ours"][both], one.standing["ours"][both]) for one in worlds
        ]
    }
    rows: list[tuple[object, ...]] = []
    for name, ways in points.items():
        mine, standing = ([way[number] for way in ways] for number in (0, 1))
        theirs, ours = average(flat), average(mine)
        pairs = {
            column: f"{theirs[place]:.3f}, {ours[place]:.3f}"
            for place, column in enumerate(NAMES)
            if column != "lead_hours"
        }
        stood = f"{average(then)[_BEFORE]:.3f}, {average(standing)[_BEFORE]:.3f}"
        times = float(ours[0]) / max(float(theirs[0]), 1e-9)
        rows.append(
            (
                name,
                pairs["precision"],
                times,
                pairs["recall"],
                pairs["found_before"],
                stood,
                pairs["delay_hours"],
                mean(messages) if messages and name == "all that open" else "-",
            )
        )
    return rows


def _one_threshold(worlds: Sequence[Judged], flat: Sequence[float | str]) -> int:
    """Which of `OURS`; the lowest where none does."""
    wanted = [float(flat[NAMES.index(name)]) for name in ("recall", "found_before")]
    reached = [0]
    for place in range(len(OURS)):
        ours = average([one.stalls["ours"][place] for one in worlds])
        known = [ours[NAMES.index(name)] for name in ("recall", "found_before")]
        if all(not isinstance(one, str) and one >= least for one, least in zip(known, wanted, strict=True)):
            reached.append(place)
    return reached[-1]


def _of(rows: Sequence[Measures], name: str) -> Measures:
    return next(row for row in rows if row.detector == name)


def _signatures(folder: Path, seeds: Sequence[int]) -> None:
    rows: list[tuple[object, ...]] = []
    for seed in seeds:
        here = folder / f"signatures-{seed}"
        simulate(here, PARCELS, DAYS, seed, "false_signoffs")
        place = [SignatureSuspect()]
        found = frame(found_in([here / "events.ndjson"], SIGNATURE_TICK_SECONDS, place=place))
        truth = anomalies(here / "truth.ndjson")
        for name in ("signature_suspect", "signature_suspect:courier"):
            of = pl.col("family") == name
            row = judged(name, found.filter(of), truth.filter(of), world(here / "truth.ndjson", found))
            rows.append(
                (name, seed, row.anomalies, row.precision, row.recall, row.average_precision, row.brier)
            )
    show(
        "Signatures in worlds `false_signoffs`",
        ("of", "seed", "false", "precision", "recall", "AP", "Brier"),
        rows,
    )


def _silence(folder: Path, seeds: Sequence[int]) -> None:
    rows = []
    for seed in seeds:
        report = whole(folder / f"silence-{seed}", "feed_outage", seed, PARCELS, DAYS, TICK_SECONDS // 2)
        row = report.row("feed_silent")
        rows.append((seed, row.anomalies, row.found, row.delay_hours, report.told_of_silent_feeds))
    show("Silent feeds", ("seed", "outages", "found", "delay h", "customers told of them"), rows)
