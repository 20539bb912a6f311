"""The frame `facilities` as numbers by row: one row a facility that was ever seen, whatever the frame holds now."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.rhythm import Rhythm

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_COLUMNS: Final = ("arrived", "departed", "delivered", "stock", "stalled")


class Facilities:
    """A facility that left the frame holds nothing now: its zero counts as much as any other number."""

    def __init__(self, frame: pl.DataFrame, known: Rhythm) -> None:
        if frame["facility"].null_count():
            frame = frame.filter(frame["facility"].is_not_null())
        self._frame = frame
        self._rows = known.rows(frame["facility"])
        self._size = len(known)
        self.rows = np.arange(self._size, dtype=np.int64)
        self._line: I64 | None = None
        self.arrived, self.departed, self.delivered, self.stock, self.stalled = map(self._dense, _COLUMNS)

    def __len__(self) -> int:
        return self._size

    def _dense(self, name: str) -> F64:
        column = self._frame[name]
        values = (column.fill_null(0) if column.null_count() else column).to_numpy()
        roomy = self._rows >= 0
        found = np.zeros(self._size)
        if roomy.all():
            found[self._rows] = values
        else:
            found[self._rows[roomy]] = values[roomy]
        return np.maximum(found, 0.0, out=found)

    def place(self, row: int) -> tuple[str | None, str | None]:
        """Region and carrier, where the frame names them."""
        if self._line is None:
            self._line = np.full(self._size, -1, np.int64)
            self._line[self._rows[self._rows >= 0]] = np.flatnonzero(self._rows >= 0)
        line = int(self._line[row])
        return (None, None) if line < 0 else (self._frame["region"][line], self._frame["carrier"][line])
