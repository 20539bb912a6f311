"""The table of the 42 weekly scenarios."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.detection import r
from benchmarks.detection.replay import evidence
from benchmarks.detection.tables import Options, show
from benchmarks.detection.weekly import SCORED, generate, judge
from detectors.pattern import WEEKS, WEEKS_ALARM

COLUMNS = ("method", "series", "FPR %", "POD", "POD 1st week", "sensitivity", "PPV", "F1")
# Measured on this recipe with R 4.2.2, surveillance 1.20.3, 420 series.
ANCHORS = (
    ("R farringtonFlexible (documented)", 420, 0.97, 0.486, 0.381, 0.247, 0.619, 0.353),
    ("R farrington, original (documented)", 420, 3.31, 0.631, 0.521, 0.349, 0.404, 0.374),
    ("R EARS C2 (documented)", 420, 7.42, 0.717, 0.614, 0.424, 0.268, 0.329),
)


def row(name: str, alarms: npt.NDArray[np.bool_], outbreak: npt.NDArray[np.int64]) -> tuple[object, ...]:
    found = judge(alarms, outbreak)
    rest = (found[key] for key in ("pod", "pod_first", "sensitivity", "ppv", "f1"))
    return (name, len(alarms), 100 * found["fpr"], *rest)


def table(options: Options) -> None:
    data = generate(options.seed, options.series)
    pattern = replace(WEEKS, year=52.0)  # the recipe's year
    said, cost = evidence(data.counts, SCORED, pattern)
    rows = [
        row(f"ours{'' if limit == WEEKS_ALARM else f', log e > {limit}'}", said > limit, data.outbreak)
        for limit in (WEEKS_ALARM, 1.0, 2.0, 3.0, 4.0)
    ]
    if r.wanted(options.r_series):
        first = np.arange(0, len(data.counts), options.series)
        some = np.concatenate(
            [first + (np.arange(len(first)) + n) % options.series for n in range(options.r_series)]
        )
        alarms = r.farrington_flexible(data.counts[some].astype(np.float64), SCORED, 5)
        rows.append(row("ours, on the series of the next row", said[some] > WEEKS_ALARM, data.outbreak[some]))
        rows.append(row("R farringtonFlexible, run now", alarms, data.outbreak[some]))
    show(
        f"42 weekly scenarios, seed {options.seed}, {cost:.3f} ms a series and week",
        COLUMNS,
        [*rows, *ANCHORS],
    )
