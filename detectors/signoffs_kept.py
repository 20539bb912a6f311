"""Sign-offs that may still turn out false, in columns: those that looked odd, and a sample of the others.

The oldest comes first; one that is put again goes to the end. Beyond `capacity` the oldest goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.findings import Instant
from detectors.signoff_features import AT
from detectors.signoff_kernels import FEATURES
from detectors.tables import F64, I64, Coded, Texts

_FIRST: Final = 1024
_SOME: Final = 512
_COURIER: Final = AT["courier"]
_NOWHERE: Final = -1
_COLUMNS: Final = ("occurred", "told", "weight", "counted", "order", "_names", "_texts", "_turn")


class Places(NamedTuple):
    """Of a sign-off: names, as far as they are known."""

    carrier: str | None
    courier: str | None
    facility: str | None
    region: str | None
    feed: str | None


_COURIER_NAME: Final = Places._fields.index("courier")


@dataclass(frozen=True, slots=True)
class Vocabularies:
    """Of the names of `Places`."""

    texts: tuple[Texts, ...]


class Kept(msgspec.Struct, frozen=True, gc=False):
    """One sign-off as it stands; its names are looked up when they are asked for."""

    occurred: Instant
    row: F64
    told: float
    order: bool
    names: Vocabularies
    codes: I64

    @property
    def places(self) -> Places:
        return Places(*(text[code] for text, code in zip(self.names.texts, self.codes.tolist(), strict=True)))


class SignoffsKept:
    """By place: `rows` of features, `told` (log odds that complaints add), `weight` (ordinary sign-offs that it stands
    for), `counted` (what its courier was charged), `order` (it is about an order, not a parcel).
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._index: dict[str, int] = {}
        self.rows: F64 = np.zeros((0, len(FEATURES)))
        self.occurred: I64 = np.zeros(0, np.int64)
        self.told, self.weight, self.counted = np.zeros(0), np.zeros(0), np.zeros(0)
        self.order: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._names: npt.NDArray[np.object_] = np.zeros(0, object)
        self._texts: npt.NDArray[np.object_] = np.zeros(0, object)
        self._codes: I64 = np.zeros((0, len(Places._fields)), np.int64)
        self._free: I64 = np.zeros(0, np.int64)  # a stack
        self._spare = 0
        # Places by turn, the oldest first: those of [_head, _tail) whose `_turn` it still is.
        self._queue: I64 = np.zeros(_FIRST, np.int64)
        self._head = self._tail = 0
        self._turn: I64 = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def place(self, name: str) -> int | None:
        return self._index.get(name)

    def kept(self, places: I64) -> list[Kept]:
        columns = (self.occurred, self.rows, self.told, self.order, self._texts, self._codes)
        occurred, rows, told, order, texts, codes = (column[places] for column in columns)
        plain = occurred.tolist(), rows, told.tolist(), order.tolist(), texts.tolist(), codes
        return [Kept(*one) for one in zip(*plain, strict=True)]

    def couriers(self, places: I64) -> list[tuple[int, str]]:
        """Which of these have one, and who."""
        codes = self._codes[places, _COURIER_NAME]
        named = (
            (at, self._texts[places[at]].texts[_COURIER_NAME][int(codes[at])])
            for at in np.flatnonzero(codes).tolist()
        )
        return [(at, name) for at, name in named if name is not None]

    def put_many(
        self,
        names: Sequence[str],
        occurred: I64,
        rows: F64,
        weight: F64,
        counted: F64,
        places: Sequence[Coded],
        opened: Callable[[str], bool],
    ) -> None:
        """`places`: a column a name of `Places`. `opened` says of which an episode is open: its beginning stays."""
        if not self._index.keys().isdisjoint(names) or len(set(names)) < len(names):
            for at, name in enumerate(names):
                where = Places(*(column.texts[int(column.codes[at])] for column in places))
                place = self.put(name, int(occurred[at]), rows[at], where, opened=opened(name))
                if place is not None:
                    self.weight[place], self.counted[place] = weight[at], counted[at]
            return
        room = self._room(len(names))
        self.occurred[room], self.rows[room], self.told[room] = occurred, rows, 0.0
        self.weight[room], self.counted[room], self.order[room] = weight, counted, False
        for at, column in enumerate(places):
            self._codes[room, at] = column.codes
        self._texts[room] = Vocabularies(tuple(column.texts for column in places))
        self._names[room] = names
        self._index.update(zip(names, room.tolist(), strict=True))
        self._to_the_end(room)
        self._bound()

    def put(
        self, name: str, occurred: Instant, row: F64, places: Places, *, opened: bool = False
    ) -> int | None:
        """Heard of before it was signed, or signed twice: what was odd stays odd. Its place, if there is room."""
        before = self._index.get(name)
        if before is None:
            place = int(self._room(1)[0])
            self.rows[place], self.told[place] = row, 0.0
            self.occurred[place] = occurred
        else:
            place = before
            self.rows[place] = np.where(
                np.arange(len(row)) == _COURIER, row, np.maximum(self.rows[place], row)
            )
            self.occurred[place] = self.occurred[place] if opened else occurred
        self.weight[place], self.counted[place], self.order[place] = 1.0, 0.0, False
        # each its own vocabulary
        self._texts[place], self._codes[place] = Vocabularies(tuple((None, text) for text in places)), 1
        self._names[place], self._index[name] = name, place
        self._to_the_end(np.array([place]))
        self._bound()
        return self._index.get(name)

    def older(self, than: Instant) -> I64:
        """Takes out, oldest first, until one signed later than `than`; their places stand until the next `put`."""
        due = [np.zeros(0, np.int64)]
        while self._head < self._tail:
            some = self._queued(self._head, min(self._head + _SOME, self._tail))
            young = np.flatnonzero(self.occurred[some] > than)
            taken = some[: young[0]] if len(young) else some
            due.append(taken)
            self._head = (
                int(self._turn[some[young[0]]]) if len(young) else min(self._head + _SOME, self._tail)
            )
            if len(young):
                break
        out = np.concatenate(due)
        self._drop(out)
        return out

    def _queued(self, first: int, last: int) -> I64:
        places = self._queue[first:last]
        return np.asarray(places[self._turn[places] == np.arange(first, last)], np.int64)

    def _to_the_end(self, places: I64) -> None:
        if self._tail + len(places) > len(self._queue):
            waiting = self._queued(self._head, self._tail)
            self._queue = np.zeros(2 * (len(waiting) + len(places)) + _FIRST, np.int64)
            self._queue[: len(waiting)] = waiting
            self._turn[waiting] = np.arange(len(waiting))
            self._head, self._tail = 0, len(waiting)
        end = self._tail + len(places)
        self._queue[self._tail : end] = places
        self._turn[places] = np.arange(self._tail, end)
        self._tail = end

    def _drop(self, places: I64) -> None:
        for name in self._names[places].tolist():
            del self._index[name]
        self._turn[places] = _NOWHERE
        self._free[self._spare : self._spare + len(places)] = places
        self._spare += len(places)

    def _room(self, count: int) -> I64:
        while self._spare < count:
            size, more = len(self._turn), max(len(self._turn), _FIRST)
            self.rows = np.concatenate([self.rows, np.zeros((more, len(FEATURES)))])
            self._codes = np.concatenate([self._codes, np.zeros((more, len(Places._fields)), np.int64)])
            for name in _COLUMNS:
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros(more, column.dtype)]))
            self._turn[size:] = _NOWHERE
            free = np.arange(size + more - 1, size - 1, -1)
            self._free = np.concatenate([self._free[: self._spare], free, np.zeros(size, np.int64)])
            self._spare += more
        self._spare -= count
        return self._free[self._spare : self._spare + count].copy()

    def _bound(self) -> None:
        while len(self._index) > self._capacity:
            oldest = self._queued(self._head, self._head + 1)
            self._head += 1
            self._drop(oldest)

    def state(self) -> list[list[Any]]:
        places = self._queued(self._head, self._tail)
        columns = (self._names, self.weight, self.counted)
        more = zip(*(column[places].tolist() for column in columns), strict=True)
        return [
            [name, one.occurred, one.row.tolist(), one.told, weight, counted, *one.places, one.order]
            for one, (name, weight, counted) in zip(self.kept(places), more, strict=True)
        ]

    def restore(self, rows: Iterable[Sequence[Any]]) -> None:
        self.__init__(self._capacity)  # type: ignore[misc]
        for name, occurred, row, told, weight, counted, *places, order in rows:
            place = self.put(name, occurred, np.array(row, dtype=np.float64), Places(*places))
            if place is not None:
                self.told[place], self.weight[place], self.counted[place] = told, weight, counted
                self.order[place] = order
