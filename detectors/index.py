"""Numbers of names in the order in which they were first heard of.

Of the thousands of names of a first hour most are only ever counted: a name that comes as the code of a column is asked
for its text when somebody wants to know it, or when another vocabulary speaks of the same things.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.tables import I64, Coded, Texts

_UNKNOWN: Final = -2
NO_ROOM: Final = -1


class Index:
    """Bounded by `capacity`; a name that finds no room has the number -1."""

    def __init__(self, capacity: int = 2**31) -> None:
        self._capacity = capacity
        self.restore(())

    def restore(self, names: Iterable[str]) -> None:
        """These and no others."""
        self._names = list(map(str, names))
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._codes: I64 = np.zeros(0, np.int64)  # of the numbers above those of `_names`
        self._texts: Texts | None = None
        self._known: I64 = self._codes  # by code
        self._by_code = 0  # how many numbers have a code in this vocabulary
        self._asked: npt.NDArray[Any] | None = None
        self._answer = self._lines = self._codes

    def __len__(self) -> int:
        return len(self._names) + len(self._codes)

    def of(self, column: Coded, absent: int = NO_ROOM) -> I64:
        """Enters what is new, in the order of the rows. Not to be written to."""
        if column.texts is self._texts and column.codes is self._asked and self._known[0] == absent:
            return self._answer
        if column.texts is not self._texts:
            self._ask()
            self._texts, self._known, self._by_code = column.texts, np.zeros(1, np.int64), 0
        self._known[0] = absent
        if len(self._known) < len(column.texts):
            more = np.full(len(column.texts) - len(self._known), _UNKNOWN, np.int64)
            self._known = np.concatenate([self._known, more])
        found: I64 = self._known.take(column.codes)
        if len(found) and found.min() == _UNKNOWN:
            self._enter(column.texts, column.codes[found == _UNKNOWN])
            found = self._known.take(column.codes)
        self._asked, self._answer, self._lines = column.codes, found, self._known[:0]
        return found

    def lines(self) -> I64:
        """Of each number its row in the column that was asked for last; -1 where it is in none."""
        if len(self._lines) != len(self):
            self._lines = np.full(len(self), -1, np.int64)
            named = np.flatnonzero(self._answer >= 0)
            self._lines[self._answer[named]] = named
        return self._lines

    def number(self, name: str) -> int:
        """Entered where it is new."""
        known = self.known(name)
        if known < 0 and len(self) < self._capacity:
            known = self._numbers[name] = len(self._names)
            self._names.append(name)
        return known

    @property
    def full(self) -> bool:
        return len(self) >= self._capacity

    def replace(self, numbers: I64, column: Coded) -> None:
        """Gives numbers in use to names without one: `column` has one of the vocabulary that was asked for last for each
        number. Who had them is as whoever found no room.
        """
        self._ask()
        had = np.zeros(len(self) + 1, np.bool_)  # the last one is nobody's, and that of NO_ROOM
        had[numbers] = True
        known = self._known[1:]
        known[had[np.maximum(known, NO_ROOM)]] = NO_ROOM
        for number, name in zip(numbers.tolist(), column.labels(), strict=True):
            del self._numbers[self._names[number]]
            self._names[number] = name or ""
            self._numbers[name or ""] = number
        self._known[column.codes] = numbers
        self._asked = None

    def known(self, name: str) -> int:
        """-1 for what was never heard of."""
        self._ask()
        return self._numbers.get(name, NO_ROOM)

    def name(self, number: int) -> str:
        if number < len(self._names):
            return self._names[number]
        return self._text(self._codes[number - len(self._names)])

    def names(self) -> Sequence[str]:
        self._ask()
        return self._names

    def _enter(self, texts: Texts, codes: npt.NDArray[Any]) -> None:
        if self._by_code < len(self):  # one of the others may be meant
            for code in dict.fromkeys(codes.tolist()):
                number = self._known[code] = self.number(texts[code] or "")
                self._by_code += number >= 0
            return
        fresh = codes.astype(np.int64)
        if (fresh[1:] <= fresh[:-1]).any():
            _, first = np.unique(fresh, return_index=True)
            fresh = fresh[np.sort(first)]
        entered = fresh[: max(self._capacity - len(self), 0)]
        self._known[fresh] = NO_ROOM
        self._known[entered] = np.arange(len(self), len(self) + len(entered))
        self._codes = np.concatenate([self._codes, entered])
        self._by_code = len(self)

    def _ask(self) -> None:
        if not len(self._codes):
            return
        first, names = len(self._names), [self._text(code) for code in self._codes.tolist()]
        self._codes = self._codes[:0]
        self._names += names
        self._numbers.update(zip(names, range(first, len(self._names)), strict=True))

    def _text(self, code: int) -> str:
        return (None if self._texts is None else self._texts[int(code)]) or ""
