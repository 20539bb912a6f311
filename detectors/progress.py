"""What the way so far adds to the odds of being late: the segment a parcel is on, and how long it has been there.

When a parcel ends, the engine no longer knows where it was on each day; so looks are kept for a bounded number of
live parcels until their label comes. The correction starts at nothing and is learned on top of the tables' logit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import DAY
from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

SEGMENTS: Final = 10
_AGES: Final = np.array([0.25, 0.5, 1.0, 2.0, 4.0]) * DAY
_LEFT: Final = 12
_STEP: Final = 0.3
_LOOKS: Final = 8  # of one parcel


class Progress:
    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._weights = np.zeros((SEGMENTS, len(_AGES) + 1, _LEFT + 1))
        self._settled = np.full(self._weights.shape, 3.0)
        self._kept: dict[str, list[list[float]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def correction(self, segment: I64, age: F64, left: I64) -> F64:
        return np.asarray(self._weights[self._cells(segment, age, left)], dtype=np.float64)

    def keep(self, names: Sequence[str], segment: I64, age: F64, left: I64, logit: F64) -> None:
        """Remember these looks, as far as there is room. One look a day left; later ones replace it."""
        at = self._cells(segment, age, left)
        for row, name in enumerate(names):
            looks = self._kept.get(name)
            if looks is None:
                if len(self._kept) >= self._capacity:
                    continue
                looks = self._kept[name] = []
            if looks and looks[-1][2] == at[2][row]:
                looks.pop()
            looks.append([int(at[0][row]), int(at[1][row]), int(at[2][row]), float(logit[row])])
            del looks[:-_LOOKS]

    def learn(self, names: Sequence[str], late: Sequence[bool]) -> None:
        for name, label in zip(names, late, strict=True):
            for segment, age, left, logit in self._kept.pop(name, ()):
                cell = (int(segment), int(age), int(left))
                odds = np.exp(-(logit + self._weights[cell]))
                self._settled[cell] += 0.15
                self._weights[cell] += _STEP * (label - 1.0 / (1.0 + odds)) / self._settled[cell] ** 0.75

    def forget(self, names: Sequence[str], days: float) -> None:
        """Parcels that left without a label, and a little of how settled the cells are."""
        for name in names:
            self._kept.pop(name, None)
        np.maximum(self._settled * 0.998**days, 3.0, out=self._settled)

    def oldest(self) -> list[str]:
        """Half of what is kept, where there is no room left: parcels that vanished must not hold it for ever."""
        return list(self._kept)[: self._capacity // 2] if len(self._kept) >= self._capacity else []

    def _cells(self, segment: I64, age: F64, left: I64) -> tuple[I64, I64, I64]:
        return (
            np.clip(segment, 0, SEGMENTS - 1),
            np.searchsorted(_AGES, age, side="right"),
            np.clip(left, 0, _LEFT),
        )

    def state(self) -> dict[str, Any]:
        return {"weights": pack(self._weights), "settled": pack(self._settled), "kept": self._kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._weights, self._settled = unpack(state["weights"]), unpack(state["settled"])
        self._kept = {str(name): [list(look) for look in looks] for name, looks in state["kept"].items()}
