"""How long a parcel may wait where it is: its calendar, its lane and leg, and when the sweep has to look at it."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import (
    COLLECTION,
    FACILITY,
    FULFILMENT,
    HOUR,
    LINEHAUL,
    LOST,
    NONE,
    ORDER_SHIPPED,
    PICKUP,
    REFUND,
    STALL,
    UNKNOWN,
    WALL,
)
from monitor.engine.kernels.compiled import inlined, kernel, natural, whole
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import pair_code, put_off
from monitor.engine.layout import ABROAD, FAR, FINISHED, LEG, LIFE, LIVE, ORDER, PROMISE_TOLD

WORKED_DAYS = 5  # of seven: weekends hide no loss, holidays of a week do
LOST_BEYOND = 3  # halves of the limit of a lane that is slower than the ceiling


@inlined
def calendar_of(world: World, carrier: int, region: int) -> int:
    return whole(world.calendar[carrier, world.places[region].zone])


@inlined
def calendar_for(world: World, slot: Any) -> int:
    """The calendar on which a slot's leg counts: customers fetch their parcels on any day."""
    return WALL if slot.segment == COLLECTION else calendar_of(world, whole(slot.carrier), whole(slot.region))


@inlined
def told_by(world: World, slot: Any) -> int:
    """The feed that would tell that a parcel moved: of one that only its shop has spoken of, its carrier's."""
    if slot.segment == PICKUP and slot.status == UNKNOWN:
        voice = whole(world.voice[slot.carrier])
        if voice != 0:
            return voice
    return whole(slot.source)


