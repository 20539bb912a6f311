"""Whether a facility sends on what comes, however much that is: a sale that flows needs no more people.

A twin of each facility sends on after the usual stay, which is the usual stock over the usual departures (Little), whatever
comes. What the twin holds is cleared in the usual time, be it ten times the usual; what the facility holds beyond is not.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

MEMORY: Final = 24.0  # hours over which the usual stay is taken: hubs send by the hour of the day
STAY: Final = (1.0, 72.0)  # hours, the least and the most that are believed
SALE: Final = 1.3  # times the usual stock, at the usual stay, from which much more comes than usual
# Times what the twin holds: a hub whose parcels leave in turn held up to 1.5 of it in a tenfold sale.
KEEPS_UP: Final = 1.6
SOME: Final = 10.0  # parcels more or less mean nothing
HOLDS, LEAVE, STAND = range(3)


class Flow:
    """Per facility: what the twin holds, and sums of the usual departures and of the usual stock that fade."""

    def __init__(self) -> None:
        self._sums: F64 = np.zeros((3, 0))

    def follow(self, stock: F64, arrived: F64, usually_left: F32, usual_stock: F32, hours: float) -> Bools:
        """Which have much more to send on than usual, and do. `arrived` in the last `hours`; `usually_left` an hour."""
        self._grow(stock)
        holds, leave, stand = self._sums[:, : len(stock)]
        keep = float(np.exp(-hours / MEMORY))
        leave[:] = keep * leave + hours * usually_left
        stand[:] = keep * stand + hours * usual_stock
        stay = np.clip(stand / np.maximum(leave, 1e-9), *STAY)
        left = np.exp(-hours / stay)
        holds[:] = left * holds + arrived / hours * stay * (1.0 - left)
        sale = holds >= SALE * (usual_stock + SOME)
        return np.asarray(sale & (stock <= KEEPS_UP * (holds + SOME)))

    def _grow(self, stock: F64) -> None:
        size, room = len(stock), self._sums.shape[1]
        if size > room:
            blank = np.zeros((3, max(size - room, 3 * room, 256 - room)))
            blank[HOLDS, : size - room] = stock[room:]
            self._sums = np.concatenate([self._sums, blank], axis=1)

    def renew(self, rows: npt.NDArray[np.int64]) -> None:
        """Of other facilities now: their twins are empty, and right within a stay."""
        known = rows[rows < self._sums.shape[1]]  # after a checkpoint without twins there are none yet
        self._sums[:, known] = 0.0

    def state(self, size: int) -> dict[str, Any]:
        return pack(self._sums[:, :size].T)

    def restore(self, state: dict[str, Any] | None) -> None:
        """None: of a checkpoint that knew no twins. They begin with what stands there, and are right within a stay."""
        self._sums = np.zeros((3, 0)) if state is None else np.ascontiguousarray(unpack(state).T)
