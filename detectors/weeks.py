"""The usual week of many keys as one table, and what stands in a place when it comes and goes as usual.

A table of factors follows a `Rhythm`: in one hour only that hour's factor of a key and its level change, so the week
need not be worked out anew. Hours are its rows and keys its columns: a forecast goes from hour to hour for all keys at
once, which a processor does several keys at a time. Single precision: a forecast is good to a ten-thousandth. Where the
rhythm knows stretches of some hours, so does the week, and a forecast goes from stretch to stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.clock import HOURS_A_WEEK
from detectors.rhythm import Rhythm

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FADE: Final = 0.985  # an hour, of today's deviation from the usual flow
HORIZONS: Final = (24, 72)
_FIRST: Final = 256  # keys
AROUND: Final = 12  # hours about a horizon in which the fullest is looked for
# What stands there above the usual leaves a little faster, what lies below slower: by this power of the ratio.
POWER, SLOWEST, FASTEST = 0.3, 0.5, 1.3
_NONE, _ONE, _FIVE = np.float32(0.0), np.float32(1.0), np.float32(5.0)
_LOW, _HIGH = np.float32(SLOWEST ** (1 / POWER)), np.float32(FASTEST ** (1 / POWER))


def _power_of_root() -> tuple[np.float32, ...]:
    """Of s**(4 * POWER) over the fourth roots of what is asked, about `_MIDDLE`, highest power first."""
    low, high = float(_LOW) ** 0.25, float(_HIGH) ** 0.25
    at = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    return tuple(np.float32(one) for one in np.polyfit(at - _MIDDLE, at ** (4 * POWER), 6))


_MIDDLE: Final = 0.9
_P = _power_of_root()


class Weeks:
    """`factor[hour, key] * exp(level) - 1` is the usual of a key at an hour of the week."""

    def __init__(self, rhythm: Rhythm) -> None:
        self._rhythm = rhythm
        self.forget()

    def forget(self) -> None:
        """The rhythm was restored."""
        self._keys = 0
        self._scale: F32 | None = None
        self.factor: F32 = np.ones((self._rhythm.slots, 0), np.float32)

    def follow(self) -> None:
        """Keys that are new. What is not used yet holds the curve of all: that of a key with nothing of its own."""
        keys, room = len(self._rhythm), self.factor.shape[1]
        if keys <= self._keys:
            return
        curves = self._rhythm.curves()
        if keys > room:
            wider = np.empty((len(self.factor), max(keys, 4 * room, _FIRST)), np.float32)
            wider[:, :room] = self.factor
            wider[:, room:] = np.exp(curves[-1])[:, None]
            self.factor = wider
        if self._rhythm.ages()[self._keys :].any():
            refresh(self.factor, *curves, 0, len(self.factor), self._keys, keys, self._rhythm.own_hour)
        self._keys, self._scale = keys, None

    def renew(self, rows: I64) -> None:
        """The rhythm forgot these."""
        self._scale = None
        self.factor[:, rows] = np.exp(self._rhythm.curves()[-1])[:, None]

    def learned(self, hour: int) -> None:
        """What is usual at this hour has changed, and the levels."""
        self._scale = None
        curves = self._rhythm.curves()
        refresh(self.factor, *curves, hour, hour + 1, 0, self._keys, self._rhythm.own_hour)
        self.factor[hour, self._keys :] = np.exp(curves[-1][hour])

    def usual(self, hour: int) -> F32:
        """Of each key."""
        return np.asarray(
            np.maximum(self.factor[hour, : self._keys] * self.scale() - _ONE, _NONE), np.float32
        )

    def scale(self) -> F32:
        """Of each key, as of the last hour that was learned."""
        if self._scale is None:
            self._scale = np.exp(self._rhythm.levels()[: self._keys]).astype(np.float32)
        return self._scale


def forecast(weeks: Sequence[Weeks], stock: F64, deviation: F32, hour: int) -> F32:
    """The stock of each key at each horizon, one row a horizon. `weeks`: of arrivals, of departures and of the stock;
    `deviation`: logarithms of today's arrivals and departures over the usual, between -3 and 3, one row each; `hour` of
    the week is the one that is over.
    """
    arrivals, departures, stands = weeks
    more, faster = deviation
    return np.asarray(
        stocks(
            arrivals.factor,
            departures.factor,
            stands.factor,
            arrivals.scale(),
            departures.scale(),
            stands.scale(),
            more,
            faster,
            stock.astype(np.float32),
            hour,
        ),
        np.float32,
    )


@njit(cache=True, nogil=True)
def refresh(
    factor: Any,
    own: Any,
    days: Any,
    shared: Any,
    first_hour: int,
    last_hour: int,
    first: int,
    last: int,
    own_hour: float,
) -> None:
    for hour in range(first_hour, last_hour):
        for key in range(first, last):
            trust = days[hour, key] / (days[hour, key] + own_hour)
            factor[hour, key] = math.exp(shared[hour] + trust * (own[hour, key] - shared[hour]))


@njit(inline="always", fastmath=True)
def _exp(value: Any) -> Any:
    """Of -3 to 3, to a millionth: the eighth power of a polynomial near 0."""
    y = value * np.float32(0.125)
    p = np.float32(1 / 5040)
    p = p * y + np.float32(1 / 720)
    p = p * y + np.float32(1 / 120)
    p = p * y + np.float32(1 / 24)
    p = p * y + np.float32(1 / 6)
    p = p * y + np.float32(0.5)
    p = p * y + _ONE
    p = p * y + _ONE
    p = p * p
    p = p * p
    return p * p


@njit(inline="always", fastmath=True)
def _pace(ratio: Any) -> Any:
    root = np.sqrt(np.sqrt(min(max(ratio, _LOW), _HIGH)))
    t = np.float32(root) - np.float32(_MIDDLE)
    p = _P[0] * t + _P[1]
    p = p * t + _P[2]
    p = p * t + _P[3]
    p = p * t + _P[4]
    p = p * t + _P[5]
    return p * t + _P[6]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def stocks(
    arrivals: Any,
    departures: Any,
    usual: Any,
    came: Any,
    went: Any,
    stood: Any,
    more: Any,
    faster: Any,
    stock: Any,
    hour: int,
) -> Any:
    """As `forecast`; factors of weeks with their scales: `came`, `went`, `stood`."""
    out = np.empty((len(HORIZONS), len(stock)), np.float32)
    level = stock.copy()
    comes, goes, stands = np.empty_like(level), np.empty_like(level), np.empty_like(level)
    hours = HOURS_A_WEEK // len(arrivals)
    fade, fades = _ONE, np.float32(FADE**hours)
    for step in range(1, HORIZONS[-1] // hours + 1):
        then = (hour + step) % len(arrivals)
        fade *= fades
        for key in range(len(stock)):
            comes[key] = max(arrivals[then, key] * came[key] - _ONE, _NONE) * _exp(more[key] * fade)
            goes[key] = max(departures[then, key] * went[key] - _ONE, _NONE) * _exp(faster[key] * fade)
            stands[key] = _ONE / (max(usual[then, key] * stood[key] - _ONE, _NONE) + _FIVE)
        for _ in range(hours):
            for key in range(len(stock)):
                paced = goes[key] * _pace((level[key] + _FIVE) * stands[key])
                level[key] = max(level[key] + comes[key] - paced, _NONE)
        for column in range(len(HORIZONS)):
            if step * hours == HORIZONS[column]:
                for key in range(len(stock)):  # assigned whole, its check of shapes takes 2 s to compile
                    out[column, key] = level[key]
    return out


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def fullest(usual: Any, stood: Any, hour: int) -> Any:
    """The fullest usual hour within half a day of each horizon: a hub's evening is no backlog of its morning."""
    out = np.zeros((len(HORIZONS), len(stood)), np.float32)
    hours = HOURS_A_WEEK // len(usual)
    for column in range(len(HORIZONS)):
        for step in range(-AROUND // hours, AROUND // hours + 1):
            week = usual[(hour + HORIZONS[column] // hours + step) % len(usual)]
            for key in range(len(stood)):
                out[column, key] = max(out[column, key], week[key])
        for key in range(len(stood)):
            out[column, key] = max(out[column, key] * stood[key] - _ONE, np.float32(0.0))
    return out
