"""How much work a carrier does on each day of the week, learned from how many legs end: Sundays that are half days.

A slow day is one on which fewer legs end than on busy days, and a smaller share of those that wait: a shop that ships
less on Sundays makes no day of rest, nor does a jam in which more wait. A carrier's pace on a weekday is the larger of
these two against its busy days, at most 1. Days fade with a half-life; a few imagined legs at the busy pace keep a
small carrier's luck from looking like a rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAYS: Final = 7
HALF_LIFE_WEEKS: Final = 4.0
FEW: Final = 20.0  # legs, added to each weekday's
RESTING: Final = 3  # days of a week at most on which nothing at all ends: more, and all stands still
WITHIN: Final = (
    1 / 48
)  # days that a leg is open at the least: one that ends on its day is not there at midnight
RAMP: Final = 2  # first days of a carrier, on which its parcels are only coming in
LEAST: Final = 0.1  # of a day on which nothing ended: a few cases and a broken feed look like it


class Weekdays:
    """`rows` carriers at the most, by the caller's numbers."""

    def __init__(self, rows: int) -> None:
        self._legs = np.zeros((rows, DAYS))
        self._waiting = np.zeros((rows, DAYS))
        self._days = np.zeros((rows, DAYS))
        self._age = np.zeros(rows)
        self._idle = np.zeros(DAYS, np.bool_)  # nothing at all ended on the latest one

    def learn(self, weekday: int, legs: F64, waiting: F64, unheard: Bools | None = None) -> None:
        """A whole day is over: legs that ended on it, and how many were open at its midnights, one element a carrier.

        A day without any may be a broken feed: it is data where parcels waited, and most days were worked since the same
        weekday was such a day. One on which a carrier was `unheard` is no data of it, nor without any legs of anybody.
        """
        if not legs.any():
            waited = bool(waiting.any()) and not (unheard is not None and unheard.any())
            known, self._idle[weekday] = bool(self._idle[weekday]), waited
            if not (waited and known and self._idle.sum() <= RESTING):
                return
        else:
            self._idle[weekday] = False
        self._age += (self._age > 0) | (legs > 0)
        taught = self._age > RAMP
        rows = np.flatnonzero(taught if unheard is None else taught & ~unheard)
        keep = 0.5 ** (1.0 / HALF_LIFE_WEEKS)
        for sums, new in (
            (self._legs, legs[rows]),
            (self._waiting, (waiting + WITHIN * legs)[rows]),
            (self._days, 1.0),
        ):
            sums[rows, weekday] = sums[rows, weekday] * keep + new

    def pace(self) -> F64:
        """[carrier, weekday], Monday first; 1 on days not yet seen, and for carriers not seen for five of the seven."""
        seen = self._days > 0
        pace = np.maximum(self._against_busy(self._waiting), self._against_busy(self._days))
        pace = np.clip(pace, LEAST, 1.0)
        return np.where(seen & (seen.sum(axis=1, keepdims=True) >= DAYS - 2), pace, 1.0)

    def _against_busy(self, measure: F64) -> F64:
        """Legs of each weekday against what its measure comes to at the rate of busy days."""
        rate = np.divide(self._legs, measure, out=np.zeros_like(self._legs), where=measure > 0)
        busy = np.median(np.sort(rate, axis=1)[:, 2:], axis=1, keepdims=True)
        return np.asarray((self._legs + FEW) / (busy * measure + FEW))

    def state(self) -> dict[str, Any]:
        names = ("legs", "waiting", "days", "age")
        return {name: pack(getattr(self, f"_{name}")) for name in names} | {"idle": self._idle.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        if "waiting" not in state:  # counted otherwise: begin again
            return
        self._legs, self._days = unpack(state["legs"]), unpack(state["days"])
        self._waiting, self._age = unpack(state["waiting"]), unpack(state["age"])
        self._idle = np.array(state.get("idle", [False] * DAYS), np.bool_)
