"""How much work a carrier does on each day of the week, learned from how many legs end: Sundays that are half days.

A carrier's pace on a weekday is its legs ended on such days against those on its busy ones, at most 1. Days fade with
a half-life; a few imagined busy legs a day keep a small carrier's luck from looking like a day of rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]

DAYS: Final = 7
HALF_LIFE_WEEKS: Final = 4.0
FEW: Final = 30.0  # legs a day, added to every day
RAMP: Final = 5  # first days of a carrier, on which its parcels are only coming in
LEAST: Final = 0.1  # a day on which nothing at all ended may be a broken feed


class Weekdays:
    """`rows` carriers at the most, by the caller's numbers."""

    def __init__(self, rows: int) -> None:
        self._legs = np.zeros((rows, DAYS))
        self._days = np.zeros((rows, DAYS))
        self._age = np.zeros(rows)

    def learn(self, weekday: int, legs: F64) -> None:
        """A whole day is over: legs that ended on it, one element a carrier. A day without any is no data."""
        if not legs.any():
            return
        self._age += (self._age > 0) | (legs > 0)
        rows = np.flatnonzero(self._age > RAMP)
        keep = 0.5 ** (1.0 / HALF_LIFE_WEEKS)
        self._legs[rows, weekday] = self._legs[rows, weekday] * keep + legs[rows]
        self._days[rows, weekday] = self._days[rows, weekday] * keep + 1.0

    def pace(self) -> F64:
        """[carrier, weekday], Monday first; 1 on days not yet seen, and for carriers not seen for five of the seven."""
        seen = self._days > 0
        mean = np.divide(self._legs, self._days, out=np.zeros_like(self._legs), where=seen)
        busy = np.median(np.sort(mean, axis=1)[:, 2:], axis=1, keepdims=True)
        pace = np.clip((mean + FEW) / (busy + FEW), LEAST, 1.0)
        return np.where(seen & (seen.sum(axis=1, keepdims=True) >= DAYS - 2), pace, 1.0)

    def state(self) -> dict[str, Any]:
        return {"legs": pack(self._legs), "days": pack(self._days), "age": pack(self._age)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._legs, self._days = unpack(state["legs"]), unpack(state["days"])
        self._age = unpack(state["age"])
