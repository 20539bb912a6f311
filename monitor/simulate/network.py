"""The ground of the synthetic world: cities, hubs, districts, carriers, warehouses, feeds.

Codes are of GB/T 2260 (the city table beside this file: codes, rough centres, populations in millions). Everything
is arrays indexed by small integers; names appear only when events are written.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Carrier(NamedTuple):
    """`pace` multiplies every working duration; `sunday` is the share of the work done on Sundays and holidays;
    `gps` the share of sign-offs that carry a position.
    """

    code: str
    prefix: str
    digits: int
    feed: str
    pace: float
    sunday: float
    gps: float
    weight: float


CARRIERS = (
    Carrier("sf", "SF", 13, "sf-direct", 0.72, 1.0, 0.9, 0.12),
    Carrier("jd", "JDX", 12, "jd-direct", 0.75, 1.0, 0.9, 0.10),
    Carrier("zto", "78", 12, "kuaidi100", 1.0, 0.9, 0.5, 0.22),
    Carrier("yto", "YT", 13, "kuaidi100", 1.05, 0.9, 0.4, 0.18),
    Carrier("yunda", "43", 13, "kdniao", 1.1, 0.6, 0.3, 0.15),
    Carrier("sto", "77", 13, "kdniao", 1.15, 0.6, 0.3, 0.12),
    Carrier("jt", "JT", 13, "kdniao", 1.08, 0.9, 0.4, 0.06),
    Carrier("ems", "EA", 11, "17track", 1.4, 0.15, 0.1, 0.05),
)


class Feed(NamedTuple):
    """`lag` is the median delay of a webhook in seconds; `poll` the period of one that is asked, 0 where it calls."""

    name: str
    lag: float
    poll: float
    doubled: float


FEEDS = {
    feed.name: feed
    for feed in (
        Feed("shop", 2, 0, 0.002),
        Feed("helpdesk", 5, 0, 0.002),
        Feed("sf-direct", 20, 0, 0.005),
        Feed("jd-direct", 30, 0, 0.005),
        Feed("kuaidi100", 240, 0, 0.02),
        Feed("kdniao", 400, 0, 0.03),
        Feed("17track", 300, 10_800, 0.01),
    )
}

# city of the warehouse, share of the orders, how quick it packs (multiplies)
WAREHOUSES = (
    ("330700", 0.22, 1.0),
    ("440100", 0.20, 0.9),
    ("320500", 0.16, 1.0),
    ("330100", 0.14, 0.8),
    ("131000", 0.10, 1.1),
    ("510100", 0.08, 1.1),
    ("420100", 0.07, 1.2),
    ("810000", 0.03, 1.4),
)
SUPPLIERS = 24
CATEGORIES = ("apparel", "beauty", "food", "electronics", "home", "toys")
ROAD_KM_PER_HOUR = 62.0
CUSTOMS_CITY = "440300"


@dataclass(frozen=True, slots=True)
class Network:
    """`hub_of[city]` is an index into `hubs` (which holds city indices); `transit[from, to]` a hub or -1."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    latitude: Floats
    longitude: Floats
    weight: Floats
    hubs: Ints
    hub_of: Ints
    km: Floats
    transit: Ints
    districts: tuple[str, ...]
    district_city: Ints
    district_weight: Floats
    district_latitude: Floats
    district_longitude: Floats
    warehouse_city: Ints
    supplier_warehouse: Ints
    supplier_weight: Floats
    supplier_carriers: Floats

    def hub_name(self, hub: int) -> str:
        return f"H-{self.codes[int(self.hubs[hub])]}"


def kilometres(lat1: Floats, lon1: Floats, lat2: Floats, lon2: Floats) -> Floats:
    a, b = np.radians(lat1), np.radians(lat2)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon2 - lon1) / 2) ** 2
    distance: Floats = 12_742.0 * np.arcsin(np.sqrt(half))
    return distance


