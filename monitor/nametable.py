"""The hash table of an interner, as the kernels see it: open addressed, two words a slot, so that a look costs one miss.

The first word of a slot is the first eight bytes of its name; the second has the code in its lower and the length in
its upper half, 0 where the slot is free. What is longer than eight bytes is compared with the name itself: name c lies
in `arena[ends[c - 1]:ends[c]]`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from monitor.columns import I32, I64, U8, U32, U64
from monitor.compiling import inlined
from monitor.words import AHEAD, hash_text, hash_word, prefetch, same_text, whole_word_at, word_at


@njit(cache=True, nogil=True)
def find_name(
    text: int, size: int, start: int, end: int, slots: int, mask: np.uint64, known: int, room: int, ends: int
) -> np.uint64:
    """The code of the text that is not empty; 0 where it has none.

    `slots`, `known` (the arena, of `room` bytes) and `ends` are addresses; the caller holds the arrays.
    """
    length = end - start
    head = word_at(text, size, start, min(length, 8))
    place = hash_text(text, size, start, end) & mask
    while True:
        slot = int(np.int64(place)) * 16
        tail = whole_word_at(slots, slot + 8)
        if tail == 0:
            return np.uint64(0)
        if whole_word_at(slots, slot) == head and tail >> np.uint64(32) == np.uint64(length):
            code = tail & np.uint64(0xFFFFFFFF)
            if length <= 8:
                return code
            begin = int(np.int64(whole_word_at(ends, int(np.int64(code)) * 8 - 8)))
            if same_text(known, room, begin + 8, text, size, start + 8, length - 8):
                return code
        place = (place + np.uint64(1)) & mask


@inlined
def glance(text: int, size: int, start: int, end: int, slots: int, mask: np.uint64) -> np.uint64:
    """The code of a short text that stands where it is looked for first, as most do; else 0, which says nothing."""
    length = end - start
    if length > 8:
        return np.uint64(0)
    head = word_at(text, size, start, length)
    slot = int(np.int64(hash_word(head, length) & mask)) * 16
    tail = whole_word_at(slots, slot + 8)
    if whole_word_at(slots, slot) == head and tail >> np.uint64(32) == np.uint64(length):
        return tail & np.uint64(0xFFFFFFFF)
    return np.uint64(0)


@njit(cache=True, nogil=True)
def find_names(
    buffer: U8, starts: I32, ends: I32, slots: U64, arena: U8, name_ends: I64, codes: U32, slow: I64
) -> int:
    """Codes of the texts `buffer[start:end]`; one that has none gets 0 and its row in `slow`. Empty is absent: 0.

    Returns how many rows `slow` holds.
    """
    text, size = buffer.ctypes.data, len(buffer)
    known, room = arena.ctypes.data, len(arena)
    table, bounds = slots.ctypes.data, name_ends.ctypes.data
    mask = np.uint64(len(slots) // 2 - 1)
    misses, rows = 0, len(starts)
    for row in range(rows):
        prefetch(text + int(starts[min(row + AHEAD, rows - 1)]))
        start, end = int(starts[row]), int(ends[row])
        codes[row] = 0
        if start == end:
            continue
        code = find_name(text, size, start, end, table, mask, known, room, bounds)
        codes[row] = code
        if code == 0:
            slow[misses] = row
            misses += 1
    return misses


@njit(cache=True, nogil=True)
def enter_names(first: int, last: int, slots: U64, arena: U8, ends: I64) -> None:
    """All codes from `first` to `last`; there are four numbers of `slots` for each."""
    known, room = arena.ctypes.data, len(arena)
    mask = np.uint64(len(slots) // 2 - 1)
    for code in range(first, last + 1):
        start, end = ends[code - 1], ends[code]
        place = hash_text(known, room, start, end) & mask
        while slots[2 * place + 1] != 0:
            place = (place + np.uint64(1)) & mask
        slots[2 * place] = word_at(known, room, start, min(end - start, 8))
        slots[2 * place + 1] = np.uint64(code) | np.uint64(end - start) << np.uint64(32)
