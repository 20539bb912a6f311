"""Compiled arithmetic of `detectors.backlog`: a pass over the facilities, one column a facility."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

_LEARN: Final = 0.05  # of a forecast that came true or not: the last three days count
_LEAST: Final = 1e-9  # a record without a miss is still a record
_FURTHEST: Final = math.exp(3.0)


@njit(cache=True, nogil=True)
def deviate(
    arrived: Any, out: Any, usually_arrived: Any, usually_out: Any, hours: float, keep: float, sums: Any
) -> Any:
    """Adds an hour to decayed `sums` of arrivals and departures, as they came and as usual, one row each.

    Returns arrivals and departures over the usual, one row each, within bounds.
    """
    found = np.empty((2, len(arrived)))
    for key in range(len(arrived)):
        sums[0, key] = keep * sums[0, key] + arrived[key]
        sums[1, key] = keep * sums[1, key] + out[key]
        sums[2, key] = keep * sums[2, key] + hours * usually_arrived[key]
        sums[3, key] = keep * sums[3, key] + hours * usually_out[key]
        for flow in range(2):
            ratio = (sums[flow, key] + 10.0) / (sums[flow + 2, key] + 10.0)
            found[flow, key] = min(max(ratio, 1.0 / _FURTHEST), _FURTHEST)
    return found


@njit(cache=True, nogil=True)
def check(stock: Any, told: Any, error: Any) -> None:
    """Moves the mean absolute error of forecasts of one horizon by what came; NaN where none was told."""
    for key in range(len(stock)):
        if not math.isnan(told[key]):
            miss = abs(stock[key] - told[key])
            gain = 1.0 if error[key] == 0.0 else _LEARN
            error[key] = max(error[key] + gain * (miss - error[key]), _LEAST)


@njit(cache=True, nogil=True)
def too_much(
    forecast: Any, usual: Any, error: Any, ready: Any, min_parcels: float, ratio: float, margin: float
) -> Any:
    """Which will hold too much at a horizon, and at one even by the low end of an interval of `margin` errors. One row a
    horizon; nothing is said without a record at each.
    """
    found = np.zeros(len(ready), np.bool_)
    for key in range(len(ready)):
        over, surely, known = False, False, True
        for row in range(len(forecast)):
            will, usually, missed = forecast[row, key], usual[row, key], error[row, key]
            over |= will - usually >= min_parcels and will >= ratio * (usually + 1.0)
            surely |= will - margin * missed > usually
            known &= missed > 0.0
        found[key] = ready[key] and over and surely and known
    return found
