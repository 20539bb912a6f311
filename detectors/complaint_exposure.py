"""How many parcels could give rise to a complaint, by region, carrier and facility."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from detectors.counts import F64
from detectors.index import Index
from detectors.plain import pack, unpack
from detectors.tables import I64, JOINT, PAIR, Table

FACILITY: Final = "facility"
_UNHEARD: Final = 0.125  # parcels an hour, before there were any
_RECENT: Final = 0.5 ** (1 / 3)  # an hour's decay of what counts as recent
_SURGE_PARCELS: Final = 30.0  # as many parcels must come before a surge is believed
_SURGE_KNOWN: Final = 72  # hours


class Flows(NamedTuple):
    """Delivered and shipped, by number: decayed sums, of the last hours, and expected for these hours."""

    sums: F64
    recent: F64
    expected: F64

    def grown(self, size: int) -> Flows:
        """With room for so many."""
        if size <= len(self.sums):
            return self
        more = np.zeros((max(256, size), 2))
        return Flows(*(np.concatenate([one, more]) for one in self))

    def state(self, size: int) -> dict[str, Any]:
        return {name: pack(one[:size]) for name, one in self._asdict().items()}


def _nothing(size: int = 0) -> Flows:
    return Flows(*(np.zeros((size, 2)) for _ in Flows._fields))


class Exposures:
    """Parcels a day for each (region, carrier), (region, all) and facility: the larger of delivered and shipped.

    Smoothed over days, and raised at once when much more comes in than usual at this hour (a sale): `surge`. All of it
    is sums, so it is kept by pair of region and carrier as parcels come, and added up for the regions above them when
    somebody asks: without complaints nobody does.
    """

    def __init__(self, half_life_hours: float, chain: Callable[[str], tuple[str, ...]]) -> None:
        """`chain`: a region, its ancestors, the country last."""
        self._decay = 0.5 ** (1 / half_life_hours)
        self._chain = chain
        self._pairs, self._facilities = Index(), Index()
        self._by_pair, self._by_facility = _nothing(), _nothing()
        self._before = _nothing()  # by row, of a checkpoint that kept it so
        self._profile = np.full((24, 2), _UNHEARD)  # parcels by hour of the day, everywhere
        self._norm = 0.0
        self._hours = 0.0
        self._forget_rows()

    def _forget_rows(self) -> None:
        self._rows: dict[tuple[str, str], int] = {}  # of a region, and a carrier in it or ""
        self._above: I64 = np.zeros((0, 1), np.int64)  # of each pair its rows, -1 beyond
        self._whole: Flows | None = None  # by row, then by facility

    def add_regions(self, table: Table, share: float, hour: int) -> None:
        """A share of what was delivered and shipped, as far as neither is negative; `hour` of the day."""
        pairs = self._pairs.of(table.coded(PAIR))
        self._by_pair = self._by_pair.grown(len(self._pairs))
        amounts = table.whole("delivered"), table.whole("shipped")
        add(pairs, *amounts, share, *self._by_pair[:2], self._profile[hour])
        self._whole = None

    def add_facilities(self, table: Table, share: float, hour: int) -> None:
        facilities = self._facilities.of(table.coded("facility"))
        self._by_facility = self._by_facility.grown(len(self._facilities))
        amounts = table.whole("delivered") + table.whole("departed"), table.whole("arrived")
        add(facilities, *amounts, share, *self._by_facility[:2], self._profile[hour])
        self._whole = None

    def advance(self, hour: int) -> None:
        """The running hour of the day is over."""
        share = self._profile[hour] / self._profile.sum(axis=0)
        a_day = 24 * (1 - self._decay) / max(self._norm, 1 - self._decay)
        sizes = len(self._pairs), len(self._facilities), len(self._before.sums)
        for size, flows in zip(sizes, (self._by_pair, self._by_facility, self._before), strict=True):
            sums, recent, expected = (one[:size] for one in flows)
            fade(sums, recent, expected, a_day * share, self._decay, _RECENT)
        self._norm = 1 - (1 - self._norm) * self._decay
        self._hours += 1
        self._whole = None
        if hour == 23:
            self._profile *= 0.9

    @property
    def size(self) -> tuple[int, int]:
        """Rows of `known` stand for the same until it changes."""
        return len(self._pairs), len(self._facilities)

    def regions(self) -> list[str]:
        self._follow()
        return [region for region, carrier in self._rows if not carrier]

    def known(self, keys: Iterable[tuple[str, str]]) -> I64:
        """Rows of a region and a carrier, or "", or of `FACILITY` and one; -1 for what was never seen."""
        wanted = list(keys)
        if wanted:
            self._follow()
        return np.array([self._known(key) for key in wanted], dtype=np.int64)

    def _known(self, key: tuple[str, str]) -> int:
        if key[0] != FACILITY:
            return self._rows.get(key, -1)
        number = self._facilities.known(key[1])
        return len(self._rows) + number if number >= 0 else -1

    def a_day(self, rows: I64) -> F64:
        """Of rows of `known`; nothing of what was never seen."""
        known = np.flatnonzero(rows >= 0)
        rate = np.zeros(len(rows))
        if not len(known):
            return rate
        sums, recent, expected = (one[rows[known]] for one in self._added_up())
        rate[known] = sums.max(axis=1) * (24 * (1 - self._decay) / max(self._norm, 1 - self._decay))
        if self._hours > _SURGE_KNOWN:
            surge = (recent + _SURGE_PARCELS) / (expected + _SURGE_PARCELS)
            rate[known] *= np.maximum(surge.max(axis=1), 1.0)
        return rate

    def _added_up(self) -> Flows:
        if self._whole is None:
            size, facilities = len(self._rows), len(self._facilities)
            regions = _nothing(size)
            for mine, before, whole in zip(self._by_pair, self._before, regions, strict=True):
                whole[: len(before)] = before
                add_up(self._above, mine, whole)
            placed = zip(regions, self._by_facility, strict=True)
            self._whole = Flows(*(np.concatenate([one, other[:facilities]]) for one, other in placed))
        return self._whole

    def _follow(self) -> None:
        """Pairs that nobody has asked for yet: rows of the region and its ancestors, and of the carrier in each."""
        first, entered = len(self._above), []
        if first == len(self._pairs):
            return
        for name in self._pairs.names()[first:]:
            region, _, carrier = name.partition(JOINT)
            chain = self._chain(region) if region else ()
            keys = [(one, "") for one in chain] + [(one, carrier) for one in chain if carrier]
            entered.append([self._rows.setdefault(key, len(self._rows)) for key in keys])
        width = max(self._above.shape[1], *map(len, entered))
        above = np.full((len(self._pairs), width), -1, np.int64)
        above[:first, : self._above.shape[1]] = self._above
        above[first:] = [[*rows, *[-1] * (width - len(rows))] for rows in entered]
        self._above, self._whole = above, None

    def state(self) -> dict[str, Any]:
        rows = [list(key) for key in self._rows][: len(self._before.sums)]
        pairs, facilities = list(self._pairs.names()), list(self._facilities.names())
        return {
            "pairs": [pairs, self._by_pair.state(len(pairs))],
            "facilities": [facilities, self._by_facility.state(len(facilities))],
            "rows": [rows, self._before.state(len(rows))],
            "profile": pack(self._profile),
            "norm": self._norm,
            "hours": self._hours,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._forget_rows()
        self._profile = unpack(state["profile"])
        self._norm, self._hours = float(state["norm"]), float(state["hours"])
        if "keys" in state:  # once it was kept by row, and of facilities there
            keys, flows = state["keys"], _restored(state)
            placed = np.array([where == FACILITY for where, _ in keys], np.bool_)
            self._enter_rows([key for key in keys if key[0] != FACILITY])
            self._before = Flows(*(one[~placed] for one in flows))
            self._by_facility = Flows(*(one[placed] for one in flows))
            self._pairs.restore(())
            self._by_pair = _nothing()
            self._facilities.restore(name for where, name in keys if where == FACILITY)
            return
        (keys, before), (pairs, by_pair) = state["rows"], state["pairs"]
        facilities, by_facility = state["facilities"]
        self._enter_rows(keys)
        self._pairs.restore(pairs)
        self._facilities.restore(facilities)
        self._before, self._by_pair, self._by_facility = map(_restored, (before, by_pair, by_facility))

    def _enter_rows(self, keys: Iterable[Iterable[str]]) -> None:
        self._rows = {(str(region), str(carrier)): row for row, (region, carrier) in enumerate(keys)}


def _restored(state: Mapping[str, Any]) -> Flows:
    return Flows(*(unpack(state[name]) for name in Flows._fields))


@njit(cache=True, nogil=True)
def add(
    numbers: Any, delivered: Any, shipped: Any, share: float, sums: Any, recent: Any, profile: Any
) -> None:
    for line in range(len(numbers)):
        number = numbers[line]
        came, went = delivered[line] * share, shipped[line] * share
        if number >= 0 and (came != 0 or went != 0):
            sums[number, 0] += came
            sums[number, 1] += went
            recent[number, 0] += came
            recent[number, 1] += went
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


@njit(cache=True, nogil=True)
def add_up(above: Any, mine: Any, whole: Any) -> None:
    """What each pair has to each of its rows."""
    for pair in range(len(above)):
        for column in range(above.shape[1]):
            row = above[pair, column]
            if row >= 0:
                whole[row, 0] += mine[pair, 0]
                whole[row, 1] += mine[pair, 1]
