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

BINS: Final = 104
FIRST: Final = 900
USUALLY_STAYING: Final = 0.6  # of what reaches its limit, `ahead` longer; and the cases that this weighs
FEW: Final = 5.0
PER_OCTAVE: Final = 8
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True, error_model="numpy")
def _survival(
    ends: Any, still: Any, prior: Any, weight: float, lowest: float, at_risk: Any, alive: Any
) -> Any:
    """Of one cell, with the hazards of `hazards`: those that reached each bin, and the share alive after it, down to the
    first below `lowest`. Returns how many bins that are, and the cases that ended.
    """
    reached, cases = 0.0, 0.0
    for place in range(BINS - 1, -1, -1):
        reached += ends[place] + still[place]
        cases += ends[place]
        at_risk[place] = reached
    left = 1.0
    for place in range(BINS):
        denominator = at_risk[place] + weight
        if denominator > 0:
            left *= 1.0 - min((ends[place] + weight * prior[place]) / denominator, 1.0)
        alive[place] = left
        if left < lowest:
            return place + 1, cases
    return BINS, cases


@njit(cache=True, nogil=True)
def _first_below(alive: Any, bins: int, share: float) -> float:
    """As `when_below`, of the survival."""
    for place in range(bins):
        if alive[place] < share:
            return _within(place, 1.0 if place == 0 else alive[place - 1], alive[place], share)
    return math.inf


@njit(cache=True, nogil=True)
def _reaching(ends: Any, at_risk: Any, limit: float, ahead: float) -> Any:
    """Cases that reached the limit, and of them those that lasted `ahead` longer; of those still open before that,
    nobody knows yet.
    """
    first, later = bin_of(int(limit)) + 1, bin_of(int(limit + ahead)) + 1
    reaching = 0.0
    for place in range(first, min(later, BINS)):
        reaching += ends[place]
    lasting = at_risk[later] if later < BINS else 0.0
    return reaching + lasting, lasting


@njit(cache=True, nogil=True)
def _gather(ends: Any, still: Any, fade: Any, all_ends: Any, all_still: Any) -> None:
    """Fades a cell, and adds it to its group's."""
    for place in range(BINS):
        ends[place] *= fade
        all_ends[place] += ends[place]
        all_still[place] += still[place]


@njit(cache=True, nogil=True)
def estimate(
    ends: Any,
    still: Any,
    fade: Any,
    group_of: Any,
    groups: Any,
    lanes: int,
    shares: Any,
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
    alpha: Any,
    quick_margin: Any,
    ahead: float,
    by_segment: Any,
    by_group: Any,
    limit: Any,
    quick: Any,
    median: Any,
    cases: Any,
    staying: Any,
) -> None:
    """What is usual, for lanes 0..lanes of each segment: fades `ends`, fills hazards of segments and groups, limits, medians, cases.

    `ends`, `still` [lane, segment, bin]; `group_of` [segment, lane], one of `groups` [segment], is what a lane borrows
    from. A leg is a stall after `stretch` times what all but the segment's share of its lane need, and `margin`; no
    sooner than `onward_share` of the lane's limit (as of the last time) on the segment that `onward` names (-1: none),
    and `onward_margin`. `quick` is `quick_margin` after what all but `alpha` need, never more than the limit. A segment
    with fewer than `ready` cases has its default as limit and no median. `staying`, per segment, is the share of
    legs that last `ahead` longer, of those that reach their limit.
    """
    nothing = np.zeros(BINS, np.float32)
    seen = np.zeros(lanes + 1, np.bool_)
    parents = np.zeros(
        (by_group.shape[0], 3)
    )  # of a lane that has nothing of its own: by share, median, by alpha
    at_risk, alive = np.zeros(BINS), np.zeros(BINS)
    for segment in range(ends.shape[1]):
        share = shares[segment]
        lowest = min(share, alpha[segment], 0.5)
        group_ends = np.zeros((groups[segment], BINS))
        group_still = np.zeros((groups[segment], BINS))
        for lane in range(lanes + 1):
            mine, open_ones = ends[lane, segment], still[lane, segment]
            seen[lane] = _any(mine) or _any(open_ones)
            if seen[lane]:
                _gather(
                    mine,
                    open_ones,
                    fade,
                    group_ends[group_of[segment, lane]],
                    group_still[group_of[segment, lane]],
                )
        all_ends, all_still = np.zeros(BINS), np.zeros(BINS)
        for group in range(groups[segment]):
            all_ends += group_ends[group]
            all_still += group_still[group]
        total = hazards(all_ends, all_still, nothing, 0.0, by_segment[segment])
        for group in range(groups[segment]):
            own = by_group[group, segment]
            hazards(group_ends[group], group_still[group], by_segment[segment], weight, own)
            bins, _ = _survival(nothing, nothing, own, weight, lowest, at_risk, alive)
            parents[group, 0] = _first_below(alive, bins, share)
            parents[group, 1] = _first_below(alive, bins, 0.5)
            parents[group, 2] = _first_below(alive, bins, alpha[segment])
        reaching, lasting = 0.0, 0.0
        for lane in range(lanes + 1):
            group = group_of[segment, lane]
            found, middle, nearly = parents[group, 0], parents[group, 1], parents[group, 2]
            cases[lane, segment] = 0.0
            if seen[lane]:
                mine, open_ones = ends[lane, segment], still[lane, segment]
                bins, ended = _survival(
                    mine, open_ones, by_group[group, segment], weight, lowest, at_risk, alive
                )
                cases[lane, segment] = ended
                middle, nearly = _first_below(alive, bins, 0.5), _first_below(alive, bins, alpha[segment])
                found = middle if share == 0.5 else _first_below(alive, bins, share)
            if total < ready:
                limit[lane, segment] = default[segment]
                quick[lane, segment] = default[segment]
                median[lane, segment] = 0.0
                continue
            found = found * stretch[segment] + margin[segment]
            if onward[segment] >= 0:
                found = max(found, limit[lane, onward[segment]] * onward_share + onward_margin)
            found = min(max(found, floor[segment]), ceiling[segment])
            limit[lane, segment] = np.uint32(found)
            quick[lane, segment] = np.uint32(min(max(nearly + quick_margin[segment], floor[segment]), found))
            if seen[lane]:
                more, longer = _reaching(ends[lane, segment], at_risk, found, ahead)
                reaching += more
                lasting += longer
            median[lane, segment] = middle if middle < math.inf else 0.0
        staying[segment] = (lasting + USUALLY_STAYING * FEW) / (reaching + FEW)
