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
import polars as pl

from detectors.clock import DAY, MINUTE
from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DELIVERED, HELD = 13, 11  # monitor.vocabulary.Status
PROXY, LOCKER, STATION, SAFE_PLACE = 2, 3, 4, 5  # monitor.vocabulary.DeliveredTo
NEAR: Final = 60_000  # sign-offs of one courier this close are one gesture
_WAITS: Final = np.geomspace(5.0, 3 * 86_400.0, 40)  # seconds
_KM: Final = np.geomspace(0.05, 2_000.0, 40)
_SLOTS: Final = 288  # five minutes of the day
_CARRIERS: Final = 512
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

    def rarity(self, carrier: I64, values: F64) -> F64:
        """-log10 of the share that is at least as extreme; 0 where the value is absent."""
        known = np.isfinite(values)
        cells = np.searchsorted(self._edges, np.where(known, values, self._edges[0]))
        total = self._counts.sum(axis=0)
        order = slice(None) if self._low else slice(None, None, -1)
        whole = np.cumsum(total[order])[order]
        share_all = (whole[cells] + 1.0) / (total.sum() + 30.0)
        own = np.cumsum(self._counts[carrier][:, order], axis=1)[:, order]
        rows = np.arange(len(cells))
        sums = self._counts[carrier].sum(axis=1)
        share = (own[rows, cells] + _TRUST * np.minimum(share_all, 1.0)) / (sums + _TRUST)
        return np.where(known, -np.log10(np.clip(share, 1e-6, 1.0)), 0.0)

    def learn(self, carrier: I64, values: F64) -> None:
        known = np.isfinite(values)
        np.add.at(self._counts, (carrier[known], np.searchsorted(self._edges, values[known])), 1.0)

    def forget(self, keep: float) -> None:
        self._counts *= keep

    def state(self) -> dict[str, Any]:
        return pack(self._counts)

    def restore(self, state: Mapping[str, Any]) -> None:
        self._counts = unpack(state)


@dataclass(slots=True)
class Signoffs:
    """A window's sign-offs as arrays, one element each; NaN where a number is absent."""

    names: list[str]
    carriers: list[str | None]
    couriers: list[str | None]
    facilities: list[str | None]
    regions: list[str | None]
    feeds: list[str | None]
    carrier: I64  # a row of the histograms
    occurred: I64
    wait: F64  # seconds
    km: F64
    slot: I64
    direct: Bools
    frame: pl.DataFrame


