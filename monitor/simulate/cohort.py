"""A span of the world: the orders placed in it, and all that became of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.simulate.aftersales import Aftersales, follow, promise
from monitor.simulate.complaints import Complaints, complain
from monitor.simulate.faults import Plan
from monitor.simulate.journey import Journey, walk
from monitor.simulate.network import Floats, network
from monitor.simulate.orders import Orders, Parcels, packed, place, ship
from monitor.simulate.rhythm import DAY, Calendars
from monitor.simulate.signing import Signing, sign

ROOM = 45 * DAY  # beyond the span, for parcels under way; what would come later never comes


@dataclass(slots=True)
class Cohort:
    """`number` tells cohorts of one world apart; `limit` is where calendars end: times there mean never."""

    number: int
    span: tuple[int, int]
    limit: float
    plan: Plan
    orders: Orders
    parcels: Parcels
    promised: Floats
    journey: Journey
    signing: Signing
    aftersales: Aftersales
    complaints: Complaints


def grow(seed: int, number: int, span: tuple[int, int], parcels: int, plan: Plan, customers: int) -> Cohort:
    """Every stage has its own stream of chance: a change in one leaves the others as they were."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, number]).spawn(7)]
    ground = network()
    calendars = Calendars(span[0] - DAY, span[1] + ROOM)
    days = (span[1] - span[0]) / DAY
    orders = place(streams[0], ground, calendars, plan, span, parcels, customers)
    boxes = ship(streams[1], ground, orders)
    created = packed(streams[2], calendars, orders, boxes, plan)
    consents = orders.consents[boxes.order]
    journey = walk(streams[3], ground, calendars, plan, boxes, consents, created, days)
    signing = sign(streams[4], ground, calendars, plan, boxes, journey, days)
    promised = promise(ground, calendars, orders, boxes)
    aftersales = follow(streams[5], calendars, plan, orders, boxes, journey, signing)
    limit = float(calendars.end - DAY)
    for times in (journey.at, signing.signed, signing.delivered):
        times[times >= limit] = np.nan
    slow = np.flatnonzero(aftersales.refund_excess > 0)
    refunds = (slow, aftersales.refund_requested[slow], aftersales.refunded[slow])
    complaints = complain(streams[6], ground, calendars, plan, boxes, journey, signing, promised, refunds)
    return Cohort(
        number, span, limit, plan, orders, boxes, promised, journey, signing, aftersales, complaints
    )
