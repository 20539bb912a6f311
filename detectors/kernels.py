"""Compiled arithmetic of learned durations: log bins, Kaplan-Meier with shrinkage, limits.

Durations are seconds of business time, counted in `BINS` bins: bin 0 is below `FIRST`, then eight bins an octave
up to some 78 days; the last bin is open. Bin edges are whole seconds, so that every machine bins alike.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.compiling import kernel

BINS: Final = 104
FIRST: Final = 900
PER_OCTAVE: Final = 8
_PART: Final = BINS // 4
NEAR: Final = 2 / 3  # of the ceiling of a leg
BEYOND: Final = 1.5
# EDGES[b] is the lowest duration of bin b + 1.
EDGES: Final[npt.NDArray[np.int64]] = np.ceil(FIRST * 2 ** (np.arange(BINS) / PER_OCTAVE)).astype(np.int64)


# By sixty-fourths of an octave from one second on, which are the upper bits of a 32-bit float: the bin at the lower
# end of each, and the logarithm in its middle.
_SHIFT: Final = 17
_LOW: Final = int(np.float32(1).view(np.int32)) >> _SHIFT
_STEPS: Final = np.arange(_LOW, (int(np.float32(EDGES[-1]).view(np.int32)) >> _SHIFT) + 2, dtype=np.int32)
_ENDS: Final = (_STEPS << _SHIFT).view(np.float32)
_GUESS: Final[npt.NDArray[np.uint8]] = np.minimum(
    np.searchsorted(EDGES, _ENDS[:-1], side="right"), BINS - 1
).astype(np.uint8)
_LOG: Final[npt.NDArray[np.float32]] = np.log((_ENDS[:-1] + _ENDS[1:]) / 2).astype(np.float32)


@njit(cache=True, nogil=True, inline="always")
def _step_of(seconds: int) -> Any:
    return min((np.float32(max(seconds, 1)).view(np.int32) >> _SHIFT) - _LOW, len(_GUESS) - 1)


@njit(cache=True, nogil=True, inline="always")
def log_of(seconds: int) -> float:
    """The natural logarithm of a duration of at least a second, to half a hundredth."""
    return np.float64(_LOG[_step_of(seconds)])


@njit(cache=True, nogil=True, inline="always")
def bin_of(seconds: int) -> Any:
    """Without a branch: a step is an eighth of a bin, so it holds one edge at most."""
    guess: Any = np.int64(_GUESS[_step_of(seconds)])
    return min(guess + np.int64(seconds >= EDGES[guess]), BINS - 1)


@kernel
def hazards(ends: Any, still: Any, prior: Any, weight: float, out: Any) -> float:
    """Of one cell: the share of those that reached a bin that ended in it, shrunk towards `prior`.

    `ends` are durations that ended, `still` the open ones by their age now (censored there). A prior with weight w
    counts as w more cases at risk in each bin. Returns the cases that ended.
    """
    at_risk = 0.0
    cases = 0.0
    for place in range(BINS - 1, -1, -1):
        at_risk += ends[place] + still[place]
        cases += ends[place]
        denominator = at_risk + weight
        out[place] = min((ends[place] + weight * prior[place]) / denominator, 1.0) if denominator > 0 else 0.0
    return cases


@njit(cache=True, nogil=True)
def when_below(hazard: Any, share: float) -> float:
    """The duration at which the survival falls below `share`, between the edges by the hazard's logarithm; inf: never."""
    alive = 1.0
    for place in range(BINS):
        after = alive * (1.0 - hazard[place])
        if after < share:
            return _within(place, alive, after, share)
        alive = after
    return math.inf


@njit(cache=True, nogil=True, inline="always")
def _within(place: int, before: float, after: float, share: float) -> float:
    """Where in a bin the survival passes `share`, which lies between what it is before the bin and after it."""
    low = 0.0 if place == 0 else float(EDGES[place - 1])
    if place == BINS - 1:
        return low
    high = float(EDGES[place])
    if after <= 0.0:
        return low + (before - share) / before * (high - low)
    return low + math.log(before / share) / math.log(before / after) * (high - low)


@njit(cache=True, nogil=True)
def alive_at(hazard: Any, age: float) -> float:
    """The survival at an age, between the edges by the hazard's logarithm."""
    place = bin_of(int(age))
    alive = 1.0
    for below in range(place):
        alive *= 1.0 - hazard[below]
    if place == BINS - 1 or hazard[place] >= 1.0:
        return alive
    low = 0.0 if place == 0 else float(EDGES[place - 1])
    return alive * (1.0 - hazard[place]) ** ((age - low) / (float(EDGES[place]) - low))


@njit(cache=True, nogil=True, inline="always")
def _any(counts: Any) -> Any:
    """Whether a cell is not empty: as whole numbers, which are looked at several at a time."""
    bits = counts.view(np.int32)
    found = np.int32(0)
    for place in range(BINS):
        found |= bits[place]
    return found != 0


