"""The table `facilities` as numbers by row: one row a facility that was ever seen, whatever the table holds now."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from detectors.interfaces import Window
from detectors.rhythm import Rhythm
from detectors.room import Room, hours_since_1970

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Facilities:
    """A facility that left the table holds nothing now: its zero counts as much as any other number."""

    def __init__(self, window: Window, known: Rhythm, room: Room) -> None:
        """`renewed` are rows that went from one facility to another."""
        self._table = window.table("facilities")
        columns = self._by_row(window, known, room)
        self.renewed = room.make(window)
        if len(self.renewed):
            columns = self._by_row(window, known, room)
        self._lines = known.names.lines()
        self.rows = np.arange(len(known), dtype=np.int64)
        self.arrived: F64
        self.stock: F64
        self.stalled: F64
        self.out: F64
        self.arrived, self.stock, self.stalled, self.out = columns

    def _by_row(self, window: Window, known: Rhythm, room: Room) -> F64:
        rows, whole = known.rows_of(self._table.coded("facility")), self._table.whole
        columns = np.zeros((4, len(known)))
        by_row(
            rows,
            whole("arrived"),
            whole("stock"),
            whole("stalled"),
            whole("departed"),
            whole("delivered"),
            columns,
            hours_since_1970(window.until),
            room.busy_at(window),
        )
        return columns

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, row: int) -> tuple[str | None, str | None]:
        """Region and carrier, where the table names them."""
        line = self._lines[row : row + 1]
        if line[0] < 0:
            return None, None
        (region,), (carrier,) = self._table.labels("region", line), self._table.labels("carrier", line)
        return region, carrier


@njit(cache=True, nogil=True)
def by_row(
    rows: Any,
    arrived: Any,
    stock: Any,
    stalled: Any,
    departed: Any,
    delivered: Any,
    columns: Any,
    hour: int,
    busy_at: Any,
) -> None:
    """Lines of the table to `columns` [what arrived, is held, stands still, went out; row], none below zero. Of what stands
    still as much as is held: the rest is on the road from there. `busy_at` becomes `hour` where there is anything.
    """
    for line in range(len(rows)):
        row = rows[line]
        if row >= 0:
            columns[0, row] = max(arrived[line], 0)
            columns[1, row] = max(stock[line], 0)
            columns[2, row] = min(max(stalled[line], 0), columns[1, row])
            columns[3, row] = max(departed[line], 0) + max(delivered[line], 0)
            if columns[0, row] + columns[1, row] + columns[3, row] > 0:
                busy_at[row] = hour
