"""Arrow IPC frames: tracking events straight to columns, everything else by way of JSON lines.

Columns carry the contract's names. Texts are strings or dictionaries of strings, times are timestamps with a zone or
RFC 3339 text, null is absent; columns the contract does not know are not looked at. A frame in which something is
wrong goes line by line, too, so that each event gets its own reason.
"""

from __future__ import annotations

import io
import json
import math
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PanicException, PolarsError

from monitor.columns import I64, U8
from monitor.scancolumns import (
    DELIVERED,
    NO_SCANS,
    STATUS,
    Column,
    ScanTexts,
    degrees,
    fits,
    in_range,
    parsed,
)
from monitor.vocabulary import DeadReason
from monitor.wire import DeadEventError

BROKEN: Final = (PolarsError, OSError, PanicException)
_TEXTS: Final = ("event_id", "source", "tracking_number", "carrier", "facility", "region", "courier_id")
_TIMES: Final = {"occurred_at", "received_at", "estimated_at"}
_NUMBERS: Final = {"latitude", "longitude"}
# Positions in an enumeration are the codes of our vocabulary.
_WORDS: Final = {"status": pl.Enum(list(STATUS)), "delivered_to": pl.Enum(list(DELIVERED))}
_REQUIRED: Final = ("kind", "event_id", "occurred_at", "tracking_number", "carrier", "status")
_OUR_TEXTS: Final = {*_TEXTS, *_WORDS, "kind", "order_id", "status_raw", "signed_by"}


def load(data: bytes) -> pl.DataFrame:
    """The rows of one IPC stream. Raises `DeadEventError` for the frame as a whole."""
    try:
        frame = pl.read_ipc_stream(io.BytesIO(data))
        if "kind" not in frame.columns or not _is_text(frame["kind"].dtype):
            raise DeadEventError(DeadReason.BAD_FRAME, "an Arrow frame needs the text column kind")
    except BROKEN as error:
        raise DeadEventError(
            DeadReason.BAD_FRAME, f"not an Arrow IPC stream: {type(error).__name__}"
        ) from None
    return frame


def split(frame: pl.DataFrame, latest: int | None) -> tuple[ScanTexts | None, list[bytes]]:
    """The columns of the tracking events, and the other events as JSON lines; all as lines where a row is wrong."""
    is_scan = frame["kind"].cast(pl.String) == "tracking"
    if is_scan.null_count() == 0 and is_scan.all():
        scans, others = frame, None
    else:
        is_scan = is_scan.fill_null(value=False)
        scans, others = frame.filter(is_scan), frame.filter(~is_scan)
    try:
        texts = _scans(scans, latest)
    except BROKEN:  # a cast that cannot be done: some row is wrong
        texts = None
    if texts is None:
        return None, as_lines(frame)
    return texts, [] if others is None else as_lines(others)


def _scans(frame: pl.DataFrame, latest: int | None) -> ScanTexts | None:
    """None where something is wrong with any row."""
    types = dict(zip(frame.columns, frame.dtypes, strict=True))
    if not _is_typed(types) or any(frame[name].null_count() for name in _REQUIRED):
        return None
    if not frame.height:
        return NO_SCANS
    plan: dict[str, pl.Expr] = {}
    for name in _TIMES & types.keys():
        if isinstance(types[name], pl.Datetime):
            plan[name] = pl.col(name).dt.timestamp("ms").fill_null(0)
    for name, words in _WORDS.items():
        if name in types:
            plan[name] = pl.col(name).cast(pl.String).cast(words, strict=False).to_physical().cast(pl.UInt8)
    for name in _NUMBERS & types.keys():
        plan[name] = pl.col(name).cast(pl.Float64).fill_null(math.nan)
    joined = {
        name: pl.col(name).cast(pl.String).fill_null("")
        for name in (*_TEXTS, *_TIMES)
        if name in types and name not in plan
    }
    plan |= {f"{name} ends": text.str.len_bytes().cast(pl.Int64).cum_sum() for name, text in joined.items()}
    table = frame.select(**plan)
    everything = frame.select(**{name: text.str.join("") for name, text in joined.items()}).row(0, named=True)

    def text(name: str) -> Column:
        offsets = np.zeros(frame.height + 1, np.int64)
        if name not in joined:
            return np.empty(0, np.uint8), offsets
        offsets[1:] = table[f"{name} ends"].to_numpy()
        return np.frombuffer(everything[name].encode(), np.uint8), offsets

    def moments(name: str) -> I64 | None:
        if name in joined or name not in types:
            return parsed(text(name))
        found = table[name].to_numpy()
        return found if in_range(found[frame[name].is_not_null().to_numpy()]) else None

    def code(name: str) -> U8 | None:
        if name not in types:
            return np.zeros(frame.height, np.uint8)
        if table[name].null_count() > frame[name].null_count():
            return None
        return table[name].fill_null(0).to_numpy()

    def number(name: str) -> npt.NDArray[np.float64]:
        return table[name].to_numpy() if name in types else np.full(frame.height, np.nan)

    occurred, received, estimated = moments("occurred_at"), moments("received_at"), moments("estimated_at")
    status, delivered = code("status"), code("delivered_to")
    if occurred is None or received is None or estimated is None or status is None or delivered is None:
        return None
    texts = ScanTexts(
        event_id=text("event_id"),
        source=text("source"),
        tracking_number=text("tracking_number"),
        carrier=text("carrier"),
        facility=text("facility"),
        region=text("region"),
        courier=text("courier_id"),
        occurred=occurred,
        received=np.where(received == 0, occurred, received),
        estimated=estimated,
        status=status,
        delivered_to=delivered,
        latitude=degrees(number("latitude"), 90),
        longitude=degrees(number("longitude"), 180),
    )
    return texts if fits(texts, latest) else None


def _is_typed(types: dict[str, pl.DataType]) -> bool:
    """Whether the columns have the contract's types and the required ones are there."""
    if any(name not in types for name in _REQUIRED):
        return False
    for name, kind in types.items():
        if name in _TIMES:
            right = isinstance(kind, pl.String | pl.Null) or (
                isinstance(kind, pl.Datetime) and kind.time_zone is not None
            )
        elif name in _NUMBERS:
            right = kind.is_numeric() or isinstance(kind, pl.Null)
        elif name == "extra":
            right = isinstance(kind, pl.Struct | pl.Null)
        else:
            right = name not in _OUR_TEXTS or _is_text(kind)
        if not right:
            return False
    return True


def _is_text(kind: pl.DataType) -> bool:
    return isinstance(kind, pl.String | pl.Categorical | pl.Enum | pl.Null)


def as_lines(frame: pl.DataFrame) -> list[bytes]:
    """Rows as JSON objects; null is absent."""
    return [_line(row) for row in frame.iter_rows(named=True)]


def _line(row: dict[str, Any]) -> bytes:
    event = {name: _plain(name, value) for name, value in row.items() if value is not None}
    return json.dumps(event, ensure_ascii=False, default=str).encode("utf-8", "replace")


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if name in {"latitude", "longitude"} and isinstance(value, float) and not math.isfinite(value):
        return 1e9  # no place on the globe: taken as absent, as in a column
    if isinstance(value, dict):
        return {key: _plain("", one) for key, one in value.items() if one is not None}
    return value