@kernel
def _count(ends: Any, still: Any, at_risk: Any) -> float:
    """Of one cell, those that reached each bin. Returns the cases that ended.

    Four parts of it are summed side by side: each sum is a chain of additions that wait for one another.
    """
    first, second, third, last = 0.0, 0.0, 0.0, 0.0
    cases = 0.0
    for place in range(_PART - 1, -1, -1):
        first += ends[place] + still[place]
        second += ends[place + _PART] + still[place + _PART]
        third += ends[place + 2 * _PART] + still[place + 2 * _PART]
        last += ends[place + 3 * _PART] + still[place + 3 * _PART]
        at_risk[place], at_risk[place + _PART] = first, second
        at_risk[place + 2 * _PART], at_risk[place + 3 * _PART] = third, last
        early = np.float64(ends[place]) + np.float64(ends[place + _PART])
        cases += early + (np.float64(ends[place + 2 * _PART]) + np.float64(ends[place + 3 * _PART]))
    third += last
    second += third
    for place in range(_PART):
        at_risk[place] += second
        at_risk[place + _PART] += third
        at_risk[place + 2 * _PART] += last
    return cases


@kernel
def _lead(hazard: Any) -> int:
    place = 0
    while place < BINS and hazard[place] == 0.0:
        place += 1
    return place


@kernel
def _fall(ends: Any, at_risk: Any, prior: Any, weight: float, lead: int, shares: Any, found: Any) -> None:
    """Durations at which the survival of one cell, with the hazards of `hazards`, falls below each of `shares`, which
    fall themselves; inf where it never does. Nothing ends before the bin `lead`.
    """
    found[:] = math.inf
    number = 0
    alive = 1.0
    for place in range(lead, BINS):
        denominator = at_risk[place] + weight
        if not denominator > 0:
            continue
        after = alive * (1.0 - min((ends[place] + weight * prior[place]) / denominator, 1.0))
        while after < shares[number]:
            same = number > 0 and shares[number] == shares[number - 1]
            found[number] = found[number - 1] if same else _within(place, alive, after, shares[number])
            number += 1
            if number == len(shares):
                return
        alive = after


@kernel
def _reach(ends: Any, at_risk: Any, limit: float, ahead: float, reaching: Any) -> None:
    """Counts cases that reached the limit, and of them those that lasted `ahead` longer; of those still open before
    that, nobody knows yet.
    """
    first, later = bin_of(int(limit)) + 1, bin_of(int(limit + ahead)) + 1
    ended = 0.0
    for place in range(first, min(later, BINS)):
        ended += ends[place]
    lasting = at_risk[later] if later < BINS else 0.0
    reaching[0] += ended + lasting
    reaching[1] += lasting


@kernel
def gather(
    ends: Any,
    still: Any,
    fade: Any,
    wanted: Any,
    group_of: Any,
    first: Any,
    groups: Any,
    lanes: int,
    seen: Any,
    gathered: Any,
) -> None:
    """Fades `ends` of lanes 0..lanes by the segment's `fade`, and sums their cells by group: of the segments `wanted`.

    `gathered` [ended or still open, group of any segment, bin]; those of a segment begin at `first`. `seen`
    [lane, segment] is whether there is anything in a cell. Lane by lane, as cells lie in memory, which is most of
    what this costs.
    """
    for segment in range(ends.shape[1]):
        if wanted[segment]:
            gathered[:, first[segment] : first[segment] + groups[segment]] = 0.0
    for lane in range(lanes + 1):
        for segment in range(ends.shape[1]):
            if not wanted[segment]:
                continue
            mine, open_ones = ends[lane, segment], still[lane, segment]
            seen[lane, segment] = _any(mine) or _any(open_ones)
            if seen[lane, segment]:
                group = first[segment] + group_of[segment, lane]
                all_ends, all_still = gathered[0, group], gathered[1, group]
                for place in range(BINS):
                    mine[place] *= fade[segment]
                    all_ends[place] += mine[place]
                    all_still[place] += open_ones[place]


