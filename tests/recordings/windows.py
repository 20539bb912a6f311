"""Windows for recordings: the frames that are given, the others empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from detectors.interfaces import SCHEMAS, Window

MONDAY = 1_767_542_400_000  # 2026-01-05 00:00 in Shanghai


def rows(name: str, values: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Columns that a row does not name are null."""
    blank = dict.fromkeys(SCHEMAS[name])
    return pl.DataFrame([blank | dict(value) for value in values], schema=dict(SCHEMAS[name]))


def window(since: int, until: int, **frames: pl.DataFrame) -> Window:
    return Window(since=since, until=until, **frames)
