"""The census: how long what is still open has waited, counted for the estimates; due times by the limits of today."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.kernels import bin_of
from detectors.tables import SECOND
from detectors.transit import BIN, BINS
from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import (
    COLLECTION,
    DELIVERY,
    FACILITY,
    FULFILMENT,
    LINEHAUL,
    LOST,
    NONE,
    STALL,
)
from monitor.engine.kernels.compiled import inlined, kernel, natural, prefetch, whole
from monitor.engine.kernels.state import Table, Waited, World
from monitor.engine.kernels.sweep import silent_since
from monitor.engine.kernels.table import wake
from monitor.engine.kernels.waiting import (
    calendar_for,
    early,
    in_jam,
    in_stop,
    is_ended,
    is_preorder,
    leg_of,
    lingers,
    outlasting,
    roomy,
    rouse,
    way_of,
    worked,
)
from monitor.engine.layout import LIFE, LIVE, ORDER

CELL = BIN // SECOND


@kernel
def census(
    table: Table,
    world: World,
    buckets: Any,
    now: int,
    clocks: Any,
    places: Any,
    still: Any,
    waited: Waited,
) -> None:
    """Adds the open legs of buckets to `still` [lane, segment, bin] by their age now, and their whole ways so far, these
    to `waited` as well while they lead up to delivery.

    Limits may have shrunk since a slot's due time was said, and so may the room in which some that are over stay longer: it is
    said anew. What a silent feed tells of is counted as hidden, too, and who is at a relay in `relays`. `clocks` (one a
    calendar: what it shows now) and `places` (one more than a bucket has room for) are scratch.
    """
    for calendar in range(len(clocks)):
        clocks[calendar] = worked(world, calendar, now)
    for number in range(len(buckets)):
        bucket = buckets[number]
        if table.lingering[bucket] and not roomy(world):
            _rouse_lingering(table, world, bucket)
        for one in range(_find_live(table, bucket, places)):
            _count(table, world, bucket, natural(places[one]), now, clocks, still, waited)


@kernel
def _rouse_lingering(table: Table, world: World, bucket: int) -> None:
    base = bucket * table.room
    table.lingering[bucket] = 0
    for place in range(base, base + table.size[bucket]):
        if lingers(table.slots[place]):  # which says so of the bucket again
            rouse(table, world, bucket, place)


@inlined
def _find_live(table: Table, bucket: int, places: Any) -> int:
    """Where the live slots of a bucket lie; returns how many. Most slots are free or over, which their due times say: they
    are not read, and the others asked for all at once. Without a branch: which they are cannot be foretold.
    """
    base = natural(bucket * table.room)
    wanted = 0
    for index in range(base, base + natural(table.size[bucket])):
        places[natural(wanted)] = index
        wanted += whole(not is_ended(table.due[index]))
    for one in range(wanted):
        prefetch(table.slots, (natural(places[one]),))
    live = 0
    for one in range(wanted):
        index = natural(places[one])
        places[natural(live)] = index
        live += whole(table.slots[index].state & LIFE == LIVE)
    return live


@inlined
def _count(
    table: Table,
    world: World,
    bucket: int,
    index: int,
    now: int,
    clocks: Any,
    still: Any,
    waited: Waited,
) -> None:
    slot = table.slots[index]
    if slot.segment != NONE:
        calendar = calendar_for(world, slot)
        age = silent_since(world, slot, calendar, now, clocks[calendar])
        if whole(world.outage_until[slot.source, 0]) >= now:  # its feed is silent
            _hide(world, slot)
        way, leg = natural(way_of(world, slot)), leg_of(slot)
        # what stands in a stop says nothing of the usual, nor does what waits for its goods
        if age >= 0 and not in_stop(world, slot) and not is_preorder(world, slot):
            still[way, leg, bin_of(age)] += np.float32(1.0)
        if not slot.open & (STALL | LOST):
            if slot.destination != 0 and slot.segment == FACILITY:
                _see_relay(world, slot)
            quick = whole(world.quick[way, leg])
            if age < quick:
                wake(table, bucket, index, early(now + quick - age))
            else:
                _say_anew(table, world, bucket, index, now + max(whole(world.limit[way, leg]) - age, 0), now)
    accepted = whole(slot.accepted)
    if accepted != 0 and accepted <= now and not slot.state & ORDER:
        still[slot.lane, NONE, bin_of(now - accepted)] += np.float32(1.0)
        if slot.segment < COLLECTION:
            cell = natural(min(whole(np.uint32(now - accepted) // np.uint32(CELL)), BINS - 1))
            lane = whole(slot.lane)
            if lane == 0:
                lane = len(world.lanes) + whole(slot.carrier)
            waited.by_age[cell] += 1
            waited.by_lane[cell, natural(lane)] += np.uint32(1)


@kernel
def _hide(world: World, slot: Any) -> None:
    """Counts a leg as `monitor.engine.pacing` counts those that are open."""
    carrier = natural(world.lanes[slot.lane].carrier)
    if carrier >= len(world.hiding):
        return
    moves = slot.segment == FULFILMENT if carrier == 0 else slot.segment in (FACILITY, LINEHAUL, DELIVERY)
    if moves:
        world.hiding[carrier, natural(slot.source)] += np.int32(1)


@inlined
def _see_relay(world: World, slot: Any) -> None:
    """In a facility between the ends of its lane. What stands in a stop is there longer, not more often."""
    lane, zone = world.lanes[slot.lane], whole(world.places[slot.region].zone)
    between = zone != whole(lane.origin) and zone != whole(lane.destination)
    known = zone != 0 and zone < s.RELAY_ZONES and whole(lane.origin) != 0 and whole(lane.destination) != 0
    if between and known and world.stopped[zone] == 0:
        world.relays[slot.lane, zone] += np.float32(1.0)


@kernel
def _say_anew(table: Table, world: World, bucket: int, index: int, due: int, now: int) -> None:
    """Of a wait that outlasted its `quick` limit: at once in a jam or a stop, else at `due` or as was said before."""
    slot = table.slots[index]
    at_once = in_jam(world, slot) or in_stop(world, slot)
    wake(table, bucket, index, outlasting(min(whole(slot.due), now if at_once else due)))
