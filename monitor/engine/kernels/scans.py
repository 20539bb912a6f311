"""Scans, a batch at a time: what `monitor.engine.plain` says one by one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detectors.kernels import bin_of, log_of
from monitor.engine.kernels import state as s
from monitor.engine.kernels.compiled import inlined, kernel, natural, prefetch, whole
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import (
    ABSENT,
    FULL,
    bucket_of,
    enter,
    find_mixed,
    home,
    mix,
    pair_code,
    repeated,
    seen_place,
    wake,
)
from monitor.engine.layout import (
    ABROAD,
    END,
    FAR,
    FINISHED,
    GOES,
    HISTORY,
    IN_PLACE,
    JOINED,
    KEEP,
    LEG,
    LIFE,
    LIVE,
    ORDER,
    PLACED,
    PROMISE_TOLD,
    Ended,
    Oddity,
    Open,
    OrderStatus,
    Outcome,
)
from monitor.vocabulary import Segment, Status

# numba freezes plain integers, not enumerations, into kernels.
STALL, PROMISE, LOST = int(Open.STALL), int(Open.PROMISE), int(Open.LOST)
NONE, PICKUP, COLLECTION = int(Segment.NONE), int(Segment.PICKUP), int(Segment.COLLECTION)
FULFILMENT, REFUND = int(Segment.FULFILMENT), int(Segment.REFUND)
FACILITY, LINEHAUL, DELIVERY, RETURN, CUSTOMS = (
    int(Segment.FACILITY),
    int(Segment.LINEHAUL),
    int(Segment.DELIVERY),
    int(Segment.RETURN),
    int(Segment.CUSTOMS),
)
UNKNOWN, CREATED, ACCEPTED, ARRIVED = (
    int(Status.UNKNOWN),
    int(Status.CREATED),
    int(Status.ACCEPTED),
    int(Status.ARRIVED),
)
OUT_FOR_DELIVERY, DELIVERED, COLLECTED, LOST_STATUS, RETURNED = (
    int(Status.OUT_FOR_DELIVERY),
    int(Status.DELIVERED),
    int(Status.COLLECTED),
    int(Status.LOST),
    int(Status.RETURNED),
)
HELD_FOR_PICKUP = int(Status.HELD_FOR_PICKUP)
ORDER_SHIPPED = int(OrderStatus.SHIPPED)
MOVED, REASON_DELIVERED, REASON_FINISHED = int(Ended.MOVED), int(Ended.DELIVERED), int(Ended.FINISHED)
BEFORE_ORDER, EARLIER_STAGE, SCAN_AFTER_END, TOO_FAST = (
    int(Oddity.BEFORE_ORDER),
    int(Oddity.EARLIER_STAGE),
    int(Oddity.AFTER_END),
    int(Oddity.TOO_FAST),
)
APPLIED, DUPLICATE, OUT_OF_ORDER, AFTER_END = (
    int(Outcome.APPLIED),
    int(Outcome.DUPLICATE),
    int(Outcome.OUT_OF_ORDER),
    int(Outcome.AFTER_END),
)
FIRST_SEEN_ENDED, TABLE_FULL, NO_KEY, CLAMPED, OLD, UNKNOWN_STATUS = (
    int(Outcome.FIRST_SEEN_ENDED),
    int(Outcome.TABLE_FULL),
    int(Outcome.NO_KEY),
    int(Outcome.CLAMPED),
    int(Outcome.HISTORY),
    int(Outcome.UNKNOWN_STATUS),
)
HOUR = 3600
NEAR = 4  # rows by which what depends on the slot is asked for
AHEAD = 12  # rows by which a slot is asked for before it is worked on
WINDOW = 16  # rows whose hashes are kept: more than AHEAD, and a power of two
WALL = -1  # in place of a calendar: every second counts
CLOCKS = 60  # seconds by which two systems' clocks may differ before an order after its scan is odd


class ScanColumns(NamedTuple):
    """`monitor.columns.Scans` for the kernel."""

    key0: Any
    key1: Any
    event: Any
    occurred: Any
    received: Any
    status: Any
    delivered_to: Any
    carrier: Any
    source: Any
    region: Any
    facility: Any
    courier: Any
    estimated: Any
    latitude: Any
    longitude: Any


@inlined
def calendar_of(world: World, carrier: int, region: int) -> int:
    return whole(world.calendar[carrier, world.places[region].zone])


@inlined
def calendar_for(world: World, slot: Any) -> int:
    """The calendar on which a slot's leg counts: customers fetch their parcels on any day."""
    return WALL if slot.segment == COLLECTION else calendar_of(world, whole(slot.carrier), whole(slot.region))


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
    if slot.segment not in (FACILITY, LINEHAUL) or slot.region == 0 or slot.destination == 0:
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
    """Whether nothing moves where a parcel is, or where it is heading: a storm, a closed road."""
    if world.stopped[0] == 0 or slot.segment in (NONE, FULFILMENT, COLLECTION, REFUND):
        return False
    here = whole(world.places[slot.region].zone)
    if here != 0 and world.stopped[here] != 0:
        return True
    ahead = onward_zone(world, slot)
    return ahead != 0 and world.stopped[ahead] != 0


