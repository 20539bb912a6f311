"""Rows of a table as canonical events in NDJSON: for whatever wants a look at each row."""

from __future__ import annotations

import json
import math
import sys
from datetime import datetime
from typing import Any, Final

import polars as pl

from monitor.vocabulary import DeadReason
from monitor.wire import DeadEventError

_ROWS_AT_ONCE: Final = 16  # a row may be as large as the frame: rows share their words


def as_lines(frame: pl.DataFrame, most: int = sys.maxsize) -> list[bytes]:
    """Rows as JSON objects; null is absent. Raises `DeadEventError` where they are more than `most` bytes."""
    found, size = [], 0
    for row in frame.iter_rows(named=True, buffer_size=_ROWS_AT_ONCE):
        found.append(_line(row))
        size += len(found[-1])
        if size > most:
            raise DeadEventError(
                DeadReason.TOO_LARGE, f"rows of an Arrow frame that unfold to more than {most} bytes"
            )
    return found


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
