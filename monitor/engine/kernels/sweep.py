"""The sweep: what time alone says of the parcels of one bucket."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.kernels import bin_of
from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import COLLECTION, LOST, NONE, PROMISE, RETURN, STALL
from monitor.engine.kernels.compiled import inlined, kernel, prefetch, whole
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import FULL, crowded, enter, remove, wake
from monitor.engine.kernels.totals import count, finish
from monitor.engine.kernels.waiting import (
    calendar_for,
    in_stop,
    leg_of,
    limit_of,
    lost_after,
    may_be_lost,
    next_due,
    other_due,
    rouse,
    way_of,
    worked,
)
from monitor.engine.layout import FAR, FINISHED, LIFE, LIVE, ORDER, PROMISE_TOLD, What
from monitor.packing import HASHED

DUE_STALL, DUE_PROMISE, DUE_LOST = int(What.STALL), int(What.PROMISE), int(What.LOST)
LEAVE = int(What.LEAVE)
BLOCK = 64  # due times looked at together
MIXED = np.uint64(0x9E3779B97F4A7C15)


@kernel
def silent_age(world: World, slot: Any, now: int) -> int:
    """Business seconds since the last scan, less what its feed's last silences hid."""
    calendar = calendar_for(world, slot)
    last = whole(slot.last_scan)
    age = worked(world, calendar, now) - worked(world, calendar, last)
    for number in range(s.OUTAGES):
        high = min(now, whole(world.outage_until[slot.source, number]))
        low = max(last, whole(world.outage_from[slot.source, number]))
        if high > low:
            age -= worked(world, calendar, high) - worked(world, calendar, low)
    return age


@kernel
def _judge(world: World, slot: Any, now: int, due: Any) -> int:
    """What is to be said of a live slot; changes its open bits, its due time and the totals. Returns What bits."""
    what = 0
    last = whole(slot.last_scan)
    hold = world.hold[slot.source] != 0
    retry = now + world.rules[s.HOLD_SECONDS]
    if now >= last + world.rules[s.FORGET_SECONDS]:
        return LEAVE
    count(world, slot, -1)
    due.age = 0
    due.way = 0
    due.leg = 0
    if not hold and slot.promised != 0 and not slot.state & PROMISE_TOLD and now >= whole(slot.promised):
        slot.state |= np.uint8(PROMISE_TOLD)
        if slot.segment != RETURN:  # refused or recalled: nobody waits for it any more
            slot.open |= np.uint8(PROMISE)
            what |= DUE_PROMISE
    if not hold and may_be_lost(slot) and now >= last + lost_after(world, slot):
        slot.open = (slot.open & ~np.uint8(STALL)) | np.uint8(LOST)
        what |= DUE_LOST
    wait = FAR
    if slot.segment != NONE and not slot.open & (STALL | LOST):
        age = silent_age(world, slot, now)
        limit = limit_of(world, slot)
        if (
            what & DUE_PROMISE and slot.segment == COLLECTION
        ):  # who could have fetched it, and did not, writes now
            limit = min(limit, world.rules[s.PATIENCE_SECONDS])
        if age < limit:
            wait = now + limit - age
        elif hold:
            wait = retry
        else:
            slot.open |= np.uint8(STALL)
            due.age = age
            due.way = way_of(world, slot)
            due.leg = leg_of(slot)
            what |= DUE_STALL
    slot.due = max(min(wait, other_due(world, slot)), retry if hold else now + 1)
    count(world, slot, 1)
    return what


@kernel
def sweep_buckets(table: Table, world: World, buckets: Any, start: int, now: int, dues: Any) -> Any:
    """Sweeps buckets[start:] as far as `dues` is sure to have room. Returns the next one to sweep and the rows written."""
    written = 0
    for number in range(start, len(buckets)):
        bucket = buckets[number]
        if whole(table.soonest[bucket]) > now:
            continue
        if written + table.used[bucket] > len(dues):
            return number, written
        written += _sweep_bucket(table, world, bucket, now, dues[written:])
    return len(buckets), written


@inlined
def lowest(due: Any, start: int) -> Any:
    """Of the block that begins at `start`. Unsigned throughout, so that it compiles to vector instructions."""
    found = np.uint32(FAR)
    for place in range(start, start + BLOCK):
        found = min(found, due[place])
    return found


@inlined
def ask_due(table: Table, start: int, now: int) -> None:
    """For the slots of a block that are due, all at once: they lie apart in memory."""
    for place in range(start, start + BLOCK):
        if whole(table.due[place]) <= now:
            prefetch(table.slots, (place,))


