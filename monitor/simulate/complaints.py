"""Who writes to the shop, when and about what: mostly because something went wrong, sometimes for no reason.

A customer complains while the trouble lasts: a complaint drawn for a moment after the parcel came is mostly never
written. That is what makes lead time worth having.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.simulate.faults import Plan
from monitor.simulate.journey import Journey
from monitor.simulate.network import Floats, Ints, Network
from monitor.simulate.orders import Parcels
from monitor.simulate.rhythm import HOUR, Activity, Calendars
from monitor.simulate.signing import Signing, Trace
from monitor.simulate.steps import Cause, Step

REASONS = (
    ("logistics", "late"),
    ("logistics", "no_update"),
    ("logistics", "false_delivery"),
    ("logistics", "lost"),
    ("product", "damaged"),
    ("product", "wrong_item"),
    ("product", "quality"),
    ("service", "promotion"),
    ("service", "refund_slow"),
    ("logistics", "where_is_it"),
)
LATE, SILENT, FALSE, LOST, REFUND, WHERE = 0, 1, 2, 3, 8, 9
GOODS = np.array([4, 5, 6, 7])


@dataclass(slots=True)
class Complaints:
    """One row a complaint; `parcel` is -1 where it is about the order (a refund). Times in ms."""

    at: Floats
    order: Ints
    parcel: Ints
    reason: Ints
    wave: Ints  # index into the plan's waves, -1
    again: Ints  # the row of which this is the second, -1
    responded: Floats
    resolved: Floats

    def __len__(self) -> int:
        return len(self.at)


class Pile:
    def __init__(self) -> None:
        self.rows: list[tuple[Floats, Ints, Ints, Ints]] = []

    def add(self, at: Floats, parcel: Ints, reason: int | Ints, wave: int = -1) -> None:
        self.rows.append((at, parcel, np.broadcast_to(np.asarray(reason), at.shape), np.full(len(at), wave)))

    def columns(self) -> tuple[Floats, Ints, Ints, Ints]:
        at, parcel, reason, wave = (np.concatenate(column) for column in zip(*self.rows, strict=True))
        return at, parcel, reason.astype(np.int64), wave


def complain(
    rng: np.random.Generator,
    network: Network,
    calendars: Calendars,
    plan: Plan,
    parcels: Parcels,
    journey: Journey,
    signing: Signing,
    promised: Floats,
    slow_refunds: tuple[Ints, Floats, Floats],
) -> Complaints:
    pile = Pile()
    gone = np.where(np.isnan(signing.delivered), np.inf, signing.delivered)
    _impatient(rng, pile, parcels, journey, promised, gone)
    _falsely_signed(rng, pile, signing)
    _about_goods(rng, pile, network, plan, parcels, signing)
    at, parcel, reason, wave = pile.columns()
    order = parcels.order[parcel]
    late_refunds = _about_refunds(rng, slow_refunds)
    at = np.concatenate([at, late_refunds[0]])
    order = np.concatenate([order, late_refunds[1]])
    nobody = np.full(len(late_refunds[0]), -1)
    parcel, wave = np.concatenate([parcel, nobody]), np.concatenate([wave, nobody])
    reason = np.concatenate([reason, np.full(len(nobody), REFUND)])
    at = calendars.rhythm(Activity.WRITING).advance(at, rng.uniform(0, 0.3, len(at)) * HOUR)
    sort = np.lexsort((order, at))
    return _answered(rng, calendars, at[sort], order[sort], parcel[sort], reason[sort], wave[sort])


def _impatient(
    rng: np.random.Generator, pile: Pile, parcels: Parcels, journey: Journey, promised: Floats, gone: Floats
) -> None:
    """Late, silent, lost, and those who ask though nothing is wrong. One complaint a parcel: the first."""
    count = len(parcels)
    late = promised + rng.lognormal(np.log(16.0), 1.0, count) * HOUR
    late = np.where((gone > promised) & (rng.random(count) < 0.5), late, np.inf)
    late = np.where((late < gone) | (rng.random(count) < 0.25), late, np.inf)
    before, until, stuck = _silence(journey)
    silent = before + (44.0 + rng.lognormal(np.log(30.0), 0.8, count)) * HOUR
    silent = np.where(stuck & (silent < until) & (rng.random(count) < 0.4), silent, np.inf)
    created = journey.at[:, Step.CREATED]
    asks = created + rng.uniform(0.3, 1.0, count) * np.minimum(gone - created, 5 * 24 * HOUR)
    asks = np.where(rng.random(count) < 0.012, asks, np.inf)
    every = np.column_stack([late, silent, asks])
    first, when = every.argmin(axis=1), every.min(axis=1)
    lost = (journey.cause == Cause.LOST).any(axis=1) & (first == 0) & (when > promised + 60 * HOUR)
    reason = np.where(lost, LOST, np.array([LATE, SILENT, WHERE])[first])
    rows = np.flatnonzero(np.isfinite(when))
    pile.add(when[rows], rows, reason[rows])


def _silence(journey: Journey) -> tuple[Floats, Floats, Ints]:
    """The longest wait that a fault caused: since the scan before, until the scan after."""
    step = journey.excess.argmax(axis=1)
    rows = np.arange(len(step))
    until = journey.at[rows, step]
    before = previous(journey.at, rows, step)
    return before, until, (journey.excess[rows, step] > 20 * HOUR) & (step != Step.CREATED)


def previous(at: Floats, rows: Ints, step: Ints) -> Floats:
    """The newest scan before column `step`, NaN where it is the first."""
    columns = np.arange(at.shape[1])
    earlier = np.where(columns[None, :] < step[:, None], at[rows], -np.inf)
    newest = np.nanmax(np.where(np.isnan(earlier), -np.inf, earlier), axis=1)
    return np.where(np.isfinite(newest), newest, np.nan)


def _falsely_signed(rng: np.random.Generator, pile: Pile, signing: Signing) -> None:
    count = len(signing.signed)
    at = signing.signed + rng.lognormal(np.log(9.0), 0.9, count) * HOUR
    missing = np.isnan(signing.delivered) | (at < signing.delivered)
    false = (signing.trace != Trace.NONE) & (missing | (rng.random(count) < 0.3)) & (rng.random(count) < 0.7)
    mistaken = (signing.trace == Trace.NONE) & (rng.random(count) < 0.0015)
    rows = np.flatnonzero(false | mistaken)
    pile.add(at[rows], rows, FALSE)


def _about_goods(
    rng: np.random.Generator, pile: Pile, network: Network, plan: Plan, parcels: Parcels, signing: Signing
) -> None:
    """After delivery: the usual, and the waves of the plan."""
    count = len(parcels)
    at = signing.delivered + rng.lognormal(np.log(14.0), 1.0, count) * HOUR
    rows = np.flatnonzero((rng.random(count) < 0.014) & np.isfinite(at))
    pile.add(at[rows], rows, rng.choice(GOODS, len(rows), p=[0.3, 0.2, 0.35, 0.15]))
    code = np.array(network.districts)[parcels.district]
    for number, wave in enumerate(plan.waves):
        shift = signing.delivered + rng.exponential(8.0, count) * HOUR
        there = np.char.startswith(code, wave.region.rstrip("0").ljust(2, "0"))
        inside = there & (shift >= wave.start) & (shift < wave.end)
        grown = np.clip((shift - wave.start) / (wave.end - wave.start), 0, 1) * 2 if wave.slow else 1.0
        rows = np.flatnonzero(inside & (rng.random(count) < wave.extra * grown))
        pile.add(shift[rows], rows, REASONS.index((wave.category, wave.reason)), number)


def _about_refunds(rng: np.random.Generator, slow: tuple[Ints, Floats, Floats]) -> tuple[Floats, Ints]:
    order, since, until = slow
    at = since + (60.0 + rng.lognormal(np.log(36.0), 0.7, len(order))) * HOUR
    rows = np.flatnonzero((at < until) & (rng.random(len(order)) < 0.5))
    return at[rows], order[rows]


def _answered(
    rng: np.random.Generator,
    calendars: Calendars,
    at: Floats,
    order: Ints,
    parcel: Ints,
    reason: Ints,
    wave: Ints,
) -> Complaints:
    """A person answers within a working day; some customers write twice about the same thing."""
    office = calendars.rhythm(Activity.OFFICE)
    responded = office.advance(at, rng.lognormal(np.log(1.5), 0.8, len(at)) * HOUR)
    resolved = office.advance(responded, rng.lognormal(np.log(7.0), 0.8, len(at)) * HOUR)
    twice = np.flatnonzero((rng.random(len(at)) < 0.08) & (wave < 0))
    second = at[twice] + (18.0 + rng.exponential(30.0, len(twice))) * HOUR
    second = calendars.rhythm(Activity.WRITING).advance(second, np.full(len(twice), 0.1 * HOUR))
    answer = office.advance(second, np.full(len(twice), 1.0 * HOUR))
    first = np.full(len(at), -1)
    return Complaints(
        at=np.concatenate([at, second]),
        order=np.concatenate([order, order[twice]]),
        parcel=np.concatenate([parcel, parcel[twice]]),
        reason=np.concatenate([reason, reason[twice]]),
        wave=np.concatenate([wave, wave[twice]]),
        again=np.concatenate([first, twice]),
        responded=np.concatenate([responded, answer]),
        resolved=np.concatenate([resolved, office.advance(answer, np.full(len(twice), 6.0 * HOUR))]),
    )
