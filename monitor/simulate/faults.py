"""What goes wrong, where and when: a scenario as a plan of faults, drawn before anything moves.

Faults fall into the later part of a world, so that there is something to have learned from. Every scenario has the
everyday troubles (`Rates`); its name says what is added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from monitor.simulate.network import CARRIERS, Network
from monitor.simulate.rhythm import DAY, HOUR

SALE_AT = 0.57  # of the world


@dataclass(frozen=True, slots=True)
class Rates:
    """Per parcel, of the everyday. `bad_couriers` is their share, `bad_rate` what part of their sign-offs is false."""

    stuck: float = 0.022
    lost_of_stuck: float = 0.10
    refund_stuck: float = 0.04
    false_signoff: float = 0.0012
    bad_couriers: float = 0.02
    bad_rate: float = 0.06


@dataclass(frozen=True, slots=True)
class Jam:
    """A hub works with a share of its capacity."""

    hub: int
    start: int
    end: int
    left: float


@dataclass(frozen=True, slots=True)
class Storm:
    """Nothing is sorted, driven or delivered in a province (first two digits of the code)."""

    province: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A feed delivers nothing, then everything at once, but for the share that is gone."""

    feed: str
    start: int
    end: int
    gone: float


@dataclass(frozen=True, slots=True)
class Slowdown:
    """A carrier drives and sorts slower from now on, to one province or (empty) everywhere."""

    carrier: int
    province: str
    start: int
    end: int
    factor: float


@dataclass(frozen=True, slots=True)
class Wave:
    """Customers of a region complain about one thing: `extra` of those who got a parcel."""

    region: str
    start: int
    end: int
    category: str
    reason: str
    extra: float
    slow: bool


@dataclass(frozen=True, slots=True)
class Sale:
    start: int
    end: int
    factor: float


