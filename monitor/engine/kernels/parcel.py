"""One parcel's slot: how it begins and ends, and what a scan in order says of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.kernels import bin_of
from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import (
    ACCEPTED,
    ARRIVED,
    CANCELLED,
    COLLECTED,
    COLLECTION,
    CREATED,
    CUSTOMS,
    DELIVERED,
    DELIVERY,
    LOST_STATUS,
    NONE,
    OUT_FOR_DELIVERY,
    PICKUP,
    RETURN,
    UNKNOWN,
)
from monitor.engine.kernels.compiled import inlined, kernel, whole
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import FULL, enter
from monitor.engine.kernels.told import ScanColumns
from monitor.engine.kernels.totals import count_region, finish, learn, move_place, region_pair
from monitor.engine.kernels.waiting import lane_of, rouse
from monitor.engine.layout import ABROAD, FAR, FINISHED, GOES, IN_PLACE, JOINED, KEEP, LIFE, LIVE, PLACED

CLOCKS = 60  # seconds by which two systems' clocks may differ before an order after its scan is odd


@inlined
def inside(world: World, region: int, destination: int) -> bool:
    """Whether a region is the destination or lies in it, by the prefix of its code."""
    if region == 0 or destination == 0:
        return False
    place = world.places[destination]
    return (world.places[region].prefix & place.mask) == (place.prefix & place.mask)


@kernel
def new_slot(table: Table, world: World, key0: Any, key1: Any) -> int:
    """A zeroed slot, not counted anywhere yet; FULL when there is no room."""
    if world.counts[s.USED_SLOTS] >= world.rules[s.MAX_SLOTS]:
        return FULL
    index = enter(table, key0, key1)
    if index != FULL:
        world.counts[s.USED_SLOTS] += 1
        world.counts[s.LIVE_PARCELS] += 1
    return index


@inlined
def goes_to(world: World, slot: Any, status: int, region: int) -> int:
    """The segment after a scan in order: KEEP, END or a segment."""
    to = whole(GOES[status])
    if status == ARRIVED and inside(world, region, whole(slot.destination)):
        to = DELIVERY
    if slot.segment == RETURN and to < KEEP:
        return KEEP  # on its way back every scan is part of the way back
    if status in (CREATED, ACCEPTED) and slot.segment not in (NONE, PICKUP):
        return KEEP
    if status == CREATED and slot.segment == PICKUP:
        return KEEP
    return to


@inlined
def other_zone(world: World, region: int, previous: int) -> bool:
    zone = world.places[region].zone
    before = world.places[previous].zone
    return zone != 0 and before != 0 and zone != before  # noqa: PLR1714 - numba's tuples are of one type


@inlined
def earlier_stage(slot: Any, status: int) -> bool:
    if status == CREATED:
        return slot.status > ACCEPTED
    return status == ACCEPTED and slot.status > ACCEPTED


@inlined
def record_scan(world: World, slot: Any, background: Any, scans: ScanColumns, row: int, at: int) -> None:
    """What a scan in order says of where a parcel is; its segment is set by then, its totals are out."""
    status = whole(scans.status[row])
    carrier = whole(scans.carrier[row])
    region = whole(scans.region[row])
    facility = whole(scans.facility[row])
    before = whole(slot.facility) if slot.state & IN_PLACE else 0
    if carrier != 0 and carrier != whole(slot.carrier):
        count_region(world, slot, -1)
        slot.carrier = carrier
        count_region(world, slot, 1)
    if region != 0:
        slot.region = region
    if facility != 0:
        slot.facility = facility
    if scans.source[row] != 0:
        slot.source = scans.source[row]
    if status != UNKNOWN:
        slot.status = status
        if GOES[status] != KEEP:
            placed = PLACED[status] != 0 and facility != 0
            slot.state = (slot.state | np.uint8(IN_PLACE)) if placed else (slot.state & ~np.uint8(IN_PLACE))
    move_place(world, slot, before, whole(slot.facility) if slot.state & IN_PLACE else 0)
    if slot.accepted == 0 and status > CREATED and status != LOST_STATUS:
        slot.accepted = at
    if status == OUT_FOR_DELIVERY:
        slot.out_for_delivery = at
    if slot.segment == CUSTOMS:
        slot.state |= np.uint8(ABROAD)
    if scans.estimated[row] > 0:
        background.estimated = scans.estimated[row] // 1000
    if scans.courier[row] != 0:
        background.courier = scans.courier[row]
    slot.last_scan = at


@inlined
def place_lane(world: World, slot: Any, region: int) -> None:
    """The lane of a slot by its carrier; its origin is the first region a scan named. And whether it crosses a border."""
    lane = world.lanes[slot.lane]
    origin = whole(lane.origin)
    if origin == 0:
        origin = whole(world.places[region].zone)
    there = world.places[slot.destination]
    destination = whole(there.zone)
    country = world.places[region].country
    if country != 0 and there.country != 0 and country != there.country:  # noqa: PLR1714 - numba's tuples are of one type
        slot.state |= np.uint8(ABROAD)
    if lane.carrier != slot.carrier or lane.origin != origin or lane.destination != destination:
        slot.lane = lane_of(world, whole(slot.carrier), origin, destination)


@inlined
def is_reuse(world: World, slot: Any, status: int, at: int) -> bool:
    """A parcel's first scan, after its sending was called off, or long after the number's last parcel had been on its
    way or ended.
    """
    if status not in (CREATED, ACCEPTED) or slot.state & LIFE == 0:
        return False
    if called_off(slot) and at > whole(slot.last_scan):
        return True
    if slot.state & LIFE == LIVE and slot.status <= ACCEPTED:
        return False
    return at - whole(slot.last_scan) > world.rules[s.REUSE_SECONDS]


@inlined
def called_off(slot: Any) -> bool:
    return slot.state & LIFE == FINISHED and slot.status == CANCELLED


@inlined
def sent_since(slot: Any, at: int) -> bool:
    """Whether what was called off at `at`, as we hear only now, was sent again after that."""
    return at < whole(slot.last_scan) and (slot.status == CREATED or whole(slot.accepted) > at)


@kernel
def forget_life(world: World, slot: Any, background: Any, at: int) -> int:
    """The number is used again: the slot begins anew. Returns the episodes that were open.

    What is sent once more after it was called off is still that order's parcel.
    """
    closed = whole(slot.open)
    again = called_off(slot) and at - whole(slot.last_scan) <= world.rules[s.REUSE_SECONDS]
    if slot.state & LIFE == LIVE:
        finish(world, slot, whole(slot.last_scan))
    world.counts[s.LIVE_PARCELS] += 1
    slot.last_scan = 0
    slot.segment_since = 0
    slot.due = FAR
    slot.accepted = 0
    slot.out_for_delivery = 0
    slot.region = 0
    slot.facility = 0
    slot.source = 0
    slot.status = 0
    slot.segment = 0
    background.estimated = 0
    background.courier = 0
    if again:
        slot.state &= np.uint8(JOINED)
        count_region(world, slot, 1)
    else:
        slot.state = 0
        slot.promised = 0
        slot.destination = 0
        slot.lane = 0
        slot.carrier = 0
        background.ordered = 0
        background.latitude = 0.0
        background.longitude = 0.0
    return closed


@kernel
def remember_ended(table: Table, world: World, scans: ScanColumns, row: int, bucket: int, at: int) -> None:
    """First heard of when it ended: an older or impossible scan that comes later must not begin a parcel."""
    index = new_slot(table, world, scans.key0[row], scans.key1[row])
    if index == FULL:
        return
    world.counts[s.LIVE_PARCELS] -= 1
    slot = table.slots[index]
    slot.state = FINISHED
    slot.last_scan = at
    slot.status = scans.status[row]
    slot.carrier = scans.carrier[row]
    slot.source = scans.source[row]
    slot.region = scans.region[row]
    slot.facility = scans.facility[row]
    table.background[index].courier = scans.courier[row]
    rouse(table, world, bucket, index)


@inlined
def end_parcel(world: World, slot: Any, background: Any, scans: ScanColumns, row: int, at: int) -> None:
    """The last scan of a live parcel: learns its last leg and its whole way."""
    status = whole(scans.status[row])
    if at >= whole(slot.last_scan) and not (slot.status == UNKNOWN and slot.state & JOINED):
        learn(world, slot, at)
    arrived_home = status == DELIVERED or (status == COLLECTED and slot.segment == COLLECTION)
    if arrived_home:
        accepted = whole(slot.accepted)
        if 0 < accepted <= at:
            world.ends[slot.lane, NONE, bin_of(at - accepted)] += np.float32(1.0)
            world.news[slot.lane, NONE] += np.float32(1.0)
        region = whole(slot.destination) if slot.destination != 0 else whole(scans.region[row])
        if region != 0:
            world.regions[region_pair(world, region, whole(slot.carrier))].delivered += 1
        facility = scans.facility[row] if scans.facility[row] != 0 else slot.facility
        if facility != 0:
            world.facilities[facility].delivered += 1
    finish(world, slot, at)
    slot.status = status
    if scans.region[row] != 0:
        slot.region = scans.region[row]
    if scans.facility[row] != 0:
        slot.facility = scans.facility[row]
    if scans.courier[row] != 0:
        background.courier = scans.courier[row]