@cache
def network() -> Network:
    """The same for every seed: what changes between worlds is what happens in it."""
    text = (files("monitor.simulate") / "cities.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    codes = tuple(row["code"] for row in rows)
    lat = np.array([float(row["latitude"]) for row in rows])
    lon = np.array([float(row["longitude"]) for row in rows])
    weight = np.array([float(row["weight"]) for row in rows])
    km = kilometres(lat[:, None], lon[:, None], lat[None, :], lon[None, :]) * 1.25
    hubs = np.array([i for i, row in enumerate(rows) if row["hub"] == "1"], dtype=np.int64)
    near = km[:, hubs] + np.where(_province(codes)[:, None] == _province(codes)[hubs][None, :], 0.0, 400.0)
    rng = np.random.default_rng(20260)
    districts = _districts(rows, weight, lat, lon, rng)
    suppliers = _suppliers(rng)
    return Network(
        codes=codes,
        names=tuple(row["name"] for row in rows),
        latitude=lat,
        longitude=lon,
        weight=weight,
        hubs=hubs,
        hub_of=near.argmin(axis=1).astype(np.int64),
        km=km,
        transit=_transit(km[np.ix_(hubs, hubs)], [codes[i] for i in hubs]),
        districts=districts[0],
        district_city=districts[1],
        district_weight=districts[2],
        district_latitude=districts[3],
        district_longitude=districts[4],
        warehouse_city=np.array([codes.index(city) for city, _, _ in WAREHOUSES], dtype=np.int64),
        supplier_warehouse=suppliers[0],
        supplier_weight=suppliers[1],
        supplier_carriers=suppliers[2],
    )


def _province(codes: tuple[str, ...]) -> Ints:
    return np.array([int(code[:2]) for code in codes], dtype=np.int64)


def _transit(km: Floats, codes: list[str]) -> Ints:
    """Long ways break at the relay hub that adds least, where it adds less than a quarter."""
    relays = [codes.index(code) for code in ("420100", "410100", "320100", "430100", "610100")]
    detour = km[:, relays][:, :, None] + km[relays, :][None, :, :]
    best = detour.argmin(axis=1)
    length = detour.min(axis=1)
    chosen = np.array(relays, dtype=np.int64)[best]
    own = np.arange(len(codes))
    useless = (km < 700) | (length > 1.25 * km) | (chosen == own[:, None]) | (chosen == own[None, :])
    result: Ints = np.where(useless, -1, chosen).astype(np.int64)
    return result


def _districts(
    rows: list[dict[str, str]], weight: Floats, lat: Floats, lon: Floats, rng: np.random.Generator
) -> tuple[tuple[str, ...], Ints, Floats, Floats, Floats]:
    """Cities without listed districts are their own only district."""
    pairs = [(code, i) for i, row in enumerate(rows) for code in (row["districts"].split() or [row["code"]])]
    city = np.array([i for _, i in pairs], dtype=np.int64)
    count = np.bincount(city, minlength=len(rows))
    share = weight[city] / count[city]
    spread = np.where(count[city] > 1, 0.09, 0.0)
    return (
        tuple(code for code, _ in pairs),
        city,
        share / share.sum(),
        lat[city] + spread * rng.uniform(-1, 1, len(pairs)),
        lon[city] + spread * rng.uniform(-1, 1, len(pairs)),
    )


def _suppliers(rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
    """Each supplier ships from one warehouse with two or three carriers; goods from abroad go by SF or EMS."""
    share = np.array([weight for _, weight, _ in WAREHOUSES])
    warehouse = np.repeat(np.arange(len(WAREHOUSES)), SUPPLIERS // len(WAREHOUSES))
    weight = share[warehouse] * rng.uniform(0.5, 1.5, len(warehouse))
    base = np.array([carrier.weight for carrier in CARRIERS])
    carriers = base * rng.uniform(0.1, 1.9, (len(warehouse), len(base)))
    rank = np.argsort(np.argsort(-carriers * rng.uniform(0.4, 1.0, carriers.shape), axis=1), axis=1)
    carriers = np.where(rank < 3, carriers, 0.0)
    abroad = warehouse == len(WAREHOUSES) - 1
    carriers[abroad] = np.array([0.6, 0, 0, 0, 0, 0, 0, 0.4])
    return (
        warehouse.astype(np.int64),
        weight / weight.sum(),
        carriers / carriers.sum(axis=1, keepdims=True),
    )
