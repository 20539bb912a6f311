"""Sign-offs that may still turn out false, in columns: those that looked odd, and a sample of the others.

The oldest comes first; one that is put again goes to the end. Beyond `capacity` the oldest goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np

from detectors.findings import Instant
from detectors.signoff_features import AT, FEATURES
from detectors.tables import F64, I64, Coded, Texts

_FIRST: Final = 1024
_SOME: Final = 512
_COURIER: Final = AT["courier"]


class Places(NamedTuple):
    """Of a sign-off: names, as far as they are known."""

    carrier: str | None
    courier: str | None
    facility: str | None
    region: str | None
    feed: str | None


_COURIER_NAME: Final = Places._fields.index("courier")


@dataclass(frozen=True, slots=True)
class Kept:
    """One sign-off as it stands; its names are looked up when they are asked for."""

    occurred: Instant
    row: F64
    told: float
    order: bool
    texts: Sequence[Texts]
    codes: I64

    @property
    def places(self) -> Places:
        return Places(*(text[code] for text, code in zip(self.texts, self.codes.tolist(), strict=True)))


class SignoffsKept:
    """By place: `rows` of features, `told` (log odds that complaints add), `weight` (ordinary sign-offs that it stands
    for), `counted` (what its courier was charged).
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._index: OrderedDict[str, int] = OrderedDict()
        self._free: list[int] = []
        self.rows: F64 = np.zeros((0, len(FEATURES)))
        self.occurred: I64 = np.zeros(0, np.int64)
        self.told, self.weight, self.counted = np.zeros(0), np.zeros(0), np.zeros(0)
        self._texts: list[
            Sequence[Texts]
        ] = []  # of each place the vocabularies of its names, and its codes in them
        self._codes: I64 = np.zeros((0, len(Places._fields)), np.int64)
        self.order: list[bool] = []  # it is about an order, not a parcel

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, name: str) -> bool:
        return name in self._index

    def place(self, name: str) -> int | None:
        return self._index.get(name)

    def kept(self, place: int) -> Kept:
        return Kept(
            int(self.occurred[place]),
            self.rows[place].copy(),
            float(self.told[place]),
            self.order[place],
            self._texts[place],
            self._codes[place].copy(),
        )

    def couriers(self, places: Sequence[int]) -> list[tuple[int, str]]:
        """Which of these have one, and who."""
        codes = self._codes[places, _COURIER_NAME]
        named = (
            (at, self._texts[places[at]][_COURIER_NAME][int(codes[at])])
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
        if any(name in self._index for name in names) or len(set(names)) < len(names):
            for at, name in enumerate(names):
                where = Places(*(column.texts[int(column.codes[at])] for column in places))
                place = self.put(name, int(occurred[at]), rows[at], where, opened=opened(name))
                if place is not None:
                    self.weight[place], self.counted[place] = weight[at], counted[at]
            return
        room = self._room(len(names))
        self.occurred[room], self.rows[room], self.told[room] = occurred, rows, 0.0
        self.weight[room], self.counted[room] = weight, counted
        for at, column in enumerate(places):
            self._codes[room, at] = column.codes
        texts = tuple(column.texts for column in places)
        for name, place in zip(names, room, strict=True):
            self._index[name] = place
            self._texts[place], self.order[place] = texts, False
        self._bound()

    def put(
        self, name: str, occurred: Instant, row: F64, places: Places, *, opened: bool = False
    ) -> int | None:
        """Heard of before it was signed, or signed twice: what was odd stays odd. Its place, if there is room."""
        before = self._index.pop(name, None)
        if before is None:
            (place,) = self._room(1)
            self.rows[place], self.told[place] = row, 0.0
            self.occurred[place] = occurred
        else:
            place = before
            self.rows[place] = np.where(
                np.arange(len(row)) == _COURIER, row, np.maximum(self.rows[place], row)
            )
            self.occurred[place] = self.occurred[place] if opened else occurred
        self.weight[place], self.counted[place] = 1.0, 0.0
        self._texts[place], self._codes[place] = (
            [(None, text) for text in places],
            1,
        )  # each its own vocabulary
        self.order[place] = False
        self._index[name] = place
        self._bound()
        return self._index.get(name)

    def older(self, than: Instant) -> list[int]:
        """Takes out, oldest first, until one signed at `than` or later; their places stand until the next `put`."""
        due: list[int] = []
        places = iter(self._index.values())
        while some := list(islice(places, _SOME)):
            young = np.flatnonzero(self.occurred[some] > than)
            due += some[: young[0]] if len(young) else some
            if len(young):
                break
        for _ in due:
            self._index.popitem(last=False)
        self._free += due
        return due

    def _room(self, count: int) -> list[int]:
        while len(self._free) < count:
            size, more = len(self._texts), max(len(self._texts), _FIRST)
            self.rows = np.concatenate([self.rows, np.zeros((more, len(FEATURES)))])
            self.occurred = np.concatenate([self.occurred, np.zeros(more, np.int64)])
            for name in ("told", "weight", "counted"):
                setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more)]))
            self._codes = np.concatenate([self._codes, np.zeros((more, len(Places._fields)), np.int64)])
            self._texts += [()] * more
            self.order += [False] * more
            self._free += range(size + more - 1, size - 1, -1)
        taken = self._free[len(self._free) - count :]
        del self._free[len(self._free) - count :]
        return taken

    def _bound(self) -> None:
        while len(self._index) > self._capacity:
            self._free.append(self._index.popitem(last=False)[1])

    def state(self) -> list[list[Any]]:
        return [
            [
                name,
                int(self.occurred[place]),
                self.rows[place].tolist(),
                float(self.told[place]),
                float(self.weight[place]),
                float(self.counted[place]),
                *self.kept(place).places,
                self.order[place],
            ]
            for name, place in self._index.items()
        ]

    def restore(self, rows: Iterable[Sequence[Any]]) -> None:
        self.__init__(self._capacity)  # type: ignore[misc]
        for name, occurred, row, told, weight, counted, *places, order in rows:
            place = self.put(name, occurred, np.array(row, dtype=np.float64), Places(*places))
            if place is not None:
                self.told[place], self.weight[place], self.counted[place] = told, weight, counted
                self.order[place] = order
