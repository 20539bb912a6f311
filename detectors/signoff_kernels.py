"""Compiled arithmetic of `detectors.signoff_features`: a window's sign-offs in one pass, row by row."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.clock import DAY, MINUTE
from detectors.tables import SECOND

DELIVERED, HELD = 13, 11  # monitor.vocabulary.Status
PROXY, LOCKER, STATION, SAFE_PLACE = 2, 3, 4, 5  # monitor.vocabulary.DeliveredTo
_ONE: Final = int(np.float64(1.0).view(np.int64))
_OCTAVE: Final = float(np.float64(2.0).view(np.int64) - _ONE)
SLOTS: Final = 288  # five minutes of the day
SLOT: Final = 5 * MINUTE
FEATURES: Final = (
    "impossible",
    "instant",
    "fast",
    "no_way",
    "burst",
    "night",
    "heaped",
    "other_city",
    "other_district",
    "far",
    "locker",
    "station",
    "proxy",
    "safe_place",
    "courier",
    "rescanned",
)
(
    _IMPOSSIBLE,
    _INSTANT,
    _FAST,
    _NO_WAY,
    _BURST,
    _NIGHT,
    _HEAPED,
    _OTHER_CITY,
    _OTHER_DISTRICT,
    _FAR,
    _LOCKER,
    _STATION,
    _PROXY,
    _SAFE_PLACE,
    _COURIER,
    _,
) = range(len(FEATURES))


class Columns(NamedTuple):
    """One element a sign-off. Times in seconds but for `occurred`, in milliseconds; 0 where absent."""

    occurred: npt.NDArray[Any]
    out: npt.NDArray[Any]  # for delivery
    accepted: npt.NDArray[Any]
    ordered: npt.NDArray[Any]
    status: npt.NDArray[Any]
    before: npt.NDArray[Any]  # the status before
    to: npt.NDArray[Any]
    here: npt.NDArray[Any]  # twice the city's number, and 1 where no district is known; -1 where nothing is
    there: npt.NDArray[Any]  # where it should have gone
    same: npt.NDArray[np.bool_]  # region and destination are one
    carrier: npt.NDArray[Any]  # a row of the histograms
    together: npt.NDArray[np.float64]  # others of its courier within the minute
    excess: npt.NDArray[np.float64]  # of its courier, a logarithm
    courier: npt.NDArray[Any]  # whose it is; negative where nobody's
    offset: int  # milliseconds from UTC to the shop's wall clock, one for all


class Beside(NamedTuple):
    """What the sign-offs are judged by: of each, seconds since it went out and the cells that this, its distance and its
    moment lie in; by carrier and cell, how rare that is.
    """

    wait: Any
    wait_cell: Any
    km_cell: Any
    slot: Any
    fast: Any
    far: Any
    night: Any
    heaped: Any


@njit(cache=True, nogil=True)
def cells(values: Any, edges: Any) -> Any:
    """How many edges lie below each value; -1 where it is no number. `edges` grow by a constant factor."""
    out = np.full(len(values), -1, np.int64)
    scale = (len(edges) - 1) / math.log2(edges[-1] / edges[0])
    for row in range(len(values)):
        if math.isfinite(values[row]):
            out[row] = _cell(values[row], edges, scale)
    return out


@njit(cache=True, nogil=True)
def _cell(value: float, edges: Any, scale: float) -> Any:
    """`scale`: edges an octave. The bits of a float are its logarithm to a twelfth of an octave: near enough to begin at."""
    last = len(edges)
    ratio = np.float64(max(value, edges[0]) / edges[0])
    octaves = np.float64(ratio.view(np.int64) - _ONE) / _OCTAVE
    place: Any = np.int64(octaves * scale)
    place = min(place, last)
    while place > 0 and edges[place - 1] >= value:
        place -= 1
    while place < last and edges[place] < value:
        place += 1
    return place


@njit(cache=True, nogil=True)
def timed(status: Any, occurred: Any, out: Any, offset: int, edges: Any) -> tuple[Any, Any, Any]:
    """Of each sign-off: seconds since it went `out`, NaN where that says nothing, as between dates; the cell of `edges` they
    lie in, or -1; and the slot of the local day. Times in milliseconds, 0 where absent.
    """
    wait, cell = np.full(len(out), np.nan), np.full(len(out), -1, np.int64)
    slot = np.empty(len(out), np.int64)
    scale = (len(edges) - 1) / math.log2(edges[-1] / edges[0])
    for row in range(len(out)):
        dates = _day_ends(occurred[row], offset) > occurred[row] and _day_ends(out[row], offset) > out[row]
        if not dates and status[row] == DELIVERED and 0 < out[row] <= occurred[row]:
            wait[row] = (occurred[row] - out[row]) / SECOND
            cell[row] = _cell(wait[row], edges, scale)
        slot[row] = (occurred[row] + offset) % DAY // SLOT
    return wait, cell, slot


@njit(cache=True, nogil=True)
def rarities(counts: Any, present: Any, low: bool, trust: float) -> Any:
    """-log10 of the share that is at least as extreme, by carrier that occurs and cell; shrunk towards all of them."""
    width = counts.shape[1]
    whole = np.zeros(width)
    for carrier in range(len(present)):
        for cell in range(width):
            whole[cell] += counts[carrier, cell]
    _run_on(whole, low)
    everyone = whole[width - 1] if low else whole[0]
    out = np.zeros((len(present), width))
    for carrier in range(len(present)):
        if present[carrier]:
            for cell in range(width):  # to assign the row takes seven times as long to compile
                out[carrier, cell] = counts[carrier, cell]
            _run_on(out[carrier], low)
            mine = out[carrier, width - 1] if low else out[carrier, 0]
            for cell in range(width):
                share_all = min((whole[cell] + 1.0) / (everyone + 30.0), 1.0)
                share = (out[carrier, cell] + trust * share_all) / (mine + trust)
                out[carrier, cell] = -math.log10(min(max(share, 1e-6), 1.0))
    return out


@njit(cache=True, nogil=True)
def _run_on(values: Any, low: bool) -> None:
    """Sums from the lowest on, or from the highest."""
    for at in range(1, len(values)):
        if low:
            values[at] += values[at - 1]
        else:
            values[-1 - at] += values[-at]


@njit(cache=True, nogil=True)
def by_the_clock(day: Any, present: Any, slots: Any, carriers: Any) -> tuple[Any, Any]:
    """For the slots of the day that occur: how rare this hour is for the carrier, and how much fuller its last minutes
    are than those around. By carrier and slot.
    """
    everyone = np.zeros(SLOTS)
    totals = np.zeros(len(present))
    for carrier in range(len(present)):
        for slot in range(SLOTS):
            everyone[slot] += day[carrier, slot]
            totals[carrier] += day[carrier, slot]
    usual = 50.0 * (everyone + 0.02) / (everyone.sum() + 6.0)
    night = np.full((len(present), SLOTS), np.nan)
    heaped = np.zeros((len(present), SLOTS))
    for row in range(len(slots)):
        carrier, slot = carriers[row], slots[row]
        if not math.isnan(night[carrier, slot]):
            continue
        weight = totals[carrier] + 50.0
        around = 0.0
        for step in range(-6, 7):
            near = (slot + step) % SLOTS
            around += (day[carrier, near] + usual[near]) / weight
        share = (day[carrier, slot] + usual[slot]) / weight
        night[carrier, slot] = min(max(-math.log10(max(around * 12 / 13, 1e-6)) - 1.8, 0.0), 2.5)
        if slot % 12 == 11 and slot // 12 >= 17:
            fuller = math.log2((share + 1e-5) / ((around - share) / 12 + 1e-5))
            heaped[carrier, slot] = 0.6 + min(max(fuller, 0.0), 2.0)
    return night, heaped


@njit(cache=True, nogil=True)
def judge(
    columns: Columns, beside: Beside, weights: Any, intercept: float, least: float, stride: int
) -> tuple[Any, Any, Any, Any]:
    """Features of the sign-offs whose log odds are above `least` and of each `stride`th of the others, by row, and whether
    they are one of the first; their rows; and of each of these, and of each that has a courier, how likely it is false but for
    what is known of its courier.

    What is looked at is filled in here: to hand two dozen arrays to a function costs more than it does.
    """
    size, kept, ordinary = len(beside.slot), 0, 0
    out, blame = np.empty((size + 1, len(FEATURES))), np.zeros(size)
    rows, odd = np.empty(size, np.int64), np.empty(size, np.bool_)
    for row in range(size):
        found = out[kept]
        found[:] = 0.0
        carrier, to = columns.carrier[row], columns.to[row]
        direct = columns.status[row] == DELIVERED
        unheld = direct and columns.before[row] != HELD
        accepted, ordered = columns.accepted[row], columns.ordered[row]
        found[_IMPOSSIBLE] = _impossible(columns.occurred[row], accepted, ordered, columns.offset)
        found[_INSTANT] = beside.wait[row] < 75
        if beside.wait_cell[row] >= 0:
            found[_FAST] = min(max(beside.fast[carrier, beside.wait_cell[row]] - 1.5, 0.0), 3.0)
        found[_NO_WAY] = unheld and columns.out[row] == 0
        crowd = columns.together[row]
        if direct and to != STATION and crowd >= 2:
            found[_BURST] = math.log2(1 + min(crowd, 7.0))
        slot = beside.slot[row]
        found[_NIGHT], found[_HEAPED] = beside.night[carrier, slot], beside.heaped[carrier, slot]
        here, there = columns.here[row], columns.there[row]
        if here >= 0 and there >= 0:
            elsewhere = here >> 1 != there >> 1
            found[_OTHER_CITY] = elsewhere
            whole = here & 1 or there & 1
            found[_OTHER_DISTRICT] = not elsewhere and not whole and not columns.same[row]
        if beside.km_cell[row] >= 0:
            found[_FAR] = min(max(beside.far[carrier, beside.km_cell[row]] - 1.0, 0.0), 3.0)
        found[_LOCKER] = unheld and to == LOCKER
        found[_STATION] = unheld and to == STATION
        found[_PROXY] = to == PROXY
        found[_SAFE_PLACE] = to == SAFE_PLACE
        if math.isfinite(columns.excess[row]):
            found[_COURIER] = min(max(columns.excess[row], -1.5), 3.0)
        logit = intercept
        for at in range(len(weights)):
            logit += found[at] * weights[at]
        striking = logit > least
        stays = striking or ordinary % stride == 0
        if stays or columns.courier[row] >= 0:
            blame[row] = 1.0 / (1.0 + math.exp(found[_COURIER] * weights[_COURIER] - logit))
        rows[kept], odd[kept] = row, striking
        kept += stays
        ordinary += not striking
    return out[:kept], odd[:kept], rows[:kept], blame


@njit(cache=True, nogil=True)
def _impossible(occurred: int, accepted: int, ordered: int, offset: int) -> bool:
    """Handed over before it was ordered, signed before it was handed over: clocks may differ by a minute."""
    at = _day_ends(occurred, offset) + MINUTE
    handed, begun = np.int64(accepted) * SECOND, np.int64(ordered) * SECOND
    if handed > 0 and (at < handed or (begun > 0 and _day_ends(handed, offset) + MINUTE < begun)):
        return True
    return bool(begun > 0 and at < begun)


@njit(cache=True, nogil=True)
def _day_ends(at: Any, offset: int) -> Any:
    """As `detectors.clock.day_ends`."""
    return at + DAY if at % DAY == 0 or (at + offset) % DAY == 0 else at


@njit(cache=True, nogil=True)
def add_one(counts: Any, carrier: Any, cell: Any) -> None:
    """Of each that has a cell."""
    for row in range(len(cell)):
        if cell[row] >= 0:
            counts[carrier[row], cell[row]] += 1.0
