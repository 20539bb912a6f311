"""Rows that wait for detectors that run seldom: kept once, read by each from where it stopped, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from monitor.engine.layout import Records
from monitor.engine.records import joined

LIMIT = 2_000_000


class RowLog:
    """Chunks of one record type. Beyond `limit` rows the oldest go, counted in `dropped`."""

    def __init__(self, dtype: np.dtype[Any], readers: Iterable[str], limit: int = LIMIT) -> None:
        self._dtype = dtype
        self._limit = limit
        self._chunks: list[Records] = []
        self._start = 0  # number of the first row kept, since the beginning of time
        self._end = 0
        self._cursors = dict.fromkeys(readers, 0)
        self.dropped = 0

    def add_reader(self, reader: str) -> None:
        self._cursors[reader] = self._end

    @property
    def is_read(self) -> bool:
        return bool(self._cursors)

    def waiting(self, reader: str) -> int:
        """Rows that this reader has not seen."""
        return self._end - max(self._cursors[reader], self._start)

    def append(self, rows: Records) -> None:
        if not self.is_read or not len(rows):
            return
        self._chunks.append(rows)
        self._end += len(rows)
        while self._end - self._start > self._limit:
            oldest = self._chunks.pop(0)
            self._start += len(oldest)
            self.dropped += len(oldest)

    def read(self, reader: str) -> Records:
        """What came since this reader's last call."""
        return joined(self.parts(reader), self._dtype)

    def parts(self, reader: str) -> list[Records]:
        """As `read`, in the chunks in which they came."""
        skip = max(self._cursors[reader] - self._start, 0)
        self._cursors[reader] = self._end
        parts: list[Records] = []
        for chunk in self._chunks:
            if skip < len(chunk):
                parts.append(chunk[skip:] if skip else chunk)
            skip = max(skip - len(chunk), 0)
        self._trim()
        return parts

    def _trim(self) -> None:
        needed = min(self._cursors.values())
        while self._chunks and self._start + len(self._chunks[0]) <= needed:
            self._start += len(self._chunks.pop(0))

    def state(self) -> dict[str, Any]:
        rows = joined(self._chunks, self._dtype)
        return {"start": self._start, "rows": rows.tobytes(), "cursors": dict(self._cursors)}

    def restore(self, state: Mapping[str, Any]) -> None:
        rows = np.frombuffer(state["rows"], self._dtype)
        self._start = state["start"]
        self._end = self._start + len(rows)
        self._chunks = [rows.copy()] if len(rows) else []
        # A detector that is new since the checkpoint begins here.
        self._cursors = {reader: state["cursors"].get(reader, self._end) for reader in self._cursors}
