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
from typing import Any, Final, cast

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from monitor.columns import I64, U8
from monitor.scancolumns import (
    DELIVERED,
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

_TEXTS: Final = ("event_id", "source", "tracking_number", "carrier", "facility", "region", "courier_id")
_UNUSED: Final = ("order_id", "status_raw", "signed_by")  # typed by the contract all the same
_REQUIRED: Final = ("kind", "event_id", "occurred_at", "tracking_number", "carrier", "status")
_STATUS: Final = pl.Enum(list(STATUS))
_DELIVERED: Final = pl.Enum(list(DELIVERED))


def read(data: bytes, latest: int | None) -> tuple[ScanTexts | None, list[bytes]]:
    """The columns of the tracking events, and the other events as JSON lines. Raises `DeadEventError` for the frame."""
    try:
        frame = pl.read_ipc_stream(io.BytesIO(data))
        if "kind" not in frame.columns or not _is_text(frame.schema["kind"]):
            raise DeadEventError(DeadReason.BAD_FRAME, "an Arrow frame needs the text column kind")
        is_scan = (frame["kind"].cast(pl.String) == "tracking").fill_null(value=False)
        scans = frame if is_scan.all() else frame.filter(is_scan)
        texts = _scans(scans, latest)
        if texts is None:
            return None, as_lines(frame)
        return texts, [] if scans.height == frame.height else as_lines(frame.filter(~is_scan))
    except (PolarsError, OSError, PanicException) as error:
        raise DeadEventError(
            DeadReason.BAD_FRAME, f"not an Arrow IPC stream: {type(error).__name__}"
        ) from None


def _scans(frame: pl.DataFrame, latest: int | None) -> ScanTexts | None:
    """None where something is wrong with any row."""
    schema = frame.schema
    if any(name not in schema or frame[name].null_count() for name in _REQUIRED):
        return None
    if any(name in schema and not _is_text(schema[name]) for name in (*_TEXTS, *_UNUSED)):
        return None
    if "extra" in schema and not isinstance(schema["extra"], pl.Struct | pl.Null):
        return None
    status = _codes(frame, "status", _STATUS)
    delivered = _codes(frame, "delivered_to", _DELIVERED)
    occurred, received, estimated = (
        _times(frame, name) for name in ("occurred_at", "received_at", "estimated_at")
    )
    latitude, longitude = _numbers(frame, "latitude"), _numbers(frame, "longitude")
    if (
        status is None
        or delivered is None
        or occurred is None
        or received is None
        or estimated is None
        or latitude is None
        or longitude is None
    ):
        return None
    texts = ScanTexts(
        event_id=_column(frame, "event_id"),
        source=_column(frame, "source"),
        tracking_number=_column(frame, "tracking_number"),
        carrier=_column(frame, "carrier"),
        facility=_column(frame, "facility"),
        region=_column(frame, "region"),
        courier=_column(frame, "courier_id"),
        occurred=occurred,
        received=np.where(received == 0, occurred, received),
        estimated=estimated,
        status=status,
        delivered_to=delivered,
        latitude=degrees(latitude, 90),
        longitude=degrees(longitude, 180),
    )
    return texts if fits(texts, latest) else None


def _is_text(kind: Any) -> bool:
    return isinstance(kind, pl.String | pl.Categorical | pl.Enum | pl.Null)


def _column(frame: pl.DataFrame, name: str) -> Column:
    offsets = np.zeros(frame.height + 1, np.int64)
    if name not in frame.schema or frame.height == 0:
        return np.empty(0, np.uint8), offsets
    series = frame[name].cast(pl.String)
    if series.null_count():
        series = series.fill_null("")
    np.cumsum(series.str.len_bytes().to_numpy(), out=offsets[1:])
    joined: str = series.str.join("").item()
    return np.frombuffer(joined.encode(), np.uint8), offsets


def _codes(frame: pl.DataFrame, name: str, words: pl.Enum) -> U8 | None:
    """The position of each word, which is its code; absent is 0. None where a word is none of them."""
    if name not in frame.schema:
        return np.zeros(frame.height, np.uint8)
    if not _is_text(frame.schema[name]):
        return None
    series = frame[name].cast(pl.String)
    coded = series.cast(words, strict=False)
    if coded.null_count() > series.null_count():
        return None
    return cast("U8", coded.to_physical().fill_null(0).to_numpy().astype(np.uint8))


def _times(frame: pl.DataFrame, name: str) -> I64 | None:
    if name not in frame.schema or frame.schema[name] == pl.Null:
        return np.zeros(frame.height, np.int64)
    kind = frame.schema[name]
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        moments = frame[name].dt.timestamp("ms").fill_null(0).to_numpy()
        return moments if in_range(moments[frame[name].is_not_null().to_numpy()]) else None
    if kind == pl.String:
        return parsed(_column(frame, name))
    return None


def _numbers(frame: pl.DataFrame, name: str) -> Any:
    if name not in frame.schema:
        return np.full(frame.height, np.nan)
    if not frame.schema[name].is_numeric() and frame.schema[name] != pl.Null:
        return None
    return frame[name].cast(pl.Float64).fill_null(math.nan).to_numpy()


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
