"""Columns of texts as the kernels see them: bytes, and where in them each row's text lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from monitor.columns import I32, U8, U32
from monitor.names import Interner

Rows: TypeAlias = npt.NDArray[np.intp]

_EMPTY: Final = np.frombuffer(b"", np.uint8)


@dataclass(frozen=True, slots=True)
class Column:
    """Texts: row r is the UTF-8 of `buffer[starts[r]:ends[r]]`, empty where absent."""

    buffer: U8
    starts: I32
    ends: I32

    def __len__(self) -> int:
        return len(self.starts)

    def flat(self) -> Column:
        return self

    def take(self, rows: Rows) -> Column:
        return Column(self.buffer, self.starts.take(rows), self.ends.take(rows))

    def strings(self) -> list[str]:
        data, spans = self.buffer.tobytes(), zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [data[start:end].decode("utf-8", "replace") for start, end in spans]

    def codes(self, interner: Interner) -> U32:
        if not len(self.buffer):
            return np.zeros(len(self), np.uint32)
        return interner.codes_at(self.buffer, self.starts, self.ends)

    def numbers(self, words: Words) -> U8 | None:
        """None where a text is no word of the list; 0 where there is none."""
        if not len(self.buffer):
            return np.zeros(len(self), np.uint8)
        codes, missing = words.known.found_at(self.buffer, self.starts, self.ends)
        return None if missing else words.values[codes]

    def known(self, words: Words) -> U8:
        """As `numbers`, but 0 also for what is no word of the list."""
        return words.values[words.known.found_at(self.buffer, self.starts, self.ends)[0]]

    def blanks(self) -> int:
        """Rows without a text."""
        return len(self) - int(np.count_nonzero(self.ends - self.starts))

    def lengths(self) -> tuple[int, int]:
        """The shortest and the longest text, in bytes."""
        return _lengths(self.starts, self.ends)

    def longest(self) -> int:
        return self.lengths()[1]


@dataclass(frozen=True, slots=True)
class Coded:
    """Texts of which many are alike: row r is `words` at `places[r]`.

    What is asked of each text is asked once a word. The last word is none: its place, or -1, says that a row has no
    text. Words that no row uses are not learned.
    """

    words: Column
    places: Rows

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: Rows) -> Coded:
        return Coded(self.words, self.places.take(rows))

    def flat(self) -> Column:
        return self.words.take(self.places)

    def codes(self, interner: Interner) -> U32:
        codes, missing = interner.found_at(self.words.buffer, self.words.starts, self.words.ends)
        if missing:
            unknown = np.zeros(len(codes), np.bool_)
            unknown[missing] = True
            for place in dict.fromkeys(self.places[unknown.take(self.places)].tolist()):
                text = self.words.buffer[self.words.starts[place] : self.words.ends[place]]
                codes[place] = interner.code(text.tobytes().decode("utf-8", "replace"))
        return codes.take(self.places)

    def numbers(self, words: Words) -> U8 | None:
        codes, missing = words.known.found_at(self.words.buffer, self.words.starts, self.words.ends)
        if missing and np.isin(self.places, missing).any():
            return None
        return words.values[codes].take(self.places)

    def known(self, words: Words) -> U8:
        return self.words.known(words).take(self.places)

    def blanks(self) -> int:
        empty = self.words.starts == self.words.ends
        return int(np.count_nonzero(empty.take(self.places)))

    def longest(self) -> int:
        return self.words.longest()


Texts: TypeAlias = Column | Coded


class Words:
    """A closed list of words, to the numbers of our vocabulary."""

    def __init__(self, words: Mapping[str, int]) -> None:
        self._words = words
        self.values: U8 = np.array([0, *words.values()], np.uint8)

    def numbers(self, other: int) -> U32:
        """By code; `other` for what is no word of the list."""
        return np.array([other, *self._words.values()], np.uint32)

    @cached_property
    def known(self) -> Interner:
        """Made when first asked for: it needs a kernel, and an import should load none."""
        interner = Interner(len(self._words))
        interner.codes(self._words)
        return interner


def join(texts: Sequence[str]) -> Column:
    everything = "".join(texts)
    if not everything:
        return absent(len(texts))
    data = everything.encode()
    encoded = texts if len(data) == len(everything) else [text.encode() for text in texts]
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, encoded), np.int32, len(texts)), out=offsets[1:])
    return Column(np.frombuffer(data, np.uint8), offsets[:-1], offsets[1:])


def absent(rows: int) -> Column:
    nowhere = np.zeros(rows, np.int32)
    return Column(_EMPTY, nowhere, nowhere)


@njit(cache=True, nogil=True)
def _lengths(starts: I32, ends: I32) -> tuple[int, int]:
    low, high = np.int32(2**31 - 1), np.int32(0)
    for row in range(len(starts)):
        low, high = min(low, ends[row] - starts[row]), max(high, ends[row] - starts[row])
    return int(low), int(high)
