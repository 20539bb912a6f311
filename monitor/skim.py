"""NDJSON to columns by the thousand: the library reads every line, its texts are taken from the line itself.

A string object for each text of each event is most of what decoding costs. So the library reads each line as a value of
which nothing is kept, which checks the JSON all the same, and a compiled pass turns the texts in the bytes into rows
(`monitor.linerows`). The library decodes what has numbers and what is no tracking event. What is not plain is left to
the ways that look closer (`monitor.decode`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from monitor import linenumbers as texts
from monitor.checked import Checked, with_others
from monitor.columns import F32, I32, I64, U32, Batch, Scans
from monitor.linecolumns import Aside, Columns, Known, room
from monitor.linerows import Counts, take
from monitor.locate import PLACED, TEXTS
from monitor.names import Names
from monitor.scancolumns import DELIVERED, STATUS, degrees
from monitor.texts import Words
from monitor.wire import SKIMMER, SkimmedScan

_RAW: Final[msgspec.json.Decoder[msgspec.Raw]] = msgspec.json.Decoder(msgspec.Raw)
_GLANCE: Final = 2000  # bytes: some lines
_TEXT: Final[msgspec.json.Decoder[str]] = msgspec.json.Decoder(str)
_STATUS: Final = Words(STATUS)
_DELIVERED: Final = Words(DELIVERED)
_NOBODY: Final = Names(places=0)  # knows no name and learns none


@dataclass(slots=True)
class LineScans:
    """Tracking events that passed every check; names that are new to `known` have no code yet."""

    data: bytes
    columns: Columns
    left: I32
    links: I32
    latitude: F32
    longitude: F32
    known: Names

    @property
    def occurred(self) -> I64:
        return self.columns.occurred

    def __len__(self) -> int:
        return len(self.columns.key0)

    def batch(self, names: Names) -> Batch:
        """`names` learns what is new."""
        assert self.known is names or self.known is _NOBODY, "codes are of the names that were asked"  # noqa: S101
        columns = self.columns._asdict()
        interners = {
            texts.SOURCE: ("source", names.sources),
            texts.CARRIER: ("carrier", names.carriers),
            texts.FACILITY: ("facility", names.facilities),
            texts.REGION: ("region", names.regions),
            texts.COURIER: ("courier", names.couriers),
        }
        for column, row, start, end in self.left.tolist():
            text = self._text(start, end)
            if column == texts.NUMBER:
                columns["key0"][row], columns["key1"][row] = names.pack(text)
            else:
                name, interner = interners[column]
                columns[name][row] = interner.code(text)
        scans = Scans(**columns, latitude=self.latitude, longitude=self.longitude)
        return Batch(scans, links=self._links())

    def _links(self) -> list[tuple[str, str]]:
        """Tracking number and order id, once each, where a scan names its order."""
        text = self._text
        return list(dict.fromkeys((text(a, b), text(c, d)) for _, a, b, c, d in self.links.tolist()))

    def _text(self, start: int, end: int) -> str:
        return self.data[start:end].decode("utf-8", "replace")


def skim(data: bytes, latest: int | None, names: Names | None = None) -> Checked | None:
    """The events of NDJSON text; None where some line wants a closer look. Raises `monitor.wire.NOT_DECODED`.

    `names`: those whose codes the columns will have; nothing is learned yet.
    """
    # A sender that names places mostly does so in each line: then they are read at once.
    values: list[Any] = (SKIMMER if b'"latitude"' in data[:_GLANCE] else _RAW).decode_lines(data)
    if not data.isascii():
        data.decode()  # the library looks at the text of what it keeps only
    names = names or _NOBODY
    columns, aside = room(len(values))
    known = _known(names)
    counts = take(np.frombuffer(data, np.uint8), columns, aside, known)
    if counts is not None and counts.held:
        data = _unescaped(data, aside, counts.held)
        counts = take(np.frombuffer(data, np.uint8), columns, aside, known, counts)
    if counts is None or (latest is not None and counts.newest > latest):
        return None
    others = [_read(values[row]) for row in aside.others[: counts.others].tolist()]
    if any(type(other) is SkimmedScan for other in others):
        return None
    return with_others(_scans(data, columns, aside, counts, values, names), others, latest)


def _known(names: Names) -> Known:
    """In the order of `monitor.linenumbers`."""
    interners = (names.sources, names.carriers, names.facilities, names.regions, names.couriers)
    every = [one.whereabouts for one in (*interners, _STATUS.known, _DELIVERED.known)]
    return Known(np.array(every), _STATUS.values, _DELIVERED.values)


def _scans(
    data: bytes, columns: Columns, aside: Aside, counts: Counts, values: Sequence[Any], names: Names
) -> LineScans:
    rows = counts.rows
    left, links = aside.left[: counts.left], aside.links[: counts.links]
    if counts.held:  # names are learned in the order of the rows
        left = left[left[:, 1].argsort(kind="stable")]
        links = links[links[:, 0].argsort(kind="stable")]
    if counts.others:
        columns = columns.head(rows)
    latitude, longitude = _degrees(aside.line[:rows], aside.seen[:rows], values)
    return LineScans(data, columns, left, links, latitude, longitude, names)


def _read(value: Any) -> Any:
    return SKIMMER.decode(value) if type(value) is msgspec.Raw else value


def _unescaped(data: bytes, aside: Aside, held: int) -> bytes:
    """The data with the texts that had escapes behind it, as they are meant; `aside` points there then."""
    known: dict[bytes, tuple[int, int]] = {}
    pieces, end = [data], len(data)
    for turn, slashes in enumerate(aside.slashes[:held].tolist()):
        for column in _bits(slashes):
            raw = data[aside.starts[turn, column] - 1 : aside.ends[turn, column] + 1]
            if raw not in known:
                text = _TEXT.decode(raw).encode()
                pieces.append(text)
                known[raw] = end, end + len(text)
                end += len(text)
            aside.starts[turn, column], aside.ends[turn, column] = known[raw]
    return b"".join(pieces)


def _bits(number: int) -> Iterable[int]:
    return [bit for bit in range(len(TEXTS)) if number >> bit & 1]


def _degrees(line: I32, seen: U32, values: Sequence[Any]) -> tuple[F32, F32]:
    """Lines with a number are decoded once more, for it alone."""
    rows = np.flatnonzero(seen & PLACED)
    if not len(rows):
        nowhere = np.full(len(line), np.nan, np.float32)
        return nowhere, nowhere.copy()
    numbers = np.full((2, len(line)), np.nan)
    given = [_read(values[place]) for place in line[rows].tolist()]
    for number, name in zip(numbers, ("latitude", "longitude"), strict=True):
        found = [getattr(scan, name) for scan in given]
        number[rows] = [np.nan if value is msgspec.UNSET else value for value in found]
    return degrees(numbers[0], 90), degrees(numbers[1], 180)
