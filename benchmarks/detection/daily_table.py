"""The table of the daily syndromic signals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.detection import r
from benchmarks.detection.daily import SCORED, SIGNALS, generate, holidays, judge
from benchmarks.detection.replay import evidence
from benchmarks.detection.tables import Options, show
from detectors.pattern import DAYS, DAYS_ALARM

COLUMNS = ("method", "outbreaks", "series", "FPR %", "sensitivity", "POD", "timeliness")
ANCHOR = ("the paper's R code (documented)", "k=5", 150, 2.40, 0.546, 0.933, 0.214)
JUDGED = tuple(signal for signal in SIGNALS if signal.number != 13)


def summary(judged: dict[int, list[dict[str, float]]]) -> tuple[float, float, float, float]:
    """FPR in percent, sensitivity, POD, timeliness: within a signal over its series, then the mean of signals."""

    def rate(part: str, whole: str) -> float:
        return float(np.mean([total(found, part) / total(found, whole) for found in judged.values()]))

    def total(found: Iterable[dict[str, float]], key: str) -> float:
        return sum(one[key] for one in found)

    pod = float(np.mean([total(found, "pod") / len(found) for found in judged.values()]))
    timeliness = float(np.mean([total(found, "timeliness") / len(found) for found in judged.values()]))
    return 100 * rate("false", "clean"), rate("hit", "true"), pod, timeliness


def weekly_sums_in_r(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Sums of the seven days that end on each scored day, judged by weekly Farrington flexible in R."""
    sums = np.array([np.convolve(one, np.ones(7), "valid") for one in counts])
    alarms = np.zeros((len(counts), SCORED), dtype=np.bool_)
    for phase in range(7):  # seven weekly series, each ending on another day of the last week
        days = np.arange(sums.shape[1] - 7 + phase, -1, -7)[::-1]
        weeks = sums[:, days]
        alarms[:, phase::7] = r.farrington_flexible(weeks, SCORED // 7, 5)
    return alarms


def table(options: Options) -> None:
    plain = replace(DAYS, year=364.0)  # the recipe's year
    declared = replace(plain, marked=_declared())
    rows: list[tuple[object, ...]] = []
    by_signal: list[tuple[object, ...]] = []
    cost = 0.0
    for k in (5, 2, 3, 10):
        counts, cases = _series(options, k, options.series)
        for name, pattern in (("ours", plain), ("ours, bank holidays declared", declared)):
            said, cost = evidence(counts, SCORED, pattern)
            found = _judged(said > DAYS_ALARM, cases, options.series)
            rows.append((name, f"k={k}", len(counts), *summary(found)))
            if k == 5 and pattern is plain:
                by_signal = [(number, *summary({number: one})) for number, one in found.items()]
    rows += _in_r(options)
    title = f"Daily syndromic signals, seed {options.seed}, {cost:.3f} ms a series and day"
    show(title, COLUMNS, [*rows, ANCHOR])
    show("Ours by signal, k=5", ("signal", *COLUMNS[3:]), by_signal)


def _series(options: Options, k: float, each: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    made = [generate(options.seed + number, signal, k) for signal in JUDGED for number in range(each)]
    return np.array([one[0] for one in made]), np.array([one[1] for one in made])


def _judged(
    alarms: npt.NDArray[np.bool_], cases: npt.NDArray[np.int64], each: int
) -> dict[int, list[dict[str, float]]]:
    judged = [judge(a, c) for a, c in zip(alarms, cases, strict=True)]
    return {signal.number: judged[i * each : (i + 1) * each] for i, signal in enumerate(JUDGED)}


def _declared() -> dict[str, frozenset[int]]:
    closed = np.flatnonzero(holidays())
    after = [int(day) + 1 + (2 if day % 7 == 4 else 0) for day in closed]
    return {"holiday": frozenset(map(int, closed)), "after": frozenset(after)}


def _in_r(options: Options) -> list[tuple[object, ...]]:
    if not r.wanted(options.r_series):
        return []
    counts, cases = _series(options, 5, options.r_series)
    said, _ = evidence(counts, SCORED, replace(DAYS, year=364.0))
    ours = _judged(said > DAYS_ALARM, cases, options.r_series)
    theirs = _judged(weekly_sums_in_r(counts), cases, options.r_series)
    return [
        ("ours, on the series of the next row", "k=5", len(counts), *summary(ours)),
        ("R farringtonFlexible on 7-day sums, run now", "k=5", len(counts), *summary(theirs)),
    ]