@inlined
def was_stopped(world: World, slot: Any, until: int) -> bool:
    """Whether the wait from the last scan to `until` saw a stop."""
    here, ahead = whole(world.places[slot.region].zone), onward_zone(world, slot)
    last = whole(slot.last_scan)
    if last < whole(world.stop_until[here]) and whole(world.stop_from[here]) < until:
        return True
    return last < whole(world.stop_until[ahead]) and whole(world.stop_from[ahead]) < until


@inlined
def limit_of(world: World, slot: Any) -> int:
    """Business seconds without a scan from which a live parcel stands still."""
    way, leg = way_of(world, slot), leg_of(slot)
    if in_jam(world, slot) or in_stop(world, slot):
        return whole(world.quick[way, leg])
    return whole(world.limit[way, leg])


@kernel
def region_pair(world: World, region: int, carrier: int) -> int:
    key = np.uint64(1) + ((np.uint64(carrier) << np.uint64(32)) | np.uint64(region))
    count = world.counts[s.REGION_PAIRS]
    code = pair_code(world.region_keys, world.region_codes, key, count, len(world.regions))
    if code > count:
        world.counts[s.REGION_PAIRS] = code
        pair = world.regions[code]
        pair.region = region
        pair.carrier = carrier
    return natural(code)


@inlined
def inside(world: World, region: int, destination: int) -> bool:
    """Whether a region is the destination or lies in it, by the prefix of its code."""
    if region == 0 or destination == 0:
        return False
    place = world.places[destination]
    return (world.places[region].prefix & place.mask) == (place.prefix & place.mask)


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
    if not in_jam(world, slot) and not was_stopped(world, slot, until):  # neither is the usual
        world.ends[way, leg, bin_of(duration)] += np.float32(1.0)
    passed = world.passed[slot.lane, slot.segment]
    passed.finished += 1
    usual = world.median[way, leg]
    if usual > 0 and duration > 0:
        residual = log_of(duration) - log_of(whole(usual))
        passed.residual += residual
        passed.squared += residual * residual


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
def stays_for(world: World, slot: Any) -> int:
    """Seconds for which a finished slot stays: longer where its beginning is still unheard of, while there is room."""
    unpaid = slot.state & ORDER and slot.status == ORDER_SHIPPED
    if slot.segment_since == 0 and (unpaid or not slot.state & ORDER) and roomy(world):
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
    due = last + world.rules[s.FORGET_SECONDS]
    if slot.promised != 0 and not slot.state & PROMISE_TOLD:
        due = min(due, whole(slot.promised))
    if may_be_lost(slot):
        due = min(due, last + lost_after(world, slot))
    return min(due, FAR)


@inlined
def next_due(world: World, slot: Any) -> int:
    """As `other_due`, and not later than a stall: business time never runs faster than the wall's."""
    due = other_due(world, slot)
    if slot.state & LIFE == LIVE and slot.segment != NONE and not slot.open & (STALL | LOST):
        due = min(due, whole(slot.last_scan) + limit_of(world, slot))
    return due


@kernel
def rouse(table: Table, world: World, bucket: int, index: int) -> None:
    """`wake` at its `next_due`, as a call: for what does not happen at every scan."""
    wake(table, bucket, index, next_due(world, table.slots[index]))


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


@kernel
def write_mark(marks: Any, number: int, slot: Any, at: int, closed: int, reason: int, lost: int) -> int:
    mark = marks[number]
    mark.key0 = slot.key0
    mark.key1 = slot.key1
    mark.at = at
    mark.closed = closed
    mark.reason = reason
    mark.lost = lost
    return number + 1


