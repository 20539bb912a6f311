"""The hash table of an interner, as the kernels see it: open addressed, two words a slot, so that a look costs one miss.

The first word of a slot is the first eight bytes of its name; the second has the code in its lower and the length in
its upper half, 0 where the slot is free. What is longer than eight bytes is compared with the name itself: name c lies
in `arena[ends[c - 1]:ends[c]]`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from monitor.columns import I32, I64, U8, U32, U64
from monitor.words import hash_text, same_text, word_at


@njit(cache=True, nogil=True)
def find_names(
    buffer: U8, starts: I32, ends: I32, slots: U64, arena: U8, name_ends: I64, codes: U32, slow: I64
) -> int:
    """Codes of the texts `buffer[start:end]`; one that has none gets 0 and its row in `slow`. Empty is absent: 0.

    Returns how many rows `slow` holds.
    """
    text, size = buffer.ctypes.data, len(buffer)
    known, room = arena.ctypes.data, len(arena)
    mask = np.uint64(len(slots) // 2 - 1)
    misses = 0
    for row in range(len(starts)):
        start, end = int(starts[row]), int(ends[row])
        codes[row] = 0
        if start == end:
            continue
        length = end - start
        head = word_at(text, size, start, min(length, 8))
        place = hash_text(text, size, start, end) & mask
        while True:
            tail = slots[2 * place + 1]
            if tail == 0:
                slow[misses] = row
                misses += 1
                break
            if slots[2 * place] == head and tail >> np.uint64(32) == length:
                code = tail & np.uint64(0xFFFFFFFF)
                begin = name_ends[code - 1]
                if length <= 8 or same_text(known, room, begin + 8, text, size, start + 8, length - 8):
                    codes[row] = code
                    break
            place = (place + np.uint64(1)) & mask
    return misses


@njit(cache=True, nogil=True)
def enter_name(code: int, slots: U64, arena: U8, ends: I64) -> None:
    known, room = arena.ctypes.data, len(arena)
    start, end = ends[code - 1], ends[code]
    mask = np.uint64(len(slots) // 2 - 1)
    place = hash_text(known, room, start, end) & mask
    while slots[2 * place + 1] != 0:
        place = (place + np.uint64(1)) & mask
    slots[2 * place] = word_at(known, room, start, min(end - start, 8))
    slots[2 * place + 1] = np.uint64(code) | np.uint64(end - start) << np.uint64(32)


@njit(cache=True, nogil=True)
def enter_names(count: int, slots: U64, arena: U8, ends: I64) -> None:
    for code in range(1, count + 1):
        enter_name(code, slots, arena, ends)
