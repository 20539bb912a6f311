"""Compiled arithmetic of `detectors.rhythm`: one pass over the keys instead of some forty over arrays of them."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

_LOGS: Final = np.array(
    [math.log1p(count) for count in range(4096)]
)  # what is counted is mostly small and whole


@njit(cache=True, nogil=True, error_model="numpy")
def log_usual(
    rows: Any, hours: Any, level: Any, own: Any, own_days: Any, shared: Any, own_hour: float
) -> Any:
    """The logarithm of 1 + the usual, per row the largest of these hours of the week."""
    found = np.full(len(rows), -math.inf)
    for hour in hours:
        for number in range(len(rows)):
            row = rows[number]
            trust = own_days[hour, row] / (own_days[hour, row] + own_hour)
            departs = trust * (own[hour, row] - shared[hour])
            found[number] = max(found[number], level[row] + shared[hour] + departs)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def around(
    size: int,
    hours: Any,
    level: Any,
    own: Any,
    own_days: Any,
    shared: Any,
    own_hour: float,
    least: float,
    largest: Any,
    there: Any,
) -> None:
    """As `log_usual` and `seen` of the first `size` rows, several rows at a time."""
    largest[:] = -math.inf
    there[:] = True
    for hour in hours:
        common, curve, days = shared[hour], own[hour], own_days[hour]
        for row in range(size):
            trust = days[row] / (days[row] + own_hour)
            largest[row] = max(largest[row], level[row] + common + trust * (curve[row] - common))
            there[row] &= days[row] >= least


@njit(cache=True, nogil=True)
def all_good(rows: Any, values: Any) -> bool:
    """Whether every row is one, and every value finite and not negative."""
    good = True
    for number in range(len(rows)):
        good &= (rows[number] >= 0) & (values[number] >= 0) & (values[number] < math.inf)
    return good


@njit(cache=True, nogil=True)
def seen(rows: Any, hours: Any, own_days: Any, least: float) -> Any:
    """Whether every one of these hours was there for so long."""
    found = np.ones(len(rows), np.bool_)
    for hour in hours:
        for number in range(len(rows)):
            found[number] &= own_days[hour, rows[number]] >= least
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def learn(
    rows: Any,
    hour: int,
    values: Any,
    days: float,
    share: Any,
    level: Any,
    scale: Any,
    learned: Any,
    own: Any,
    own_days: Any,
    shared: float,
    floor: float,
    clip: float,
    own_hour: float,
    level_days: float,
    curve_days: float,
    young_days: float,
) -> float:
    """Moves each key's level, scale and own curve; answers the median of what they missed, for the curve of all."""
    misses = np.empty(len(rows))
    for number in range(len(rows)):
        row = rows[number]
        value, count = values[number], np.int64(min(values[number], 4095.0))
        value = _LOGS[count] if value == count else math.log1p(value)
        if learned[row] == 0:
            level[row] = value - shared
        spread = max(scale[row], floor)
        before = np.float64(own_days[hour, row])
        # the first day, and an hour's first two weeks, find their place nearly without a clip
        young = 1.0 if learned[row] < 1.0 or before < young_days else spread
        usual = level[row] + shared + before / (before + own_hour) * (own[hour, row] - shared)
        miss = min(max(value - usual, -clip * young), clip * young)
        step = share[number] * days
        learned[row] += days
        gain = min(1.0, step / min(learned[row], level_days))
        level[row] += miss * gain
        scale[row] += (1.25 * abs(miss) - scale[row]) * gain
        own_days[hour, row] += np.float32(days)
        own_gain = min(1.0, step / min(np.float64(own_days[hour, row]), curve_days))
        own[hour, row] += np.float32(own_gain * miss)
        misses[number] = miss
    return median(misses)


@njit(cache=True, nogil=True)
def median(values: Any) -> float:
    """As numpy's, in a quarter of the time; `values`, of which there must be some, are left in another order."""
    half = len(values) // 2
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if half <= right:
            high = right
        elif half >= left:
            low = left
        else:
            break
    upper = values[half]
    if len(values) % 2:
        return float(upper)
    lower = values[0]
    for number in range(1, half):
        lower = max(lower, values[number])
    return float((lower + upper) / 2)
