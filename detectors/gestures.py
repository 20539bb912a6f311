"""Sign-offs made together: how many others of the same courier within the minute, also across windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import HOUR, is_date
from detectors.findings import Instant
from detectors.signoff_features import NEAR
from detectors.tables import F64, I64, Rows, Table

_FIELDS: Final = ("tracking_number", "courier", "occurred", "received")
_SPAN: Final = 10_000_000_000_000  # milliseconds since 1970 stay below it
_CROWD: Final = 2.0  # others that make a gesture


class Gestures:
    """Sign-offs without a courier are nobody's gesture and are not kept."""

    def __init__(self, *, kept_hours: float = 6.0, capacity: int = 500_000) -> None:
        self._kept = int(kept_hours * HOUR)
        self._capacity = capacity
        self._begin()

    def _begin(self) -> None:
        self._numbers: dict[str, int] = {}  # of couriers
        self._rows = Rows()
        # By courier and moment, which are one number.
        self._keys: I64 = np.zeros(0, np.int64)
        self._received: I64 = np.zeros(0, np.int64)
        self._names: npt.NDArray[np.object_] = np.zeros(0, object)

    def together(self, table: Table, now: Instant, offset: int) -> tuple[F64, dict[str, float]]:
        """Counts by row, and those of earlier sign-offs that the new ones joined. `offset`: of the shop's wall clock.

        Those of which only the day is known were not made together.
        """
        if len(self._numbers) > 2 * self._capacity:
            self.restore(self.state())  # couriers that have nothing kept are forgotten
        courier = self._rows.of(table.coded("courier"), self._number)
        count, grown = np.zeros(len(table)), dict[str, float]()
        known = np.flatnonzero((courier >= 0) & ~is_date(table.whole("occurred"), offset))
        if len(known):
            keys = courier[known] * _SPAN + table.whole("occurred")[known]
            order = np.argsort(keys, kind="stable")
            known, keys = known[order], keys[order]
            grown = self._add(table, known, keys)
            count[known] = self._others(keys)
        self._forget(now)
        return count, grown

    def _near(self, fresh: I64) -> npt.NDArray[np.intp]:
        """Rows that are kept within the minute of a new one."""
        first, last = (
            np.searchsorted(self._keys, fresh - NEAR),
            np.searchsorted(self._keys, fresh + NEAR, "right"),
        )
        covered = np.zeros(len(self._keys) + 1, np.int64)
        np.add.at(covered, first, 1)
        np.add.at(covered, last, -1)
        return np.flatnonzero(np.cumsum(covered[:-1]) > 0)

    def _others(self, keys: I64) -> F64:
        """How many others each has about it, of all that are kept."""
        last = np.searchsorted(self._keys, keys + NEAR, "right")
        return (last - np.searchsorted(self._keys, keys - NEAR) - 1).astype(np.float64)

    def _add(self, table: Table, rows: I64, keys: I64) -> dict[str, float]:
        """Keeps rows of ascending keys; returns how many others those they joined have now, if these are a crowd."""
        joined = self._near(keys)
        names, before = self._names[joined].tolist(), self._keys[joined]
        at = np.searchsorted(self._keys, keys, "right")
        fresh = np.array(table.labels("tracking_number", rows), dtype=object)
        self._keys = np.insert(self._keys, at, keys)
        self._received = np.insert(self._received, at, table.whole("received")[rows])
        self._names = np.insert(self._names, at, fresh)
        others = zip(names, self._others(before).tolist(), strict=True)
        return {name: more for name, more in others if name and more >= _CROWD}

    def _number(self, courier: str) -> int:
        return self._numbers.setdefault(courier, len(self._numbers))

    def _forget(self, now: Instant) -> None:
        stay = self._received > now - self._kept
        excess = int(stay.sum()) - self._capacity
        if excess > 0:  # the longest known go
            stay[np.flatnonzero(stay)[np.argsort(self._received[stay], kind="stable")[:excess]]] = False
        if not stay.all():
            self._keys, self._received, self._names = (
                self._keys[stay],
                self._received[stay],
                self._names[stay],
            )

    def state(self) -> dict[str, Any]:
        couriers = list(self._numbers)
        columns = (
            self._names.tolist(),
            [couriers[key] for key in (self._keys // _SPAN).tolist()],
            (self._keys % _SPAN).tolist(),
            self._received.tolist(),
        )
        return dict(zip(_FIELDS, map(list, columns), strict=True))

    def restore(self, state: Mapping[str, Any]) -> None:
        self._begin()
        rows = [row for row in zip(*(state[name] for name in _FIELDS), strict=True) if row[1] is not None]
        keys = np.array([self._number(who) * _SPAN + at for _, who, at, _ in rows], dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._received = np.array([received for *_, received in rows], dtype=np.int64)[order]
        self._names = np.array([name for name, *_ in rows], dtype=object)[order]
