"""Parcels that ended, from the chunks in which they came to columns: once for all who read them at the same moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.engine.kernels.endings import EndingColumns, lay_out
from monitor.engine.layout import ENDING, Records
from monitor.engine.rows import RowLog
from monitor.vocabulary import Status

Endings: TypeAlias = "Mapping[str, npt.NDArray[Any]]"  # by the fields of ENDING


class EndingLog(RowLog):
    def __init__(self, readers: Iterable[str]) -> None:
        super().__init__(ENDING, readers)
        self._laid: tuple[int, Endings] | None = None  # from which row on, up to the last

    def append(self, rows: Records) -> None:
        if len(rows):
            self._laid = None
        super().append(rows)

    def columns(self, reader: str, before: Sequence[Records] = ()) -> Endings:
        """What came since this reader's last call, after these rows; not to be written to."""
        first = self._end - self.waiting(reader)
        parts = self.parts(reader)
        if before:
            return _laid_out([*before, *parts])
        if self._laid is None or self._laid[0] != first:
            self._laid = first, _laid_out(parts)
        laid = self._laid[1]
        if not self._chunks:  # nobody else asks
            self._laid = None
        return laid

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._laid = None


def by_status(statuses: Collection[Status]) -> npt.NDArray[np.bool_]:
    return np.array([status in statuses for status in Status])


def _laid_out(parts: Sequence[Records]) -> Endings:
    room, rows = sum(map(len, parts)), 0
    columns = EndingColumns(*(np.empty(room, ENDING[name]) for name in EndingColumns._fields))
    for part in parts:
        lay_out(part, rows, columns)
        rows += len(part)
    return columns._asdict()


def count(endings: Endings) -> int:
    return len(endings["occurred"])