@kernel
def _sweep_bucket(table: Table, world: World, bucket: int, now: int, dues: Any) -> int:
    """Judges every slot of a bucket that is due at `now` (seconds). Returns the rows written to `dues`.

    A row is written for each finding, for each slot that leaves with episodes open, and for each that leaves with a
    hashed key (its text is to be released).
    """
    base = bucket * table.room
    size = table.size[bucket]
    soonest = FAR
    written = 0
    place = 0
    while place < size:
        if place % BLOCK == 0 and place + BLOCK <= size:
            first = whole(lowest(table.due, base + place))
            if first > now:
                soonest = min(soonest, first)
                place += BLOCK
                continue
            ask_due(table, base + place, now)
        waits = whole(table.due[base + place])
        if waits > now:
            soonest = min(soonest, waits)
            place += 1
            continue
        slot = table.slots[base + place]
        waits = next_due(world, slot)
        if waits > now:  # it moved since its due time was said
            slot.due = waits
            table.due[base + place] = waits
            soonest = min(soonest, waits)
            place += 1
            continue
        due = dues[written]
        what = LEAVE if slot.state & LIFE == FINISHED else _judge(world, slot, now, due)
        if what & LEAVE:
            if slot.open != 0 or slot.key0 >= np.uint64(HASHED):
                due.slot = slot
                due.what = LEAVE
                written += 1
            if slot.state & LIFE == LIVE:
                finish(world, slot, whole(slot.last_scan))
            world.counts[s.USED_SLOTS] -= 1
            remove(table, bucket, place)
            continue
        if what:
            due.slot = slot
            due.what = what
            written += 1
        table.due[base + place] = slot.due
        soonest = min(soonest, whole(slot.due))
        place += 1
    table.soonest[bucket] = soonest
    return written


@kernel
def census(table: Table, world: World, buckets: Any, now: int, still: Any) -> None:
    """Adds the open legs of buckets to `still` [lane, segment, bin] by their age now, and their whole ways so far.

    Limits may have shrunk since a slot's due time was said, and so may the room in which ended ones stay longer: it is
    said anew.
    """
    for number in range(len(buckets)):
        _count_bucket(table, world, buckets[number], now, still)


@kernel
def _count_bucket(table: Table, world: World, bucket: int, now: int, still: Any) -> None:
    base = bucket * table.room
    for place in range(table.size[bucket]):
        slot = table.slots[base + place]
        if slot.state & LIFE != LIVE:
            if slot.state != 0:
                rouse(table, world, bucket, base + place)
            continue
        if slot.segment != NONE:
            age = silent_age(world, slot, now)
            if age >= 0 and not in_stop(world, slot):  # what stands in a stop says nothing of the usual
                way, leg = way_of(world, slot), leg_of(slot)
                still[way, leg, bin_of(age)] += np.float32(1.0)
            if not slot.open & (STALL | LOST):
                wake(table, bucket, base + place, now + max(limit_of(world, slot) - age, 0))
        accepted = whole(slot.accepted)
        if accepted != 0 and accepted <= now and not slot.state & ORDER:
            still[slot.lane, NONE, bin_of(now - accepted)] += np.float32(1.0)


@kernel
def find_live(
    table: Table,
    buckets: Any,
    places: Any,
    accepted: Any,
    promised: Any,
    lane: Any,
    carrier: Any,
    segment: Any,
    rank: Any,
) -> int:
    """The live parcels (not orders) of some buckets, for the parcel detectors, into these columns; returns how many.

    `rank` is a mixture of both words of the key: an order that does not hang on where a slot lies.
    """
    row = 0
    for bucket in buckets:
        base = bucket * table.room
        for place in range(base, base + table.size[bucket]):
            slot = table.slots[place]
            if slot.state & LIFE == LIVE and not slot.state & ORDER:
                places[row] = place
                accepted[row] = slot.accepted
                promised[row] = slot.promised
                lane[row] = slot.lane
                carrier[row] = slot.carrier
                segment[row] = slot.segment
                rank[row] = slot.key0 * MIXED + slot.key1
                row += 1
    return row


@kernel
def copy_used(table: Table, bucket: int, slots: Any, background: Any) -> None:
    base = bucket * table.room
    number = 0
    for place in range(table.size[bucket]):
        if table.slots[base + place].state != 0:
            slots[number] = table.slots[base + place]
            background[number] = table.background[base + place]
            number += 1


@kernel
def replace(table: Table, bucket: int, slots: Any, background: Any) -> int:
    """Empties a bucket and enters these; returns how many found room."""
    base = bucket * table.room
    for place in range(table.size[bucket]):
        table.slots[base + place] = table.spare[table.room]
        table.due[base + place] = np.uint32(FAR)
        table.background[base + place] = table.spare_background[table.room]
    table.used[bucket] = 0
    size = whole(table.size[bucket])
    while crowded(len(slots) + 1, size) and size < table.room:  # at once, as `enter` would bit by bit
        size = min(size + size // 2, table.room)
    for place in range(table.size[bucket], size):
        table.due[base + place] = np.uint32(FAR)
    table.size[bucket] = size
    soonest = FAR
    for number in range(len(slots)):
        index = enter(table, slots[number].key0, slots[number].key1)
        if index == FULL:
            return number
        table.slots[index] = slots[number]
        table.due[index] = slots[number].due
        table.background[index] = background[number]
        soonest = min(soonest, whole(slots[number].due))
    table.soonest[bucket] = soonest
    return len(slots)