@kernel
def borrow(
    gathered: Any,
    wanted: Any,
    first: Any,
    groups: Any,
    weight: float,
    shares: Any,
    common: Any,
    nobody: Any,
    total: Any,
    lead: Any,
    by_segment: Any,
    by_group: Any,
    times: Any,
) -> None:
    """Hazards of segments and groups from what was gathered: of the segments `wanted`.

    Also of each segment the cases and the first bin in which any ended, and `times` [group of any segment, share]: the
    durations of a lane that has nothing of its own. `common` [2, bin] is scratch, `nobody` [bin] is zero.
    """
    for segment in range(len(groups)):
        if not wanted[segment]:
            continue
        common[:] = 0.0
        all_ends, all_still, usual = common[0], common[1], by_segment[segment]
        for group in range(first[segment], first[segment] + groups[segment]):
            ends, still = gathered[0, group], gathered[1, group]
            for place in range(BINS):
                all_ends[place] += ends[place]
                all_still[place] += still[place]
        total[segment] = hazards(all_ends, all_still, nobody, 0.0, usual)
        lead[segment] = _lead(usual)
        for group in range(groups[segment]):
            one, own = first[segment] + group, by_group[group, segment]
            if total[segment] > 0:
                hazards(gathered[0, one], gathered[1, one], usual, weight, own)
                _fall(nobody, nobody, own, weight, lead[segment], shares[segment], times[one])
            else:
                own[:] = 0.0
                times[one, :] = math.inf


@kernel
def _limit(usual: float, tail: float, middle: float, own: bool, floor: float, ceiling: float) -> float:
    """Between the floor and the ceiling; beyond it where the middle of a lane's `own` cases lies near it or beyond: the
    half of them is no broken lane, but by no more than `BEYOND` of the tail.
    """
    slow = own and middle >= NEAR * ceiling and usual < math.inf
    top = max(ceiling, min(usual, BEYOND * tail)) if slow else ceiling
    return min(max(usual, floor), top)


@kernel
def estimate(
    ends: Any,
    still: Any,
    seen: Any,
    group_of: Any,
    first: Any,
    lanes: int,
    shares: Any,
    ranks: Any,
    weight: float,
    ready: float,
    floor: Any,
    default: Any,
    ceiling: Any,
    stretch: Any,
    margin: Any,
    onward: Any,
    onward_share: float,
    onward_margin: float,
    quick_margin: Any,
    ahead: float,
    wanted: Any,
    news: Any,
    part: float,
    total: Any,
    lead: Any,
    by_group: Any,
    times: Any,
    at_risk: Any,
    own_times: Any,
    reaching: Any,
    limit: Any,
    quick: Any,
    median: Any,
    cases: Any,
) -> None:
    """What is usual, for lanes 0..lanes of each segment, after `gather` and `borrow`: limits, medians, cases.

    `ends`, `still` [lane, segment, bin]; `group_of` [segment, lane] is what a lane borrows from. `shares` [segment, 3],
    falling, are those for which durations are asked, and `ranks` which of them makes the limit, the median and
    `quick`. A leg is a stall after `stretch` times what all but its share of its lane need, and `margin`; no sooner than
    `onward_share` of the lane's limit (as of the last time) on the segment that `onward` names (-1: none), and
    `onward_margin`; see `_limit`. `quick` is `quick_margin` after what all but its share need, never more than the limit. A segment
    with fewer than `ready` cases has its default as limit and no median. `reaching` [segment, 2]: legs that reach
    their limit, and those of them that last `ahead` longer. `at_risk` [bin] and `own_times` [3] are scratch.

    Of the segments `wanted`; of the others only cells where `news` [lane, segment], the cases since their last
    estimate, are more than `part` of all that the answer hangs on, and these do not count as `reaching`.
    """
    for segment in range(len(wanted)):
        if wanted[segment]:
            reaching[segment] = 0.0
    for lane in range(lanes + 1):
        for segment in range(ends.shape[1]):
            few = news[lane, segment] <= part * max(cases[lane, segment] + weight, 1.0)
            if few and not wanted[segment]:
                continue
            mine = ends[lane, segment]
            known = seen[lane, segment] = seen[lane, segment] or news[lane, segment] > 0
            news[lane, segment] = 0.0
            cases[lane, segment] = _count(mine, still[lane, segment], at_risk) if known else 0.0
            if total[segment] < ready:
                limit[lane, segment] = default[segment]
                quick[lane, segment] = default[segment]
                median[lane, segment] = 0.0
                continue
            group = group_of[segment, lane]
            found = times[first[segment] + group]
            if known:
                found = own_times
                _fall(mine, at_risk, by_group[group, segment], weight, lead[segment], shares[segment], found)
            middle = found[ranks[segment, 1]]
            usual = found[ranks[segment, 0]] * stretch[segment] + margin[segment]
            if onward[segment] >= 0:
                usual = max(usual, limit[lane, onward[segment]] * onward_share + onward_margin)
            own = cases[lane, segment] >= ready
            usual = _limit(usual, found[ranks[segment, 0]], middle, own, floor[segment], ceiling[segment])
            nearly = max(found[ranks[segment, 2]] + quick_margin[segment], floor[segment])
            limit[lane, segment] = np.uint32(usual)
            quick[lane, segment] = np.uint32(min(nearly, usual))
            median[lane, segment] = middle if middle < math.inf else 0.0
            if known and wanted[segment]:
                _reach(mine, at_risk, usual, ahead, reaching[segment])
