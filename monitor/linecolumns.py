"""What the pass over lines of NDJSON fills: columns, and beside them what is no number yet."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from monitor.columns import I32, I64, U8, U16, U32, U64
from monitor.locate import TEXTS

_MOST_LEFT: Final = 6  # texts of a row: five names and a number


class Columns(NamedTuple):
    """Those of `monitor.columns.Scans` that come from texts, by name."""

    key0: U64
    key1: U64
    event: U64
    occurred: I64
    received: I64
    estimated: I64
    status: U8
    delivered_to: U8
    carrier: U16
    source: U16
    region: U32
    facility: U32
    courier: U32

    def head(self, rows: int) -> Columns:
        return Columns(**{name: column[:rows] for name, column in self._asdict().items()})


class Aside(NamedTuple):
    """What a row has besides numbers. `line`: which value of the text it is; `seen`: bits of the names that it has.

    `others`: the values that are no tracking events. `held`: rows that wait, which of their texts are escaped (`slashes`)
    and where all of them lie (`starts`, `ends`). `left`: column, row, start and end of a text without a number. `links`:
    row, then start and end of a tracking number and of the order id beside it.
    """

    line: I32
    seen: U32
    others: I32
    held: I32
    slashes: U32
    starts: I32
    ends: I32
    left: I32
    links: I32


class Known(NamedTuple):
    """Names that have a number: a row of `Interner.whereabouts` each, and the numbers of two lists of words by code.

    Whoever passes it holds the interners, and teaches them nothing meanwhile.
    """

    names: I64
    statuses: U8
    places: U8


def columns_for(values: int) -> Columns:
    """What is not filled costs no memory."""
    return Columns(
        key0=np.empty(values, np.uint64),
        key1=np.empty(values, np.uint64),
        event=np.empty(values, np.uint64),
        occurred=np.empty(values, np.int64),
        received=np.empty(values, np.int64),
        estimated=np.empty(values, np.int64),
        status=np.empty(values, np.uint8),
        delivered_to=np.empty(values, np.uint8),
        carrier=np.empty(values, np.uint16),
        source=np.empty(values, np.uint16),
        region=np.empty(values, np.uint32),
        facility=np.empty(values, np.uint32),
        courier=np.empty(values, np.uint32),
    )


def room(values: int) -> tuple[Columns, Aside]:
    """For as many events. What is not filled costs no memory."""
    aside = Aside(
        line=np.empty(values, np.int32),
        seen=np.empty(values, np.uint32),
        others=np.empty(values, np.int32),
        held=np.empty(values, np.int32),
        slashes=np.empty(values, np.uint32),
        starts=np.empty((values, len(TEXTS)), np.int32),
        ends=np.empty((values, len(TEXTS)), np.int32),
        left=np.empty((_MOST_LEFT * values, 4), np.int32),
        links=np.empty((values, 5), np.int32),
    )
    return columns_for(values), aside
