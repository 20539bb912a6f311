"""The tables of our own simulator: stalls beside flat rules and a hindsight fit, signatures, and what silence told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from benchmarks.detection.tables import Options, show
from benchmarks.detection.worlds import Judged, judged
from monitor.evaluate.measures import Measures

SCENARIOS = ("calm", "hub_jam", "storm", "mixed")
COLUMNS = ("rule", "precision", "recall", "alarms a day", "found before the complaint", "lead h", "delay h")
PARCELS = int(os.environ.get("FORESTALL_WORLD_PARCELS", "12000"))
DAYS = 30
TICK_SECONDS = 1800


def table(options: Options) -> None:
    """`--series` worlds of each scenario, at most five; seeds follow the one given."""
    seeds = range(options.seed, options.seed + min(5, options.series))
    with tempfile.TemporaryDirectory(prefix="forestall-worlds-") as folder:
        for scenario in SCENARIOS:
            worlds = [
                judged(Path(folder) / f"{scenario}-{s}", scenario, s, PARCELS, DAYS, TICK_SECONDS)
                for s in seeds
            ]
            title = f"Stalls in {len(worlds)} worlds `{scenario}`, seeds from {seeds[0]}: {PARCELS} parcels in {DAYS} days"
            show(title, COLUMNS, stall_rows(worlds))
            show(
                f"At the recall of the flat 48 h rule, `{scenario}`",
                ("", "flat 48 h", "ours"),
                beside(worlds),
            )
        _signatures(Path(folder), seeds)
        _silence(Path(folder), seeds)


def stall_rows(worlds: Sequence[Judged]) -> list[tuple[object, ...]]:
    return [
        average([w.stalls[kind][place] for w in worlds])
        for kind in ("ours", "lane", "flat")
        for place in range(len(worlds[0].stalls[kind]))
    ]


def average(rows: Sequence[Measures]) -> tuple[object, ...]:
    def of(name: str) -> float | str:
        known = [value for row in rows if (value := getattr(row, name)) is not None]
        return mean(known) if known else "-"

    names = ("precision", "recall", "alarms_a_day", "found_before", "lead_hours", "delay_hours")
    return (rows[0].detector, *(of(name) for name in names))


def beside(worlds: Sequence[Judged]) -> list[tuple[object, ...]]:
    """Our surest threshold that still reaches the flat rule's recall (the lowest where none does), world by world."""
    ours, theirs = [], []
    for one in worlds:
        rule = next(row for row in one.stalls["flat"] if row.detector == "flat 48 h")
        enough = [row for row in one.stalls["ours"] if (row.recall or 0) >= (rule.recall or 0)]
        ours.append(enough[-1] if enough else one.stalls["ours"][0])
        theirs.append(rule)
    left, right = average(theirs), average(ours)
    return [(name, left[place], right[place]) for place, name in enumerate(COLUMNS) if place]


def _signatures(folder: Path, seeds: range) -> None:
    rows = []
    for seed in seeds:
        one = judged(folder / f"signatures-{seed}", "false_signoffs", seed, PARCELS, DAYS, TICK_SECONDS)
        for name in ("signature_suspect", "signature_suspect:courier"):
            row = one.report.row(name)
            rows.append(
                (name, seed, row.anomalies, row.precision, row.recall, row.average_precision, row.brier)
            )
    show(
        "Signatures in worlds `false_signoffs`",
        ("of", "seed", "false", "precision", "recall", "AP", "Brier"),
        rows,
    )


def _silence(folder: Path, seeds: range) -> None:
    rows = []
    for seed in seeds:
        one = judged(folder / f"silence-{seed}", "feed_outage", seed, PARCELS, DAYS, TICK_SECONDS)
        row = one.report.row("feed_silent")
        rows.append((seed, row.anomalies, row.found, row.delay_hours, one.report.told_of_silent_feeds))
    show("Silent feeds", ("seed", "outages", "found", "delay h", "customers told of them"), rows)
