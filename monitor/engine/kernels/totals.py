"""Running totals of lanes, feeds, regions and facilities, and what a leg that ended teaches."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.kernels import bin_of, log_of
from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import NONE, STALL
from monitor.engine.kernels.compiled import inlined, kernel, natural, prefetch, whole
from monitor.engine.kernels.state import World
from monitor.engine.kernels.table import pair_code, pair_place
from monitor.engine.kernels.waiting import calendar_for, in_jam, leg_of, was_stopped, way_of, worked
from monitor.engine.layout import FINISHED, IN_PLACE, LIFE, ORDER


@inlined
def _region_key(region: int, carrier: int) -> Any:
    return np.uint64(1) + ((np.uint64(carrier) << np.uint64(32)) | np.uint64(region))


@inlined
def ask_region(world: World, region: int, carrier: int) -> None:
    """For where the code of a pair is: of millions of places a few thousand are in use, each in a line of its own."""
    place = pair_place(_region_key(region, carrier), len(world.region_keys))
    prefetch(world.region_keys, (place,))
    prefetch(world.region_codes, (place,))


@kernel
def region_pair(world: World, region: int, carrier: int) -> int:
    key = _region_key(region, carrier)
    count = world.counts[s.REGION_PAIRS]
    code = pair_code(world.region_keys, world.region_codes, key, count, len(world.regions))
    if code > count:
        world.counts[s.REGION_PAIRS] = code
        pair = world.regions[code]
        pair.region = region
        pair.carrier = carrier
    return natural(code)


@inlined
def count(world: World, slot: Any, sign: int) -> None:
    """A live slot enters (1) or leaves (-1) the running totals of its lane, feed and facility."""
    passed = world.passed[slot.lane, slot.segment]
    passed.open += sign
    world.feeds[slot.source].live += sign
    if slot.open & STALL:
        passed.stalled += sign
        world.facilities[slot.facility].stalled += sign


@kernel
def count_region(world: World, slot: Any, sign: int) -> None:
    if slot.destination != 0 and not slot.state & ORDER:
        world.regions[region_pair(world, slot.destination, slot.carrier)].live += sign


@inlined
def move_place(world: World, slot: Any, before: int, after: int) -> None:
    """From one facility to another; 0 is nowhere."""
    if before == after:
        return
    if before != 0:
        facility = world.facilities[before]
        facility.departed += 1
        facility.stock -= 1
    if after != 0:
        facility = world.facilities[after]
        facility.arrived += 1
        facility.stock += 1
        facility.region = slot.region
        facility.carrier = slot.carrier


@inlined
def learn(world: World, slot: Any, until: int) -> None:
    """The leg from the last scan to `until` ended: one case of its lane and segment."""
    if slot.segment == NONE:
        return
    calendar = calendar_for(world, slot)
    duration = worked(world, calendar, until) - worked(world, calendar, whole(slot.last_scan))
    if duration < 0:
        return
    way, leg = way_of(world, slot), leg_of(slot)
    if not in_jam(world, slot) and not was_stopped(world, slot, way, until):  # neither is the usual
        world.ends[way, leg, bin_of(duration)] += np.float32(1.0)
        world.news[way, leg] += np.float32(1.0)
    passed = world.passed[slot.lane, slot.segment]
    passed.finished += 1
    usual = world.median[way, leg]
    if usual > 0 and duration > 0:
        residual = log_of(duration) - log_of(whole(usual))
        passed.residual += residual
        passed.squared += residual * residual


@kernel
def finish(world: World, slot: Any, at: int) -> None:
    """A live slot is over; it stays for a while, for scans after the end."""
    count(world, slot, -1)
    count_region(world, slot, -1)
    if slot.state & IN_PLACE:
        move_place(world, slot, whole(slot.facility), 0)
    slot.state = (slot.state & ~np.uint8(LIFE | IN_PLACE)) | np.uint8(FINISHED)
    slot.open = 0
    slot.segment = NONE
    slot.last_scan = max(whole(slot.last_scan), at)
    world.counts[s.LIVE_PARCELS] -= 1
