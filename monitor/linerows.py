"""Lines of NDJSON that the library has decoded to rows of columns: one compiled pass, nothing made for an event.

Each text is found (`monitor.locate`) and becomes a number at once (`monitor.linenumbers`), while its line is at hand.
What a kernel cannot do is left with its place: a name that is new, a number that base 40 cannot hold, the order that a
scan names. A row with an escaped text is held back; when its texts have been decoded, the same pass takes it from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np

from monitor.columns import I32, I64, U8, U64
from monitor.compiling import inlined, lean
from monitor.linecolumns import Aside, Columns, Known
from monitor.linenumbers import MEMORY, numbers
from monitor.locate import FOLLOWS, NO_EVENT, OTHER, PATTERNS, TEXTS, WIDTH, in_line, skip
from monitor.words import byte_at

_LINE, _OPEN = 10, 123
_ROWS, _OTHERS, _HELD = range(3)  # of the counts


class Counts(NamedTuple):
    rows: int
    others: int
    held: int
    left: int
    links: int
    newest: int  # of all times, or 0


class _Pass(NamedTuple):
    """What one pass remembers: of a line where its texts lie, of the lines before it what is likely to come again."""

    places: I32
    usual: I64
    guess: I64
    memory: I64
    begun: U64


class Presence:
    """Whether this process may call the pass: while another compiles it, a call would compile it here as well."""

    def __init__(self) -> None:
        self.here = True

    @contextmanager
    def away(self) -> Iterator[None]:
        before, self.here = self.here, False
        try:
            yield
        finally:
            self.here = before


PRESENCE: Final = Presence()


def take(
    data: U8, columns: Columns, aside: Aside, known: Known, after: Counts | None = None
) -> Counts | None:
    """The rows of `data`, one JSON object a line, as many as there is room for; None where some line is not plain.

    `after`: takes what was held then; `aside` says where in `data` its texts lie now.
    """
    counts = np.zeros(len(Counts._fields), np.int64)
    if after is not None:
        counts[:] = after
    state = _Pass(
        places=np.zeros((2, WIDTH), np.int32),
        usual=np.zeros(FOLLOWS, np.int64),
        guess=np.zeros((2, WIDTH), np.int64),
        memory=np.full(MEMORY, -1, np.int64),
        begun=np.zeros(1, np.uint64),
    )
    fine = _take(data, PATTERNS, columns, aside, known, state, counts, after is not None)
    return Counts(*counts.tolist()) if fine else None


@inlined
def _held(turn: int, places: I32, aside: Aside) -> int:
    at = np.uint64(turn)
    for column in range(len(TEXTS)):
        places[0, column], places[1, column] = aside.starts[at, column], aside.ends[at, column]
    return int(aside.held[at])


@inlined
def _hold(row: int, slashes: np.uint32, places: I32, aside: Aside, counts: I64) -> None:
    to = np.uint64(counts[_HELD])
    aside.held[to], aside.slashes[to] = row, slashes
    for column in range(len(TEXTS)):
        aside.starts[to, column], aside.ends[to, column] = places[0, column], places[1, column]
    counts[_HELD] += 1


@lean
def _take(
    data: U8,
    patterns: U8,
    columns: Columns,
    aside: Aside,
    known: Known,
    state: _Pass,
    counts: I64,
    again: bool,
) -> bool:
    text, size, about = data.ctypes.data, len(data), patterns.ctypes.data
    places, values = state.places, len(aside.line)
    rows, rest, turn, place = 0, 0, 0, 0
    while turn < counts[_HELD] if again else place < size:
        if again:
            row = _held(turn, places, aside)
            turn += 1
        else:
            place = skip(text, size, place)
            if place >= size or byte_at(text, place) == _LINE:
                place += 1
                continue
            if rows + rest >= values or byte_at(text, place) != _OPEN:
                return False
            for column in range(len(TEXTS)):
                places[0, column], places[1, column] = 0, 0
            place, seen, slashes, what = in_line(
                text, size, skip(text, size, place + 1), about, rows, places, state.usual, state.guess
            )
            if what == NO_EVENT:
                return False
            place = skip(text, size, place)
            if place < size and byte_at(text, place) != _LINE:
                return False
            if what == OTHER:
                aside.others[np.uint64(rest)] = rows + rest
                rest += 1
                continue
            row = rows
            rows += 1
            aside.line[np.uint64(row)], aside.seen[np.uint64(row)] = row + rest, seen
            if slashes:
                _hold(row, slashes, places, aside, counts)
                continue
        if not numbers(text, size, row, places, columns, aside, known, state.memory, state.begun, counts):
            return False
    if not again:
        counts[_ROWS], counts[_OTHERS] = rows, rest
    return again or rows + rest == values
