"""What a sign-off looks like beside the others: rules from tracking alone, as numbers, a window at a time.

Everything "unusual" is measured against what was learned before the window: the time from out-for-delivery to
signature, the hour and the minute of the day, the distance from the address, each by carrier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors import signoff_kernels as kernels
from detectors.clock import DAY
from detectors.findings import Instant
from detectors.logistic import Logistic
from detectors.plain import pack, unpack
from detectors.signoff_kernels import FEATURES, SLOTS, Beside, Columns
from detectors.tables import F64, I64, Rows, Table

NEAR: Final = 60_000  # sign-offs of one courier this close are one gesture
_WAITS: Final = np.geomspace(5.0, 3 * 86_400.0, 40)  # seconds
_KM: Final = np.geomspace(0.05, 2_000.0, 40)
_CARRIERS: Final = 512
_CITIES: Final = 100_000  # numbered anew beyond it
_CLOCK_CASES: Final = 300  # sign-offs before an hour is called unusual
_CLOCK_SPAN: Final = 2 * DAY  # likewise: an hour that has not come yet is not unusual
_NOBODY_ASKS: Final = np.zeros((0, 0))
_TRUST: Final = 300.0  # cases by which a carrier's own tail outweighs everyone's

# Weights of the rules before anything was learned, in log odds; labels move them.
PRIOR: Final[Mapping[str, float]] = {
    "impossible": 9.0,
    "instant": 5.5,  # within 75 s of going out
    "fast": 1.0,  # a decade of rarity beyond one in thirty
    "no_way": 0.5,  # never out for delivery
    "burst": 1.6,  # log2 of the others signed within the minute, not at a station
    "night": 2.4,
    "heaped": 1.8,
    "other_city": 5.5,
    "other_district": 3.0,
    "far": 2.0,
    "locker": 3.5,  # without having been held there for the customer
    "station": 0.0,
    "proxy": 0.2,
    "safe_place": 0.2,
    "courier": 1.0,  # log of its excess over its peers
    "rescanned": 7.0,
}
INTERCEPT: Final = -6.0
AT: Final[Mapping[str, int]] = {name: index for index, name in enumerate(FEATURES)}


class Tails:
    """How rare values on one side are: decayed histograms, all together and by carrier, shrunk towards all."""

    def __init__(self, edges: F64, *, low: bool) -> None:
        self._edges, self._low = edges, low
        self._counts = np.zeros((_CARRIERS, len(edges) + 1))

    def cells(self, values: F64) -> I64:
        """-1 where a value is absent."""
        return np.asarray(kernels.cells(values, self._edges), np.int64)

    def rarities(self, present: npt.NDArray[np.bool_]) -> F64:
        """By carrier and cell, of the carriers that occur; the first ones are all there are."""
        return np.asarray(kernels.rarities(self._counts, present, self._low, _TRUST), np.float64)

    def learn(self, carrier: I64, cells: I64) -> None:
        kernels.add_one(self._counts, carrier, cells)

    def forget(self, keep: float) -> None:
        self._counts *= keep

    def state(self) -> dict[str, Any]:
        return pack(self._counts)

    def restore(self, state: Mapping[str, Any]) -> None:
        self._counts = unpack(state)


@dataclass(slots=True)
class Signoffs:
    """A window's sign-offs as arrays, one element each; NaN where a number is absent."""

    table: Table
    carrier: I64  # a row of the histograms
    occurred: I64
    wait: F64  # seconds
    wait_cell: I64
    slot: I64
    km_cell: I64
    placed: bool  # the distance of any is known
    offset: int  # milliseconds from UTC to the shop's wall clock

    def __len__(self) -> int:
        return len(self.occurred)


@dataclass(frozen=True, slots=True)
class Judged:
    """A window's sign-offs beside what is usual."""

    columns: Columns
    beside: Beside

    def kept(self, model: Logistic, least: float, stride: int) -> Striking:
        """Those whose log odds are above `least`, and each `stride`th of the others."""
        judged = kernels.judge(self.columns, self.beside, model.weights, model.intercept, least, stride)
        return Striking(*judged)


@dataclass(frozen=True, slots=True)
class Striking:
    """Sign-offs that are kept, by row, and what is said of all."""

    features: F64  # one row each
    odd: npt.NDArray[np.bool_]  # or of the sample
    rows: I64
    blame: F64  # of all: how likely each is false but for what is known of its courier; 0 of who is not kept and has none


