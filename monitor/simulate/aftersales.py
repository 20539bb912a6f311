"""What the shop promised, and what follows delivery: completion, returns, refunds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.simulate.faults import Plan
from monitor.simulate.journey import Journey
from monitor.simulate.network import CARRIERS, ROAD_KM_PER_HOUR, Floats, Ints, Network
from monitor.simulate.orders import Orders, Parcels
from monitor.simulate.rhythm import DAY, HOUR, OFFSET, Activity, Calendars
from monitor.simulate.signing import Signing
from monitor.simulate.steps import Step

RETURNS = 0.04


@dataclass(slots=True)
class Aftersales:
    """One row an order; NaN where it never happens. `excess` is what a fault added to the refund or the return."""

    completed: Floats
    return_requested: Floats
    return_received: Floats
    refund_requested: Floats
    refunded: Floats
    return_excess: Floats
    refund_excess: Floats


def promise(network: Network, calendars: Calendars, orders: Orders, parcels: Parcels) -> Floats:
    """The end of a day that about nineteen parcels of twenty keep, from the shop's table of distances."""
    hub, target = network.hub_of[parcels.origin], network.hub_of[parcels.destination]
    far = network.km[parcels.origin, parcels.destination]
    stops = np.where(hub == target, 0, np.where(network.transit[hub, target] >= 0, 2, 1))
    abroad = np.char.startswith(np.array(network.codes)[parcels.origin], "81")
    packed = calendars.rhythm(Activity.PACKING).advance(
        orders.paid[parcels.order], np.full(len(parcels), 16.0 * HOUR)
    )
    hours = 21.0 + 8.0 * stops + 1.35 * far / ROAD_KM_PER_HOUR + np.where(abroad, 44.0, 0.0)
    hours = hours * (0.55 + 0.45 * np.array([carrier.pace for carrier in CARRIERS])[parcels.carrier])
    come = calendars.by_carrier(Activity.DRIVING, parcels.carrier, packed, hours * HOUR)
    come = calendars.by_carrier(Activity.DELIVERY, parcels.carrier, come, np.full(len(parcels), 6.0 * HOUR))
    return np.ceil((come + OFFSET) / DAY) * DAY - OFFSET - 1000.0


def last_parcel(count: int, order: Ints, at: Floats) -> Floats:
    """When the last parcel of each order came: NaN where one never did, or where there is none."""
    latest = np.full(count, -np.inf)
    np.maximum.at(latest, order, np.where(np.isnan(at), np.inf, at))
    return np.where(np.isfinite(latest), latest, np.nan)


def follow(
    rng: np.random.Generator,
    calendars: Calendars,
    plan: Plan,
    orders: Orders,
    parcels: Parcels,
    journey: Journey,
    signing: Signing,
) -> Aftersales:
    count = len(orders)
    office = calendars.rhythm(Activity.OFFICE)
    refused = journey.way.refused[np.searchsorted(parcels.order, np.arange(count)).clip(0, len(parcels) - 1)]
    refused &= orders.parcels > 0
    came = last_parcel(count, parcels.order, signing.delivered)
    asked = np.where(
        rng.random(count) < RETURNS, came + rng.lognormal(np.log(36.0), 0.8, count) * HOUR, np.nan
    )
    asked = np.where(refused, np.nan, asked)
    slow = rng.random(count) < plan.rates.refund_stuck
    back = calendars.rhythm(Activity.DRIVING).advance(asked, rng.lognormal(np.log(96.0), 0.35, count) * HOUR)
    late = np.where(slow & (rng.random(count) < 0.5), rng.uniform(120.0, 300.0, count) * HOUR, 0.0)
    received = office.advance(back + late, rng.lognormal(np.log(3.0), 0.5, count) * HOUR)
    sent_home = last_parcel(count, parcels.order, journey.at[:, Step.RETURNED])
    refund = np.where(np.isnan(orders.cancelled), np.where(refused, sent_home, received), orders.cancelled)
    refund = refund + rng.uniform(1.0, 10.0, count) * 60_000.0
    held = np.where(slow, (72.0 + rng.lognormal(np.log(72.0), 0.6, count)) * HOUR, 0.0)
    paid_back = office.advance(refund + held, rng.lognormal(np.log(5.0), 0.6, count) * HOUR)
    content = (rng.random(count) < 0.85) & np.isnan(asked) & ~refused
    return Aftersales(
        completed=np.where(content, came + rng.uniform(1.0, 7.0, count) * DAY, np.nan),
        return_requested=asked,
        return_received=np.where(np.isnan(asked), np.nan, received),
        refund_requested=refund,
        refunded=np.where(np.isnan(refund), np.nan, paid_back),
        return_excess=np.where(np.isnan(asked), 0.0, late),
        refund_excess=np.where(np.isnan(refund), 0.0, held),
    )
