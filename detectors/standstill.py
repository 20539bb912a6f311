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

from detectors.compiling import kernel
from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]

HOURS: Final = 24
LEFT: Final = 0.1  # of the usual, in a stop
OPEN: Final = 12.0  # log likelihood ratio: some thirteen arrivals that did not come
CLOSE: Final = 5.0
FULL: Final = 15.0  # no surer than this, or the end would be noticed late
_LESS: Final = math.log(1 / LEFT)
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
        share = days * HOURS  # of this hour of the day
        keep = 0.5 ** (share / MEMORY_DAYS)
        scratch = np.empty((2, len(arrived)))
        ready = self._age >= READY_DAYS
        known = self._seen, self._days, self._evidence, self._since, self.stopped
        _pass_time(arrived, hour, days, ready, keep, *known, scratch)
        self._days[hour] = self._days[hour] * keep + share
        self._age += days

    @property
    def since_days(self) -> F64:
        """How long ago each region's evidence began, days; 0 where there is none."""
        return self._since

    def state(self) -> dict[str, Any]:
        names = ("_seen", "_days", "_evidence", "_since", "stopped")
        return {name.strip("_"): pack(getattr(self, name)) for name in names} | {"age": self._age}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._seen, self._days = unpack(state["seen"]), unpack(state["days"])
        self._evidence, self._since = unpack(state["evidence"]), unpack(state["since"])
        self.stopped = unpack(state["stopped"])
        self._age = float(state["age"])


@kernel
def _pass_time(
    arrived: Any,
    hour: int,
    days: float,
    ready: bool,
    keep: float,
    seen: Any,
    learned: Any,
    evidence: Any,
    since: Any,
    stopped: Any,
    scratch: Any,
) -> None:
    """`keep`: of what was seen in this hour; `scratch` [2, region]. Sums go from region to region."""
    usual, now = scratch[0], scratch[1]
    _expect(seen, learned, hour, arrived, days, usual, now)
    for region in range(len(arrived)):
        if ready:
            expected = usual[region] * min(now[region], 1.0)
            change = (1 - LEFT) * expected - arrived[region] * _LESS
            evidence[region] = min(max(evidence[region] + change, 0.0), FULL)
        since[region] = since[region] + days if evidence[region] > 0 else 0.0
        still = stopped[region] and evidence[region] >= CLOSE
        stopped[region] = evidence[region] >= OPEN or still
        if since[region] > LONGEST_DAYS:
            evidence[region], stopped[region] = 0.0, False
        most = MOST * (usual[region] * max(now[region], 1.0) + 1.0) if ready else math.inf
        heeded = usual[region] if evidence[region] > DOUBT else min(arrived[region], most)
        seen[region, hour] = seen[region, hour] * keep + heeded


@kernel
def _expect(seen: Any, learned: Any, hour: int, arrived: Any, days: float, usual: Any, now: Any) -> None:
    """What each region usually sees in these `days`, and what all others see of theirs. `seen` [region, hour] are arrivals
    so far, `learned` [hour] how often each was learned.
    """
    known, total, in_hour, all_arrived, all_usual = 0.0, 0.0, 0.0, 0.0, 0.0
    for at in range(HOURS):
        known += learned[at]
    known = max(known / HOURS, 1e-9)
    for region in range(len(arrived)):
        daily = 0.0
        for at in range(HOURS):
            daily += seen[region, at]
        usual[region] = daily
        total += daily
        in_hour += seen[region, hour]
        all_arrived += arrived[region]
    share = in_hour / total if total > 0 else 1 / HOURS
    for region in range(len(arrived)):
        common = usual[region] / known * share
        an_hour = (seen[region, hour] + COMMON_DAYS * common) / (learned[hour] + COMMON_DAYS)
        usual[region] = an_hour * days * HOURS
        all_usual += usual[region]
    for region in range(len(arrived)):
        others = all_usual - usual[region]
        now[region] = (all_arrived - arrived[region]) / others if others > 0 else 0.0