class Usual:
    """What was learned of ordinary sign-offs."""

    def __init__(self) -> None:
        self._waits = Tails(_WAITS, low=True)
        self._distances = Tails(_KM, low=False)
        self._day = np.zeros((_CARRIERS, SLOTS))
        self._carriers: dict[str, int] = {}
        self._rows = Rows()
        self._where = Regions()
        self.cases = 0.0
        self._began: Instant | None = None

    def read(self, table: Table, offset: int) -> Signoffs:
        carrier = self._rows.of(table.coded("carrier"), self._row, absent=0)
        occurred, out = table.whole("occurred"), table.whole("out_for_delivery")
        timed = kernels.timed(table.narrow("status"), occurred, out, offset, _WAITS)
        away = _kilometres(table)
        km_cell = _no_cells(len(table)) if away is None else self._distances.cells(away)
        return Signoffs(table, carrier, occurred, *timed, km_cell, away is not None, offset)

    def _row(self, carrier: str) -> int:
        """0, the row of all that have none, where there is no room."""
        if carrier not in self._carriers and len(self._carriers) < _CARRIERS - 1:
            self._carriers[carrier] = len(self._carriers) + 1
        return self._carriers.get(carrier, 0)

    def _knows_the_clock(self, now: Instant) -> bool:
        return self.cases >= _CLOCK_CASES and self._began is not None and now - self._began >= _CLOCK_SPAN

    def beside(
        self, signed: Signoffs, together: F64, excess: F64, courier: I64, digits: int, now: Instant
    ) -> Judged:
        """`together`: others of the courier within the minute; `excess`: log of its courier's."""
        table, carrier = signed.table, signed.carrier
        present = np.bincount(carrier, minlength=len(self._carriers) + 1) > 0
        columns = Columns(
            signed.occurred,
            table.seconds("out_for_delivery"),
            table.seconds("accepted"),
            table.seconds("ordered"),
            table.narrow("status"),
            table.narrow("previous_status"),
            table.narrow("delivered_to"),
            *self._where.read(table, digits),
            carrier,
            together,
            excess,
            courier,
            signed.offset,
        )
        if self._knows_the_clock(now):
            clock = kernels.by_the_clock(self._day, present, signed.slot, carrier)
        else:
            clock = (np.zeros((len(present), SLOTS)),) * 2
        tails = self._waits.rarities(present), self._far(signed, present)
        cells = signed.wait, signed.wait_cell, signed.km_cell, signed.slot
        return Judged(columns, Beside(*cells, *tails, *clock))

    def _far(self, signed: Signoffs, present: npt.NDArray[np.bool_]) -> F64:
        return self._distances.rarities(present) if signed.placed else _NOBODY_ASKS

    def learn(self, signed: Signoffs, now: Instant) -> None:
        if self._began is None:
            self._began = now
        self._waits.learn(signed.carrier, signed.wait_cell)
        if signed.placed:
            self._distances.learn(signed.carrier, signed.km_cell)
        kernels.add_one(self._day, signed.carrier, signed.slot)
        self.cases += len(signed)

    def forget(self, days: float) -> None:
        keep = 0.5 ** (days / 60.0)
        self._waits.forget(keep)
        self._distances.forget(keep)
        self._day *= keep

    def state(self) -> dict[str, Any]:
        return {
            "waits": self._waits.state(),
            "distances": self._distances.state(),
            "day": pack(self._day),
            "carriers": dict(self._carriers),
            "cases": self.cases,
            "began": self._began,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._waits.restore(state["waits"])
        self._distances.restore(state["distances"])
        self._day = unpack(state["day"])
        self._carriers = {str(name): int(row) for name, row in state["carriers"].items()}
        self._rows.forget()
        self.cases = float(state["cases"])
        # younger than the format: what was learned by then knows the clock
        self._began = state.get("began", 0)


class Regions:
    """Cities by number, and which regions name no district."""

    def __init__(self) -> None:
        self._digits = 0
        self._begin()

    def _begin(self) -> None:
        self._cities: dict[str, int] = {}
        self._rows = Rows()

    def read(self, table: Table, digits: int) -> tuple[I64, I64, npt.NDArray[np.bool_]]:
        """`here`, `there` and `same` of `Columns`: where it was signed, and where the parcel is for."""
        if digits != self._digits or len(self._cities) > _CITIES:
            self._digits = digits
            self._begin()
        here, there = table.coded("region"), table.coded("destination")
        return (
            self._rows.of(here, self._number),
            self._rows.of(there, self._number),
            here.codes == there.codes,
        )

    def _number(self, region: str) -> int:
        city = self._cities.setdefault(region[: self._digits], len(self._cities))
        return 2 * city + region.endswith("00")


def _no_cells(size: int) -> I64:
    return np.full(size, -1, np.int64)


def _kilometres(table: Table) -> F64 | None:
    """NaN where one is not known; None where none is."""
    north = table.number("scan_latitude")
    if not np.isfinite(north).any():
        return None
    east = table.number("scan_longitude")
    to_north, to_east = table.number("latitude"), table.number("longitude")
    with np.errstate(invalid="ignore"):
        up = (north - to_north) * 111.2
        across = (east - to_east) * 111.3 * np.cos(np.radians((north + to_north) / 2))
        return np.where(np.isfinite(up) & np.isfinite(across), np.hypot(up, across), np.nan)
