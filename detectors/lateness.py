"""The probability that a promise will be missed: small tables whose cells add up on the logit scale.

Each table is looked up with two or three small numbers known at the moment of the look (days to the promise, days
since hand-over, working days, weekday, how long the promise was, how late the hand-over, lane, carrier) and every cell
learns by its own gradient step, so often-seen cells settle and rare ones stay near nothing. Labels come at
delivery or when the promise has passed; the days before are then taught as they looked on those days.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

FAR: Final = 20  # days to the promise beyond which nothing is judged
_AGES: Final = 46
_WAITS: Final = 31  # days since the order, of parcels not yet handed over
_NEAR: Final = np.array([1, 2, 3, 4, 5, 7, 10, 14])
_HORIZON: Final = np.array([2, 4, 7, 10, 13, 16, 19, 22, 25, 28, 32, 37, 45])
_LANES: Final = 4096
_CARRIERS: Final = 256
_SHAPES: Final[Mapping[str, tuple[int, ...]]] = {
    "left_age": (FAR + 1, _AGES + _WAITS),
    "left": (FAR + 1,),
    "age": (_AGES + _WAITS,),
    "near_horizon": (9, 14),
    "near_wait": (9, 16),
    "working": (17, 32),
    "working_left": (17,),
    "left_weekday": (FAR + 1, 7),
    "lane": (_LANES,),
    "near_lane": (9, _LANES),
    "near_carrier": (9, _CARRIERS),
}
_TABLES: Final = len(_SHAPES)
_SIZES: Final = [math.prod(shape) for shape in _SHAPES.values()]
_STARTS: Final = dict(zip(_SHAPES, np.cumsum([0, *_SIZES[:-1]]).tolist(), strict=True))
_CELLS: Final = sum(_SIZES)
_S0, _S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8, _S9, _S10 = _STARTS.values()
_STEP: Final = 1.0 / _TABLES  # the tables move together: Newton's step is the sum of theirs
_SLOWER: Final = 0.8  # habits change, so steps shrink a little slower than the cases grow
_CURVATURE: Final = 0.15  # of the logistic loss, about p(1 - p)
_AT_FIRST: Final = -1.5  # log odds: most promises are kept, so what was never seen is no even chance
_FORGET: Final = 0.99  # a day, of how settled the cells are
_CHUNK: Final = 20_000
_TOGETHER: Final = 256


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of parcels on a day; days are whole local days since 1970, one element a parcel.

    `handed` is -1 where the carrier has not got the parcel yet.
    """

    today: I64
    ordered: I64
    handed: I64
    promised: I64
    lane: I64
    carrier: I64

    def __len__(self) -> int:
        return len(self.today)

    @classmethod
    def all_of(cls, parts: Sequence[Known]) -> Known:
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in cls.__slots__))

    def take(self, rows: npt.NDArray[Any] | slice) -> Known:
        return Known(*(getattr(self, name)[rows] for name in self.__slots__))


def lane_code(name: str) -> int:
    return zlib.crc32(name.encode()) % _LANES


def carrier_code(name: str) -> int:
    return zlib.crc32(name.encode()) % _CARRIERS


class WorkingDays:
    """Counts working days by local day; without days off given, Monday to Friday work."""

    def __init__(self, days_off: frozenset[int] = frozenset()) -> None:
        days = np.arange(45_000)
        works = (days + 3) % 7 < 5
        off = np.array(sorted(day for day in days_off if 0 <= day < len(days)), dtype=np.int64)
        works[off] = False
        self.count = np.cumsum(works)  # working days up to each day

    def between(self, first: I64, last: I64) -> I64:
        limit = len(self.count) - 1
        return np.asarray(self.count[np.clip(last, 0, limit)] - self.count[np.clip(first, 0, limit)])


class Lateness:
    def __init__(self, working: WorkingDays) -> None:
        self._working = working
        # One array for all tables; those by name are views of it.
        self._all_weights, self._all_settled = np.zeros(_CELLS), np.ones(_CELLS)
        self._weights = {name: _part(self._all_weights, name) for name in _SHAPES}
        self._settled = {name: _part(self._all_settled, name) for name in _SHAPES}
        self._weights["left"] += _AT_FIRST
        # lanes and carriers borrow from the rest until they have many cases of their own
        self._settled["near_lane"] += 2.0
        self._settled["near_carrier"] += 2.0

    def logit(self, known: Known) -> F64:
        return np.asarray(logits(self._cells(known), self._all_weights), np.float64)

    def learn(self, known: Known, late: npt.NDArray[np.bool_]) -> None:
        for start in range(0, len(known), _CHUNK):
            rows = slice(start, start + _CHUNK)
            teach(self._cells(known.take(rows)), late[rows], self._all_weights, self._all_settled)

    def forget(self, days: float) -> None:
        np.maximum(self._all_settled * _FORGET**days, 1.0, out=self._all_settled)

    def _cells(self, known: Known) -> npt.NDArray[np.int32]:
        return np.asarray(
            cells(
                known.today,
                known.ordered,
                known.handed,
                known.promised,
                known.lane,
                known.carrier,
                self._working.count,
            ),
            np.int32,
        )

    def state(self) -> dict[str, Any]:
        """Cells that were never taught are left out: most lanes of the table are empty. ("left" never is.)"""
        out: dict[str, Any] = {}
        for name, weights in self._weights.items():
            at = np.nonzero(weights.ravel())[0].astype(np.int32)
            out[name] = [pack(at), pack(weights.ravel()[at]), pack(self._settled[name].ravel()[at])]
        return out

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, (at, weights, settled) in state.items():
            rows = unpack(at)
            self._weights[name].ravel()[:] = 0.0
            self._weights[name].ravel()[rows] = unpack(weights)
            self._settled[name].ravel()[rows] = unpack(settled)


