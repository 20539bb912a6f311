"""Who has more of something than its peers: couriers and stations, by expected false sign-offs over sign-offs.

Beta-binomial shrinkage: a courier with three parcels borrows the rate of all; counts fade with a half-life.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from detectors.plain import pack, unpack
from detectors.tables import F64, I64, Coded, Rows

_PRIOR: Final = 15.0  # sign-offs that the peers' rate weighs
_HALF_LIFE: Final = 45.0  # days
_FLOOR: Final = 0.0005  # the peers' rate is at least this


class Peers:
    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._index: dict[str, int] = {}
        self._known = Rows()
        self._bad = np.zeros(64)
        self._all = np.zeros(64)

    def rows(self, names: Sequence[str | None]) -> I64:
        """-1 for no name, and where there is no room. When full, the half that did least is forgotten first."""
        self._make_room()
        return np.array([-1 if name is None else self._enter(name) for name in names], dtype=np.int64)

    def rows_of(self, column: Coded) -> I64:
        """As `rows`, of a column."""
        self._make_room()
        return self._known.of(column, self._enter)

    def _make_room(self) -> None:
        if len(self._index) < self._capacity:
            return
        kept = sorted(self._index, key=lambda one: -self._all[self._index[one]])[: self._capacity // 2]
        rows = [self._index[one] for one in kept]
        self._bad, self._all = self._bad[rows], self._all[rows]
        self._index = {one: row for row, one in enumerate(kept)}
        self._known.forget()

    def _enter(self, name: str) -> int:
        row = self._index.get(name)
        if row is not None:
            return row
        if len(self._index) >= self._capacity:
            return -1
        row = self._index[name] = len(self._index)
        if row >= len(self._bad):
            self._bad = np.concatenate([self._bad, np.zeros(row + 64)])
            self._all = np.concatenate([self._all, np.zeros(row + 64)])
        self._bad[row] = self._all[row] = 0.0
        return row

    def rate(self) -> float:
        return max(float((self._bad.sum() + 1.0) / (self._all.sum() + 500.0)), _FLOOR)

    def excess(self, rows: I64) -> F64:
        """Log of each one's shrunk rate over the peers'; 0 for no name."""
        if not (rows >= 0).any():
            return np.zeros(len(rows))
        rate = self.rate()
        own = (self._bad[rows] + _PRIOR * rate) / (self._all[rows] + _PRIOR)
        return np.where(rows >= 0, np.log(own / rate), 0.0)

    def count(self, rows: I64, bad: F64, signed: float = 1.0) -> None:
        known = rows >= 0
        if not known.any():
            return
        np.add.at(self._bad, rows[known], bad[known])
        np.add.at(self._all, rows[known], signed)
        np.maximum(self._bad, 0.0, out=self._bad)

    def correct(self, name: str | None, more: float) -> None:
        if name is not None and more and name in self._index:
            row = self._index[name]
            self._bad[row] = max(0.0, self._bad[row] + more)

    def standing(self, name: str) -> tuple[float, float, float]:
        """Expected false sign-offs, sign-offs, and deviations from the peers' rate."""
        row = self._index[name]
        bad, signed = float(self._bad[row]), float(self._all[row])
        expected = signed * self.rate()
        return bad, signed, (bad - expected) / float(np.sqrt(expected + 0.5))

    def outstanding(self, least: float, deviations: float) -> list[str]:
        if not (self._bad >= least).any():
            return []
        expected = self._all * self.rate()
        far = (self._bad >= least) & ((self._bad - expected) / np.sqrt(expected + 0.5) >= deviations)
        rows = set(np.flatnonzero(far).tolist())
        return [name for name, row in self._index.items() if row in rows] if rows else []

    def forget(self, days: float) -> None:
        keep = 0.5 ** (days / _HALF_LIFE)
        self._bad *= keep
        self._all *= keep

    def state(self) -> dict[str, Any]:
        size = len(self._index)
        return {"names": list(self._index), "bad": pack(self._bad[:size]), "all": pack(self._all[:size])}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._index = {str(name): row for row, name in enumerate(state["names"])}
        self._known.forget()
        self._bad, self._all = unpack(state["bad"]), unpack(state["all"])
