"""Sign-offs made together: how many others of the same courier within the minute, also across windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import HOUR
from detectors.findings import Instant
from detectors.signoff_features import NEAR
from detectors.tables import F64, I64, Rows, Table

_FIELDS: Final = ("tracking_number", "courier", "occurred", "received")
_SPAN: Final = 10_000_000_000_000  # milliseconds since 1970 stay below it


class Gestures:
    """Sign-offs without a courier are nobody's gesture and are not kept."""

    def __init__(self, *, kept_hours: float = 6.0, capacity: int = 100_000) -> None:
        self._kept = int(kept_hours * HOUR)
        self._capacity = capacity
        self._begin()

    def _begin(self) -> None:
        self._numbers: dict[str, int] = {}  # of couriers
        self._rows = Rows()
        self._names: list[str | None] = []
        self._keys: I64 = np.zeros(0, np.int64)  # courier and moment in one
        self._received: I64 = np.zeros(0, np.int64)

    def together(self, table: Table, now: Instant) -> tuple[F64, dict[str, float]]:
        """Counts by row, and those of earlier sign-offs that the new ones joined."""
        if len(self._numbers) > 2 * self._capacity:
            self._renumber()
        courier = self._rows.of(table.coded("courier"), self._number)
        count = np.zeros(len(table))
        known = np.flatnonzero(courier >= 0)
        if not len(known):
            self._forget(now)
            return count, {}
        fresh = courier[known] * _SPAN + table.whole("occurred")[known]
        before = len(self._keys)
        keys = np.concatenate([self._keys, fresh])
        ordered = np.sort(keys)
        others = np.searchsorted(ordered, keys + NEAR, "right") - np.searchsorted(ordered, keys - NEAR) - 1
        counts = others.astype(np.float64)
        count[known] = counts[before:]
        grown = self._grown(counts[:before], np.sort(fresh))
        self._keys = keys
        self._received = np.concatenate([self._received, table.whole("received")[known]])
        self._names += table.labels("tracking_number", known)
        self._forget(now)
        return count, grown

    def _grown(self, counts: F64, fresh: I64) -> dict[str, float]:
        old = self._keys
        joined = np.searchsorted(fresh, old + NEAR, "right") > np.searchsorted(fresh, old - NEAR)
        rows = np.flatnonzero(joined & (counts >= 2)).tolist()
        return {name: float(counts[row]) for row in rows if (name := self._names[row])}

    def _number(self, courier: str) -> int:
        return self._numbers.setdefault(courier, len(self._numbers))

    def _forget(self, now: Instant) -> None:
        stay = self._received > now - self._kept
        if not stay.all() or len(stay) > self._capacity:
            self._take(np.flatnonzero(stay)[-self._capacity :])

    def _take(self, rows: npt.NDArray[np.intp]) -> None:
        self._keys, self._received = self._keys[rows], self._received[rows]
        self._names = [self._names[row] for row in rows.tolist()]

    def _renumber(self) -> None:
        """Couriers that have nothing kept are forgotten."""
        state = self.state()
        self.restore(state)

    def state(self) -> dict[str, Any]:
        couriers = list(self._numbers)
        columns = (
            self._names,
            [couriers[key] for key in (self._keys // _SPAN).tolist()],
            (self._keys % _SPAN).tolist(),
            self._received.tolist(),
        )
        return dict(zip(_FIELDS, map(list, columns), strict=True))

    def restore(self, state: Mapping[str, Any]) -> None:
        self._begin()
        rows = [row for row in zip(*(state[name] for name in _FIELDS), strict=True) if row[1] is not None]
        self._names = [name for name, *_ in rows]
        self._keys = np.array([self._number(who) * _SPAN + at for _, who, at, _ in rows], dtype=np.int64)
        self._received = np.array([received for *_, received in rows], dtype=np.int64)
