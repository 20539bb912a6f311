"""Finding, entering and removing in the buckets: linear probing, removal by shifting back, growth one bucket at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels.compiled import inlined, kernel, natural, whole
from monitor.engine.kernels.state import Table
from monitor.engine.layout import BUCKETS, FAR

ABSENT = -1
FULL = -2
_BUCKET_SHIFT = 56  # BUCKETS is 2**8: the hash's highest bits choose the bucket


@inlined
def mix(key0: Any, key1: Any) -> Any:
    value = (np.uint64(key0) ^ (np.uint64(key1) * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    value ^= value >> np.uint64(31)
    value *= np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(29))


@inlined
def bucket_of(mixed: Any) -> int:
    return whole(mixed >> np.uint64(_BUCKET_SHIFT))


@inlined
def home(mixed: Any, size: int) -> int:
    """The hash's lower 32 bits scaled to the bucket's size, which need not be a power of two."""
    return whole(((mixed & np.uint64(0xFFFFFFFF)) * np.uint64(size)) >> np.uint64(32))


@inlined
def find(table: Table, key0: Any, key1: Any) -> int:
    """The index in `slots`, or ABSENT."""
    return find_mixed(table, key0, key1, mix(key0, key1))


@inlined
def find_mixed(table: Table, key0: Any, key1: Any, mixed: Any) -> int:
    bucket = bucket_of(mixed)
    size = table.size[bucket]
    base = bucket * table.room
    place = home(mixed, size)
    while True:
        index = natural(base + place)
        slot = table.slots[index]
        if slot.state == 0:
            return ABSENT
        if slot.key0 == key0 and slot.key1 == key1:
            return index
        place += 1
        if place == size:
            place = 0


@inlined
def crowded(used: int, size: int) -> bool:
    """Whether a bucket is to grow, while it has room to: over six tenths a search goes on to a third place too often."""
    return 5 * used > 3 * size


@kernel
def enter(table: Table, key0: Any, key1: Any) -> int:
    """A zeroed slot for a key that is not in the table, still of state FREE; or FULL."""
    mixed = mix(key0, key1)
    bucket = bucket_of(mixed)
    if crowded(table.used[bucket] + 1, table.size[bucket]) and not _grow(table, bucket):
        return FULL
    size = table.size[bucket]
    base = bucket * table.room
    place = home(mixed, size)
    while table.slots[base + place].state != 0:
        place += 1
        if place == size:
            place = 0
    table.used[bucket] += 1
    slot = table.slots[base + place]
    slot.key0 = key0
    slot.key1 = key1
    slot.due = FAR
    return base + place


@inlined
def wake(table: Table, bucket: int, index: int, due: int) -> None:
    """The sweep has to look at a slot by `due`, or earlier where that was said before."""
    if due < whole(table.slots[index].due):
        put_off(table, bucket, index, due)


@inlined
def put_off(table: Table, bucket: int, index: int, due: int) -> None:
    """As `wake`, where what was said before is of no account any more."""
    table.slots[index].due = due
    table.due[index] = due
    table.soonest[bucket] = min(whole(table.soonest[bucket]), due)


@kernel
def _grow(table: Table, bucket: int) -> bool:
    """Half as large again, in place; at the end of its room a bucket may fill to 15/16."""
    old = table.size[bucket]
    if old == table.room:
        return 16 * (table.used[bucket] + 1) <= 15 * old
    size = min(old + old // 2, table.room)
    base = bucket * table.room
    for place in range(old):
        table.spare[place] = table.slots[base + place]
        table.spare_background[place] = table.background[base + place]
    empty = table.spare[table.room]
    nothing = table.spare_background[table.room]
    for place in range(old):
        table.slots[base + place] = empty
        table.background[base + place] = nothing
    table.due[base : base + size] = np.uint32(FAR)
    table.size[bucket] = size
    for index in range(old):
        slot = table.spare[index]
        if slot.state == 0:
            continue
        place = home(mix(slot.key0, slot.key1), size)
        while table.slots[base + place].state != 0:
            place += 1
            if place == size:
                place = 0
        table.slots[base + place] = slot
        table.due[base + place] = slot.due
        table.background[base + place] = table.spare_background[index]
    return True


@kernel
def remove(table: Table, bucket: int, place: int) -> None:
    """Frees a place of a bucket; what follows it in its run moves back, so `place` may hold another slot now."""
    size = table.size[bucket]
    base = bucket * table.room
    gap = place
    probe = place
    while True:
        probe += 1
        if probe == size:
            probe = 0
        slot = table.slots[base + probe]
        if slot.state == 0:
            break
        wanted = home(mix(slot.key0, slot.key1), size)
        # May move into the gap unless its home lies cyclically in (gap, probe].
        stays = (gap < wanted <= probe) if gap < probe else (wanted > gap or wanted <= probe)
        if not stays:
            table.slots[base + gap] = slot
            table.due[base + gap] = slot.due
            table.background[base + gap] = table.background[base + probe]
            gap = probe
    table.slots[base + gap] = table.spare[table.room]
    table.due[base + gap] = np.uint32(FAR)
    table.background[base + gap] = table.spare_background[table.room]
    table.used[bucket] -= 1


@inlined
def pair_place(key: Any, places: int) -> int:
    """Where the search for a pair begins."""
    return natural(whole(mix(key, np.uint64(0)) & np.uint64(places - 1)))


@kernel
def pair_code(keys: Any, codes: Any, key: Any, count: int, limit: int) -> int:
    """The code of a pair in a small open-addressed map; a new one gets count + 1; 0 when `limit` are taken.

    A new code is the caller's to count: it is new exactly when it is greater than `count`.
    """
    mask = natural(len(keys) - 1)
    place = pair_place(key, len(keys))
    while keys[place] != 0:
        if keys[place] == key:
            return whole(codes[place])
        place = (place + 1) & mask
    if count + 1 >= limit:
        return 0
    keys[place] = key
    codes[place] = count + 1
    return count + 1


def bucket_of_key(key0: int, key1: int) -> int:
    """As the kernels choose it, for single keys."""
    return int(_bucket(np.uint64(key0), np.uint64(key1)))


@kernel
def _bucket(key0: Any, key1: Any) -> int:
    return bucket_of(mix(key0, key1))


assert BUCKETS == 1 << (64 - _BUCKET_SHIFT)  # noqa: S101 - two constants that must agree