@kernel
def write_oddity(oddities: Any, number: int, slot: Any, scans: ScanColumns, row: int, oddity: int) -> int:
    odd = oddities[number]
    odd.key0 = slot.key0
    odd.key1 = slot.key1
    odd.occurred = scans.occurred[row]
    odd.received = scans.received[row]
    odd.previous_occurred = slot.last_scan
    odd.region = scans.region[row]
    odd.previous_region = slot.region
    odd.facility = scans.facility[row]
    odd.courier = scans.courier[row]
    odd.carrier = scans.carrier[row] if scans.carrier[row] != 0 else slot.carrier
    odd.source = scans.source[row]
    odd.status = scans.status[row]
    odd.previous_status = slot.status
    odd.oddity = oddity
    return number + 1


@kernel
def write_ending(endings: Any, number: int, slot: Any, background: Any, scans: ScanColumns, row: int) -> int:
    """Before the scan changes the slot."""
    ending = endings[number]
    ending.key0 = slot.key0
    ending.key1 = slot.key1
    ending.occurred = scans.occurred[row]
    ending.received = scans.received[row]
    ending.previous_occurred = slot.last_scan
    ending.out_for_delivery = slot.out_for_delivery
    ending.accepted = slot.accepted
    ending.ordered = background.ordered
    ending.promised = slot.promised
    ending.destination = slot.destination
    ending.region = scans.region[row]
    ending.previous_region = slot.region
    ending.facility = scans.facility[row] if scans.facility[row] != 0 else slot.facility
    ending.courier = scans.courier[row] if scans.courier[row] != 0 else background.courier
    ending.lane = slot.lane
    ending.carrier = slot.carrier
    ending.source = scans.source[row]
    ending.status = scans.status[row]
    ending.previous_status = slot.status
    ending.delivered_to = scans.delivered_to[row]
    ending.scan_latitude = scans.latitude[row]
    ending.scan_longitude = scans.longitude[row]
    ending.latitude = background.latitude
    ending.longitude = background.longitude
    return number + 1


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
    """The lane of a slot by its carrier; its origin is the first region a scan named."""
    lane = world.lanes[slot.lane]
    origin = whole(lane.origin)
    if origin == 0:
        origin = whole(world.places[region].zone)
    destination = whole(world.places[slot.destination].zone)
    if lane.carrier != slot.carrier or lane.origin != origin or lane.destination != destination:
        slot.lane = lane_of(world, whole(slot.carrier), origin, destination)


@inlined
def is_reuse(world: World, slot: Any, status: int, at: int) -> bool:
    """A parcel's first scan, long after the number's last parcel had been on its way or ended."""
    if status not in (CREATED, ACCEPTED) or slot.state & LIFE == 0:
        return False
    if slot.state & LIFE == LIVE and slot.status <= ACCEPTED:
        return False
    return at - whole(slot.last_scan) > world.rules[s.REUSE_SECONDS]


@kernel
def forget_life(world: World, slot: Any, background: Any) -> int:
    """The number is used again: the slot begins anew. Returns the episodes that were open."""
    closed = whole(slot.open)
    if slot.state & LIFE == LIVE:
        finish(world, slot, whole(slot.last_scan))
    world.counts[s.LIVE_PARCELS] += 1
    slot.last_scan = 0
    slot.segment_since = 0
    slot.promised = 0
    slot.accepted = 0
    slot.out_for_delivery = 0
    slot.destination = 0
    slot.region = 0
    slot.facility = 0
    slot.lane = 0
    slot.carrier = 0
    slot.source = 0
    slot.status = 0
    slot.segment = 0
    slot.state = 0
    background.ordered = 0
    background.estimated = 0
    background.courier = 0
    background.latitude = 0.0
    background.longitude = 0.0
    return closed


@kernel
def apply_scans(
    table: Table,
    world: World,
    scans: ScanColumns,
    start: int,
    stop: int,
    now: int,
    marks: Any,
    endings: Any,
    oddities: Any,
) -> Any:
    """Rows start..stop; `now` in milliseconds. Returns how many marks, endings and oddities were written.

    There is room for one ending, two oddities and two marks a row.
    """
    n_marks = 0
    n_endings = 0
    n_oddities = 0
    for asked in range(start, stop + AHEAD):
        if asked < stop:
            _ask_slot(table, scans, natural(asked))
        near = asked - AHEAD + NEAR
        if start <= near < stop:
            _ask_rest(table, world, scans, natural(near))
        row = asked - AHEAD
        if row >= start:
            n_marks, n_endings, n_oddities = _apply_scan(
                table,
                world,
                scans,
                natural(row),
                now,
                marks,
                endings,
                oddities,
                n_marks,
                n_endings,
                n_oddities,
            )
    return n_marks, n_endings, n_oddities


