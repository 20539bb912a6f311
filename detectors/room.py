"""Rows for facilities beyond the capacity: names come and go for years, and one of them may be tomorrow's hub.

Where a facility that holds or moves something finds no row, it takes that of the one which has had nothing for the
longest, if that was a week at least; the largest newcomers first. Rows stay where they are, so it costs as much as the
newcomers are, whatever is known of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import HOUR
from detectors.index import Index
from detectors.interfaces import Window
from detectors.plain import pack, unpack
from detectors.tables import I64, Coded, Table

QUIET_DAYS: Final = 7.0  # every hour of the week was quiet
_NOBODY: Final[I64] = np.zeros(0, np.int64)


class Room:
    """`names` have their rows here; `held` answers rows that are not given to others."""

    def __init__(self, names: Index, held: Callable[[], Iterable[int]]) -> None:
        self._names = names
        self._held = held
        self._busy_at = np.zeros(0, np.int32)  # by row, hours since 1970
        self.refused = 0  # newcomers without a row, each time that they were told of

    def uncounted(self) -> Mapping[str, int]:
        """As `detectors.interfaces.Counts`."""
        return {"no_room": self.refused}

    def make(self, window: Window) -> I64:
        """The rows that went to newcomers, who must be known as little there as anybody who is new. To be called when
        `names` have heard the names of the window, and `busy_at` is up to date.
        """
        if not self._names.full or window.until <= window.since:
            return _NOBODY
        table = window.table("facilities")
        column = table.coded("facility")
        newcomers = self._newcomers(table, column)
        if not len(newcomers):
            return _NOBODY
        rows = self._longest_quiet(window.until, len(newcomers))
        self.refused += len(newcomers) - len(rows)
        if len(rows):
            self._names.replace(rows, Coded(newcomers[: len(rows)], column.texts))
        return rows

    def busy_at(self, window: Window) -> npt.NDArray[np.int32]:
        """By row the hours since 1970 when each last had something, to be brought up to date; of a window that ends before
        it begins, nothing is to be learned.
        """
        more = len(self._names) - len(self._busy_at)
        if more > 0:  # who is new is busy, and so is who comes from a checkpoint that did not say
            fresh = np.full(more, hours_since_1970(window.until), np.int32)
            self._busy_at = np.concatenate([self._busy_at, fresh])
        return self._busy_at if window.until >= window.since else self._busy_at.copy()

    def _newcomers(self, table: Table, column: Coded) -> I64:
        """Codes of those without a row who hold or move something, the most first."""
        lines = np.flatnonzero((self._names.of(column) < 0) & (column.codes != 0))
        if not len(lines):
            return _NOBODY
        amount = np.zeros(len(lines), np.int64)
        for name in ("arrived", "departed", "delivered", "stock"):
            amount += np.maximum(table.whole(name)[lines], 0)
        order = np.argsort(-amount, kind="stable")[: np.count_nonzero(amount)]
        return np.array(list(dict.fromkeys(column.codes[lines[order]].tolist())), np.int64)

    def _longest_quiet(self, now: int, most: int) -> I64:
        hour = hours_since_1970(now)
        np.minimum(self._busy_at, hour, out=self._busy_at)  # a clock that was ahead and is set back
        quiet = self._busy_at <= hour - QUIET_DAYS * 24
        quiet[list(self._held())] = False
        rows = np.flatnonzero(quiet)
        return rows[np.argsort(self._busy_at[rows], kind="stable")[:most]]

    def state(self) -> dict[str, Any]:
        return {"busy_at": pack(self._busy_at), "refused": self.refused}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """None: of a checkpoint that knew nothing of it."""
        self._busy_at = unpack(state["busy_at"]) if state else np.zeros(0, np.int32)
        self.refused = int(state["refused"]) if state else 0


def hours_since_1970(now: int) -> int:
    return now // HOUR
