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
        numbers.of(table.coded("facility"), known.row)
        self._table = table
        self._lines = numbers.lines(len(known))
        self._gone = self._lines < 0 if len(known) and self._lines.min() < 0 else None
        self.rows = np.arange(len(known), dtype=np.int64)
        self.arrived, self.stock, self.stalled = map(self._dense, ("arrived", "stock", "stalled"))
        self.out = self._dense("departed")
        self.out += self._dense("delivered")

    def __len__(self) -> int:
        return len(self._lines)

    def _dense(self, name: str) -> F64:
        if not len(self._table):
            return np.zeros(len(self))
        found = self._table.whole(name).take(self._lines, mode="clip").astype(np.float64)
        if self._gone is not None:
            found[self._gone] = 0.0
        return np.maximum(found, 0.0, out=found)

    def place(self, row: int) -> tuple[str | None, str | None]:
        """Region and carrier, where the table names them."""
        line = self._lines[row : row + 1]
        if line[0] < 0:
            return None, None
        (region,), (carrier,) = self._table.labels("region", line), self._table.labels("carrier", line)
        return region, carrier