def days_out(known: Known, last: I64) -> tuple[Known, I64]:
    """Each parcel on each day from its order to `last` (its last day out) that is near enough to its promise.

    The second value says which parcel each row comes from.
    """
    first = np.maximum(known.ordered, known.promised - FAR)
    count = np.clip(np.minimum(last, known.promised) - first + 1, 0, 60)
    parcel = np.repeat(np.arange(len(known)), count)
    step = np.arange(len(parcel)) - np.repeat(np.cumsum(count) - count, count)
    today = first[parcel] + step
    rows = known.take(parcel)
    handed = np.where(rows.handed <= today, rows.handed, -1)
    return Known(today, rows.ordered, handed, rows.promised, rows.lane, rows.carrier), parcel


def _part(whole: F64, name: str) -> F64:
    start, shape = _STARTS[name], _SHAPES[name]
    return whole[start : start + math.prod(shape)].reshape(shape)


@njit(cache=True, nogil=True, inline="always")
def _place(edges: Any, value: int) -> int:
    """How many edges the value has reached."""
    place = 0
    while place < len(edges) and edges[place] <= value:
        place += 1
    return place


@njit(cache=True, nogil=True)
def cells(today: Any, ordered: Any, handed: Any, promised: Any, lane: Any, carrier: Any, working: Any) -> Any:
    """Where each parcel's cells lie, one row a parcel, one column a table. `working`: working days up to each day."""
    out = np.empty((len(today), _TABLES), np.int32)
    last = len(working) - 1
    for row in range(len(today)):
        left = min(max(promised[row] - today[row], 0), FAR)
        near = _place(_NEAR, left)
        out_of_house = handed[row] >= 0
        start = handed[row] if out_of_house else ordered[row]
        since = max(today[row] - start, 0)
        age = min(since, _AGES - 1) if out_of_house else _AGES + min(since, _WAITS - 1)
        horizon = _place(_HORIZON, promised[row] - ordered[row])
        wait = min(max(handed[row] - ordered[row], 0), 14) if out_of_house else 15
        first, now = min(max(start, 0), last), min(max(today[row], 0), last)
        due = min(max(promised[row], 0), last)
        work_left = min(max(working[due] - working[now], 0), 15) if out_of_house else 16
        worked = min(max(working[now] - working[first], 0), 30)
        weekday = (today[row] + 3) % 7
        out[row, 0] = _S0 + left * (_AGES + _WAITS) + age
        out[row, 1] = _S1 + left
        out[row, 2] = _S2 + age
        out[row, 3] = _S3 + near * 14 + horizon
        out[row, 4] = _S4 + near * 16 + wait
        out[row, 5] = _S5 + work_left * 32 + worked
        out[row, 6] = _S6 + work_left
        out[row, 7] = _S7 + left * 7 + weekday
        out[row, 8] = _S8 + lane[row]
        out[row, 9] = _S9 + near * _LANES + lane[row]
        out[row, 10] = _S10 + near * _CARRIERS + carrier[row]
    return out


@njit(cache=True, nogil=True)
def logits(at: Any, weights: Any) -> Any:
    out = np.zeros(len(at))
    for row in range(len(at)):
        for table in range(_TABLES):
            out[row] += weights[at[row, table]]
    return out


@njit(cache=True, nogil=True)
def teach(at: Any, late: Any, weights: Any, settled: Any) -> None:
    """A step for each few rows: judged before any of them has taught, each cell as settled as after all of them.

    One step for a whole day would go beyond what the day has seen.
    """
    for first in range(0, len(at), _TOGETHER):
        some = at[first : first + _TOGETHER]
        odds = logits(some, weights)
        for row in range(len(some)):
            for table in range(_TABLES):
                settled[some[row, table]] += _CURVATURE
        for row in range(len(some)):
            miss = (1.0 if late[first + row] else 0.0) - 1.0 / (1.0 + math.exp(-odds[row]))
            for table in range(_TABLES):
                weights[some[row, table]] += _STEP * miss / settled[some[row, table]] ** _SLOWER
