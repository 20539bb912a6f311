"""Complaints and deliveries gathered into cells: a region of any level, alone or with one category, reason or carrier;
a facility; each against its exposure, the parcels that could give rise to a complaint.

Exposure is deliveries a day, or shipments where those are more (a sale is shipped before it is delivered), smoothed
over days. A cell that is seen for the first time was there before without complaints: it begins with the exposure
that its region had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from detectors.complaint_exposure import FACILITY, Exposures
from detectors.counts import F64
from detectors.pattern import Pattern
from detectors.plain import pack, unpack
from detectors.rises import I64
from detectors.tables import Table
from detectors.usual import Usual

HOURS: Final = 48  # kept a cell
_HELD_A_DAY: Final = 0.87  # of yesterday's exposure
_SILENT_FEED: Final = 0.2  # of the month's exposure
_ALL: Final = slice(None)


class Key(NamedTuple):
    """`dimension` is "" (all complaints), category, reason, carrier or facility; a facility has no region."""

    dimension: str
    value: str
    region: str


@dataclass(frozen=True, slots=True)
class Gathering:
    limit: int = 4_000  # cells; beyond it new ones wait until old ones are forgotten
    detailed_levels: int = 3  # country, province, city; below, complaints are counted as a whole only
    half_life_hours: float = 48.0
    forget_days: int = 60  # without a complaint
    warm_up_days: int = 5  # not learned: complaints lag behind the first parcels that a new feed shows


class Cells:
    """`hours` are counts of the last two days, the running hour last; `usual` holds the finished days."""

    def __init__(
        self, pattern: Pattern, gathering: Gathering, chain: Callable[[str], tuple[str, ...]]
    ) -> None:
        self.gathering = gathering
        self.chain = chain  # a region, its ancestors, the country last
        self.keys: list[Key] = []
        self.rows: dict[Key, int] = {}
        self.hours = np.zeros((0, HOURS), dtype=np.float32)
        self.usual = Usual(pattern)
        self.exposures = Exposures(gathering.half_life_hours, chain)
        self.profile = np.full(
            (2, 24), 1.0
        )  # complaints by hour, working days and weekends; all cells together
        self.exposed_from = -1  # the day of the first parcels; negative: there were none yet
        self.hour = -1  # local hours since 1970; negative: not begun
        self.refused = 0  # cells, for want of room
        self.unplaced = 0  # complaints without a region that came before any parcel
        self.home_of: dict[str, str] = {}  # the region from which a facility's last complaint came
        self._countries: tuple[tuple[int, int], list[str]] = ((-1, -1), [])  # as of a size of the exposures
        self.refilled = 0  # how often the cells were numbered anew
        self._exposed_as_of = (-1, (-1, -1), -1)
        self._exposed_rows: I64 = np.zeros(0, np.int64)

    # --- time ---------------------------------------------------------------

    def advance(self, hour: int) -> None:
        """To the running hour; finished days are learned on the way."""
        if self.hour < 0:
            self.hour = hour
            self.usual.step = self.usual.origin = hour // 24
        gap = hour - self.hour
        if (
            gap > 24 * self.usual.pattern.history
        ):  # a clock that jumped by years: begin again rather than crawl
            self.usual.counts[:], self.usual.exposure[:] = 0, 0
            self.usual.step, self.hour, gap = hour // 24, hour, 0
            self.hours[:] = 0
            self.exposed_from = -1
        for _ in range(max(gap, 0)):
            if self.hour % 24 == 23:
                self._learn_day()
            self.hours[:, :-1] = self.hours[:, 1:]
            self.hours[:, -1] = 0
            self.exposures.advance(self.hour % 24)
            self.hour += 1

    def _learn_day(self) -> None:
        day = self.hours[:, -24:].astype(np.float64)
        self.profile[self._weekend()] = self.profile[self._weekend()] * 0.97 + day[self._wholes()].sum(axis=0)
        began = self.exposed_from if self.exposed_from >= 0 else self.usual.origin
        young = self.usual.step - began < self.gathering.warm_up_days
        exposure = self.exposure_now()
        self.usual.learn(day.sum(axis=1), np.zeros_like(exposure) if young else exposure)
        silent = self.usual.counts[:, -self.gathering.forget_days :].sum(axis=1) == 0
        if len(self.keys) > self.gathering.limit // 2 and silent.any():
            self._keep(np.flatnonzero(~silent))

    def _weekend(self) -> int:
        """1970-01-01 was a Thursday."""
        return int((self.hour // 24 + 3) % 7 >= 5)

    def _wholes(self) -> list[int]:
        """Whole countries, all complaints: each complaint once."""
        return [row for row, key in enumerate(self.keys) if not key.dimension and not self.parent(key)]

    def elapsed(self, part_of_hour: float) -> tuple[F64, float]:
        """Expected share of the day for each of its hours, and of the day until now."""
        shares = self.profile[self._weekend()] + self.profile.sum(axis=0) * 0.2 + 1.0
        shares = shares / shares.sum()
        at = self.hour % 24
        return shares, float(shares[:at].sum() + shares[at] * part_of_hour)

    # --- what comes in ------------------------------------------------------

    def expose(self, regions: Table, facilities: Table, share: float) -> None:
        """`share` of what the tables count came in the hours that `advance` goes through next."""
        if self.exposed_from < 0 and (
            _moved(regions, "delivered", "shipped") or _moved(facilities, "arrived", "departed")
        ):
            self.exposed_from = self.usual.step
        hour = self.hour % 24
        if len(regions):
            self.exposures.add_regions(regions, share, hour)
        if len(facilities):
            self.exposures.add_facilities(facilities, share, hour)

    def count(self, complaints: Sequence[tuple[Mapping[str, Any], int]]) -> None:
        """Complaints with their local hours; what is older than the hours that are kept is dropped."""
        kept = [(row, self.hour - hour) for row, hour in complaints if self.hour - hour < HOURS]
        whole = self._whole_shop() if any(map(_nowhere, (row for row, _ in kept))) else ""
        for row, _ in kept:
            if row["facility"] and row["region"]:
                self.home_of[row["facility"]] = row["region"]
        keys = [list(self._keys_of(row, whole if _nowhere(row) else row["region"])) for row, _ in kept]
        self.unplaced += sum(not some for some in keys)
        self._begin(dict.fromkeys(key for some in keys for key in some if key not in self.rows))
        for (_row, back), some in zip(kept, keys, strict=True):
            finished = self.hour // 24 - (self.hour - max(back, 0)) // 24
            for key in some:
                cell = self.rows.get(key)
                if cell is None:
                    continue
                self.hours[cell, -1 - max(back, 0)] += 1
                if finished > 0:
                    self.usual.counts[cell, -finished] += 1

    def _whole_shop(self) -> str:
        """The country with most parcels: a complaint that names no place counts there. "" before any parcel."""
        known, countries = self._countries
        if known != self.exposures.size:
            countries = [one for one in self.exposures.regions() if one and len(self.chain(one)) == 1]
            self._countries = self.exposures.size, countries
        if not countries:
            return ""
        a_day = self.exposures.a_day(self.exposures.known((region, "") for region in countries))
        return countries[int(a_day.argmax())]

    def _keys_of(self, row: Mapping[str, Any], where: str | None) -> Iterable[Key]:
        chain = self.chain(where) if where else ()
        for level, region in enumerate(chain):
            yield Key("", "", region)
            if len(chain) - level <= self.gathering.detailed_levels:
                for dimension in ("category", "reason", "carrier"):
                    if row[dimension]:
                        yield Key(dimension, row[dimension], region)
        if row["facility"]:
            yield Key(FACILITY, row["facility"], "")

    def _begin(self, new: Iterable[Key]) -> None:
        """All at once: each addition copies what is kept."""
        wanted = list(new)
        room = max(self.gathering.limit - len(self.keys), 0)
        self.refused += max(len(wanted) - room, 0)
        wanted = wanted[:room]
        if not wanted:
            return
        history = np.stack([self._history_of(key) for key in wanted])
        self.rows.update({key: len(self.keys) + at for at, key in enumerate(wanted)})
        self.keys += wanted
        self.hours = np.concatenate([self.hours, np.zeros((len(wanted), HOURS), dtype=np.float32)])
        self.usual.add(np.zeros_like(history), history)

    def _history_of(self, key: Key) -> F64:
        """The exposure that this cell had before its first complaint, in the proportion of today."""
        here = self._a_day(self.exposure_key(key))
        region = key.region or self.home_of.get(key.value, "")
        for around in self.chain(region) if region else ():
            larger = self.rows.get(Key("", "", around), -1)
            if larger >= 0:
                whole = self._a_day((around, ""))
                history = self.usual.exposure[larger]
                scaled = history * (here / whole if whole > 0 else 1.0)
                return np.where(history > 0, np.maximum(scaled, 1.0), 0.0)
        return np.zeros(self.usual.pattern.history)

    # --- what is known ------------------------------------------------------

    def parent(self, key: Key) -> str:
        chain = self.chain(key.region) if key.region else ()
        return chain[1] if len(chain) > 1 else ""

    def exposure_key(self, key: Key) -> tuple[str, str]:
        if key.dimension == FACILITY:
            return (FACILITY, key.value)
        return (key.region, key.value if key.dimension == "carrier" else "")

    def _a_day(self, key: tuple[str, str]) -> float:
        return float(self.exposures.a_day(self.exposures.known([key]))[0])

    def _exposed(self) -> I64:
        """The exposure row of each cell."""
        as_of = len(self.keys), self.exposures.size, self.refilled
        if self._exposed_as_of != as_of:
            self._exposed_rows = self.exposures.known(self.exposure_key(key) for key in self.keys)
            self._exposed_as_of = as_of
        return self._exposed_rows

    def exposure_now(self, rows: I64 | slice = _ALL) -> F64:
        """Of some cells, parcels a day that may give rise to complaints: those of a sale complain for days after it, and
        a parcel feed that falls silent must not make a spike.
        """
        now = self.exposures.a_day(self._exposed()[rows])
        month = self.usual.exposure[rows, -28:].astype(np.float64)
        usual = month.sum(axis=1) / np.maximum(np.count_nonzero(month, axis=1), 1)
        held = month[:, -1] * _HELD_A_DAY
        exposure: F64 = np.maximum(np.maximum(now, held), np.maximum(usual * _SILENT_FEED, 1.0))
        return exposure

    def today(self) -> F64:
        at = self.hour % 24
        total: F64 = self.hours[:, HOURS - 1 - at :].sum(axis=1).astype(np.float64)
        return total

    def _keep(self, rows: I64) -> None:
        self.refilled += 1
        self.keys = [self.keys[row] for row in rows]
        self.rows = {key: row for row, key in enumerate(self.keys)}
        self.hours = self.hours[rows]
        self.usual.keep(rows)
        self.home_of = {key.value: self.home_of[key.value] for key in self.keys if key.value in self.home_of}

    # --- checkpoints --------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "keys": [list(key) for key in self.keys],
            "hours": pack(self.hours),
            "usual": self.usual.state(),
            "exposures": self.exposures.state(),
            "profile": pack(self.profile),
            "hour": self.hour,
            "exposed_from": self.exposed_from,
            "refused": self.refused,
            "unplaced": self.unplaced,
            "home_of": self.home_of,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.keys = [Key(*map(str, key)) for key in state["keys"]]
        self.rows = {key: row for row, key in enumerate(self.keys)}
        self.hours, self.profile = unpack(state["hours"]), unpack(state["profile"])
        self.usual.restore(state["usual"])
        self.exposures.restore(state["exposures"])
        self._countries = ((-1, -1), [])
        self._exposed_as_of = (-1, (-1, -1), -1)
        self.hour = int(state["hour"])
        self.exposed_from = int(state.get("exposed_from", self.usual.origin))  # younger than the format
        self.refused, self.unplaced = int(state["refused"]), int(state.get("unplaced", 0))
        self.home_of = {str(facility): str(region) for facility, region in state["home_of"].items()}


def _moved(table: Table, *columns: str) -> bool:
    return len(table) > 0 and any(bool((table.whole(name) > 0).any()) for name in columns)


def _nowhere(row: Mapping[str, Any]) -> bool:
    return not row["region"] and not row["facility"]
