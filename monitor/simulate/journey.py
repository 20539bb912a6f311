"""The way of every parcel: durations of work laid into calendars, queues at hubs, storms, and parcels that stick.

Each step starts where the last ended. What a fault added is kept apart from what the work took (`excess`), so the
truth knows why a parcel was late, and a slow parcel is not called a stuck one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from monitor.simulate.faults import Plan
from monitor.simulate.network import (
    CUSTOMS_CITY,
    ROAD_KM_PER_HOUR,
    Bools,
    Floats,
    Ints,
    Network,
)
from monitor.simulate.orders import Parcels
from monitor.simulate.queues import through
from monitor.simulate.rhythm import HOUR, Activity, Calendars
from monitor.simulate.steps import ACTIVITY, FORGOTTEN, Cause, Step

STRAGGLERS = 0.03  # of all durations: several times as long, and nothing is wrong
HANDLING, ON_THE_ROAD = (2.0, 5.0), (1.2, 2.2)
NEVER = 1e15
ABROAD = "81"


@dataclass(slots=True)
class Way:
    """The places of each parcel's way: indices of hubs, -1 where it has no such stop."""

    origin_hub: Ints
    transit_hub: Ints
    hub: Ints  # the destination's, -1 where the origin hub serves it
    customs: Bools
    held: Bools
    failed: Bools
    refused: Bools


@dataclass(slots=True)
class Holds:
    """At most one a parcel: the step that comes late (-1: none), by how much, and whether it ever comes."""

    step: Ints
    length: Floats
    lost: Bools


@dataclass(slots=True)
class Journey:
    """`at`, `excess`, `cause` are parcels x steps; `at` is NaN where there is no such scan."""

    at: Floats
    excess: Floats
    cause: Ints
    seen: Bools
    way: Way
    holds: Holds
    waits: dict[tuple[str, int], tuple[Floats, Floats]] = field(default_factory=dict)


def route(rng: np.random.Generator, network: Network, parcels: Parcels, consents: Bools) -> Way:
    count = len(parcels)
    origin, target = network.hub_of[parcels.origin], network.hub_of[parcels.destination]
    customs = np.array([code.startswith(ABROAD) for code in network.codes])[parcels.origin]
    same = origin == target
    return Way(
        origin_hub=origin,
        transit_hub=np.where(same, -1, network.transit[origin, target]),
        hub=np.where(same, -1, target),
        customs=customs,
        held=consents & (rng.random(count) < 0.5),
        failed=rng.random(count) < 0.035,
        refused=rng.random(count) < 0.005,
    )


def hold(rng: np.random.Generator, way: Way, plan: Plan) -> Holds:
    """Where a parcel sticks: mis-sorted, left behind, fallen off; a tenth of them for good."""
    count = len(way.held)
    stuck = rng.random(count) < plan.rates.stuck
    steps = np.array(
        [
            Step.CREATED,
            Step.ACCEPTED,
            Step.LEFT_ORIGIN,
            Step.AT_TRANSIT,
            Step.LEFT_TRANSIT,
            Step.AT_HUB,
            Step.LEFT_HUB,
            Step.AT_STATION,
            Step.OUT,
            Step.SIGNED,
            Step.CUSTOMS_OUT,
            Step.RETURNED,
        ]
    )
    share = np.array([0.08, 0.14, 0.16, 0.07, 0.11, 0.07, 0.14, 0.06, 0.08, 0.09, 0.3, 0.0])
    transit, hub = way.transit_hub >= 0, way.hub >= 0
    always = np.ones(count, dtype=np.bool_)
    may = np.column_stack(
        [
            always,
            always,
            always,
            transit,
            transit,
            hub,
            hub,
            always,
            always,
            ~way.refused,
            way.customs,
            way.refused,
        ]
    )
    chance = np.cumsum(may * share, axis=1)
    step = steps[(rng.random(count)[:, None] * chance[:, -1:] >= chance).sum(axis=1)]
    length = (18.0 + rng.lognormal(np.log(50.0), 0.85, count)) * HOUR
    losable = np.isin(
        step, (Step.LEFT_ORIGIN, Step.AT_TRANSIT, Step.LEFT_TRANSIT, Step.AT_HUB, Step.LEFT_HUB, Step.OUT)
    )
    lost = stuck & losable & (rng.random(count) < plan.rates.lost_of_stuck)
    return Holds(np.where(stuck, step, -1), np.where(lost, NEVER, length), lost)


