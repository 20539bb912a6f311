"""The carriers and lanes that `carrier_degraded` watches, in columns: thousands move in an hour, a few are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numba import njit

from detectors.findings import Instant
from detectors.river_adapter import Drift
from detectors.tables import I64, LANE, Rows, Table

WATCH: Final = np.dtype(
    [
        ("legs", "f8"),  # of the batch that fills
        ("total", "f8"),
        ("began", "i8"),
        ("since", "i8"),  # when the last change began
        ("usual", "f8"),  # before a change
        ("slower", "f8"),  # now, over `usual`; averaged over batches
        ("batches", "i8"),
        ("calm", "i8"),
        ("peer_legs", "f8"),  # of what stands above, without its own, over the same batch
        ("peer_total", "f8"),
        ("seen", "i8"),
        ("own", "f8"),  # before a change, without peers
    ]
)
LEVELS: Final = 3  # a carrier, its way to a destination, that from an origin
NOBODY: Final = -1


class Watches:
    """Numbers by key, `carrier`, `carrier|destination` or `carrier|origin|destination`; when there is no room for new
    ones, the quarter that moved longest ago is forgotten.
    """

    def __init__(self, capacity: int, drift: Callable[[str], Drift]) -> None:
        self._capacity = capacity
        self._drift = drift
        self._begin()

    def _begin(self) -> None:
        self.keys: list[str] = []
        self.level: list[int] = []
        self._number: dict[str, int] = {}
        self._drifts: list[Drift | None] = []
        self.rows = np.zeros(64, WATCH)
        self._forget_lanes()

    def _forget_lanes(self) -> None:
        self._lanes = Rows()
        self._way: dict[str, int] = {}
        self._ways = np.full((64, LEVELS), NOBODY, np.int64)  # of each lane, its watch of each level

    def __len__(self) -> int:
        return len(self.keys)

    def drift(self, watch: int) -> Drift:
        known = self._drifts[watch]
        if known is None:
            known = self._drifts[watch] = self._drift(self.keys[watch])
        return known

    def of_carrier(self, watch: int) -> list[int]:
        """A carrier's watch and those of its lanes."""
        carrier = self.keys[watch]
        return [own for own, key in enumerate(self.keys) if key == carrier or key.startswith(f"{carrier}|")]

    def restart(self, watch: int, now: Instant) -> None:
        """As if it had never been seen."""
        self._drifts[watch] = None
        self.rows[watch] = 0
        self.rows["began"][watch] = self.rows["since"][watch] = now

    def of(self, table: Table, now: Instant) -> I64:
        """Of each row of `lanes` its watches, one a level; NOBODY where the row has no such name or there is no room."""
        if len(self) >= self._capacity:
            self._make_room()
        found = self._lanes.of(table.coded(LANE), self._enter_lane)
        for watch in range(len(self.keys) - 1, -1, -1):
            if self.rows["began"][watch]:
                break
            self.rows["began"][watch] = self.rows["since"][watch] = now
        return self._ways[found]

    def _enter_lane(self, name: str) -> int:
        lane = self._way.get(name)
        if lane is not None:
            return lane
        lane = self._way[name] = len(self._way)
        if len(self._way) >= len(self._ways):  # the last row stays nobody's
            self._ways = np.concatenate([self._ways, np.full_like(self._ways, NOBODY)])
        carrier, origin, destination = name.rsplit("|", 2)
        names = (carrier, destination, origin)
        keys = (carrier, f"{carrier}|{destination}", f"{carrier}|{origin}|{destination}")
        for level in range(LEVELS):
            if not names[level]:
                break
            watch = self._enter(keys[level], level)
            if watch == NOBODY:  # nor is what it stands above watched without it
                break
            self._ways[lane, level] = watch
        return lane

    def _enter(self, key: str, level: int) -> int:
        watch = self._number.get(key)
        if watch is not None:
            return watch
        if len(self.keys) >= self._capacity:
            return NOBODY
        watch = self._number[key] = len(self.keys)
        self.keys.append(key)
        self.level.append(level)
        self._drifts.append(None)
        if watch >= len(self.rows):
            self.rows = np.concatenate([self.rows, np.zeros_like(self.rows)])
        self.rows[watch] = 0
        return watch

    def _make_room(self) -> None:
        used = self.rows[: len(self)]
        # of those of one moment the youngest go: what stands above others was there before them
        order = np.lexsort((-np.arange(len(self)), used["seen"]))
        stay = np.sort(order[self._capacity // 4 :]).tolist()
        rows, keys, levels, drifts = used[stay], self.keys, self.level, self._drifts
        self._begin()
        for watch, row in zip(stay, rows, strict=True):
            number = self._enter(keys[watch], levels[watch])
            self.rows[number], self._drifts[number] = row, drifts[watch]

    def state(self) -> dict[str, list[Any]]:
        rows = self.rows[: len(self)].tolist()
        return {
            key: [*row, (drift or self._drift(key)).state()]
            for key, row, drift in zip(self.keys, rows, self._drifts, strict=True)
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._begin()
        for key, (*plain, tested) in state.items():
            watch = self._enter(str(key), min(str(key).count("|"), LEVELS - 1))
            if watch != NOBODY:
                # none of its own was kept once: it was as usual
                known = plain + [0.0] * (len(WATCH.names or ()) - len(plain))
                self.rows[watch] = tuple(known)
                self.drift(watch).restore(tested)


@njit(cache=True, nogil=True)
def count(
    watches: Any, finished: Any, residual: Any, all_legs: float, all_total: float, rows: Any, now: int
) -> None:
    """Adds what ended to the batches of WATCH `rows`: of each line, to its watches of each level. What stands above a
    watch, less its own, are its peers.
    """
    legs, total = np.zeros(len(rows)), np.zeros(len(rows))
    above = np.full(len(rows), NOBODY, np.int64)
    for line in range(len(watches)):
        for level in range(LEVELS):
            watch = watches[line, level]
            if watch != NOBODY:
                legs[watch] += finished[line]
                total[watch] += residual[line]
                if level > 0:
                    above[watch] = watches[line, level - 1]
    for watch in range(len(rows)):
        if legs[watch] > 0:
            row, upper = rows[watch], above[watch]
            if row.legs == 0:
                row.began = now
            row.legs += legs[watch]
            row.total += total[watch]
            row.peer_legs += (all_legs if upper == NOBODY else legs[upper]) - legs[watch]
            row.peer_total += (all_total if upper == NOBODY else total[upper]) - total[watch]
            row.seen = now
