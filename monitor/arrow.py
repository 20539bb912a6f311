"""Arrow IPC frames: tracking events straight to columns, everything else by way of JSON lines.

Columns carry the contract's names. Texts are strings or dictionaries of strings, times are timestamps with a zone or
RFC 3339 text, null is absent; columns the contract does not know are not looked at. A frame in which something is
wrong goes line by line, too, so that each event gets its own reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from polars.exceptions import PanicException, PolarsError

from monitor import arrowsize
from monitor.arrowcolumns import OddError, is_text, moments, nulls, numbers, texts
from monitor.columns import F32, I64, U8
from monitor.framelines import as_lines
from monitor.scancolumns import DELIVERED, NO_SCANS, STATUS, ScanTexts, degrees, fits, in_range, parsed
from monitor.texts import Rows, Texts, Words, absent
from monitor.vocabulary import DeadReason
from monitor.wire import DeadEventError

Mask: TypeAlias = npt.NDArray[np.bool_]

BROKEN: Final = (pa.ArrowException, PolarsError, PanicException, ValueError, OSError, MemoryError)
MOST_UNFOLDED: Final = 1 << 26  # bytes beside the frame itself
_TIMES: Final = {"occurred_at", "received_at", "estimated_at"}
_REQUIRED: Final = ("event_id", "occurred_at", "tracking_number", "carrier", "status")
_TRACKING: Final = Words({"tracking": 1})
_STATUS: Final = Words(STATUS)
_DELIVERED: Final = Words(DELIVERED)
_OUR_TEXTS: Final = {
    *("kind", "event_id", "source", "tracking_number", "carrier", "facility", "region", "courier_id"),
    *("status", "delivered_to", "order_id", "status_raw", "signed_by"),
}


def load(data: bytes, most: int) -> list[pa.RecordBatch]:
    """The rows of one IPC stream, in batches of at most `most`. Raises `DeadEventError` for the frame as a whole."""
    _check_size(data, most)
    try:
        batches = list(pa.ipc.open_stream(data))
        for batch in batches:
            batch.validate()
            check_names(batch.schema)
    except BROKEN as error:
        raise DeadEventError(
            DeadReason.BAD_FRAME, f"not an Arrow IPC stream: {type(error).__name__}"
        ) from None
    return [part for batch in batches for part in _parts(batch, most)]


def _check_size(data: bytes, most: int) -> None:
    fresh, hollow = arrowsize.unfolded(data)
    if fresh == arrowsize.DAMAGED:
        raise DeadEventError(DeadReason.BAD_FRAME, "not an Arrow IPC stream: its messages do not fit")
    if fresh > MOST_UNFOLDED:
        raise DeadEventError(
            DeadReason.TOO_LARGE, f"an Arrow frame that unfolds to more than {MOST_UNFOLDED} bytes"
        )
    if hollow > most:
        raise DeadEventError(DeadReason.BAD_FRAME, "an Arrow frame with more rows than bytes")


def _parts(batch: pa.RecordBatch, most: int) -> list[pa.RecordBatch]:
    if batch.num_rows <= most:
        return [batch]
    return [batch.slice(start, most) for start in range(0, batch.num_rows, most)]


def check_names(schema: pa.Schema) -> None:
    names = schema.names
    if len(set(names)) < len(names):
        raise DeadEventError(DeadReason.BAD_FRAME, "an Arrow frame has each column once")
    if "kind" not in names or not is_text(schema.field("kind").type):
        raise DeadEventError(DeadReason.BAD_FRAME, "an Arrow frame needs the text column kind")


def split(batch: pa.RecordBatch, latest: int | None) -> tuple[ScanTexts | None, list[bytes]]:
    """The columns of the tracking events, and the other events as JSON lines; all as lines where a row is wrong.

    Raises `DeadEventError` where the batch as a whole is damaged.
    """
    try:
        has_our_types(batch.schema)
        is_scan = texts(batch.column("kind")).known(_TRACKING) == 1
        rows = None if is_scan.all() else np.flatnonzero(is_scan)
        found = _scans(Columns(batch, rows)) if is_scan.any() else NO_SCANS
    except (OddError, *BROKEN):
        return None, _lines(batch)
    if not fits(found, latest):
        return None, _lines(batch)
    return found, [] if rows is None else _lines(batch, ~is_scan)


def _lines(batch: pa.RecordBatch, rows: npt.NDArray[np.bool_] | None = None) -> list[bytes]:
    try:
        batch.validate(full=True)
        frame = pl.DataFrame(pl.from_arrow(batch))
        return as_lines(frame if rows is None else frame.filter(pl.Series(rows)), MOST_UNFOLDED)
    except BROKEN as error:
        raise DeadEventError(DeadReason.BAD_FRAME, f"a damaged Arrow frame: {type(error).__name__}") from None


class Columns:
    """The columns of a batch by name, of the given rows or all; `OddError` where something is wrong in them."""

    def __init__(self, batch: pa.RecordBatch, rows: Rows | None) -> None:
        self.arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        self.rows = rows
        self.height = batch.num_rows if rows is None else len(rows)

    def texts(self, name: str) -> Texts:
        array = self.arrays.get(name)
        if array is None:
            return absent(self.height)
        return texts(array) if self.rows is None else texts(array).take(self.rows)

    def gone(self, name: str) -> Mask | None:
        """Where it is null; None where it never is."""
        if name not in self.arrays:
            return np.ones(self.height, np.bool_)
        found = nulls(self.arrays[name])
        return found if found is None or self.rows is None else found[self.rows]

    def require(self, names: Iterable[str]) -> None:
        """None of them is null in any row."""
        for name in names:
            if name not in self.arrays or (self.arrays[name].null_count and bool(np.any(self.gone(name)))):
                raise OddError(name)

    def words(self, name: str, words: Words) -> U8:
        """Null is 0; an empty text is no word."""
        if name not in self.arrays:
            return np.zeros(self.height, np.uint8)
        column, gone = self.texts(name), self.gone(name)
        found, blanks = column.numbers(words), column.blanks()
        if found is None or (blanks and blanks > (0 if gone is None else np.count_nonzero(gone))):
            raise OddError(name)
        return found

    def moments(self, name: str) -> I64:
        array = self.arrays.get(name)
        if array is None:
            return np.zeros(self.height, np.int64)
        if not pa.types.is_timestamp(array.type):
            found = parsed(self.texts(name).flat())
        else:
            every, gone = moments(array), self.gone(name)
            found = every if self.rows is None else every[self.rows]
            found = found if in_range(found if gone is None else found[~gone]) else None
        if found is None:
            raise OddError(name)
        return found

    def times(self) -> tuple[I64, I64]:
        """When it occurred and was received, where nothing that is required is null."""
        self.require(_REQUIRED)
        occurred, received = self.moments("occurred_at"), self.moments("received_at")
        return occurred, np.where(received == 0, occurred, received) if received.any() else occurred

    def degrees(self, name: str, most: int) -> F32:
        if name not in self.arrays:
            return np.full(self.height, np.nan, np.float32)
        every = numbers(self.arrays[name])
        return degrees(every if self.rows is None else every[self.rows], most)


def _scans(columns: Columns) -> ScanTexts:
    occurred, received = columns.times()
    return ScanTexts(
        event_id=columns.texts("event_id").flat(),
        source=columns.texts("source"),
        tracking_number=columns.texts("tracking_number").flat(),
        carrier=columns.texts("carrier"),
        facility=columns.texts("facility"),
        region=columns.texts("region"),
        courier=columns.texts("courier_id"),
        order=columns.texts("order_id"),
        occurred=occurred,
        received=received,
        estimated=columns.moments("estimated_at"),
        status=columns.words("status", _STATUS),
        delivered_to=columns.words("delivered_to", _DELIVERED),
        latitude=columns.degrees("latitude", 90),
        longitude=columns.degrees("longitude", 180),
    )


def has_our_types(schema: pa.Schema) -> None:
    """All columns, also those of which nothing is kept. Raises `OddError` where they have not."""
    for field in schema:
        kind = field.type
        null = pa.types.is_null(kind)
        if field.name in _TIMES:
            right = is_text(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None)
        elif field.name == "extra":
            right = null or pa.types.is_struct(kind)
        else:
            right = field.name not in _OUR_TEXTS or is_text(kind)
        if not right:
            raise OddError(field.name)
