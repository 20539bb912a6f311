"""Regions in which nothing moves any more: a storm, a closed road, a strike.

What is counted is arrivals at facilities, by region and hour of the day. What a region usually sees in this hour, times
what all other regions see now of their usual (a night, a holiday, a silent feed are nobody's storm), is expected; a
running sum of log likelihood ratios (CUSUM) asks whether a tenth of it is left. It falls with every arrival, so a
region that moves again is soon believed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]

HOURS: Final = 24
LEFT: Final = 0.1  # of the usual, in a stop
OPEN: Final = 12.0  # log likelihood ratio: some thirteen arrivals that did not come
CLOSE: Final = 5.0
FULL: Final = 15.0  # no surer than this, or the end would be noticed late
DOUBT: Final = 3.0  # what looks like a stop teaches nothing
# Times its usual, beyond what all see more: the backlog after a stop is not what comes in that hour.
MOST: Final = 3.0
READY_DAYS: Final = 4.0
MEMORY_DAYS: Final = 7.0
COMMON_DAYS: Final = 1.0  # days that the hours of all regions weigh in a region's own
LONGEST_DAYS: Final = 10.0  # afterwards a region that stays still is learned anew


class Standstill:
    """`rows` regions at the most, by the caller's numbers."""

    def __init__(self, rows: int) -> None:
        self._seen = np.zeros((rows, HOURS))  # arrivals by hour of the day, fading
        self._days = np.zeros(HOURS)  # how often each hour was learned, fading alike
        self._evidence = np.zeros(rows)
        self._since = np.zeros(rows)  # days for which the evidence has been above nothing
        self._age = 0.0
        self.stopped = np.zeros(rows, bool)

    def run(self, hour: int, arrived: F64, days: float) -> None:
        """`arrived`: one element a region of the first ones, those in use, in the `days` that ended in this local hour;
        scored, then learned.
        """
        used = slice(0, len(arrived))
        usual = self._usual(hour, used) * days * HOURS
        others = usual.sum() - usual
        now = np.divide(arrived.sum() - arrived, others, out=np.zeros_like(others), where=others > 0)
        expected = usual * np.minimum(now, 1.0)
        evidence, stopped = self._evidence[used], self.stopped[used]
        if self._age >= READY_DAYS:
            change = (1 - LEFT) * expected - arrived * math.log(1 / LEFT)
            evidence[:] = np.clip(evidence + change, 0.0, FULL)
        self._since[used] = np.where(evidence > 0, self._since[used] + days, 0.0)
        stopped[:] = (evidence >= OPEN) | (stopped & (evidence >= CLOSE))
        given_up = self._since[used] > LONGEST_DAYS
        evidence[given_up], stopped[given_up] = 0.0, False
        self._learn(hour, arrived, days, usual, now)

    @property
    def since_days(self) -> F64:
        """How long ago each region's evidence began, days; 0 where there is none."""
        return self._since

    def _usual(self, hour: int, used: slice) -> F64:
        """Arrivals an hour of each region."""
        seen = self._seen[used]
        known = max(float(self._days.sum()) / HOURS, 1e-9)
        daily = seen.sum(axis=1) / known
        total = float(seen.sum())
        common = daily * (float(seen[:, hour].sum()) / total if total > 0 else 1 / HOURS)
        return np.asarray((seen[:, hour] + COMMON_DAYS * common) / (self._days[hour] + COMMON_DAYS))

    def _learn(self, hour: int, arrived: F64, days: float, usual: F64, now: F64) -> None:
        """`usual`: in these `days`; `now`: what all other regions see of theirs."""
        share = days * HOURS  # of this hour of the day
        keep = 0.5 ** (share / MEMORY_DAYS)
        used = slice(0, len(arrived))
        most = MOST * (usual * np.maximum(now, 1.0) + 1.0) if self._age >= READY_DAYS else np.inf
        learned = np.where(self._evidence[used] > DOUBT, usual, np.minimum(arrived, most))
        self._seen[used, hour] = self._seen[used, hour] * keep + learned
        self._days[hour] = self._days[hour] * keep + share
        self._age += days

    def state(self) -> dict[str, Any]:
        names = ("_seen", "_days", "_evidence", "_since", "stopped")
        return {name.strip("_"): pack(getattr(self, name)) for name in names} | {"age": self._age}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._seen, self._days = unpack(state["seen"]), unpack(state["days"])
        self._evidence, self._since = unpack(state["evidence"]), unpack(state["since"])
        self.stopped = unpack(state["stopped"])
        self._age = float(state["age"])