class Walk:
    """Fills a journey step by step; `at` of the last step is where the next begins."""

    def __init__(
        self,
        rng: np.random.Generator,
        network: Network,
        calendars: Calendars,
        plan: Plan,
        parcels: Parcels,
        way: Way,
        holds: Holds,
        days: float,
    ) -> None:
        count = len(parcels)
        self.days = days  # of orders
        self.rng, self.network, self.calendars, self.plan, self.parcels = (
            rng,
            network,
            calendars,
            plan,
            parcels,
        )
        self.journey = Journey(
            at=np.full((count, len(Step)), np.nan),
            excess=np.zeros((count, len(Step))),
            cause=np.zeros((count, len(Step)), dtype=np.int64),
            seen=np.ones((count, len(Step)), dtype=np.bool_),
            way=way,
            holds=holds,
        )
        self.now = np.zeros(count)
        self.province = np.array([code[:2] for code in network.codes])

    def duration(
        self,
        median_hours: float | Floats,
        sigma: float,
        rows: Ints,
        straggling: tuple[float, float] = HANDLING,
    ) -> Floats:
        count = len(rows)
        slow = np.where(self.rng.random(count) < STRAGGLERS, self.rng.uniform(*straggling, count), 1.0)
        return np.asarray(
            median_hours * HOUR * self.rng.lognormal(0.0, sigma, count) * slow * self.parcels.pace[rows]
        )

    def begin(self, created: Floats) -> None:
        self.now = created.copy()
        everything = np.arange(len(created))
        self.record(Step.CREATED, everything, created)

    def step(
        self, step: Step, rows: Ints, work: Floats, cities: tuple[Ints, ...], activity: Activity | None = None
    ) -> None:
        """`cities` are where a storm would stop the work, one index of a city a row each."""
        if not len(rows):
            return
        begin = self.now[rows]
        kind = activity or ACTIVITY[step]
        slowed = self._slowed(kind, rows, work, begin)
        usual = self.calendars.by_carrier(kind, self.parcels.carrier[rows], begin, work)
        end = usual
        if (slowed > work).any():
            end = self.calendars.by_carrier(kind, self.parcels.carrier[rows], begin, slowed)
            self._blame(step, rows, end - usual, Cause.SLOWDOWN)
        self.record(step, rows, self._stormy(step, rows, begin, end, cities))

    def sort(self, step: Step, rows: Ints, hubs: Ints, line: str) -> None:
        """Through a hub: its work, then the queue of what it can send out."""
        if not len(rows):
            return
        city = self.network.hubs[hubs]
        begin = self.now[rows]
        work = self.duration(2.5, 0.5, rows)
        slowed = self._slowed(Activity.SORTING, rows, work, begin)
        ready = self.calendars.by_carrier(Activity.SORTING, self.parcels.carrier[rows], begin, slowed)
        ready = self._stormy(step, rows, begin, ready, (city,))
        out = through(self.rng, self.calendars, self.plan, hubs, ready, self.days)
        self._blame(step, rows, out - ready, Cause.QUEUE)
        for hub in np.unique(hubs):
            mine = hubs == hub
            self.journey.waits[line, int(hub)] = (ready[mine], out[mine])
        self.record(step, rows, out)

    def _slowed(self, activity: Activity, rows: Ints, work: Floats, begin: Floats) -> Floats:
        if activity not in {Activity.DRIVING, Activity.SORTING}:
            return work
        for slow in self.plan.slowdowns:
            there = (self.parcels.carrier[rows] == slow.carrier) & (begin >= slow.start) & (begin < slow.end)
            if slow.province:
                there &= self.province[self.parcels.destination[rows]] == slow.province
            work = np.where(there, work * slow.factor, work)
        return work

    def _stormy(self, step: Step, rows: Ints, begin: Floats, end: Floats, cities: tuple[Ints, ...]) -> Floats:
        for storm in self.plan.storms:
            there = np.zeros(len(rows), dtype=np.bool_)
            for city in cities:
                there |= self.province[city] == storm.province
            idle = np.where(
                there & (begin < storm.end) & (end > storm.start),
                storm.end - np.maximum(begin, storm.start),
                0.0,
            )
            end = end + idle
            self._blame(step, rows, idle, Cause.STORM)
        return end

    def _blame(self, step: Step, rows: Ints, excess: Floats, cause: Cause) -> None:
        more = excess > self.journey.excess[rows, step]
        self.journey.cause[rows[more], step] = cause
        self.journey.excess[rows, step] += excess

    def record(self, step: Step, rows: Ints, end: Floats) -> None:
        """Adds the hold: who sticks goes on in working hours."""
        holds = self.journey.holds
        stuck = holds.step[rows] == step
        if stuck.any():
            mine = rows[stuck]
            late = end[stuck] + holds.length[mine]
            if step in ACTIVITY:
                little = np.full(len(mine), 0.2 * HOUR)
                late = self.calendars.by_carrier(ACTIVITY[step], self.parcels.carrier[mine], late, little)
            self.journey.excess[mine, step] += late - end[stuck]
            self.journey.cause[mine, step] = np.where(holds.lost[mine], Cause.LOST, Cause.STUCK)
            end = end.copy()
            end[stuck] = late
        self.journey.at[rows, step] = end
        self.now[rows] = end


