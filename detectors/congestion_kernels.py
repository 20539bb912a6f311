"""Compiled arithmetic of `detectors.facility_congested`: passes over thousands of facilities instead of arrays of them."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from detectors.rhythm_kernels import median

FEW: Final = 5  # fewer facilities than these do not show what more traffic explains


class Signs(NamedTuple):
    """What may be said of each facility now, one element each."""

    ratio: Any  # parcels held against the usual
    traffic: Any  # what more traffic explains of it
    stock_z: Any  # this one and the next only where hot or watched
    stalled_z: Any
    stalled_usual: Any
    hot: Any  # a sign of a jam
    warm: Any  # not yet back to the usual


class Thresholds(NamedTuple):
    """As `CongestionLimits`."""

    ratio: float
    calm_ratio: float
    deviations: float
    min_parcels: float
    min_stalled: float
    stalled_ratio: float


def signs(size: int) -> Signs:
    numbers = np.zeros((5, size))
    flags = np.zeros((2, size), np.bool_)
    return Signs(*numbers, *flags)


@njit(cache=True, nogil=True, error_model="numpy")
def flow(arrived: Any, out: Any, hours: float, gain: float, averages: Any) -> None:
    """Moves the averages [facility, arrivals and departures an hour] towards the window's."""
    for row in range(len(arrived)):
        averages[row, 0] += gain * (arrived[row] / hours - averages[row, 0])
        averages[row, 1] += gain * (out[row] / hours - averages[row, 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _network(stock: Any, usual: Any, ready: Any, out: Signs) -> float:
    """The median of the ratios of those that are ready, where they are enough to tell; all ratios are in `out` then."""
    known = 0
    for row in range(len(stock)):
        out.ratio[row] = (stock[row] + 1) / (usual[row] + 1)
        if ready[row]:
            out.traffic[known] = out.ratio[row]  # room that is free until each facility's own is known
            known += 1
    return median(out.traffic[:known]) if known >= FEW else 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def judge(
    stock: Any,
    stalled: Any,
    usual: Any,
    scale: Any,
    ready: Any,
    averages: Any,
    flow_usual: Any,
    share: Any,
    standing_counts: bool,
    watched: Any,
    limits: Thresholds,
    out: Signs,
) -> None:
    """`share`: decayed parcels stalled, parcels held and days; `watched`: those of which more is to be known even where
    they are not hot.

    What stands still stays for days, while a hub empties every night: the usual is a share of what the hub holds on
    average, or of more where it holds more now.
    """
    all_stalled, all_held = 0.0, 0.0
    for row in range(len(share)):
        all_stalled += share[row, 0]
        all_held += share[row, 1]
    common = (all_stalled + 1) / (all_held + 50)
    network = _network(stock, usual, ready, out)
    for row in range(len(stock)):
        ratio = out.ratio[row]
        own = (averages[row, 1] + 1) / (flow_usual[row] + 1)
        traffic = max(1.0, network, own)
        adjusted = ratio / traffic
        excess = stock[row] - usual[row] * traffic
        full = ready[row] and adjusted >= limits.ratio and excess >= limits.min_parcels
        usual_share = (share[row, 0] + 200 * common) / (share[row, 1] + 200)
        mean = share[row, 1] / share[row, 2] if share[row, 2] > 0 else 0.0
        expected = usual_share * max(stock[row], mean)
        standing = (
            standing_counts
            and stalled[row] >= limits.min_stalled
            and stalled[row] >= limits.stalled_ratio * expected
        )
        if full or standing or watched[row]:
            stock_z = math.log(adjusted) / max(scale[row], 0.15) if ready[row] else -math.inf
            # counts within a facility move together: the variance is taken at three times a binomial's
            variance = 3 * max(expected * (1 - usual_share), 0.5)
            stalled_z = (stalled[row] - expected) / math.sqrt(variance)
            full = full and stock_z >= limits.deviations
            standing = standing and stalled_z >= limits.deviations
            out.stock_z[row], out.stalled_z[row] = stock_z, stalled_z
        out.traffic[row], out.stalled_usual[row] = traffic, expected
        out.hot[row] = full or standing
        still_full = ready[row] and adjusted >= limits.calm_ratio and excess >= limits.min_parcels / 2
        still_standing = (
            stalled[row] >= limits.min_stalled / 2 and stalled[row] >= limits.stalled_ratio / 2 * expected
        )
        out.warm[row] = still_full or still_standing


@njit(cache=True, nogil=True, error_model="numpy")
def learn(
    stock: Any,
    stalled: Any,
    weight: Any,
    days: float,
    gain: float,
    averages: Any,
    flow_usual: Any,
    share: Any,
) -> None:
    """Moves the usual departures and the usual share of stalled parcels, by `gain` where the weight is 1."""
    for row in range(len(stock)):
        own = weight[row] * gain
        out = averages[row, 1]
        flow_usual[row] = out if flow_usual[row] == 0 else flow_usual[row] + own * (out - flow_usual[row])
        share[row, 0] = share[row, 0] * (1 - own) + stalled[row] * weight[row] * days
        share[row, 1] = share[row, 1] * (1 - own) + stock[row] * weight[row] * days
        share[row, 2] = share[row, 2] * (1 - own) + weight[row] * days
