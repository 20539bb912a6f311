"""Sign-offs: who signed, where, and which of them are false, each false one with the trace it leaves.

False ones are told from true ones only as far as in life: couriers confirm in batches, stations sign a lorry load in
a minute, neighbours sign for neighbours, and some false sign-offs look like any other until the customer writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from monitor.simulate.faults import Plan
from monitor.simulate.journey import Journey
from monitor.simulate.network import CARRIERS, Bools, Floats, Ints, Network
from monitor.simulate.orders import Parcels
from monitor.simulate.rhythm import DAY, HOUR, OFFSET, Activity, Calendars
from monitor.simulate.steps import Step
from monitor.vocabulary import DeliveredTo

MINUTE = 60_000.0
PER_COURIER = 4.0  # sign-offs a day: of our parcels; a courier has many more of other shops


class Trace(IntEnum):
    """What a false sign-off looks like; NONE is a true one."""

    NONE = 0
    INSTANT = 1  # seconds after out-for-delivery
    OTHER_CITY = 2
    BURST = 3  # a courier's whole bag within a minute
    NIGHT = 4
    DEADLINE = 5  # minutes before the carrier's cut-off
    RESCANNED = 6  # signed, then scanned again
    NO_CONSENT = 7  # locker or station, and the customer never agreed
    SILENT = 8  # like any other


SHARES = np.array([0.26, 0.12, 0.0, 0.16, 0.12, 0.16, 0.10, 0.08])
CUT_OFFS = (20, 22)


@dataclass(slots=True)
class Signing:
    """One row a parcel. `delivered` is when the customer really got it (NaN: not in this world)."""

    courier: Ints
    courier_district: Ints
    bad: Bools  # a courier each
    place: Ints  # DeliveredTo of the sign-off
    trace: Ints
    signed: Floats
    delivered: Floats
    latitude: Floats
    longitude: Floats
    elsewhere: Ints  # district of the sign-off scan where it is not the parcel's own, else -1
    collected: Bools


def couriers(rng: np.random.Generator, parcels: Parcels, days: float) -> tuple[Ints, Ints]:
    """Each works for one carrier in one city. Returns the courier of each parcel and the home cell of each courier."""
    cell = parcels.destination * len(CARRIERS) + parcels.carrier
    volume = np.bincount(cell)
    staff = np.maximum(1, np.ceil(volume / (days * PER_COURIER))).astype(np.int64) * (volume > 0)
    first = np.concatenate([[0], np.cumsum(staff)[:-1]])
    near = rng.random(len(parcels)) < 0.8  # mostly the same courier for the same district
    pick = np.where(near, (parcels.district * 2_654_435_761) % staff[cell], rng.integers(0, staff[cell]))
    return first[cell] + pick, np.repeat(np.arange(len(volume)), staff)


def sign(
    rng: np.random.Generator,
    network: Network,
    calendars: Calendars,
    plan: Plan,
    parcels: Parcels,
    journey: Journey,
    days: float,
) -> Signing:
    count = len(parcels)
    courier, cells = couriers(rng, parcels, days)
    bad = rng.random(len(cells)) < plan.rates.bad_couriers
    at, way = journey.at, journey.way
    collected = way.held & ~way.refused
    places = np.array([DeliveredTo.RECIPIENT, DeliveredTo.PROXY, DeliveredTo.SAFE_PLACE, DeliveredTo.STATION])
    place = rng.choice(places, size=count, p=[0.68, 0.15, 0.05, 0.12])
    locker = np.where(rng.random(count) < 0.6, DeliveredTo.LOCKER, DeliveredTo.STATION)
    signing = Signing(
        courier=courier,
        courier_district=cells,
        bad=bad,
        place=np.where(collected, locker, place),
        trace=np.zeros(count, dtype=np.int64),
        signed=at[:, Step.SIGNED].copy(),
        delivered=at[:, Step.SIGNED].copy(),
        latitude=network.district_latitude[parcels.district] + rng.normal(0, 0.01, count),
        longitude=network.district_longitude[parcels.district] + rng.normal(0, 0.01, count),
        elsewhere=np.full(count, -1, dtype=np.int64),
        collected=collected,
    )
    direct = ~collected & ~way.refused
    _innocent(rng, network, journey, signing, direct)
    _choose(rng, plan, journey, signing, direct)
    _falsify(rng, network, calendars, parcels, journey, signing)
    at[:, Step.SIGNED] = signing.signed
    return signing


def _last_out(journey: Journey) -> Floats:
    again = journey.at[:, Step.OUT_AGAIN]
    return np.where(np.isnan(again), journey.at[:, Step.OUT], again)


def _innocent(
    rng: np.random.Generator, network: Network, journey: Journey, signing: Signing, direct: Bools
) -> None:
    """True sign-offs that look odd: a station's lorry load, a scan made at the door, a new address, a night shift."""
    count = len(direct)
    out = _last_out(journey)
    station = direct & (signing.place == DeliveredTo.STATION)
    batch = (
        np.ceil((signing.signed - OFFSET) / (2 * HOUR)) * 2 * HOUR + OFFSET + rng.uniform(0, 45_000, count)
    )
    signing.signed = np.where(station, batch, signing.signed)
    door = direct & ~station & (rng.random(count) < 0.006)
    late_out = signing.signed - rng.uniform(45_000, 600_000, count)
    journey.at[:, Step.OUT] = np.where(
        door & (late_out > out) & ~journey.way.failed, late_out, journey.at[:, Step.OUT]
    )
    moved = direct & (rng.random(count) < 0.001)
    signing.elsewhere = np.where(moved, rng.integers(0, len(network.districts), count), signing.elsewhere)
    night = direct & (rng.random(count) < 0.001)
    signing.signed = np.where(night, np.maximum(_night(rng, signing.signed), signing.signed), signing.signed)
    signing.delivered = signing.signed.copy()