def walk(
    rng: np.random.Generator,
    network: Network,
    calendars: Calendars,
    plan: Plan,
    parcels: Parcels,
    consents: Bools,
    created: Floats,
    days: float,
) -> Journey:
    way = route(rng, network, parcels, consents)
    walker = Walk(rng, network, calendars, plan, parcels, way, hold(rng, way, plan), days)
    walker.begin(created)
    _to_destination(walker)
    _last_mile(walker)
    _forget(rng, walker.journey)
    return walker.journey


def _to_destination(w: Walk) -> None:
    parcels, way, network = w.parcels, w.journey.way, w.network
    everything = np.arange(len(parcels))
    origin_city = network.hubs[way.origin_hub]
    w.step(Step.ACCEPTED, everything, w.duration(2.0, 0.5, everything), (parcels.origin,))
    feeder = 2.0 + network.km[parcels.origin, origin_city] / ROAD_KM_PER_HOUR
    w.step(
        Step.AT_ORIGIN,
        everything,
        w.duration(feeder, 0.3, everything, ON_THE_ROAD),
        (parcels.origin, origin_city),
    )
    w.sort(Step.LEFT_ORIGIN, everything, way.origin_hub, "outbound")
    last = origin_city.copy()
    rows = np.flatnonzero(way.customs)
    border = np.full(len(rows), network.codes.index(CUSTOMS_CITY))
    w.step(Step.CUSTOMS_IN, rows, w.duration(3.0, 0.3, rows), (border,))
    w.step(Step.CUSTOMS_OUT, rows, w.duration(5.0, 0.7, rows), (border,))
    for hubs, arrive, leave, line in (
        (way.transit_hub, Step.AT_TRANSIT, Step.LEFT_TRANSIT, "transit"),
        (way.hub, Step.AT_HUB, Step.LEFT_HUB, "inbound"),
    ):
        rows = np.flatnonzero(hubs >= 0)
        city = network.hubs[hubs[rows]]
        drive = 1.0 + network.km[last[rows], city] / ROAD_KM_PER_HOUR
        w.step(arrive, rows, w.duration(drive, 0.15, rows, ON_THE_ROAD), (last[rows], city))
        w.sort(leave, rows, hubs[rows], line)
        last[rows] = city
    local = 1.5 + network.km[last, parcels.destination] / ROAD_KM_PER_HOUR
    w.step(
        Step.AT_STATION,
        everything,
        w.duration(local, 0.3, everything, ON_THE_ROAD),
        (last, parcels.destination),
    )


def _last_mile(w: Walk) -> None:
    parcels, way = w.parcels, w.journey.way
    everything = np.arange(len(parcels))
    there = parcels.destination
    w.step(Step.OUT, everything, w.duration(1.0, 0.5, everything), (there,))
    rows = np.flatnonzero(way.failed)
    w.step(Step.FAILED, rows, w.duration(2.5, 0.4, rows), (there[rows],))
    w.step(Step.OUT_AGAIN, rows, w.duration(7.0, 0.4, rows), (there[rows],))
    rows = np.flatnonzero(way.held & ~way.refused)
    w.step(Step.HELD, rows, w.duration(2.5, 0.5, rows), (there[rows],))
    _collect(w, rows)
    rows = np.flatnonzero(~way.held | way.refused)
    w.step(Step.SIGNED, rows, w.duration(2.5, 0.5, rows), (there[rows],))
    rows = np.flatnonzero(way.refused)
    w.step(Step.RETURNING, rows, w.duration(6.0, 0.5, rows), (there[rows],))
    home = 8.0 + w.network.km[there[rows], parcels.origin[rows]] / ROAD_KM_PER_HOUR
    w.step(
        Step.RETURNED,
        rows,
        w.duration(home * 1.5, 0.3, rows, ON_THE_ROAD),
        (there[rows], parcels.origin[rows]),
    )


def _collect(w: Walk, rows: Ints) -> None:
    """Customers fetch their parcels on their own time; some forget for days."""
    work = w.rng.lognormal(np.log(5.0), 0.9, len(rows)) * HOUR
    forgets = w.rng.random(len(rows)) < 0.015
    rhythm = w.calendars.rhythm(Activity.COLLECTING)
    end = rhythm.advance(w.now[rows], work)
    late = rhythm.advance(end + w.rng.uniform(48.0, 150.0, len(rows)) * HOUR, np.full(len(rows), 0.3 * HOUR))
    w.journey.excess[rows, Step.SIGNED] += np.where(forgets, late - end, 0.0)
    w.journey.cause[rows[forgets], Step.SIGNED] = Cause.NOT_COLLECTED
    w.record(Step.SIGNED, rows, np.where(forgets, late, end))


def _forget(rng: np.random.Generator, journey: Journey) -> None:
    """Scans that were never made; not the last one before a parcel stuck, nor the first one after."""
    for step, share in FORGOTTEN.items():
        missing = rng.random(len(journey.at)) < share
        near = (journey.holds.step == step) | (journey.excess[:, step] > 12 * HOUR)
        for later in range(step + 1, len(Step)):
            near |= (journey.holds.step == later) & (later - step <= 3)
        journey.seen[:, step] = ~(missing & ~near)