@inlined
def worked(world: World, calendar: int, at: int) -> int:
    """Business seconds of a calendar at a moment; only differences mean anything."""
    since = at - world.rules[s.CALENDAR_START]
    hours = world.worked.shape[1] - 1
    if since < 0 or calendar == WALL:
        return since
    hour = whole(np.uint64(since) // np.uint64(HOUR))  # a division of unsigned numbers is a multiplication
    if hour >= hours:
        return whole(world.worked[calendar, hours]) + since - hours * HOUR
    low = whole(world.worked[calendar, hour])
    all_of_it = whole(world.worked[calendar, hour + 1]) - low
    part = since - hour * HOUR
    if all_of_it == HOUR:
        return low + part
    return low + all_of_it * part // HOUR


@inlined
def business(world: World, carrier: int, region: int, at: int) -> int:
    """As `worked`, on the calendar of a carrier in a region."""
    return worked(world, calendar_of(world, carrier, region), at)


@kernel
def lane_of(world: World, carrier: int, origin: int, destination: int) -> int:
    """The code of a lane between two zones; 0, the common one, when there is no room for another."""
    key = np.uint64(1) + (
        (np.uint64(carrier) << np.uint64(32)) | (np.uint64(origin) << np.uint64(16)) | np.uint64(destination)
    )
    count = world.counts[s.LANES]
    code = pair_code(world.lane_keys, world.lane_codes, key, count, len(world.lanes))
    if code > count:
        world.counts[s.LANES] = code
        lane = world.lanes[code]
        lane.carrier = carrier
        lane.origin = origin
        lane.destination = destination
    return natural(code)


@inlined
def leg_of(slot: Any) -> int:
    return whole(LEG[slot.segment, slot.status])


@inlined
def way_of(world: World, slot: Any) -> int:
    """The lane whose durations count: on the road that from where the parcel is, else the parcel's own."""
    if slot.destination == 0 or slot.region == 0 or slot.segment not in (FACILITY, LINEHAUL):
        return whole(slot.lane)
    here = whole(world.places[slot.region].zone)
    return lane_of(world, whole(slot.carrier), here, whole(world.places[slot.destination].zone))


@inlined
def in_jam(world: World, slot: Any) -> bool:
    return slot.segment == FACILITY and world.jammed[slot.facility] != 0


@inlined
def onward_zone(world: World, slot: Any) -> int:
    """Where a parcel on the road is heading; 0 for one that is not, or goes back."""
    return whole(world.places[slot.destination].zone) if slot.segment == LINEHAUL else 0


@inlined
def in_stop(world: World, slot: Any) -> bool:
    """Whether nothing moves where a parcel is, or where it is heading, or on its usual way there: a storm, a closed road."""
    if world.stopped[0] == 0 or slot.segment in (NONE, FULFILMENT, COLLECTION, REFUND):
        return False
    here = whole(world.places[slot.region].zone)
    if here != 0 and world.stopped[here] != 0:
        return True
    ahead = onward_zone(world, slot)
    if ahead == 0:
        return False
    if world.stopped[ahead] != 0:
        return True
    relay = whole(world.via[way_of(world, slot)])
    return relay != 0 and world.stopped[relay] != 0


@inlined
def was_stopped(world: World, slot: Any, way: int, until: int) -> bool:
    """Whether the wait from the last scan to `until` saw a stop; `way` as by `way_of`."""
    if world.counts[s.STOPS] == 0:
        return False
    last, here = whole(slot.last_scan), whole(world.places[slot.region].zone)
    if _saw_stop(world, here, last, until):
        return True
    ahead = onward_zone(world, slot)
    if ahead == 0:
        return False
    return _saw_stop(world, ahead, last, until) or _saw_stop(world, whole(world.via[way]), last, until)


@inlined
def _saw_stop(world: World, zone: int, since: int, until: int) -> bool:
    return since < whole(world.stop_until[zone]) and whole(world.stop_from[zone]) < until


@inlined
def quick_of(world: World, slot: Any) -> int:
    """Business seconds without a scan from which a live parcel would stand still in a jam or a stop."""
    return whole(world.quick[way_of(world, slot), leg_of(slot)])


# The two lowest bits of a due time say what waits, so that who looks for some of them need not read their slots. So one
# is said up to three seconds too soon, and what is due then is found by its slot.


@inlined
def early(due: int) -> int:
    """A due time as it is kept of a wait that has yet to reach its `quick` limit."""
    return due & ~3


@inlined
def outlasting(due: int) -> int:
    """Likewise of a wait that is longer than `quick`: what a jam or a stop changes, it changes for these."""
    return ((due - 1) & ~3) | 1


@inlined
def ended(due: int) -> int:
    """Likewise of a slot that is over. One may end without it being said, but none is live of which it is said."""
    return ((due - 2) & ~3) | 2


@inlined
def is_ended(due: Any) -> Any:
    """Whether a due time is that of a slot that is over, or FAR."""
    return due & np.uint32(2) != 0


@inlined
def may_be_lost(slot: Any) -> bool:
    """Nobody has a parcel yet that was never accepted; one that waits in a locker is not lost."""
    if slot.state & ORDER or slot.open & LOST:
        return False
    return slot.segment not in (PICKUP, COLLECTION)


@inlined
def lost_after(world: World, slot: Any) -> int:
    return world.rules[s.LOST_ABROAD_SECONDS] if slot.state & ABROAD else world.rules[s.LOST_SECONDS]


@inlined
def lost_at_least(world: World, slot: Any) -> int:
    """Business seconds without a scan that a loss takes besides: most of that time the carrier has to be at work, and who
    is on a lane that takes longer than the ceiling may be slow without being lost.
    """
    least = lost_after(world, slot) * WORKED_DAYS // 7
    limit = limit_beyond(world, way_of(world, slot), leg_of(slot))
    return max(least, limit * LOST_BEYOND // 2)


@inlined
def limit_beyond(world: World, way: int, leg: int) -> int:
    """The limit of a lane whose own cases are slower than the ceiling of a leg; 0 of another."""
    limit = whole(world.limit[way, leg])
    return limit if limit > world.ceiling[leg] else 0


@inlined
def ships_by(world: World, slot: Any) -> int:
    """When a paid order has to leave for its promise to be kept with days to spare; 0 where nothing is promised. The way
    takes twice these days while it is not known.
    """
    if slot.segment != FULFILMENT or slot.promised == 0:
        return 0
    spare = world.rules[s.PREORDER_SECONDS]
    usual = whole(world.median[slot.lane, NONE])
    return whole(slot.promised) - spare - (usual if usual > 0 else 2 * spare)


@inlined
def is_preorder(world: World, slot: Any) -> bool:
    """Whether a paid order need not leave for longer than any warehouse takes: how long it waits says nothing of others."""
    by = ships_by(world, slot)
    return by != 0 and by - whole(slot.last_scan) > world.ceiling[FULFILMENT]


@inlined
def lingers(slot: Any) -> bool:
    """Whether a slot is over and its beginning still unheard of: it stays longer, while there is room."""
    if slot.state & LIFE != FINISHED or slot.segment_since != 0:
        return False
    return not slot.state & ORDER or slot.status == ORDER_SHIPPED


@inlined
def stays_for(world: World, slot: Any) -> int:
    """Seconds for which a finished slot stays."""
    if lingers(slot) and roomy(world):
        return world.rules[s.REUSE_SECONDS]
    return world.rules[s.FINISHED_SECONDS]


@inlined
def roomy(world: World) -> bool:
    return 2 * world.counts[s.USED_SLOTS] <= world.rules[s.MAX_SLOTS]


@inlined
def other_due(world: World, slot: Any) -> int:
    """When the sweep may next have something to say about a slot, stalls apart."""
    last = whole(slot.last_scan)
    if slot.state & LIFE == FINISHED:
        return min(last + stays_for(world, slot), FAR)
    due = kept_due(world, slot)
    if may_be_lost(slot):
        due = min(due, last + lost_after(world, slot))
    return min(due, FAR)


@inlined
def kept_due(world: World, slot: Any) -> int:
    """Likewise of a live one, losses apart as well."""
    due = whole(slot.last_scan) + world.rules[s.FORGET_SECONDS]
    if slot.promised != 0 and not slot.state & PROMISE_TOLD:
        due = min(due, whole(slot.promised))
    return min(due, FAR)


@inlined
def next_due(world: World, slot: Any) -> int:
    """As `other_due`, and not later than a stall, even one in a jam: business time never runs faster than the wall's."""
    due = other_due(world, slot)
    if slot.state & LIFE == FINISHED:
        return ended(due)
    if slot.state & LIFE == LIVE and slot.segment != NONE and not slot.open & (STALL | LOST):
        due = min(due, whole(slot.last_scan) + quick_of(world, slot))
    return early(due)


@kernel
def rouse(table: Table, world: World, bucket: int, index: int) -> None:
    """`put_off` to its `next_due`, as a call: for what does not happen at every scan. Whatever ends comes here."""
    slot = table.slots[index]
    table.lingering[bucket] |= np.uint8(lingers(slot))
    put_off(table, bucket, index, next_due(world, slot))
