"""The sweep: what time alone says of the parcels of one bucket."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import COLLECTION, HOUR, LOST, NONE, PROMISE, RETURN, STALL
from monitor.engine.kernels.compiled import inlined, kernel, natural, prefetch, whole
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import FULL, crowded, enter, remove
from monitor.engine.kernels.totals import count, finish
from monitor.engine.kernels.waiting import (
    calendar_for,
    early,
    in_jam,
    in_stop,
    is_preorder,
    kept_due,
    leg_of,
    lingers,
    lost_after,
    lost_at_least,
    may_be_lost,
    next_due,
    other_due,
    outlasting,
    ships_by,
    told_by,
    way_of,
    worked,
)
from monitor.engine.layout import DAY, FAR, LIFE, LIVE, ORDER, PROMISE_TOLD, What
from monitor.packing import HASHED

DUE_STALL, DUE_PROMISE, DUE_LOST = int(What.STALL), int(What.PROMISE), int(What.LOST)
LEAVE = int(What.LEAVE)
BLOCK = 64  # due times looked at together


@kernel
def silent_age(world: World, slot: Any, now: int) -> int:
    """Business seconds since the last scan, less what its feed's last silences hid."""
    calendar = calendar_for(world, slot)
    return silent_since(world, slot, calendar, now, worked(world, calendar, now))


@inlined
def silent_since(world: World, slot: Any, calendar: int, now: int, worked_now: int) -> int:
    """As `silent_age`, where `worked_now` is what the calendar shows now."""
    last = whole(slot.last_scan)
    age = worked_now - worked(world, calendar, last)
    feed = natural(told_by(world, slot))
    if world.outage_until[feed, 0] == 0:
        return age  # the feed was never silent
    for number in range(s.OUTAGES):
        high = min(now, whole(world.outage_until[feed, number]))
        low = max(last, whole(world.outage_from[feed, number]))
        if high > low:
            age -= worked(world, calendar, high) - worked(world, calendar, low)
    return age


@kernel
def _judge(world: World, slot: Any, now: int, due: Any) -> int:
    """What is to be said of a live slot; changes its open bits, its due time and the totals. Returns What bits."""
    what = 0
    last = whole(slot.last_scan)
    feed = natural(told_by(world, slot))
    hold = world.hold[feed] != 0
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
    wait = FAR
    if may_be_lost(slot):
        wait = _lost_at(world, slot, now)
        if wait <= now and not hold:
            slot.open = (slot.open & ~np.uint8(STALL)) | np.uint8(LOST)
            due.age = max(lost_after(world, slot), lost_at_least(world, slot))
            what |= DUE_LOST
            wait = FAR
    outlasts = False
    if slot.segment != NONE and not slot.open & (STALL | LOST):
        age = silent_age(world, slot, now)
        way, leg = way_of(world, slot), leg_of(slot)
        quick = whole(world.quick[way, leg])
        limit = quick if in_jam(world, slot) or in_stop(world, slot) else whole(world.limit[way, leg])
        # who could have fetched it, and did not, writes now
        if slot.segment == COLLECTION and (what & DUE_PROMISE != 0 or _passed_unheard(world, slot, feed)):
            limit = min(limit, world.rules[s.PATIENCE_SECONDS])
        if age < limit:
            outlasts = age >= quick
            wait = min(wait, now + (limit if outlasts else quick) - age)
            # a feed's backlog may yet show that its silence hid nothing
            if whole(world.outage_until[feed, 0]) > last:
                calendar = calendar_for(world, slot)
                stood = worked(world, calendar, now) - worked(world, calendar, last)
                wait = min(wait, max(now + limit - stood, retry))
        elif is_preorder(world, slot) and ships_by(world, slot) > now:
            wait = min(wait, ships_by(world, slot))  # its goods are yet to come
        elif hold:
            wait = retry
        else:
            slot.open |= np.uint8(STALL)
            due.age = age
            due.way = way
            due.leg = leg
            what |= DUE_STALL
    wait = max(min(wait, kept_due(world, slot)), retry if hold else now + 1)
    slot.due = outlasting(wait) if outlasts else early(wait)
    count(world, slot, 1)
    return what


@kernel
def _lost_at(world: World, slot: Any, now: int) -> int:
    """When a parcel is presumed lost, or may be: no later than `now` if it is."""
    last = whole(slot.last_scan)
    least = last + lost_after(world, slot)
    if now < least:
        return least
    hidden = hidden_since(world, slot, now)
    short = max(least + hidden - now, lost_at_least(world, slot) - silent_age(world, slot, now))
    if short <= 0:
        return now
    # a silence may yet turn out to have hidden nothing, and what is usual may change
    return now + min(short, HOUR if hidden > 0 else DAY)


@inlined
def hidden_since(world: World, slot: Any, now: int) -> int:
    """Seconds of the wait since the last scan that its feed's last silences hid."""
    last, hidden = whole(slot.last_scan), 0
    feed = natural(told_by(world, slot))
    for number in range(s.OUTAGES):
        high = min(now, whole(world.outage_until[feed, number]))
        hidden += max(high - max(last, whole(world.outage_from[feed, number])), 0)
    return hidden


@inlined
def _passed_unheard(world: World, slot: Any, feed: int) -> bool:
    """Whether the promise passed while a silence hid who had not been patient for long enough: told once that is known."""
    since, until = whole(world.quiet_from[feed]), whole(world.quiet_until[feed])
    promised = whole(slot.promised)
    if promised < since or promised > until or not slot.state & PROMISE_TOLD:
        return False
    return until - whole(slot.last_scan) >= world.rules[s.PATIENCE_SECONDS]


