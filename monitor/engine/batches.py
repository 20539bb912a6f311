"""Feeds that tell of most scans hours later, in batches: of their parcels nothing is known between two of them.

A daily export that comes at six in the morning says nothing of the evening before until then: a promise of that evening
is judged when the batch is in, and not at midnight. What counts is how long after they happened a feed tells of scans,
and that it has told of none for a while; a feed that is quiet at night, and prompt by day, is none of these. Who tells dates
only is late by what is more than their day, and what is days old is history that is brought in. Where a batch does not come
for days, nothing is held for it: a silent feed is another detector's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from detectors.clock import is_date
from detectors.findings import Instant
from monitor.columns import Scans
from monitor.engine.layout import DAY, HOUR

LATE: Final = 2 * HOUR * 1000  # after a scan, milliseconds
OLD: Final = 3 * DAY * 1000  # no batch of a feed that is in use is as late
AWAITED: Final = 2 * DAY * 1000  # a batch, at most
MOSTLY: Final = 0.5  # of scans: an outage's backlog is less of what a feed tells in a week
READY: Final = 50.0  # scans
HALF_LIFE: Final = 7 * DAY * 1000
COMES_IN: Final = HOUR * 1000 // 4  # a batch, at least
PAUSE: Final = HOUR * 1000  # between two batches, at least


class Batches:
    def __init__(self, feeds: int, look_hours: float) -> None:
        """`look_hours`: what is known after a batch stays current for so long, so that each parcel is looked at."""
        self._current = COMES_IN + round(look_hours * HOUR * 1000)
        self._scans = np.zeros((2, feeds))  # by feed: all and late ones, fading
        self._faded_at: Instant = 0
        self._told = np.zeros(feeds, np.bool_)  # of scans since the last tick
        self._began = np.zeros(feeds, np.int64)  # the batch that came last
        self._spoke = np.zeros(feeds, np.int64)

    def count(self, scans: Scans, now: Instant, offset: int) -> None:
        """`now`: of the engine, since a feed need not say when it was told of a scan; `offset` of the shop's wall clock.

        Sums of whole numbers: how scans are cut into batches of columns changes nothing.
        """
        age = np.maximum(scans.received, now) - scans.occurred
        slow = np.flatnonzero(age > LATE)
        sources = scans.source[slow]
        age = age[slow] - np.where(is_date(scans.occurred[slow], offset), DAY * 1000, 0)
        told = np.bincount(scans.source)
        self._told[: len(told)] |= told > 0
        self._scans[0, : len(told)] += told
        for row, some, sign in ((0, sources[age > OLD], -1), (1, sources[(age > LATE) & (age <= OLD)], 1)):
            counts = np.bincount(some)
            self._scans[row, : len(counts)] += sign * counts

    def unheard(self, used: int, now: Instant) -> list[int]:
        """Feeds, of the first so many, of which the next batch is awaited, or comes in."""
        speaks = self._told[:used]
        self._began[:used][speaks & (now - self._spoke[:used] > PAUSE)] = now
        self._spoke[:used][speaks] = now
        self._told[:] = False
        self._fade(now)
        scans, late = self._scans[:, :used]
        batched = (scans >= READY) & (late > MOSTLY * scans)
        batched &= now - self._spoke[:used] <= AWAITED
        known = (now - self._began[:used] >= COMES_IN) & (now - self._spoke[:used] <= self._current)
        return np.flatnonzero(batched & ~known).tolist()

    def _fade(self, now: Instant) -> None:
        """Once a day, and to whole numbers."""
        days = (now - self._faded_at) // (DAY * 1000)
        if days > 0:
            if self._faded_at:
                self._scans = np.rint(self._scans * 0.5 ** (min(days, 1000) * DAY * 1000 / HALF_LIFE))
            self._faded_at = now

    def state(self, used: int) -> dict[str, Any]:
        return {
            "scans": self._scans[:, :used].tolist(),
            "faded_at": self._faded_at,
            "told": self._told[:used].tolist(),
            "began": self._began[:used].tolist(),
            "spoke": self._spoke[:used].tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        used = len(state["told"])
        self._scans[:, :used] = state["scans"]
        self._faded_at = int(state["faded_at"])
        for kept, name in ((self._told, "told"), (self._began, "began"), (self._spoke, "spoke")):
            kept[:used] = state[name]
