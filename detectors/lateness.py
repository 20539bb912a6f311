"""The probability that a promise will be missed: small tables whose cells add up on the logit scale.

Each table is looked up with two or three small numbers known at the moment of the look (days to the promise, days
since hand-over, working days, weekday, how long the promise was, how late the hand-over, lane, carrier) and every cell
learns by its own gradient step, so often-seen cells settle and rare ones stay near nothing. Labels come at
delivery or when the promise has passed; the days before are then taught as they looked on those days.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

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
_STEP: Final = 0.15
_CURVATURE: Final = 0.15  # of the logistic loss, about p(1 - p)
_FORGET: Final = 0.999  # a day, of how settled the cells are
_CHUNK: Final = 20_000


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

    def take(self, rows: npt.NDArray[Any]) -> Known:
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
        self._count = np.cumsum(works)

    def between(self, first: I64, last: I64) -> I64:
        limit = len(self._count) - 1
        return np.asarray(self._count[np.clip(last, 0, limit)] - self._count[np.clip(first, 0, limit)])


class Lateness:
    def __init__(self, working: WorkingDays) -> None:
        self._working = working
        self._weights = {name: np.zeros(shape) for name, shape in _SHAPES.items()}
        self._settled = {name: np.ones(shape) for name, shape in _SHAPES.items()}
        # lanes and carriers borrow from the rest until they have many cases of their own
        self._settled["near_lane"] += 2.0
        self._settled["near_carrier"] += 2.0

    def logit(self, known: Known) -> F64:
        total = np.zeros(len(known))
        for name, cells in self._cells(known).items():
            total += self._weights[name][cells]
        return total

    def learn(self, known: Known, late: npt.NDArray[np.bool_]) -> None:
        for start in range(0, len(known), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(known)))
            part = known.take(rows)
            cells = self._cells(part)
            logit = np.zeros(len(part))
            for name, at in cells.items():
                logit += self._weights[name][at]
            miss = late[rows] - 1.0 / (1.0 + np.exp(-logit))
            for name, at in cells.items():
                settled, weights = self._settled[name], self._weights[name]
                np.add.at(settled, at, _CURVATURE)
                np.add.at(weights, at, _STEP * miss / settled[at] ** 0.75)

    def forget(self, days: float) -> None:
        for settled in self._settled.values():
            np.maximum(settled * _FORGET**days, 1.0, out=settled)

    def _cells(self, known: Known) -> dict[str, tuple[I64, ...]]:
        left = np.clip(known.promised - known.today, 0, FAR)
        near = np.searchsorted(_NEAR, left, side="right")
        handed = known.handed >= 0
        start = np.where(handed, known.handed, known.ordered)
        since = np.maximum(known.today - start, 0)
        age = np.where(handed, np.minimum(since, _AGES - 1), _AGES + np.minimum(since, _WAITS - 1))
        horizon = np.searchsorted(_HORIZON, known.promised - known.ordered, side="right")
        wait = np.where(handed, np.clip(known.handed - known.ordered, 0, 14), 15)
        work_left = np.clip(self._working.between(known.today, known.promised), 0, 15)
        work_left = np.where(handed, work_left, 16)
        worked = np.clip(self._working.between(start, known.today), 0, 30)
        weekday = (known.today + 3) % 7
        return {
            "left_age": (left, age),
            "left": (left,),
            "age": (age,),
            "near_horizon": (near, horizon),
            "near_wait": (near, wait),
            "working": (work_left, worked),
            "working_left": (work_left,),
            "left_weekday": (left, weekday),
            "lane": (known.lane,),
            "near_lane": (near, known.lane),
            "near_carrier": (near, known.carrier),
        }

    def state(self) -> dict[str, Any]:
        """Cells that were never taught are left out: most lanes of the table are empty."""
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