class Usual:
    """What was learned of ordinary sign-offs."""

    def __init__(self) -> None:
        self._waits = Tails(_WAITS, low=True)
        self._distances = Tails(_KM, low=False)
        self._day = np.zeros((_CARRIERS, _SLOTS))
        self._carriers: dict[str, int] = {}
        self.cases = 0.0

    def read(self, frame: pl.DataFrame, offset: int) -> Signoffs:
        carriers = frame["carrier"].to_list()
        for name in frame["carrier"].unique(maintain_order=True):
            if name is not None and len(self._carriers) < _CARRIERS - 1:
                self._carriers.setdefault(name, len(self._carriers) + 1)
        occurred = frame["occurred"].to_numpy().astype(np.int64)
        out = _numbers(frame, "out_for_delivery")
        direct = (frame["status"] == DELIVERED).to_numpy()
        wait = (occurred - out) / 1000
        return Signoffs(
            names=frame["tracking_number"].to_list(),
            carriers=carriers,
            couriers=frame["courier"].to_list(),
            facilities=frame["facility"].to_list(),
            regions=frame["region"].to_list(),
            feeds=frame["feed"].to_list(),
            carrier=np.array([self._carriers.get(name or "", 0) for name in carriers], dtype=np.int64),
            occurred=occurred,
            wait=np.where(direct & (wait >= 0), wait, np.nan),
            km=_kilometres(frame),
            slot=((occurred + offset) % DAY // (5 * MINUTE)).astype(np.int64),
            direct=direct,
            frame=frame,
        )

    def features(self, signed: Signoffs, together: F64, excess: F64, digits: int) -> F64:
        """One row a sign-off. `together`: others of the courier within the minute; `excess`: log of its courier's."""
        frame = signed.frame
        to, before = _whole(frame, "delivered_to"), _whole(frame, "previous_status")
        columns = dict.fromkeys(FEATURES, np.zeros(len(signed.names)))
        columns["impossible"] = _impossible(frame).astype(np.float64)
        columns["instant"] = (signed.wait < 75).astype(np.float64)
        columns["fast"] = np.clip(self._waits.rarity(signed.carrier, signed.wait) - 1.5, 0, 3)
        out = _numbers(frame, "out_for_delivery")
        columns["no_way"] = (signed.direct & np.isnan(out) & (before != HELD)).astype(np.float64)
        crowd = np.where((to == STATION) | ~signed.direct, 0.0, together)
        columns["burst"] = np.where(crowd >= 2, np.log2(1 + np.minimum(crowd, 7)), 0.0)
        night, heaped = self._clock(signed)
        columns["night"], columns["heaped"] = night, heaped
        elsewhere, district = _elsewhere(frame, digits)
        columns["other_city"] = elsewhere.astype(np.float64)
        columns["other_district"] = (district & ~elsewhere).astype(np.float64)
        columns["far"] = np.clip(self._distances.rarity(signed.carrier, signed.km) - 1.0, 0, 3)
        unheld = signed.direct & (before != HELD)
        columns["locker"] = ((to == LOCKER) & unheld).astype(np.float64)
        columns["station"] = ((to == STATION) & unheld).astype(np.float64)
        columns["proxy"] = (to == PROXY).astype(np.float64)
        columns["safe_place"] = (to == SAFE_PLACE).astype(np.float64)
        columns["courier"] = np.clip(excess, -1.5, 3.0)
        return np.stack([columns[name] for name in FEATURES], axis=1)

    def _clock(self, signed: Signoffs) -> tuple[F64, F64]:
        """How rare this hour is for the carrier, and how much fuller its last minutes are than those around."""
        everyone = self._day.sum(axis=0)
        mine = self._day[signed.carrier]
        total = mine.sum(axis=1, keepdims=True)
        share = (mine + 50.0 * (everyone + 0.02) / (everyone.sum() + 6.0)) / (total + 50.0)
        around = sum((np.roll(share, shift, axis=1) for shift in range(-6, 7)), np.zeros_like(share))
        rows = np.arange(len(signed.slot))
        hour_share = around[rows, signed.slot] * 12 / 13
        night = np.clip(-np.log10(np.maximum(hour_share, 1e-6)) - 1.8, 0, 2.5)
        usual = (around[rows, signed.slot] - share[rows, signed.slot]) / 12
        last_minutes = (signed.slot % 12 == 11) & (signed.slot // 12 >= 17)
        fuller = np.log2((share[rows, signed.slot] + 1e-5) / (usual + 1e-5))
        heaped = np.where(last_minutes, 0.6 + np.clip(fuller, 0, 2), 0.0)
        ready = self.cases >= 300
        return (night, heaped) if ready else (night * 0, heaped * 0)

    def learn(self, signed: Signoffs) -> None:
        self._waits.learn(signed.carrier, signed.wait)
        self._distances.learn(signed.carrier, signed.km)
        np.add.at(self._day, (signed.carrier, signed.slot), 1.0)
        self.cases += len(signed.names)

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
        self.cases = float(state["cases"])


def _numbers(frame: pl.DataFrame, name: str) -> F64:
    return frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def _whole(frame: pl.DataFrame, name: str) -> I64:
    return frame[name].fill_null(0).to_numpy().astype(np.int64)


def _impossible(frame: pl.DataFrame) -> Bools:
    """Handed over before it was ordered, signed before it was handed over: clocks may differ by a minute."""
    signed, accepted = _numbers(frame, "occurred"), _numbers(frame, "accepted")
    ordered = _numbers(frame, "ordered")
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (signed + MINUTE < accepted) | (accepted + MINUTE < ordered) | (signed + MINUTE < ordered)
        )


def _elsewhere(frame: pl.DataFrame, digits: int) -> tuple[Bools, Bools]:
    """Signed in another city, in another district, than the parcel is for; absent codes are no mismatch."""
    pair = frame.select(
        city=pl.col("region").str.head(digits) != pl.col("destination").str.head(digits),
        district=(pl.col("region") != pl.col("destination"))
        & ~pl.col("region").str.ends_with("00")
        & ~pl.col("destination").str.ends_with("00"),
    ).fill_null(value=False)
    return pair["city"].to_numpy(), pair["district"].to_numpy()


def _kilometres(frame: pl.DataFrame) -> F64:
    north, east = _numbers(frame, "scan_latitude"), _numbers(frame, "scan_longitude")
    to_north, to_east = _numbers(frame, "latitude"), _numbers(frame, "longitude")
    with np.errstate(invalid="ignore"):
        up = (north - to_north) * 111.2
        across = (east - to_east) * 111.3 * np.cos(np.radians((north + to_north) / 2))
        return np.where(np.isfinite(up) & np.isfinite(across), np.hypot(up, across), np.nan)
