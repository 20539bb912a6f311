"""How many parcels could give rise to a complaint, by region, carrier and facility."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numba import njit

from detectors.counts import F64
from detectors.plain import pack, unpack
from detectors.rises import I64

_RECENT: Final = 0.5 ** (1 / 3)  # an hour's decay of what counts as recent
_SURGE_PARCELS: Final = 30.0  # as many parcels must come before a surge is believed
_SURGE_KNOWN: Final = 72  # hours


class Exposures:
    """Parcels a day for each (region, carrier), (region, all) and facility: the larger of delivered and shipped.

    Smoothed over days, and raised at once when much more comes in than usual at this hour (a sale): `surge`.
    """

    def __init__(self, half_life_hours: float) -> None:
        self._decay = 0.5 ** (1 / half_life_hours)
        self._rows: dict[tuple[str, str], int] = {}
        self._sums = np.zeros((0, 2))
        self._recent = np.zeros((0, 2))  # of the last hours
        self._expected = np.zeros((0, 2))  # for these hours
        self._profile = np.full((24, 2), 1.0)  # parcels by hour of the day, everywhere
        self._norm = 0.0
        self._hours = 0.0

    def row(self, key: tuple[str, str]) -> int:
        return self.enter((key,))[0]

    def enter(self, keys: Iterable[tuple[str, str]]) -> list[int]:
        """Their rows; those that are new get one."""
        rows, found = self._rows, []
        for key in keys:
            row = rows.get(key)
            if row is None:
                row = rows[key] = len(rows)
            found.append(row)
        if len(rows) > len(self._sums):
            more = np.zeros((max(256, len(rows)), 2))
            for name in ("_sums", "_recent", "_expected"):
                setattr(self, name, np.concatenate([getattr(self, name), more]))
        return found

    def add(self, lines: I64, rows: I64, delivered: I64, shipped: I64, share: float, hour: int) -> None:
        """A share of each amount to all `rows` of its line, as far as neither is negative; `hour` of the day."""
        add(lines, rows, delivered, shipped, share, self._sums, self._recent, self._profile[hour])

    def advance(self, hour: int) -> None:
        """The running hour of the day is over."""
        share = self._profile[hour] / self._profile.sum(axis=0)
        a_day = 24 * (1 - self._decay) / max(self._norm, 1 - self._decay)
        used = slice(0, len(self._rows))
        fade(self._sums[used], self._recent[used], self._expected[used], a_day * share, self._decay, _RECENT)
        self._norm = 1 - (1 - self._norm) * self._decay
        self._hours += 1
        if hour == 23:
            self._profile *= 0.9

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._rows)

    def known(self, keys: Iterable[tuple[str, str]]) -> I64:
        """Rows of these; -1 for what was never seen."""
        return np.array([self._rows.get(key, -1) for key in keys], dtype=np.int64)

    def a_day(self, rows: I64) -> F64:
        """Of rows of `known`; nothing of what was never seen."""
        if not len(self._sums):
            return np.zeros(len(rows))
        sums = np.where(rows[:, None] >= 0, self._sums[rows], 0.0)
        rate: F64 = sums.max(axis=1) * (24 * (1 - self._decay) / max(self._norm, 1 - self._decay))
        if self._hours > _SURGE_KNOWN:
            surge = (self._recent[rows] + _SURGE_PARCELS) / (self._expected[rows] + _SURGE_PARCELS)
            rate *= np.maximum(surge.max(axis=1), 1.0)
        return rate

    def state(self) -> dict[str, Any]:
        used = slice(0, len(self._rows))
        arrays = {name: pack(getattr(self, f"_{name}")[used]) for name in ("sums", "recent", "expected")}
        more = {"profile": pack(self._profile), "norm": self._norm, "hours": self._hours}
        return {"keys": [list(key) for key in self._rows]} | arrays | more

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rows = {(str(a), str(b)): row for row, (a, b) in enumerate(state["keys"])}
        self._sums, self._recent, self._expected = (unpack(state[n]) for n in ("sums", "recent", "expected"))
        self._profile = unpack(state["profile"])
        self._norm, self._hours = float(state["norm"]), float(state["hours"])


@njit(cache=True, nogil=True)
def add(
    lines: Any, rows: Any, delivered: Any, shipped: Any, share: float, sums: Any, recent: Any, profile: Any
) -> None:
    for number in range(len(lines)):
        line = lines[number]
        came, went = delivered[number] * share, shipped[number] * share
        if line < 0 or (came == 0 and went == 0):
            continue
        for column in range(rows.shape[1]):
            row = rows[line, column]
            if row >= 0:
                sums[row, 0] += came
                sums[row, 1] += went
                recent[row, 0] += came
                recent[row, 1] += went
                profile[0] += came
                profile[1] += went


@njit(cache=True, nogil=True)
def fade(sums: Any, recent: Any, expected: Any, rate: Any, decay: float, shortly: float) -> None:
    """An hour later; `rate` of the sums was expected in it."""
    for row in range(len(sums)):
        for kind in range(2):
            expected[row, kind] = (expected[row, kind] + sums[row, kind] * rate[kind]) * shortly
            recent[row, kind] *= shortly
            sums[row, kind] *= decay