def _night(rng: np.random.Generator, near: Floats) -> Floats:
    midnight = np.ceil((near + OFFSET) / DAY) * DAY - OFFSET
    return np.asarray(midnight + rng.uniform(-0.6, 4.5, len(near)) * HOUR)


def _choose(rng: np.random.Generator, plan: Plan, journey: Journey, signing: Signing, direct: Bools) -> None:
    """Bad couriers clear whole bags on some days, and single parcels on others; good ones err now and then."""
    count = len(direct)
    bad = signing.bad[signing.courier]
    chance = np.where(bad, plan.rates.bad_rate, plan.rates.false_signoff)
    alone = direct & (rng.random(count) < chance)
    kinds = 1 + (rng.random(count)[:, None] > np.cumsum(SHARES / SHARES.sum())).sum(axis=1)
    signing.trace = np.where(alone, kinds, Trace.NONE)
    day = ((_last_out(journey) + OFFSET) // DAY).astype(np.int64)
    bag = signing.courier * 1_000_000 + np.where(direct & bad, day % 1_000_000, 0)
    rows = np.flatnonzero(direct & bad)
    _, group, size = np.unique(bag[rows], return_inverse=True, return_counts=True)
    clears = (rng.random(len(size)) < 1.5 * plan.rates.bad_rate) & (size >= 4)
    cleared = rows[clears[group] & (rng.random(len(rows)) < 0.85)]
    signing.trace[cleared] = Trace.BURST


def _falsify(
    rng: np.random.Generator,
    network: Network,
    calendars: Calendars,
    parcels: Parcels,
    journey: Journey,
    signing: Signing,
) -> None:
    rows = np.flatnonzero(signing.trace != Trace.NONE)
    out, usual, trace = _last_out(journey)[rows], signing.signed[rows], signing.trace[rows]
    evening = np.floor((out + OFFSET) / DAY) * DAY - OFFSET
    hour = np.array(CUT_OFFS)[parcels.carrier[rows] % len(CUT_OFFS)] * HOUR
    bag = evening + (17.5 + 4.0 * _per_bag(signing.courier[rows], evening)) * HOUR
    false = np.select(
        [trace == Trace.INSTANT, trace == Trace.NIGHT, trace == Trace.DEADLINE, trace == Trace.BURST],
        [
            out + rng.uniform(4_000, 70_000, len(rows)),
            evening + DAY + rng.uniform(-1.0, 5.0, len(rows)) * HOUR,
            evening + hour - rng.uniform(10_000, 280_000, len(rows)),
            np.maximum(bag, out) + rng.uniform(1_000, 50_000, len(rows)),
        ],
        default=usual,
    )
    signing.signed[rows] = np.where(false > out, false, usual)
    later = signing.signed[rows] + rng.lognormal(np.log(20.0), 0.8, len(rows)) * HOUR
    little = np.full(len(rows), 0.5 * HOUR)
    really = calendars.by_carrier(Activity.DELIVERY, parcels.carrier[rows], later, little)
    signing.delivered[rows] = np.where(rng.random(len(rows)) < 0.15, np.nan, really)
    unasked = rng.choice([DeliveredTo.LOCKER, DeliveredTo.STATION], len(rows), p=[0.5, 0.5])
    signing.place[rows] = np.where(
        trace == Trace.NO_CONSENT,
        unasked,
        rng.choice(
            [DeliveredTo.RECIPIENT, DeliveredTo.PROXY, DeliveredTo.SAFE_PLACE], len(rows), p=[0.7, 0.2, 0.1]
        ),
    )
    away = rng.integers(0, len(network.districts), len(rows))
    signing.elsewhere[rows] = np.where(trace == Trace.OTHER_CITY, away, -1)
    off = rng.random(len(rows)) < 0.6  # signed at the station or on the road
    signing.latitude[rows] += np.where(off, rng.normal(0, 0.06, len(rows)), 0.0)
    signing.longitude[rows] += np.where(off, rng.normal(0, 0.06, len(rows)), 0.0)
    again = rows[trace == Trace.RESCANNED]
    journey.at[again, Step.RESCANNED] = signing.delivered[again] - rng.uniform(1.0, 6.0, len(again)) * HOUR
    journey.at[again, Step.SIGNED_AGAIN] = signing.delivered[again]
    early = again[journey.at[again, Step.RESCANNED] <= signing.signed[again]]
    journey.at[early, Step.RESCANNED] = signing.signed[early] + 5 * MINUTE


def _per_bag(courier: Ints, evening: Floats) -> Floats:
    """A number in 0..1 that all parcels of a courier's day share."""
    mixed = (courier * 7_919 + (evening // DAY).astype(np.int64) * 104_729) % 10_007
    return np.asarray(mixed / 10_007.0)
