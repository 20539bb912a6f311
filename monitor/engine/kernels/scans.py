"""Scans, a batch at a time: what `monitor.engine.plain` says one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.kernels import bin_of
from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import (
    ACCEPTED,
    AFTER_END,
    APPLIED,
    ARRIVED,
    BEFORE_ORDER,
    CLAMPED,
    COLLECTED,
    COLLECTION,
    CREATED,
    CUSTOMS,
    DELIVERED,
    DELIVERY,
    DUPLICATE,
    EARLIER_STAGE,
    FIRST_SEEN_ENDED,
    LOST,
    LOST_STATUS,
    MOVED,
    NO_KEY,
    NONE,
    OLD,
    OUT_FOR_DELIVERY,
    OUT_OF_ORDER,
    PICKUP,
    REASON_DELIVERED,
    REASON_FINISHED,
    RETURN,
    RETURNED,
    SCAN_AFTER_END,
    STALL,
    TABLE_FULL,
    TOO_FAST,
    UNKNOWN,
    UNKNOWN_STATUS,
)
from monitor.engine.kernels.compiled import inlined, kernel, natural, prefetch, whole
from monitor.engine.kernels.repeats import repeated, seen_line
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import (
    ABSENT,
    FULL,
    bucket_of,
    enter,
    find_mixed,
    home,
    mix,
    wake,
)
from monitor.engine.kernels.told import ScanColumns, write_ending, write_mark, write_oddity
from monitor.engine.kernels.totals import (
    ask_region,
    count,
    count_region,
    finish,
    learn,
    move_place,
    region_pair,
)
from monitor.engine.kernels.waiting import lane_of, next_due, roomy, rouse
from monitor.engine.layout import (
    ABROAD,
    END,
    FINISHED,
    GOES,
    HISTORY,
    IN_PLACE,
    JOINED,
    KEEP,
    LIFE,
    LIVE,
    PLACED,
)

NEAR = 4  # rows by which what depends on the slot is asked for
AHEAD = 12  # rows by which a slot is asked for before it is worked on
WINDOW = 16  # rows whose hashes are kept: more than AHEAD, and a power of two
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
    _hear(world, scans, start, stop)
    for asked in range(start, stop + AHEAD):
        if asked < stop:
            _ask_slot(table, world, scans, natural(asked))
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
def _ask_slot(table: Table, world: World, scans: ScanColumns, row: int) -> None:
    """For where a row's parcel and its event's id should be, and for the place after it: half of the parcels are there."""
    mixed = mix(scans.key0[row], scans.key1[row])
    table.mixed[row % WINDOW] = mixed
    bucket = bucket_of(mixed)
    place = natural(bucket * table.room + home(mixed, table.size[bucket]))
    prefetch(table.slots, (place,))
    prefetch(table.slots, (place + 1,))
    prefetch(world.facilities, (natural(whole(scans.facility[row])),))
    prefetch(table.seen, (bucket, seen_line(scans.event[row], table.seen.shape[1] - 1), 0, 0))


@inlined
def _ask_rest(table: Table, world: World, scans: ScanColumns, row: int) -> None:
    """For what a row will need that only its slot tells. A hint: rows in between may still change the slot."""
    index = find_mixed(table, scans.key0[row], scans.key1[row], table.mixed[row % WINDOW])
    table.found[row % WINDOW] = index
    if index == ABSENT:
        return
    index = natural(index)
    slot = table.slots[index]
    prefetch(world.facilities, (natural(whole(slot.facility)),))
    if GOES[scans.status[row]] == END:
        prefetch(table.background, (index,))
        region = whole(slot.destination) if slot.destination != 0 else whole(scans.region[row])
        ask_region(world, region, whole(slot.carrier))


@inlined
def _hear(world: World, scans: ScanColumns, start: int, stop: int) -> None:
    """Feeds spoke: whatever becomes of the events. A feed's rows come in runs, which are summed up before it is touched."""
    row = natural(start)
    while row < stop:
        first, source = row, scans.source[row]
        occurred, received = scans.occurred[row], scans.received[row]
        while row < stop and scans.source[row] == source:
            occurred = max(occurred, scans.occurred[row])
            received = max(received, scans.received[row])
            row += 1
        feed = world.feeds[source]
        feed.events += row - first
        feed.newest_occurred = max(feed.newest_occurred, occurred)
        feed.newest_received = max(feed.newest_received, received)
        if feed.first == 0:
            feed.first = scans.received[first]


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
