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

from detectors.clock import DAY, MINUTE
from detectors.plain import pack, unpack
from detectors.tables import F64, I64, Rows, Table

Bools = npt.NDArray[np.bool_]

DELIVERED, HELD = 13, 11  # monitor.vocabulary.Status
PROXY, LOCKER, STATION, SAFE_PLACE = 2, 3, 4, 5  # monitor.vocabulary.DeliveredTo
NEAR: Final = 60_000  # sign-offs of one courier this close are one gesture
_WAITS: Final = np.geomspace(5.0, 3 * 86_400.0, 40)  # seconds
_KM: Final = np.geomspace(0.05, 2_000.0, 40)
_SLOTS: Final = 288  # five minutes of the day
_CARRIERS: Final = 512
_CITIES: Final = 100_000  # numbered anew beyond it
_CLOCK_CASES: Final = 300  # sign-offs before an hour is called unusual
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
FEATURES: Final = tuple(PRIOR)
AT: Final[Mapping[str, int]] = {name: index for index, name in enumerate(FEATURES)}


class Tails:
    """How rare values on one side are: decayed histograms, all together and by carrier, shrunk towards all."""

    def __init__(self, edges: F64, *, low: bool) -> None:
        self._edges, self._low = edges, low
        self._counts = np.zeros((_CARRIERS, len(edges) + 1))

    def rarity(self, group: I64, carriers: I64, values: F64) -> F64:
        """-log10 of the share that is at least as extreme; 0 where the value is absent.

        `carriers` are the rows that occur, `group` says for each value which of them is its own.
        """
        known = np.isfinite(values)
        if not known.any():
            return np.zeros(len(values))
        cells = np.searchsorted(self._edges, np.where(known, values, self._edges[0]))
        total = self._counts.sum(axis=0)
        order = slice(None) if self._low else slice(None, None, -1)
        whole = np.cumsum(total[order])[order]
        share_all = np.minimum((whole + 1.0) / (total.sum() + 30.0), 1.0)
        mine = self._counts[carriers]
        own = np.cumsum(mine[:, order], axis=1)[:, order]
        share = (own + _TRUST * share_all) / (mine.sum(axis=1, keepdims=True) + _TRUST)
        rare = -np.log10(np.clip(share, 1e-6, 1.0))
        return np.where(known, rare[group, cells], 0.0)

    def learn(self, carrier: I64, values: F64) -> None:
        known = np.isfinite(values)
        if known.any():
            np.add.at(self._counts, (carrier[known], np.searchsorted(self._edges, values[known])), 1.0)

    def forget(self, keep: float) -> None:
        self._counts *= keep

    def state(self) -> dict[str, Any]:
        return pack(self._counts)

    def restore(self, state: Mapping[str, Any]) -> None:
        self._counts = unpack(state)


@dataclass(slots=True)
class Signoffs:
    """A window's sign-offs as arrays, one element each; NaN where a number is absent, 0 where a time is."""

    table: Table
    carrier: I64  # a row of the histograms
    carriers: I64  # the rows that occur
    group: I64  # which of them is its own
    occurred: I64
    out: I64
    wait: F64  # seconds
    km: F64
    slot: I64
    direct: Bools

    def __len__(self) -> int:
        return len(self.occurred)


