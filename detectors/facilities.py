"""The table `facilities` as numbers by row: one row a facility that was ever seen, whatever the table holds now."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.rhythm import Rhythm
from detectors.tables import Rows, Table

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Facilities:
    """A facility that left the table holds nothing now: its zero counts as much as any other number."""

    def __init__(self, table: Table, known: Rhythm, numbers: Rows) -> None:
        """`numbers` are those of `known`, kept from window to window."""
        rows = numbers.of(table.coded("facility"), known.row)
        self._table = table
        self._size = len(known)
        self._lines = None if len(rows) and rows.min() >= 0 else np.flatnonzero(rows >= 0)
        self._rows = rows if self._lines is None else rows[self._lines]
        self.rows = np.arange(self._size, dtype=np.int64)
        self._line: I64 | None = None
        self.arrived, self.stock, self.stalled = map(self._dense, ("arrived", "stock", "stalled"))
        self.out = self._dense("departed") + self._dense("delivered")

    def __len__(self) -> int:
        return self._size

    def _dense(self, name: str) -> F64:
        values, found = self._table.whole(name), np.zeros(self._size)
        found[self._rows] = values if self._lines is None else values[self._lines]
        return np.maximum(found, 0.0, out=found)

    def place(self, row: int) -> tuple[str | None, str | None]:
        """Region and carrier, where the table names them."""
        if self._line is None:
            self._line = np.full(self._size, -1, np.int64)
            self._line[self._rows] = np.arange(len(self._rows)) if self._lines is None else self._lines
        line = self._line[row : row + 1]
        if line[0] < 0:
            return None, None
        (region,), (carrier,) = self._table.labels("region", line), self._table.labels("carrier", line)
        return region, carrier
