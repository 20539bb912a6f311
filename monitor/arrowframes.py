"""Plain Arrow frames straight to rows, without the library: one call finds the columns, one fills the rows.

Rows of small frames lie one behind the other, so that several frames are one batch and nothing is copied. What is not
plain is left, and nothing was learned from it.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor import arrowfill
from monitor.arrowheads import Head, head_of
from monitor.arrowmessages import LEFT, SPANS, describe
from monitor.arrowrows import ENTRIES, NUMBERS, ODD, spread
from monitor.columns import I64, U8, Batch, Scans
from monitor.linecolumns import Known, columns_for
from monitor.names import Interner, Names
from monitor.scancolumns import DELIVERED, STATUS
from monitor.texts import Words

_STATUS: Final = Words(STATUS)
_DELIVERED: Final = Words(DELIVERED)
_KIND: Final = Words({"tracking": 1})


@dataclass(frozen=True, slots=True)
class Opened:
    """A frame whose columns were found: a row of `described` each, which points into `data` and `spans`."""

    data: bytes
    text: U8
    head: Head
    described: I64
    spans: I64
    rows: int

    def column(self, field: int) -> I64:
        found: I64 = self.described[self.head.of[field]]
        return found

    def string(self, start: int, end: int) -> str:
        return self.data[start:end].decode()


def opened(data: bytes) -> Opened | None:
    """None where the frame has to be opened by the library."""
    head = head_of(data)
    if head is None or not head.plain:
        return None
    text = np.frombuffer(data, np.uint8)
    described = np.empty((len(head.columns) + 1, NUMBERS), np.int64)
    spans = np.empty(SPANS, np.int64)
    rows = describe(text, len(head.raw), head.columns, head.ids, described, spans)
    return None if rows == LEFT else Opened(data, text, head, described, spans, rows)


class ArrowRows:
    """Rows that are no batch yet. `least`: for how many there is room at first."""

    def __init__(self, names: Names, least: int) -> None:
        self.names = names
        self._least = least
        self._fields: dict[int, tuple[str, Interner]] = {
            arrowfill.SOURCE: ("source", names.sources),
            arrowfill.CARRIER: ("carrier", names.carriers),
            arrowfill.FACILITY: ("facility", names.facilities),
            arrowfill.REGION: ("region", names.regions),
            arrowfill.COURIER: ("courier", names.couriers),
        }
        words = (_STATUS.known, _DELIVERED.known, _KIND.known)
        self._interners = [*(interner for _, interner in self._fields.values()), *words]
        self._whereabouts: list[I64] = []
        self._links: list[tuple[str, str]] = []
        self._begin(0)

    def _begin(self, room: int) -> None:
        self._columns = columns_for(room)
        self._latitude, self._longitude = np.empty(room, np.float32), np.empty(room, np.float32)
        self._room, self._first, self._last = room, 0, 0

    def __len__(self) -> int:
        return self._last - self._first

    def has_room(self, rows: int) -> bool:
        """Else what is there has to be taken out first."""
        return self._first == self._last or rows <= self._room - self._last

    def batch(self) -> Batch:
        """Takes them out."""
        part = slice(self._first, self._last)
        columns = {name: column[part] for name, column in self._columns._asdict().items()}
        scans = Scans(**columns, latitude=self._latitude[part], longitude=self._longitude[part])
        links, self._links = self._links, []
        self._first = self._last
        return Batch(scans, links=list(dict.fromkeys(links)))

    def take(self, frame: Opened, latest: int | None) -> bool:
        """False where the frame is not plain."""
        if frame.rows > self._room - self._last:
            self._begin(max(frame.rows, self._least))
        slow = np.empty(frame.rows, np.int64)
        unknown, misses, newest = arrowfill.fill(
            frame.described,
            frame.head.of,
            frame.head.units,
            self._known(),
            self._columns,
            self._latitude,
            self._longitude,
            self._last,
            frame.rows,
            slow,
        )
        if unknown == ODD or (latest is not None and newest > latest):
            return False
        links = _links(frame) if frame.head.has_orders else []
        if links is None:
            return False
        for number, field in enumerate(self._fields):
            if unknown >> number & 1:
                self._learn(frame, field)
        for row in slow[:misses].tolist():
            self._pack(frame, row)
        self._links += links
        self._last += frame.rows
        return True

    def _known(self) -> Known:
        """In the order of `arrowfill`."""
        now = [interner.whereabouts for interner in self._interners]
        if not self._whereabouts or any(map(operator.is_not, now, self._whereabouts)):
            self._whereabouts = now
            self._found = Known(np.array(now), _STATUS.values, _DELIVERED.values)
        return self._found

    def _learn(self, frame: Opened, field: int) -> None:
        """Names that some row uses, in the order of the rows."""
        name, interner = self._fields[field]
        column, address = frame.column(field), frame.text.ctypes.data
        codes = np.empty(column[ENTRIES], np.uint32)
        found = np.empty((min(len(codes), frame.rows), 3), np.int64)
        count = arrowfill.unknown_names(column, interner.whereabouts, address, codes, found, frame.rows)
        entries = found[:count]
        texts = [frame.string(start, end) for start, end in entries[:, 1:].tolist()]
        codes[entries[:, 0]] = interner.codes(texts)
        rows = slice(self._last, self._last + frame.rows)
        spread(column, codes, 0, getattr(self._columns, name)[rows])

    def _pack(self, frame: Opened, row: int) -> None:
        """A number that base 40 cannot take."""
        place = arrowfill.place_of(frame.column(arrowfill.NUMBER), row, frame.text.ctypes.data)
        columns, at = self._columns, self._last + row
        columns.key0[at], columns.key1[at] = self.names.pack(frame.string(*place))


def _links(frame: Opened) -> list[tuple[str, str]] | None:
    """Tracking number and order id where a scan names its order; None where an order id is no text."""
    found = np.empty((frame.rows, 4), np.int64)
    number, order = frame.column(arrowfill.NUMBER), frame.column(arrowfill.ORDER)
    count = arrowfill.ordered(number, order, frame.text.ctypes.data, frame.rows, found)
    if count == ODD:
        return None
    return [(frame.string(a, b), frame.string(c, d)) for a, b, c, d in found[:count].tolist()]
