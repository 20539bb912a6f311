"""Who bought what, when, from where to where, and in how many parcels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.simulate.faults import Plan
from monitor.simulate.network import CARRIERS, CATEGORIES, WAREHOUSES, Bools, Floats, Ints, Network
from monitor.simulate.rhythm import DAY, HOUR, Activity, Calendars, Rhythm

MINUTE = 60_000.0
CANCELLED = 0.02


@dataclass(slots=True)
class Orders:
    """One row an order; times in ms, NaN where it never happens. `parcels` is 0 for an order cancelled in time."""

    placed: Floats
    paid: Floats
    cancelled: Floats
    customer: Ints
    district: Ints
    supplier: Ints
    warehouse: Ints
    category: Ints
    amount: Floats
    english: Bools
    tier: Ints
    consents: Bools
    parcels: Ints

    def __len__(self) -> int:
        return len(self.placed)


@dataclass(slots=True)
class Parcels:
    """One row a parcel: its order, carrier and way."""

    order: Ints
    carrier: Ints
    origin: Ints  # city
    district: Ints
    destination: Ints  # city
    pace: Floats

    def __len__(self) -> int:
        return len(self.order)


def _moments(
    rng: np.random.Generator, count: int, calendars: Calendars, span: tuple[int, int], plan: Plan
) -> Floats:
    """Orders follow the hours of the day and the sales: draws from the cumulative rate."""
    rate = calendars.rates(Activity.ORDERING)
    hours = calendars.start + HOUR * np.arange(len(rate))
    for sale in plan.sales:
        rate = np.where((hours >= sale.start) & (hours < sale.end), rate * sale.factor, rate)
    rhythm = Rhythm(calendars.start, rate)
    low, high = rhythm.done(np.array([float(span[0]), float(span[1])]))
    return rhythm.moment(low + (high - low) * np.sort(rng.random(count)))


def place(
    rng: np.random.Generator,
    network: Network,
    calendars: Calendars,
    plan: Plan,
    span: tuple[int, int],
    parcels: int,
    customers: int,
) -> Orders:
    """Orders of exactly `parcels` parcels (the last order gives way), and some that are cancelled before any."""
    several = rng.choice([1, 2, 3], size=parcels, p=[0.92, 0.06, 0.02])
    whole = int(np.searchsorted(np.cumsum(several), parcels)) + 1
    several = several[:whole]
    several[-1] -= int(several.sum()) - parcels
    count = round(whole / (1 - CANCELLED))
    number = np.zeros(count, dtype=np.int64)
    number[np.sort(rng.permutation(count)[:whole])] = several
    placed = _moments(rng, count, calendars, span, plan)
    supplier = rng.choice(len(network.supplier_weight), size=count, p=network.supplier_weight)
    customer = (customers * rng.random(count) ** 1.6).astype(np.int64)
    home = np.random.default_rng(77).permutation(np.repeat(*_population(network)))
    moved = rng.random(count) < 0.04
    district = np.where(
        moved,
        rng.choice(len(network.district_weight), size=count, p=network.district_weight),
        home[customer % len(home)],
    )
    paid = placed + rng.lognormal(np.log(3 * MINUTE), 1.0, count)
    unwanted = np.where(number == 0, paid + rng.lognormal(np.log(3.0 * HOUR), 0.8, count), np.nan)
    return Orders(
        placed=placed,
        paid=paid,
        cancelled=unwanted,
        customer=customer,
        district=district,
        supplier=supplier,
        warehouse=network.supplier_warehouse[supplier],
        category=rng.integers(len(CATEGORIES), size=count),
        amount=np.round(rng.lognormal(4.6, 0.8, count), 2),
        english=customer % 17 == 0,
        tier=np.where(customer % 50 == 0, 2, np.where(customer % 9 == 0, 1, 0)),
        consents=customer % 10 < 6,
        parcels=number,
    )


def _population(network: Network) -> tuple[Ints, Ints]:
    """Districts and how often each stands in the list of homes."""
    times = np.maximum(1, np.round(network.district_weight * 20_000)).astype(np.int64)
    return np.arange(len(times)), times


def ship(rng: np.random.Generator, network: Network, orders: Orders) -> Parcels:
    order = np.repeat(np.arange(len(orders)), orders.parcels)
    chance = np.cumsum(network.supplier_carriers, axis=1)[orders.supplier[order]]
    carrier = (rng.random(len(order))[:, None] > chance).sum(axis=1).clip(0, len(CARRIERS) - 1)
    district = orders.district[order]
    pace = np.array([c.pace for c in CARRIERS])[carrier] * rng.lognormal(0.0, 0.12, len(order))
    return Parcels(
        order=order,
        carrier=carrier.astype(np.int64),
        origin=network.warehouse_city[orders.warehouse[order]],
        district=district,
        destination=network.district_city[district],
        pace=pace,
    )


def packed(
    rng: np.random.Generator, calendars: Calendars, orders: Orders, parcels: Parcels, plan: Plan
) -> Floats:
    """When each parcel's label was made. A sale fills the warehouses for some days."""
    slow = np.array([factor for _, _, factor in WAREHOUSES])[orders.warehouse[parcels.order]]
    paid = orders.paid[parcels.order]
    for sale in plan.sales:
        busy = (paid >= sale.start) & (paid < sale.end + DAY)
        slow = np.where(busy, slow * (1 + 0.12 * sale.factor), slow)
    work = rng.lognormal(np.log(6.0 * HOUR), 0.7, len(parcels)) * slow
    return calendars.rhythm(Activity.PACKING).advance(paid, work)
