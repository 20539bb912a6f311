"""What a hub can send out in an hour: parcels beyond it wait, in about the order in which they were ready."""

from __future__ import annotations

import numpy as np

from monitor.simulate.faults import Plan
from monitor.simulate.network import Floats, Ints
from monitor.simulate.rhythm import DAY, HOUR, Calendars, Rhythm

HEADROOM = 3.0
WEEK = 7.0
SURGE = 1.1  # what hubs add for a sale, and for some days after it


def capacity(calendars: Calendars, plan: Plan, hub: int, ready: Floats, days: float) -> Rhythm:
    """Parcels an hour: a multiple of the median day's, less where the hub is jammed, more around a sale.

    `days` of orders are sent. Of less than a week most days at a hub are edges, so there it is a multiple of the mean's.
    """
    hours = calendars.start + HOUR * np.arange(24 * calendars.days)
    daily = np.bincount(((ready - calendars.start) // DAY).clip(0, calendars.days).astype(np.int64))
    usual = float(np.median(daily[daily > 0])) if (daily > 0).any() else 1.0
    if days < WEEK:
        usual = len(ready) / days
    rate = np.full(len(hours), max(usual / 24 * HEADROOM, 0.25))
    for sale in plan.sales:
        rate = np.where(
            (hours >= sale.start) & (hours < sale.end + 2 * DAY), rate * SURGE ** (sale.factor > 2), rate
        )
    for jam in plan.jams:
        if jam.hub == hub:
            rate = np.where((hours >= jam.start) & (hours < jam.end), rate * jam.left, rate)
    return Rhythm(calendars.start, rate / HOUR)


def through(
    rng: np.random.Generator, calendars: Calendars, plan: Plan, hubs: Ints, ready: Floats, days: float
) -> Floats:
    """When each parcel leaves. One server of varying speed: d(i) = max(d(i-1) + 1, c(i)) in units of capacity, which is
    a running maximum of c(i) - i. `days` as in `capacity`.
    """
    out = ready.copy()
    shuffle = ready + rng.exponential(1.5 * HOUR, len(ready))
    for hub in np.unique(hubs):
        rows = np.flatnonzero(hubs == hub)
        rows = rows[np.argsort(shuffle[rows], kind="stable")]
        server = capacity(calendars, plan, int(hub), ready[rows], days)
        arrived = server.done(ready[rows])
        place = np.arange(len(rows), dtype=np.float64)
        left = np.maximum.accumulate(arrived - place) + place
        out[rows] = np.maximum(server.moment(left), ready[rows])
    return out