@inlined
def _ask_slot(table: Table, scans: ScanColumns, row: int) -> None:
    """For where a row's parcel and its event's id should be, and for the place after it: half of the parcels are there."""
    mixed = mix(scans.key0[row], scans.key1[row])
    table.mixed[row % WINDOW] = mixed
    bucket = bucket_of(mixed)
    place = natural(bucket * table.room + home(mixed, table.size[bucket]))
    prefetch(table.slots, (place,))
    prefetch(table.slots, (place + 1,))
    prefetch(table.seen, (bucket, seen_place(scans.event[row], table.seen.shape[1] - 1), 0))


@inlined
def _ask_rest(table: Table, world: World, scans: ScanColumns, row: int) -> None:
    """For what a row will need that only its slot tells. A hint: rows in between may still change the slot."""
    index = find_mixed(table, scans.key0[row], scans.key1[row], table.mixed[row % WINDOW])
    table.found[row % WINDOW] = index
    if index == ABSENT:
        return
    index = natural(index)
    slot = table.slots[index]
    if GOES[scans.status[row]] == END:
        prefetch(table.background, (index,))
    prefetch(world.passed, (slot.lane, slot.segment))
    waited = scans.occurred[row] // 1000 - whole(slot.last_scan)
    prefetch(world.ends, (slot.lane, leg_of(slot), bin_of(waited)))


@inlined
def _hear(world: World, scans: ScanColumns, row: int) -> None:
    """A feed spoke: whatever becomes of the event."""
    feed = world.feeds[scans.source[row]]
    feed.events += 1
    feed.newest_occurred = max(feed.newest_occurred, scans.occurred[row])
    feed.newest_received = max(feed.newest_received, scans.received[row])
    if feed.first == 0:
        feed.first = scans.received[row]


