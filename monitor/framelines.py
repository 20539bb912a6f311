"""Rows of a table as canonical events in NDJSON: for whatever wants a look at each row."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import polars as pl


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
