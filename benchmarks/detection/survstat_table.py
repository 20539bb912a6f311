"""The 14 labelled SurvStat series that R's `surveillance` carries: our curve against the classics' points.

The series are exported from the package at run time (GPL-2 data, none of it is kept here). 209 weeks from 2001 on,
weeks 113 to 209 are judged; 79 of the judged weeks belong to outbreaks that were reported as such, so the labels are
sparse and nobody finds most of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.detection import r
from benchmarks.detection.replay import evidence
from benchmarks.detection.tables import Options, show
from detectors.pattern import WEEKS, WEEKS_ALARM

SCORED, SERIES = 97, 14
SCRIPT = """
names <- c("h1_nrwrp", "k1", "m1", "m2", "m3", "m4", "m5", "n1", "n2", "q1_nrwh", "q2", "s1", "s2", "s3")
weeks <- 113:209
output <- matrix(0, 0, 209)
put <- function(values) output <<- rbind(output, c(rep(0, 209 - length(values)), as.vector(values)))
series <- lapply(names, function(name) { data(list = name, envir = environment()); get(name) })
for (one in series) put(one$observed[1:209])
for (one in series) put(as.integer(one$state[1:209] > 0))
for (one in series) put(algo.rki(one, list(range = weeks, b = 2, w = 4, actY = FALSE))$alarm)
for (one in series) put(algo.bayes(one, list(range = weeks, b = 2, w = 4, actY = FALSE, alpha = 0.05))$alarm)
for (one in series) put(suppressWarnings(algo.farrington(one, list(range = weeks, b = 1, w = 3, alpha = 0.01)))$alarm)
for (one in series) put(algo.cusum(one, list(range = weeks, k = 1.04, h = 2.26, m = NULL, trans = "rossi"))$alarm)
"""
CLASSICS = ("rki(4,0,2)", "bayes(4,0,2)", "farrington(3,0,1)", "cusum rossi")
DOCUMENTED = (
    ("rki(4,0,2)", 0.190, 0.985),
    ("bayes(4,0,2)", 0.304, 0.968),
    ("farrington(3,0,1)", 0.215, 0.977),
    ("cusum rossi", 0.443, 0.912),
)
COLUMNS = ("method", "sensitivity", "specificity", "ours at this specificity or a higher one")


def rates(alarms: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> tuple[float, float]:
    return float(alarms[true].mean()), float((~alarms[~true]).mean())


def sensitivity_at(said: npt.NDArray[np.float64], true: npt.NDArray[np.bool_], specificity: float) -> float:
    """The best of our curve whose specificity is at least this."""
    limits = np.unique(said[true])
    reached = [rates(said >= limit, true) for limit in limits]
    return max((sensitivity for sensitivity, kept in reached if kept >= specificity), default=0.0)


def table(options: Options) -> None:
    if not r.wanted(options.r_series):
        print("The SurvStat series come out of R: no table without it.")
        return
    exported = r.run(SCRIPT, np.zeros((1, 1))).reshape(-1, SERIES, 209)
    counts, true = exported[0].astype(np.int64), exported[1, :, -SCORED:] > 0
    said, _ = evidence(counts, SCORED, replace(WEEKS, year=52.0))
    points = [
        (f"{name}, run now", *rates(exported[i + 2, :, -SCORED:] > 0, true))
        for i, name in enumerate(CLASSICS)
    ]
    points += [(f"{name}, documented", sensitivity, kept) for name, sensitivity, kept in DOCUMENTED]
    rows: list[tuple[object, ...]] = [(*point, sensitivity_at(said, true, point[2])) for point in points]
    rows += [
        (f"ours, log e > {limit}", *rates(said > limit, true), "") for limit in (WEEKS_ALARM, 1.0, 0.0, -0.5)
    ]
    show(f"Labelled SurvStat series, {int(true.sum())} outbreak weeks", COLUMNS, rows)
