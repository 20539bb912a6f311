"""Where the texts of Arrow arrays lie, checked: nothing follows a length or a place before it was compared."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from monitor.columns import I32, I64, U8
from monitor.words import copy_text, is_ascii

DAMAGED: Final = -1
ELSEWHERE: Final = -2  # some text does not stand in its view
INLINE: Final = 12  # bytes


@njit(cache=True, nogil=True)
def spans_of_offsets(offsets: I64, size: int, starts: I32, ends: I32) -> int:
    """Fills in the rows, counted from the first offset; how many bytes that are, or `DAMAGED`."""
    first, last = offsets[0], offsets[len(offsets) - 1]
    if first < 0 or last < first or last > size or last - first > 2**31 - 1:
        return DAMAGED
    for row in range(len(offsets) - 1):
        if offsets[row + 1] < offsets[row]:
            return DAMAGED
        starts[row], ends[row] = offsets[row] - first, offsets[row + 1] - first
    return int(last - first)


@njit(cache=True, nogil=True)
def spans_of_views(view: I32, starts: I32, ends: I32) -> int:
    """Fills in the rows where all stand in the views (four numbers each); else `ELSEWHERE` or `DAMAGED`."""
    elsewhere = False
    for row in range(len(view) // 4):
        length = view[4 * row]
        if length < 0:
            return DAMAGED
        elsewhere = elsewhere or length > INLINE
        starts[row], ends[row] = 16 * row + 4, 16 * row + 4 + length
    return ELSEWHERE if elsewhere else 4 * len(view)


@njit(cache=True, nogil=True)
def measure(view: I32, sizes: I64, most: int, ends: I32) -> int:
    """Fills in where each text will end and answers how many bytes that are, or `DAMAGED`."""
    total = 0
    for row in range(len(view) // 4):
        length = int(view[4 * row])
        if length > INLINE:
            buffer, place = int(view[4 * row + 2]), int(view[4 * row + 3])
            if buffer < 0 or buffer >= len(sizes) or place < 0 or place + length > sizes[buffer]:
                return DAMAGED
        total += length
        if length < 0 or total > most:
            return DAMAGED
        ends[row] = total
    return total


@njit(cache=True, nogil=True)
def gather(view: I32, addresses: I64, sizes: I64, starts: I32, out: U8) -> None:
    """The texts that `measure` has looked at, one behind the other; `out` has room for eight bytes more."""
    inline, inline_size, target = view.ctypes.data, 4 * len(view), out.ctypes.data
    start = 0
    for row in range(len(view) // 4):
        length = int(view[4 * row])
        starts[row] = start
        if length <= INLINE:
            copy_text(inline, inline_size, 16 * row + 4, target + start, length)
        else:
            buffer = view[4 * row + 2]
            copy_text(addresses[buffer], sizes[buffer], int(view[4 * row + 3]), target + start, length)
        start += length


@njit(cache=True, nogil=True)
def check_places(places: I64, words: int, out: I64) -> bool:
    """Copies the places of dictionary words; False where one is outside the dictionary. -1 is absent."""
    for row in range(len(out)):
        place = int(places[row])
        if place < -1 or place >= words:
            return False
        out[row] = place
    return True


@njit(cache=True, nogil=True)
def all_ascii(buffer: U8) -> bool:
    return is_ascii(buffer.ctypes.data, len(buffer))


def warm() -> None:
    """Compiles all of it, for every type with which it is called: no frame is to wait for that."""
    offsets = np.frombuffer(bytes(16), np.int32)
    view = np.frombuffer(bytes(16), np.int32)
    nothing, starts, ends = np.zeros(0, np.int64), np.zeros(1, np.int32), np.zeros(1, np.int32)
    wide: Any
    for wide in (offsets, np.frombuffer(bytes(16), np.int64)):
        spans_of_offsets(wide[:1], 0, starts, ends)
    checked = np.zeros(1, np.intp)
    spans_of_views(view, starts, ends)
    measure(view, nothing, 0, ends)
    gather(view, nothing, nothing, starts, np.zeros(8, np.uint8))
    for kind in (np.int32, np.uint32, np.int64):
        wide = np.frombuffer(bytes(8), kind)
        check_places(wide[:1], 1, checked)
    check_places(np.zeros(1, np.int64), 1, checked)
    all_ascii(np.frombuffer(b"", np.uint8))