class Usual:
    """What was learned of ordinary sign-offs."""

    def __init__(self) -> None:
        self._waits = Tails(_WAITS, low=True)
        self._distances = Tails(_KM, low=False)
        self._day = np.zeros((_CARRIERS, _SLOTS))
        self._carriers: dict[str, int] = {}
        self._rows = Rows()
        self._where = Regions()
        self.cases = 0.0

    def read(self, table: Table, offset: int) -> Signoffs:
        carrier = self._rows.of(table.coded("carrier"), self._row, absent=0)
        carriers, group = np.unique(carrier, return_inverse=True)
        occurred, out = table.whole("occurred"), table.whole("out_for_delivery")
        direct = table.whole("status") == DELIVERED
        timed = direct & (out > 0) & (occurred >= out)
        return Signoffs(
            table=table,
            carrier=carrier,
            carriers=carriers,
            group=group,
            occurred=occurred,
            out=out,
            wait=np.where(timed, (occurred - out) / 1000, np.nan),
            km=_kilometres(table),
            slot=(occurred + offset) % DAY // (5 * MINUTE),
            direct=direct,
        )

    def _row(self, carrier: str) -> int:
        """0, the row of all that have none, where there is no room."""
        if carrier not in self._carriers and len(self._carriers) < _CARRIERS - 1:
            self._carriers[carrier] = len(self._carriers) + 1
        return self._carriers.get(carrier, 0)

    def features(self, signed: Signoffs, together: F64, excess: F64, digits: int) -> F64:
        """One row a sign-off. `together`: others of the courier within the minute; `excess`: log of its courier's."""
        table = signed.table
        to, before = table.whole("delivered_to"), table.whole("previous_status")
        found = np.zeros((len(signed), len(FEATURES)))

        def put(name: str, values: npt.NDArray[Any]) -> None:
            found[:, AT[name]] = values

        put("impossible", _impossible(signed))
        put("instant", signed.wait < 75)
        put("fast", np.clip(self._waits.rarity(signed.group, signed.carriers, signed.wait) - 1.5, 0, 3))
        put("no_way", signed.direct & (signed.out == 0) & (before != HELD))
        crowd = np.where((to == STATION) | ~signed.direct, 0.0, together)
        put("burst", np.where(crowd >= 2, np.log2(1 + np.minimum(crowd, 7)), 0.0))
        if self.cases >= _CLOCK_CASES:
            night, heaped = self._clock(signed)
            put("night", night)
            put("heaped", heaped)
        elsewhere, district = self._where.elsewhere(table, digits)
        put("other_city", elsewhere)
        put("other_district", district & ~elsewhere)
        put("far", np.clip(self._distances.rarity(signed.group, signed.carriers, signed.km) - 1.0, 0, 3))
        unheld = signed.direct & (before != HELD)
        put("locker", (to == LOCKER) & unheld)
        put("station", (to == STATION) & unheld)
        put("proxy", to == PROXY)
        put("safe_place", to == SAFE_PLACE)
        put("courier", np.clip(excess, -1.5, 3.0))
        return found

    def _clock(self, signed: Signoffs) -> tuple[F64, F64]:
        """How rare this hour is for the carrier, and how much fuller its last minutes are than those around."""
        everyone = self._day[: len(self._carriers) + 1].sum(axis=0)
        mine = self._day[signed.carriers]
        total = mine.sum(axis=1, keepdims=True)
        share = (mine + 50.0 * (everyone + 0.02) / (everyone.sum() + 6.0)) / (total + 50.0)
        around = _around(share, 6)
        night = np.clip(-np.log10(np.maximum(around * 12 / 13, 1e-6)) - 1.8, 0, 2.5)
        usual = (around - share) / 12
        slots = np.arange(_SLOTS)
        last_minutes = (slots % 12 == 11) & (slots // 12 >= 17)
        fuller = np.log2((share + 1e-5) / (usual + 1e-5))
        heaped = np.where(last_minutes, 0.6 + np.clip(fuller, 0, 2), 0.0)
        return night[signed.group, signed.slot], heaped[signed.group, signed.slot]

    def learn(self, signed: Signoffs) -> None:
        self._waits.learn(signed.carrier, signed.wait)
        self._distances.learn(signed.carrier, signed.km)
        np.add.at(self._day, (signed.carrier, signed.slot), 1.0)
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
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._waits.restore(state["waits"])
        self._distances.restore(state["distances"])
        self._day = unpack(state["day"])
        self._carriers = {str(name): int(row) for name, row in state["carriers"].items()}
        self._rows.forget()
        self.cases = float(state["cases"])


def _around(values: F64, far: int) -> F64:
    """Sums of each with those up to `far` places before and behind it, around the clock."""
    width = 2 * far + 1
    round_ = np.concatenate([values[:, -far - 1 :], values, values[:, :far]], axis=1).cumsum(axis=1)
    return np.asarray(round_[:, width:] - round_[:, :-width], np.float64)


class Regions:
    """Whether two regions are the same city, the same district."""

    def __init__(self) -> None:
        self._digits = 0
        self._begin()

    def _begin(self) -> None:
        self._cities: dict[str, int] = {}
        self._city, self._whole = Rows(), Rows()

    def elsewhere(self, table: Table, digits: int) -> tuple[Bools, Bools]:
        """Signed in another city, in another district, than the parcel is for; absent codes are no mismatch."""
        if digits != self._digits or len(self._cities) > _CITIES:
            self._digits = digits
            self._begin()
        here, there = table.coded("region"), table.coded("destination")
        city = self._city.of(here, self._number), self._city.of(there, self._number)
        known = (city[0] >= 0) & (city[1] >= 0)
        whole = self._whole.of(here, _no_district, 1), self._whole.of(there, _no_district, 1)
        district = (here.codes != there.codes) & (whole[0] == 0) & (whole[1] == 0)
        return known & (city[0] != city[1]), known & district

    def _number(self, region: str) -> int:
        return self._cities.setdefault(region[: self._digits], len(self._cities))


def _no_district(region: str) -> int:
    return int(region.endswith("00"))


def _impossible(signed: Signoffs) -> Bools:
    """Handed over before it was ordered, signed before it was handed over: clocks may differ by a minute."""
    at, accepted, ordered = signed.occurred, signed.table.whole("accepted"), signed.table.whole("ordered")
    early = ((accepted > 0) & (at + MINUTE < accepted)) | ((ordered > 0) & (at + MINUTE < ordered))
    return np.asarray(early | ((accepted > 0) & (ordered > 0) & (accepted + MINUTE < ordered)))


def _kilometres(table: Table) -> F64:
    north, east = table.number("scan_latitude"), table.number("scan_longitude")
    if not np.isfinite(north).any():
        return np.full(len(table), np.nan)
    to_north, to_east = table.number("latitude"), table.number("longitude")
    with np.errstate(invalid="ignore"):
        up = (north - to_north) * 111.2
        across = (east - to_east) * 111.3 * np.cos(np.radians((north + to_north) / 2))
        return np.where(np.isfinite(up) & np.isfinite(across), np.hypot(up, across), np.nan)