@dataclass(frozen=True, slots=True)
class Plan:
    rates: Rates = Rates()
    jams: tuple[Jam, ...] = ()
    storms: tuple[Storm, ...] = ()
    outages: tuple[Outage, ...] = ()
    slowdowns: tuple[Slowdown, ...] = ()
    waves: tuple[Wave, ...] = ()
    sales: tuple[Sale, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a plan is drawn: the span of the world and a source of chance."""

    rng: np.random.Generator
    start: int
    end: int
    parcels: int
    network: Network = field(repr=False)

    @property
    def length(self) -> int:
        return self.end - self.start

    def moment(self, begin: float, end: float) -> int:
        """Somewhere between two fractions of the world, on the minute."""
        at = self.start + self.length * self.rng.uniform(begin, end)
        return int(at // 60_000) * 60_000

    def lasting(self, low_hours: float, high_hours: float) -> int:
        """Never more than a fifth of the world."""
        hours = self.rng.uniform(low_hours, high_hours)
        return int(min(hours * HOUR, self.length / 5)) // 60_000 * 60_000

    def several(self, per_month: float) -> int:
        return max(1, round(per_month * self.length / (30 * DAY)))


def _jams(stage: Stage) -> tuple[Jam, ...]:
    """Busy hubs, each once: the relays and the seats of the big warehouses."""
    hubs = [
        i
        for i, city in enumerate(stage.network.hubs)
        if stage.network.codes[int(city)]
        in {"420100", "410100", "330700", "440100", "320100", "330100", "310000", "510100"}
    ]
    chosen = stage.rng.permutation(hubs)[: stage.several(3)]
    jams = []
    for hub in chosen:
        start = stage.moment(0.4, 0.8)
        jams.append(Jam(int(hub), start, start + stage.lasting(30, 72), float(stage.rng.uniform(0.02, 0.12))))
    return tuple(jams)


def _storms(stage: Stage) -> tuple[Storm, ...]:
    provinces = stage.rng.permutation(["44", "33", "35", "32", "42", "51"])[: stage.several(2)]
    storms = []
    for province in provinces:
        start = stage.moment(0.4, 0.75)
        storms.append(Storm(str(province), start, start + stage.lasting(24, 60)))
    return tuple(storms)


def _outages(stage: Stage) -> tuple[Outage, ...]:
    feeds = stage.rng.permutation(["kuaidi100", "kdniao", "sf-direct"])[: stage.several(2)]
    outages = []
    for feed in feeds:
        start = stage.moment(0.4, 0.8)
        outages.append(Outage(str(feed), start, start + stage.lasting(20, 60), 0.01))
    return tuple(outages)


def _waves(stage: Stage) -> tuple[Wave, ...]:
    """Cities and provinces, jumps and slow rises, some dozens of complaints each: what a small shop would notice."""
    places = ["33", "44", "31", "51", "37", "32", "42", "440300", "41", "11", "440100"]
    reasons = [
        ("product", "damaged"),
        ("product", "wrong_item"),
        ("service", "promotion"),
        ("product", "quality"),
    ]
    waves: list[Wave] = []
    for region in stage.rng.permutation(places):
        if len(waves) == stage.several(4):
            break
        category, reason = reasons[int(stage.rng.integers(len(reasons)))]
        start, slow = stage.moment(0.45, 0.75), bool(stage.rng.random() < 0.4)
        length = stage.lasting(72, 140) if slow else stage.lasting(30, 72)
        parcels = stage.parcels * length / stage.length * _share(stage.network, str(region))
        extra = stage.rng.uniform(20, 50) / max(1.0, parcels)
        taken = any(wave.region.startswith(str(region)[:2]) for wave in waves)
        if extra < 0.5 and not taken:
            waves.append(
                Wave(str(region), start, start + length, category, reason, max(0.03, float(extra)), slow)
            )
    return tuple(waves)


def _share(network: Network, region: str) -> float:
    inside = [code.startswith(region.rstrip("0").ljust(2, "0")) for code in network.districts]
    return float(network.district_weight[inside].sum())


def _sales(stage: Stage) -> tuple[Sale, ...]:
    """One sale that begins at midnight, with its shoulder; worlds begin at midnight too."""
    midnight = stage.start + round(SALE_AT * stage.length / DAY) * DAY
    return (
        Sale(midnight, midnight + DAY, float(stage.rng.uniform(6, 10))),
        Sale(midnight + DAY, midnight + 3 * DAY, 2.0),
    )


def _slowdowns(stage: Stage) -> tuple[Slowdown, ...]:
    usual = [i for i, carrier in enumerate(CARRIERS) if carrier.weight > 0.1]
    start = stage.moment(0.45, 0.6)
    province = str(stage.rng.choice(["44", "37", "51", "32"]))
    carrier = int(stage.rng.choice(usual))
    return (Slowdown(carrier, province, start, stage.end, float(stage.rng.uniform(1.6, 2.2))),)


BAD_COURIERS = Rates(false_signoff=0.002, bad_couriers=0.05, bad_rate=0.3)
SCENARIOS: Mapping[str, Callable[[Stage], Plan]] = {
    "calm": lambda _: Plan(),
    "sale_day": lambda stage: Plan(sales=_sales(stage)),
    "hub_jam": lambda stage: Plan(jams=_jams(stage)),
    "storm": lambda stage: Plan(storms=_storms(stage)),
    "feed_outage": lambda stage: Plan(outages=_outages(stage)),
    "false_signoffs": lambda _: Plan(rates=BAD_COURIERS),
    "complaint_wave": lambda stage: Plan(waves=_waves(stage)),
    "mixed": lambda stage: Plan(
        rates=replace(BAD_COURIERS, bad_couriers=0.03),
        jams=_jams(stage)[:2],
        storms=_storms(stage)[:1],
        outages=_outages(stage)[:1],
        slowdowns=_slowdowns(stage),
        waves=_waves(stage)[:2],
    ),
}


def plan(
    scenario: str, rng: np.random.Generator, span: tuple[int, int], parcels: int, network: Network
) -> Plan:
    if scenario not in SCENARIOS:
        raise ValueError(f"no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    return SCENARIOS[scenario](Stage(rng, *span, parcels, network))
