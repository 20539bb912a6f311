"""What became of parcels with a promise, kept until the last day of the promise is over.

Who arrives early is known days before who is late. Taught as it comes, a young shop would hear of quick parcels only,
and at each midnight of late ones only; so all that was due on a day teaches after it, those in time beside those late,
in slices that are drawn from both alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.findings import Instant
from detectors.lateness import Known
from detectors.plain import pack, unpack
from detectors.tables import I64

_COLUMNS: Final = ("ordered", "handed", "promised", "lane", "carrier")
_ENDED, _LATE, _LOT = len(_COLUMNS), len(_COLUMNS) + 1, len(_COLUMNS) + 2
_NEVER: Final = 2**31 - 1
_LOTS: Final = 2**31
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)

Cells = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Taught:
    """`ended` is the local day of the end, far ahead for those late. `names` has "" for who was given none."""

    known: Known
    ended: I64
    late: npt.NDArray[np.bool_]
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


class Outcomes:
    """Where there is no room, half of all are let go by lot, those late as those in time: what is left stands for them."""

    def __init__(self, capacity: int = 500_000) -> None:
        self._capacity = capacity
        self._share = 1.0
        self._ended: dict[Instant, tuple[list[Cells], list[str]]] = {}
        # past their promise on a day that is not over, by the moment at which it will be
        self._open: dict[Instant, dict[str, Cells]] = {}
        self._limits: dict[Instant, float] = {}  # of the lot, by the moment at which they teach
        self._held = 0

    def __len__(self) -> int:
        return self._held + sum(map(len, self._open.values()))

    def arrived(
        self, known: Known, ended: I64, moment: I64, lot: I64, names: Sequence[str], *, late: bool = False
    ) -> None:
        """`moment`: when they may teach, a few moments for thousands; `lot`: any number of each parcel's own."""
        rows = _rows(known, np.full(len(known), _NEVER) if late else ended, lot, late=late)
        for at in np.unique(moment).tolist():
            chosen = np.flatnonzero((moment == at) & self._drawn(at, rows))
            self._add(at, rows[chosen], [names[row] for row in chosen.tolist()])
        self._make_room()

    def passed(self, known: Known, moment: I64, lot: I64, names: Sequence[str]) -> None:
        """Still under way when their promise passed: late unless they arrive by the moment."""
        rows = _rows(known, np.full(len(known), _NEVER), lot, late=True)
        for at in np.unique(moment).tolist():
            chosen = np.flatnonzero((moment == at) & self._drawn(at, rows)).tolist()
            self._open.setdefault(at, {}).update((names[row], rows[row]) for row in chosen)
        self._make_room()

    def over(self, names: Collection[str | None]) -> None:
        """They ended, however."""
        for missing in self._open.values():
            for name in names:
                missing.pop(name or "", None)

    def take(self, now: Instant, most: int) -> Taught | None:
        """The next of those whose day is over, at most so many; None when nobody is left."""
        self._miss(now)
        moment = min(self._ended, default=now + 1)
        if moment > now:
            return None
        rows, names = self._in_order(moment)
        self._held -= len(rows[:most])
        if most < len(rows):
            self._ended[moment] = [rows[most:]], names[most:]
        else:
            del self._ended[moment]
            self._limits = {at: limit for at, limit in self._limits.items() if at > moment}
            if len(self) < self._capacity // 4:
                self._share = min(1.0, self._share * 2)
        whole: I64 = rows[:most].astype(np.int64)
        known = Known(np.zeros(len(whole), np.int64), *whole[:, : len(_COLUMNS)].T)
        return Taught(known, whole[:, _ENDED], whole[:, _LATE] == 1, names[:most])

    def _miss(self, now: Instant) -> None:
        for at in [at for at in self._open if at <= now]:
            missing = self._open.pop(at)
            if missing:
                self._add(at, np.stack(list(missing.values())), list(missing))

    def _add(self, moment: Instant, rows: Cells, names: list[str]) -> None:
        parts, told = self._ended.setdefault(moment, ([], []))
        parts.append(rows)
        told += names
        self._held += len(rows)

    def _in_order(self, moment: Instant) -> tuple[Cells, list[str]]:
        """By lot: a slice is a sample, and nothing hangs on the order in which they came."""
        parts, names = self._ended[moment]
        if len(parts) == 1 and (np.diff(parts[0][:, _LOT]) >= 0).all():
            return parts[0], names
        rows = np.concatenate(parts)
        order = np.lexsort(rows.T)
        return rows[order], [names[row] for row in order.tolist()]

    def _drawn(self, moment: Instant, rows: Cells) -> npt.NDArray[np.bool_]:
        limit = self._limits.setdefault(moment, self._share)
        return np.asarray(rows[:, _LOT] < limit * _LOTS)

    def _make_room(self) -> None:
        while len(self) > self._capacity:
            self._share /= 2
            self._limits = {at: min(limit, self._share) for at, limit in self._limits.items()}
            held, self._ended, self._held = self._ended, {}, 0
            for moment, (parts, names) in held.items():
                rows = np.concatenate(parts)
                drawn = np.flatnonzero(self._drawn(moment, rows))
                self._add(moment, rows[drawn], [names[row] for row in drawn.tolist()])
            for at, missing in self._open.items():
                limit = self._limits[at] * _LOTS
                self._open[at] = {name: row for name, row in missing.items() if row[_LOT] < limit}

    def state(self) -> dict[str, Any]:
        return {
            "share": self._share,
            "limits": list(self._limits.items()),
            "ended": [
                [moment, pack(rows), [[row, name] for row, name in enumerate(names) if name]]
                for moment in sorted(self._ended)
                for rows, names in [self._in_order(moment)]
            ],
            "open": [
                [at, list(missing), pack(np.stack(list(missing.values())))]
                for at, missing in self._open.items()
                if missing
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._share = float(state["share"])
        self._limits = {int(at): float(limit) for at, limit in state["limits"]}
        self._ended, self._held = {}, 0
        for moment, packed, said in state["ended"]:
            rows = unpack(packed)
            names = [""] * len(rows)
            for row, name in said:
                names[int(row)] = str(name)
            self._add(int(moment), rows, names)
        self._open = {
            int(at): dict(zip(map(str, names), unpack(packed), strict=True))
            for at, names, packed in state["open"]
        }


def _rows(known: Known, ended: I64, lot: I64, *, late: bool) -> Cells:
    rows = np.empty((len(known), _LOT + 1), np.int32)
    for place, name in enumerate(_COLUMNS):
        rows[:, place] = getattr(known, name)
    mixed = lot.astype(np.uint64) * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
    rows[:, _ENDED], rows[:, _LATE], rows[:, _LOT] = ended, late, (mixed >> np.uint64(33)).astype(np.int64)
    return rows