@kernel
def sweep_buckets(
    table: Table, world: World, buckets: Any, start: int, now: int, places: Any, dues: Any
) -> Any:
    """Sweeps buckets[start:] as far as `dues` is sure to have room. Returns the next one to sweep and the rows written.
    `places` is scratch, one more than a bucket has room for.
    """
    written = 0
    for number in range(start, len(buckets)):
        bucket = buckets[number]
        if whole(table.soonest[bucket]) > now:
            continue
        if written + table.used[bucket] >= len(dues):  # one more to work in
            return number, written
        written += _sweep_bucket(table, world, bucket, now, places, dues[written:])
    return len(buckets), written


@inlined
def lowest(due: Any, start: int) -> Any:
    """Of the block that begins at `start`. Unsigned throughout, so that it compiles to vector instructions."""
    found = np.uint32(FAR)
    for place in range(BLOCK):
        found = min(found, due[natural(start + place)])
    return found


@inlined
def _find_due(table: Table, bucket: int, now: int, places: Any) -> Any:
    """Which places of a bucket are due, asking for their slots all at once, as they lie apart in memory. Returns how many,
    and when the first of the others is due.
    """
    base, size = natural(bucket * table.room), natural(table.size[bucket])
    found = 0
    soonest = np.uint32(FAR)
    for start in range(0, size, BLOCK):
        if start + BLOCK <= size:
            first = lowest(table.due, base + start)
            if whole(first) > now:
                soonest = min(soonest, first)
                continue
        for place in range(start, min(start + BLOCK, size)):
            waits = table.due[natural(base + place)]
            places[natural(found)] = place
            late = whole(waits) <= now
            found += whole(late)
            soonest = min(soonest, np.uint32(FAR) if late else waits)
    for one in range(found):
        prefetch(table.slots, (natural(base + places[one]),))
    return found, whole(soonest)


@kernel
def _sweep_bucket(table: Table, world: World, bucket: int, now: int, places: Any, dues: Any) -> int:
    """Judges every slot of a bucket that is due at `now` (seconds). Returns the rows written to `dues`.

    A row is written for each finding, for each slot that leaves with episodes open, and for each that leaves with a
    hashed key (its text is to be released).
    """
    written = 0
    left = True
    while left:  # who moves into a gap from the bucket's other end is looked at in the next turn
        left = False
        found, soonest = _find_due(table, bucket, now, places)
        for one in range(
            found - 1, -1, -1
        ):  # backwards: who moves into a gap comes from places that are done
            place = places[one]
            index = natural(bucket * table.room + place)
            if whole(table.due[index]) > now:
                continue
            due = dues[written]
            what = _look(table, world, index, now, due)
            if what & LEAVE:
                slot = table.slots[index]
                if slot.open != 0 or slot.key0 >= np.uint64(HASHED):
                    due.slot = slot
                    due.what = LEAVE
                    written += 1
                if slot.state & LIFE == LIVE:
                    finish(world, slot, whole(slot.last_scan))
                world.counts[s.USED_SLOTS] -= 1
                remove(table, bucket, place)
                left = True
                continue
            if what:
                due.slot = table.slots[index]
                due.what = what
                written += 1
            table.due[index] = table.slots[index].due
            soonest = min(soonest, whole(table.slots[index].due))
    table.soonest[bucket] = soonest
    return written


@inlined
def _look(table: Table, world: World, index: int, now: int, due: Any) -> int:
    """At a slot whose due time has come, and says the next; returns What bits."""
    slot = table.slots[index]
    waits = next_due(world, slot)
    if waits > now:  # it moved since its due time was said
        slot.due = waits
        return 0
    if slot.state & LIFE == LIVE:
        return _judge(world, slot, now, due)
    if other_due(world, slot) > now:
        slot.due = waits
        return 0
    return LEAVE


@kernel
def find_live(
    table: Table,
    buckets: Any,
    only_promised: bool,
    places: Any,
    accepted: Any,
    promised: Any,
    lane: Any,
    carrier: Any,
    segment: Any,
) -> int:
    """The live parcels (not orders) of some buckets, or those with a promise, for the parcel detectors, into these
    columns, which have room for all slots in use and one more; returns how many.

    Every slot is written and most are overwritten by the next: what a slot holds is no branch that could be foretold.
    """
    row = 0
    for bucket in buckets:
        base = bucket * table.room
        first = row
        for place in range(base, base + table.size[bucket]):
            slot = table.slots[place]
            places[row] = place
            accepted[row] = slot.accepted
            promised[row] = slot.promised
            lane[row] = slot.lane
            carrier[row] = slot.carrier
            segment[row] = slot.segment
            wanted = (slot.promised != 0) | (not only_promised)
            row += whole((slot.state & (LIFE | ORDER) == LIVE) & wanted)
        if only_promised:
            table.promises[bucket] = row > first
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
    table.promises[bucket] = 0
    table.lingering[bucket] = 0
    soonest = FAR
    for number in range(len(slots)):
        index = enter(table, slots[number].key0, slots[number].key1)
        if index == FULL:
            return number
        table.slots[index] = slots[number]
        slot = table.slots[index]
        table.lingering[bucket] |= np.uint8(lingers(slot))
        if slot.state & LIFE == LIVE:  # a checkpoint from before due times said what is over
            slot.due = whole(slot.due) & ~2
        table.due[index] = slot.due
        table.background[index] = background[number]
        table.promises[bucket] |= np.uint8(slots[number].promised != 0)
        soonest = min(soonest, whole(slots[number].due))
    table.soonest[bucket] = soonest
    return len(slots)