@inlined
def _apply_scan(
    table: Table,
    world: World,
    scans: ScanColumns,
    row: int,
    now: int,
    marks: Any,
    endings: Any,
    oddities: Any,
    n_marks: int,
    n_endings: int,
    n_oddities: int,
) -> Any:
    mixed = table.mixed[row % WINDOW]
    bucket = bucket_of(mixed)
    key0 = scans.key0[row]
    key1 = scans.key1[row]
    status = whole(scans.status[row])
    _hear(world, scans, row)
    if key0 == 0:
        world.outcomes[NO_KEY] += 1
        return n_marks, n_endings, n_oddities
    if repeated(table, bucket, scans.event[row], world.rules[s.SEEN_LIMIT]):
        world.outcomes[DUPLICATE] += 1
        return n_marks, n_endings, n_oddities
    horizon = max(scans.received[row], now)
    occurred = scans.occurred[row]
    if occurred > horizon:
        occurred = horizon
        world.outcomes[CLAMPED] += 1
    at = occurred // 1000
    old = horizon - occurred > world.rules[s.HISTORY_SECONDS] * 1000
    if old:
        world.outcomes[OLD] += 1
    if status == UNKNOWN:
        world.outcomes[UNKNOWN_STATUS] += 1

    index = table.found[row % WINDOW]
    before = natural(index)
    if index == ABSENT or table.slots[before].key0 != key0 or table.slots[before].key1 != key1:
        index = find_mixed(table, key0, key1, mixed)  # a row before this one entered it, or its bucket grew
    if index == ABSENT:
        if GOES[status] == END:
            world.outcomes[FIRST_SEEN_ENDED] += 1
            if at + world.rules[s.REUSE_SECONDS] > horizon // 1000 and roomy(world):
                _remember_ended(table, world, scans, row, bucket, at)
            return n_marks, n_endings, n_oddities
        index = new_slot(table, world, key0, key1)
        if index == FULL:
            world.outcomes[TABLE_FULL] += 1
            return n_marks, n_endings, n_oddities
    index = natural(index)
    slot = table.slots[index]
    background = table.background[index]
    last = whole(slot.last_scan)
    life = slot.state & LIFE

    if is_reuse(world, slot, status, at):
        closed = forget_life(world, slot, background)
        if closed:
            n_marks = write_mark(marks, n_marks, slot, at, closed, REASON_FINISHED, 0)
        life = slot.state & LIFE
        last = 0
    if life == FINISHED:
        world.outcomes[AFTER_END] += 1
        if at > last and GOES[status] != END and status != UNKNOWN:
            n_oddities = write_oddity(oddities, n_oddities, slot, scans, row, SCAN_AFTER_END)
        return n_marks, n_endings, n_oddities

    fresh = life == 0
    unscanned = fresh or (slot.status == UNKNOWN and slot.state & JOINED)
    joined = slot.state & JOINED != 0  # else nothing of it is in the background, which is a load from afar
    if joined and status > CREATED and background.ordered != 0 and at + CLOCKS < whole(background.ordered):
        n_oddities = write_oddity(oddities, n_oddities, slot, scans, row, BEFORE_ORDER)
    here = scans.facility[row] == 0 or scans.facility[row] == slot.facility
    if not unscanned and at == last and status == slot.status and here:
        world.outcomes[DUPLICATE] += 1
        return n_marks, n_endings, n_oddities

    ends = GOES[status] == END
    if ends and not (at < last and slot.segment == RETURN and status != RETURNED):
        n_endings = write_ending(endings, n_endings, slot, background, scans, row)
        world.outcomes[APPLIED if at >= last or unscanned else OUT_OF_ORDER] += 1
        reason = REASON_DELIVERED if status in (DELIVERED, COLLECTED) else REASON_FINISHED
        if slot.open:
            n_marks = write_mark(marks, n_marks, slot, at, whole(slot.open), reason, 0)
        _end_parcel(world, slot, background, scans, row, at)
        rouse(table, world, bucket, index)
        return n_marks, n_endings, n_oddities

    if at < last and not unscanned:
        world.outcomes[OUT_OF_ORDER] += 1
        if status == ACCEPTED and (slot.accepted == 0 or at < whole(slot.accepted)):
            slot.accepted = at
        if status == OUT_FOR_DELIVERY and slot.out_for_delivery == 0:
            slot.out_for_delivery = at
        return n_marks, n_endings, n_oddities

    world.outcomes[APPLIED] += 1
    region = whole(scans.region[row])
    if not unscanned:
        if earlier_stage(slot, status):
            n_oddities = write_oddity(oddities, n_oddities, slot, scans, row, EARLIER_STAGE)
        elif (
            at - last < world.rules[s.TOO_FAST_SECONDS]
            and status > CREATED
            and slot.status > CREATED
            and other_zone(world, region, whole(slot.region))
        ):
            n_oddities = write_oddity(oddities, n_oddities, slot, scans, row, TOO_FAST)

    if fresh:
        slot.state = LIVE
        slot.segment_since = at
        to = whole(GOES[status])
        slot.segment = to if to < KEEP else NONE
        slot.source = scans.source[row]
    else:
        count(world, slot, -1)
        if at >= last and not (unscanned and status <= CREATED):
            learn(world, slot, at)
        lost = status == LOST_STATUS and not slot.open & LOST
        closed = whole(slot.open) & (STALL | LOST)
        if status == LOST_STATUS:
            closed &= ~LOST
        if closed or lost:
            n_marks = write_mark(marks, n_marks, slot, at, closed, MOVED, 1 if lost else 0)
        slot.open &= ~np.uint8(closed)
        to = goes_to(world, slot, status, region)
        if to < KEEP and to != slot.segment:
            slot.segment = to
            slot.segment_since = at
    if status == LOST_STATUS:
        if fresh:
            n_marks = write_mark(marks, n_marks, slot, at, 0, MOVED, 1)
        slot.open |= np.uint8(LOST)
    slot.state = (slot.state | np.uint8(HISTORY)) if old else (slot.state & ~np.uint8(HISTORY))
    record_scan(world, slot, background, scans, row, at)
    place_lane(world, slot, region)
    count(world, slot, 1)
    wake(table, bucket, index, next_due(world, slot))
    return n_marks, n_endings, n_oddities


@kernel
def _remember_ended(table: Table, world: World, scans: ScanColumns, row: int, bucket: int, at: int) -> None:
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
def _end_parcel(world: World, slot: Any, background: Any, scans: ScanColumns, row: int, at: int) -> None:
    """The last scan of a live parcel: learns its last leg and its whole way."""
    status = whole(scans.status[row])
    if at >= whole(slot.last_scan) and not (slot.status == UNKNOWN and slot.state & JOINED):
        learn(world, slot, at)
    arrived_home = status == DELIVERED or (status == COLLECTED and slot.segment == COLLECTION)
    if arrived_home:
        accepted = whole(slot.accepted)
        if 0 < accepted <= at:
            world.ends[slot.lane, NONE, bin_of(at - accepted)] += np.float32(1.0)
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
