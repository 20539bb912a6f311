"""NDJSON to columns by the thousand: the library reads every line, its texts are taken from the line itself.

A string object for each text of each event is most of what decoding costs. So the library reads each line as a value of
which nothing is kept, which checks the JSON all the same, and a compiled pass finds the texts in the bytes. The library
decodes what has numbers and what is no tracking event. What is not plain is left to the ways that look closer
(`monitor.decode`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from monitor.checked import Checked, with_others
from monitor.columns import F32, U8
from monitor.locate import MOST, PLACED, TEXTS, Located, locate
from monitor.scancolumns import DELIVERED, STATUS, ScanTexts, degrees, moments_fit, parsed
from monitor.texts import Column, Words, absent
from monitor.wire import SKIMMER, SkimmedScan

_RAW: Final[msgspec.json.Decoder[msgspec.Raw]] = msgspec.json.Decoder(msgspec.Raw)
_GLANCE: Final = 2000  # bytes: some lines
_TEXT: Final[msgspec.json.Decoder[str]] = msgspec.json.Decoder(str)


_STATUS: Final = Words(STATUS)
_DELIVERED: Final = Words(DELIVERED)


def skim(data: bytes, latest: int | None) -> Checked | None:
    """The events of NDJSON text; None where some line wants a closer look. Raises `monitor.wire.NOT_DECODED`."""
    # A sender that names places mostly does so in each line: then they are read at once.
    values: list[Any] = (SKIMMER if b'"latitude"' in data[:_GLANCE] else _RAW).decode_lines(data)
    if not data.isascii():
        data.decode()  # the library looks at the text of what it keeps only
    located = locate(np.frombuffer(data, np.uint8), len(values))
    if located is None:
        return None
    others = [_read(values[row]) for row in located.others]
    if any(type(other) is SkimmedScan for other in others):
        return None
    columns = _columns(data, located)
    texts = _texts(columns, located, values) if columns is not None else None
    if texts is None or not moments_fit(texts.occurred, texts.received, latest):
        return None
    return with_others(texts, others, latest)


def _read(value: Any) -> Any:
    return SKIMMER.decode(value) if type(value) is msgspec.Raw else value


def _columns(data: bytes, located: Located) -> dict[str, Column] | None:
    """By name; None where a text that was written with escapes is too long."""
    buffer = _without_escapes(data, located) if located.escaped else np.frombuffer(data, np.uint8)
    if buffer is None:
        return None
    present = int(np.bitwise_or.reduce(located.seen, initial=0))
    return {
        name: Column(buffer, starts, ends) if present >> number & 1 else absent(len(ends))
        for number, (name, starts, ends) in enumerate(zip(TEXTS, located.starts, located.ends, strict=True))
    }


def _without_escapes(data: bytes, located: Located) -> U8 | None:
    """The data with the texts that had escapes behind it, as they are meant; `located` points there then."""
    known: dict[bytes, tuple[int, int]] = {}
    pieces, end = [data], len(data)
    for column, row in located.escaped:
        raw = data[located.starts[column, row] - 1 : located.ends[column, row] + 1]
        if raw not in known:
            text = _TEXT.decode(raw).encode()
            if len(text) > MOST[column]:
                return None
            pieces.append(text)
            known[raw] = end, end + len(text)
            end += len(text)
        located.starts[column, row], located.ends[column, row] = known[raw]
    return np.frombuffer(b"".join(pieces), np.uint8)


def _texts(columns: dict[str, Column], located: Located, values: list[Any]) -> ScanTexts | None:
    occurred, received = parsed(columns["occurred_at"]), parsed(columns["received_at"])
    estimated = parsed(columns["estimated_at"])
    status, delivered = columns["status"].numbers(_STATUS), columns["delivered_to"].numbers(_DELIVERED)
    if occurred is None or received is None or estimated is None or status is None or delivered is None:
        return None
    latitude, longitude = _degrees(located, values)
    return ScanTexts(
        event_id=columns["event_id"],
        source=columns["source"],
        tracking_number=columns["tracking_number"],
        carrier=columns["carrier"],
        facility=columns["facility"],
        region=columns["region"],
        courier=columns["courier_id"],
        order=columns["order_id"],
        occurred=occurred,
        received=np.where(received == 0, occurred, received) if received.any() else occurred,
        estimated=estimated,
        status=status,
        delivered_to=delivered,
        latitude=latitude,
        longitude=longitude,
    )


def _degrees(located: Located, values: list[Any]) -> tuple[F32, F32]:
    """Lines with a number are decoded once more, for it alone."""
    rows = np.flatnonzero(located.seen & PLACED)
    if not len(rows):
        nowhere = np.full(len(located.line), np.nan, np.float32)
        return nowhere, nowhere.copy()
    numbers = np.full((2, len(located.line)), np.nan)
    given = [_read(values[line]) for line in located.line[rows].tolist()]
    for number, name in zip(numbers, ("latitude", "longitude"), strict=True):
        found = [getattr(scan, name) for scan in given]
        number[rows] = [np.nan if value is msgspec.UNSET else value for value in found]
    return degrees(numbers[0], 90), degrees(numbers[1], 180)
