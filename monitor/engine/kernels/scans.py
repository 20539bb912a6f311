"""Scans, a batch at a time: what `monitor.engine.plain` says one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import (
    ACCEPTED,
    AFTER_END,
    APPLIED,
    BEFORE_ORDER,
    CANCELLED,
    CLAMPED,
    COLLECTED,
    CREATED,
    DELIVERED,
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
from monitor.engine.kernels.parcel import (
    CLOCKS,
    earlier_stage,
    end_parcel,
    forget_life,
    goes_to,
    is_reuse,
    new_slot,
    other_zone,
    place_lane,
    record_scan,
    remember_ended,
    sent_since,
)
from monitor.engine.kernels.repeats import repeated, seen_line
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import ABSENT, FULL, bucket_of, find_mixed, home, mix, put_off
from monitor.engine.kernels.told import ScanColumns, Told, write_ending, write_mark, write_oddity
from monitor.engine.kernels.totals import ask_region, count, learn
from monitor.engine.kernels.waiting import next_due, roomy, rouse
from monitor.engine.layout import END, FINISHED, GOES, HISTORY, JOINED, KEEP, LIFE, LIVE

NEAR = 4  # rows by which what depends on the slot is asked for
AHEAD = 12  # rows by which a slot is asked for before it is worked on
WINDOW = 16  # rows whose hashes are kept: more than AHEAD, and a power of two


@kernel
def apply_scans(
    table: Table, world: World, scans: ScanColumns, start: int, stop: int, now: int, told: Told
) -> None:
    """Rows start..stop; `now` in milliseconds. `told` has room for one ending, two oddities and two marks a row."""
    told.written[:] = 0
    _hear(world, scans, start, stop)
    for asked in range(start, stop + AHEAD):
        if asked < stop:
            _ask_slot(table, world, scans, natural(asked))
        near = asked - AHEAD + NEAR
        if start <= near < stop:
            _ask_rest(table, world, scans, natural(near))
        row = asked - AHEAD
        if row >= start:
            _apply_scan(table, world, scans, natural(row), now, told)


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
    prefetch(table.due, (index,))
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
def _apply_scan(table: Table, world: World, scans: ScanColumns, row: int, now: int, told: Told) -> None:
    bucket = bucket_of(table.mixed[row % WINDOW])
    status = whole(scans.status[row])
    if scans.key0[row] == 0:
        world.outcomes[NO_KEY] += 1
        return
    if repeated(table, bucket, scans.event[row], world.rules[s.SEEN_LIMIT]):
        world.outcomes[DUPLICATE] += 1
        return
    horizon = max(scans.received[row], now)
    occurred = min(scans.occurred[row], horizon)
    old = horizon - occurred > world.rules[s.HISTORY_SECONDS] * 1000
    _count_besides(world, status, scans.occurred[row] > horizon, old)
    at = occurred // 1000
    index = _find(table, scans, row)
    if index == ABSENT:
        if GOES[status] == END:
            world.outcomes[FIRST_SEEN_ENDED] += 1
            if at + world.rules[s.REUSE_SECONDS] > horizon // 1000 and roomy(world):
                remember_ended(table, world, scans, row, bucket, at)
            return
        index = new_slot(table, world, scans.key0[row], scans.key1[row])
        if index == FULL:
            world.outcomes[TABLE_FULL] += 1
            return
    index = natural(index)
    slot, background = table.slots[index], table.background[index]
    if is_reuse(world, slot, status, at):
        closed = forget_life(world, slot, background, at)
        if closed:
            write_mark(told, slot, at, closed, REASON_FINISHED, 0)
    if slot.state & LIFE == FINISHED:
        world.outcomes[AFTER_END] += 1
        if at > whole(slot.last_scan) and GOES[status] != END and status != UNKNOWN:
            write_oddity(told, slot, scans, row, SCAN_AFTER_END)
        return
    unscanned = slot.state & LIFE == 0 or (slot.status == UNKNOWN and slot.state & JOINED)
    if _before_order(slot, background, status, at):
        write_oddity(told, slot, scans, row, BEFORE_ORDER)
    if not unscanned and _same_scan(slot, scans, row, at):
        world.outcomes[DUPLICATE] += 1
        return
    passed = at < whole(slot.last_scan) and not unscanned
    if GOES[status] == END and not _belongs_before(slot, status, at, unscanned):
        world.outcomes[OUT_OF_ORDER if passed else APPLIED] += 1
        _end(world, slot, background, scans, row, at, told)
        rouse(table, world, bucket, index)
    elif passed:
        world.outcomes[OUT_OF_ORDER] += 1
        _fill_gap(slot, status, at)
    else:
        world.outcomes[APPLIED] += 1
        if not unscanned:
            _doubt(world, slot, scans, row, at, told)
        _move(world, slot, scans, row, at, unscanned, told)
        slot.state = (slot.state | np.uint8(HISTORY)) if old else (slot.state & ~np.uint8(HISTORY))
        record_scan(world, slot, background, scans, row, at)
        place_lane(world, slot, whole(scans.region[row]))
        count(world, slot, 1)
        put_off(table, bucket, index, next_due(world, slot))


@inlined
def _count_besides(world: World, status: int, clamped: bool, old: bool) -> None:
    if clamped:
        world.outcomes[CLAMPED] += 1
    if old:
        world.outcomes[OLD] += 1
    if status == UNKNOWN:
        world.outcomes[UNKNOWN_STATUS] += 1


@inlined
def _find(table: Table, scans: ScanColumns, row: int) -> int:
    key0, key1 = scans.key0[row], scans.key1[row]
    index = table.found[row % WINDOW]
    before = natural(index)
    if index == ABSENT or table.slots[before].key0 != key0 or table.slots[before].key1 != key1:
        # a row before this one entered it, or its bucket grew
        index = find_mixed(table, key0, key1, table.mixed[row % WINDOW])
    return index


@inlined
def _before_order(slot: Any, background: Any, status: int, at: int) -> bool:
    """Only of a parcel whose order is known, as the background is a load from afar."""
    if not slot.state & JOINED or status <= CREATED:
        return False
    return background.ordered != 0 and at + CLOCKS < whole(background.ordered)


@inlined
def _same_scan(slot: Any, scans: ScanColumns, row: int, at: int) -> bool:
    here = scans.facility[row] == 0 or scans.facility[row] == slot.facility
    return at == whole(slot.last_scan) and scans.status[row] == slot.status and here


@inlined
def _belongs_before(slot: Any, status: int, at: int, unscanned: bool) -> bool:
    """An end that came late, of a way that a later scan has begun anew."""
    if status == CANCELLED and not unscanned and sent_since(slot, at):
        return True
    return at < whole(slot.last_scan) and slot.segment == RETURN and status != RETURNED


@inlined
def _end(world: World, slot: Any, background: Any, scans: ScanColumns, row: int, at: int, told: Told) -> None:
    write_ending(told, slot, background, scans, row)
    if slot.open:
        delivered = scans.status[row] in (DELIVERED, COLLECTED)
        write_mark(told, slot, at, whole(slot.open), REASON_DELIVERED if delivered else REASON_FINISHED, 0)
    end_parcel(world, slot, background, scans, row, at)


@inlined
def _fill_gap(slot: Any, status: int, at: int) -> None:
    """What a scan older than the last adds."""
    if status == ACCEPTED and (slot.accepted == 0 or at < whole(slot.accepted)):
        slot.accepted = at
    if status == OUT_FOR_DELIVERY and slot.out_for_delivery == 0:
        slot.out_for_delivery = at


@inlined
def _doubt(world: World, slot: Any, scans: ScanColumns, row: int, at: int, told: Told) -> None:
    """Scans that cannot follow each other."""
    status = whole(scans.status[row])
    if earlier_stage(slot, status):
        write_oddity(told, slot, scans, row, EARLIER_STAGE)
    elif (
        at - whole(slot.last_scan) < world.rules[s.TOO_FAST_SECONDS]
        and status > CREATED
        and slot.status > CREATED
        and other_zone(world, whole(scans.region[row]), whole(slot.region))
    ):
        write_oddity(told, slot, scans, row, TOO_FAST)


@inlined
def _move(
    world: World, slot: Any, scans: ScanColumns, row: int, at: int, unscanned: bool, told: Told
) -> None:
    """To the segment after a scan in order; its totals are out then, and what it waited for has ended."""
    status = whole(scans.status[row])
    lost = status == LOST_STATUS
    if slot.state & LIFE == 0:
        slot.state |= np.uint8(LIVE)
        slot.segment_since = at
        to = whole(GOES[status])
        slot.segment = to if to < KEEP else NONE
        slot.source = scans.source[row]
        if lost:
            write_mark(told, slot, at, 0, MOVED, 1)
    else:
        count(world, slot, -1)
        if at >= whole(slot.last_scan) and not (unscanned and status <= CREATED):
            learn(world, slot, at)
        closed = whole(slot.open) & (STALL if lost else STALL | LOST)
        newly = lost and not slot.open & LOST
        if closed or newly:
            write_mark(told, slot, at, closed, MOVED, 1 if newly else 0)
        slot.open &= ~np.uint8(closed)
        to = goes_to(world, slot, status, whole(scans.region[row]))
        if to < KEEP and to != slot.segment:
            slot.segment = to
            slot.segment_since = at
    if lost:
        slot.open |= np.uint8(LOST)
