"""How long a parcel under way still takes: a life table of the hours since hand-over, moved by today's speed.

Deaths are deliveries, exposure is time spent waiting at that age, so parcels still open count for what they waited
(censored, as Kaplan and Meier have it) and a slow week shows while its parcels are still out. The shape of the table
is remembered for months; one speed for the shop, one a carrier (both fast) and one a lane (slow), each shrunk
towards what stands above it, say how the present differs; a weekly curve says when nobody delivers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numba import njit

from detectors.clock import DAY, HOUR
from detectors.findings import Instant
from detectors.index import Index
from detectors.interfaces import Waiting
from detectors.plain import pack, unpack
from detectors.tables import F64, I64, Coded

BIN: Final = 12 * HOUR
BINS: Final = 180  # ninety days
FORWARD: Final = 7  # segments below it lead up to delivery
SHAPE_DAYS: Final = 60.0  # half-lives
SPEED_DAYS: Final = 5.0
CARRIER_DAYS: Final = 30.0
LANE_DAYS: Final = 45.0
_SLOTS: Final = 14  # half days of a week
_THURSDAY: Final = 6  # the slot in which 1970 began
_ONE: Final = 2.0**36
QUANTILES: Final = (0.05, 0.1, 0.5, 0.9, 0.95)


class Ratios:
    """Deliveries seen over deliveries expected, by name, decayed, shrunk towards 1; the rarest names fall out."""

    def __init__(self, half_life_days: float, prior: float, capacity: int) -> None:
        self._half_life, self._prior, self._capacity = half_life_days, prior, capacity
        self._names = Index(capacity)
        self._seen = np.zeros(16)
        self._expected = np.zeros(16)
        self._factor = np.ones(16)

    def rows(self, names: Sequence[str]) -> I64:
        """When full, the half of which least is expected is forgotten first; what then finds no room shares row 0."""
        self._make_room()
        return np.array([self.row(name) for name in names], dtype=np.int64)

    def rows_of(self, column: Coded) -> I64:
        """As `rows`, of a column; no name is a name, too."""
        self._make_room()
        absent = self._names.number("") if column.codes.min(initial=1) == 0 else 0
        rows = self._names.of(column, absent)
        self._follow()
        return np.maximum(rows, 0)

    def _make_room(self) -> None:
        if len(self._names) < self._capacity:
            return
        names = self._names.names()
        rows = sorted(range(len(names)), key=lambda row: -self._expected[row])[: self._capacity // 2]
        self._seen, self._expected = self._seen[rows], self._expected[rows]
        self._factor = self._factor[rows]
        self._names.restore(names[row] for row in rows)

    def row(self, name: str) -> int:
        row = self._names.number(name)
        self._follow()
        return max(row, 0)

    def _follow(self) -> None:
        """Those that are new: nothing was seen of them."""
        more = len(self._names) - len(self._seen)
        if more > 0:
            more += len(self._names)
            self._seen = np.concatenate([self._seen, np.zeros(more)])
            self._expected = np.concatenate([self._expected, np.zeros(more)])
            self._factor = np.concatenate([self._factor, np.ones(more)])

    def factor(self, rows: I64) -> F64:
        return np.asarray(self._factor[rows], dtype=np.float64)

    def measure(self) -> None:
        """Once a day: in the evening the day's deliveries are all counted and its idle night is not."""
        ratio = (self._seen + self._prior) / (self._expected + self._prior)
        self._factor = np.clip(ratio, 0.05, 20.0)

    def cases(self, rows: I64) -> F64:
        return self._seen[rows]

    def none(self) -> I64:
        """To count in, by row."""
        return np.zeros(len(self._names), np.int64)

    def came(self, more: I64) -> None:
        """So many more, by row."""
        self._seen[: len(more)] += more

    def expect(self, rows: I64, expected: F64) -> None:
        """So much more of each."""
        self._expected += np.bincount(rows, expected, minlength=len(self._expected))

    def decay(self, days: float) -> None:
        keep = 0.5 ** (days / self._half_life)
        self._seen *= keep
        self._expected *= keep

    def state(self) -> dict[str, Any]:
        size = len(self._names)
        return {
            "names": list(self._names.names()),
            "seen": pack(self._seen[:size]),
            "expected": pack(self._expected[:size]),
            "factor": pack(self._factor[:size]),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._names.restore(state["names"])
        self._seen, self._expected = unpack(state["seen"]), unpack(state["expected"])
        self._factor = unpack(state["factor"])


class Transit:
    """Ages and spans are milliseconds; `lanes` and `carriers` are names, one a parcel."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._deaths = np.zeros(BINS)
        self._exposure = np.zeros(BINS)  # in bins
        self._week = Ratios(SHAPE_DAYS, 100.0, _SLOTS)
        self._slots = self._week.rows([str(slot) for slot in range(_SLOTS)])
        self._recent = np.zeros((2, BINS))  # deaths and exposure of the last days: the shop's speed
        self._carriers = Ratios(CARRIER_DAYS, 200.0, 2_000)
        self._lanes = Ratios(LANE_DAYS, 15.0, capacity)
        self._speed_today = 1.0
        self._at: Instant | None = None

    @property
    def cases(self) -> float:
        return float(self._deaths.sum())

    def base(self) -> F64:
        return (self._deaths + 0.05) / (self._exposure + 1.0)

    def pass_time(self, now: Instant, offset: int = 0) -> None:
        """A clock that jumps back passes no time; one that jumps ahead forgets at most a month's worth."""
        if self._at is None:
            self._at = now
        days = min((now - self._at) / DAY, 30.0)
        if days <= 0:
            return
        if (now + offset) // DAY != (self._at + offset) // DAY:
            self._measure()
        self._at = now
        keep = 0.5 ** (days / SHAPE_DAYS)
        self._deaths *= keep
        self._exposure *= keep
        self._recent *= 0.5 ** (days / SPEED_DAYS)
        for ratios in (self._week, self._carriers, self._lanes):
            ratios.decay(days)

    def wait(self, waiting: Waiting, local: Instant) -> None:
        """An unbiased count of the time waited, by parcels seen out at a moment that stands for its span."""
        if not len(waiting.cells):
            return
        pieces = max(
            1, int(np.ceil(2 * waiting.span / BIN))
        )  # counted at midnight, half of it is of the day before
        bins = waiting.span / pieces / BIN
        cells = np.zeros(BINS)
        cells[waiting.cells] = waiting.counts.sum(axis=1)
        carrier, lane = self.rows_of(waiting.carrier, waiting.lane)
        for piece in range(pieces):
            slot = self._slot(np.array([local + ((piece + 0.5) / pieces - 0.5) * waiting.span]))
            base = self.base()
            units = (base[waiting.cells] * _ONE + 0.5).astype(np.int64)  # their sums do not hang on an order
            week, expected = float(self._week.factor(slot)[0]), (units @ waiting.counts) / _ONE
            # from above down, each against what stands above it only: factors that knew of each other would swing
            self._week.expect(slot, np.array([bins * float(cells @ base)]))
            usual = bins * week * self.speed() * expected
            self._carriers.expect(carrier, usual)
            self._lanes.expect(lane, usual * self._carriers.factor(carrier))
            self._exposure += bins * week * cells
            self._recent[1] += bins * week * cells

    def end(self, since: I64, until: I64, carrier: I64, lane: I64, offset: int) -> None:
        """Delivered at `until`, handed over at `since` before that; `offset` makes times local."""
        by_carrier, by_lane = self._carriers.none(), self._lanes.none()
        deaths, week = died(since, until, carrier, lane, offset, by_carrier, by_lane)
        self._week.came(week)
        self._carriers.came(by_carrier)
        self._lanes.came(by_lane)
        self._deaths += deaths
        self._recent[0] += deaths

    def speed(self) -> float:
        """Deliveries of the last days over those that the table expects: below 1 the shop is slow."""
        return self._speed_today

    def _measure(self) -> None:
        expected = float(self._recent[1] @ self.base())
        self._speed_today = (float(self._recent[0].sum()) + 20.0) / (expected + 20.0)
        for ratios in (self._week, self._carriers, self._lanes):
            ratios.measure()

    def _speed(self, carrier: I64, lane: I64) -> F64:
        return self.speed() * self._carriers.factor(carrier) * self._lanes.factor(lane)

    def _slot(self, local: F64) -> I64:
        return ((local // BIN).astype(np.int64) + _THURSDAY) % _SLOTS

    def names(self, carriers: Sequence[str], lanes: Sequence[str]) -> tuple[I64, I64]:
        return self._carriers.rows(carriers), self._lanes.rows(lanes)

    def rows_of(self, carriers: Coded, lanes: Coded) -> tuple[I64, I64]:
        return self._carriers.rows_of(carriers), self._lanes.rows_of(lanes)

    def lane_cases(self, lane: I64) -> F64:
        return self._lanes.cases(lane)

    def remaining(self, age: F64, carrier: I64, lane: I64, local: Instant) -> F64:
        """Milliseconds still to wait, by parcel and by `QUANTILES`, given the age reached; at most ninety days."""
        steps = np.arange(BINS)
        cells = np.minimum((age // BIN).astype(np.int64)[:, None] + steps[None, :], BINS - 1)
        slots = self._slot((local + (steps + 0.5) * BIN).astype(np.float64))
        rate = self.base()[cells] * self._week.factor(slots)[None, :] * self._speed(carrier, lane)[:, None]
        hazard = np.cumsum(rate, axis=1)
        out = np.empty((len(age), len(QUANTILES)))
        for column, quantile in enumerate(QUANTILES):
            need = -np.log1p(-quantile)
            at = np.minimum((hazard < need).sum(axis=1), BINS - 1)
            rows = np.arange(len(age))
            before = np.where(at > 0, hazard[rows, np.maximum(at - 1, 0)], 0.0)
            part = np.clip((need - before) / np.maximum(rate[rows, at], 1e-12), 0.0, 1.0)
            out[:, column] = (at + part) * BIN
        return out

    def state(self) -> dict[str, Any]:
        return {
            "at": self._at,
            "speed": self._speed_today,
            "deaths": pack(self._deaths),
            "exposure": pack(self._exposure),
            "week": self._week.state(),
            "recent": pack(self._recent),
            "carriers": self._carriers.state(),
            "lanes": self._lanes.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._at = None if state["at"] is None else int(state["at"])
        self._deaths, self._exposure = unpack(state["deaths"]), unpack(state["exposure"])
        self._speed_today = float(state["speed"])
        self._recent = unpack(state["recent"])
        for name in ("week", "carriers", "lanes"):
            getattr(self, f"_{name}").restore(state[name])


@njit(cache=True, nogil=True)
def died(
    since: Any, until: Any, carrier: Any, lane: Any, offset: int, by_carrier: Any, by_lane: Any
) -> tuple[Any, Any]:
    """Parcels by cell of the table, and by half day of the week; adds them to their carriers and lanes, too."""
    deaths, week = np.zeros(BINS, np.int64), np.zeros(_SLOTS, np.int64)
    for row in range(len(since)):
        deaths[min(max((until[row] - since[row]) // BIN, 0), BINS - 1)] += 1
        week[((until[row] + offset) // BIN + _THURSDAY) % _SLOTS] += 1
        by_carrier[carrier[row]] += 1
        by_lane[lane[row]] += 1
    return deaths, week
