"""Tracking numbers as two 64-bit words, exactly and reversibly: base 40, twelve characters a word.

The digits are 0 (nothing), 1..10 for 0-9, 11..36 for A-Z, then `-`, `_`, `/`; the first character is the highest
digit of the first word. A word whose highest digit is 0 cannot begin a packed number, so keys of orders put the
0 there and have 23 characters. 40**12 is below 2**64: the words above it are free for hashed keys (`monitor.names`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from monitor.columns import I32, I64, U8, U64
from monitor.words import hash_text, same_text

BASE: Final = 40
WORD: Final = 12
LONGEST: Final = 2 * WORD
HASHED: Final = BASE**WORD  # the first word of every hashed key is at least this
ORDERS: Final = BASE ** (WORD - 1)  # the first word of every exact order key is below this
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_/"
ILLEGAL: Final = 255


def _digits() -> U8:
    table = np.full(256, ILLEGAL, np.uint8)
    for digit, character in enumerate(ALPHABET, start=1):
        table[ord(character)] = digit
    return table


def _characters() -> U8:
    return np.frombuffer(b"\0" + ALPHABET.encode(), np.uint8).copy()


DIGIT: Final = _digits()
CHARACTER: Final = _characters()
_POWERS: Final = np.array([BASE**power for power in range(WORD + 1)], np.uint64)


@njit(cache=True, nogil=True)
def pack_rows(buffer: U8, starts: I32, ends: I32, digit: U8, key0: U64, key1: U64, slow: I64) -> int:
    """Rows that base 40 cannot take get the key (0, 0) and their index in `slow`; returns how many those are."""
    misses = 0
    for row in range(len(starts)):
        start, end = int(starts[row]), int(ends[row])
        length = end - start
        exact = 0 < length <= LONGEST
        first = np.uint64(0)
        second = np.uint64(0)
        if exact:
            middle = min(start + WORD, end)
            illegal = np.uint8(0)
            for place in range(start, middle):
                illegal |= digit[buffer[place]]
                first = first * np.uint64(BASE) + np.uint64(digit[buffer[place]])
            for place in range(middle, end):
                illegal |= digit[buffer[place]]
                second = second * np.uint64(BASE) + np.uint64(digit[buffer[place]])
            first *= _POWERS[WORD - (middle - start)]
            second *= _POWERS[WORD - (end - middle)]
            exact = illegal != ILLEGAL  # no digits together make it
        if exact:
            key0[row] = first
            key1[row] = second
        else:
            key0[row] = 0
            key1[row] = 0
            slow[misses] = row
            misses += 1
    return misses


@njit(cache=True, nogil=True)
def unpack_rows(key0: U64, key1: U64, character: U8, out: U8) -> None:
    """Fills `out` (rows x 24) from the left, zeros behind; rows with a hashed first word stay zero."""
    digits = np.zeros(LONGEST, np.int64)
    for row in range(len(key0)):
        if key0[row] >= np.uint64(HASHED):
            continue
        for half in range(2):
            word = key0[row] if half == 0 else key1[row]
            for place in range(WORD - 1, -1, -1):
                rest = word // np.uint64(BASE)
                digits[half * WORD + place] = np.int64(word - rest * np.uint64(BASE))
                word = rest
        shift = 1 if digits[0] == 0 else 0  # an order's first character is the missing one
        for place in range(LONGEST - shift):
            out[row, place] = character[digits[place + shift]]


@njit(cache=True, nogil=True)
def find_names(
    buffer: U8,
    starts: I32,
    ends: I32,
    table: npt.NDArray[np.uint32],
    arena: U8,
    name_ends: I64,
    codes: npt.NDArray[np.uint32],
    slow: I64,
) -> int:
    """Codes of interned names; a name that is not in the table gets 0 and its row in `slow`. Empty is absent: 0.

    `table` is open addressed, holds codes, 0 is free; name c lies in `arena[name_ends[c - 1]:name_ends[c]]`.
    """
    text, size = buffer.ctypes.data, len(buffer)
    known, room = arena.ctypes.data, len(arena)
    mask = len(table) - 1
    misses = 0
    for row in range(len(starts)):
        start, end = int(starts[row]), int(ends[row])
        codes[row] = 0
        if start == end:
            continue
        place = np.int64(hash_text(text, size, start, end) & np.uint64(mask))
        while True:
            code = np.int64(table[place])
            if code == 0:
                slow[misses] = row
                misses += 1
                break
            begin = name_ends[code - 1]
            if name_ends[code] - begin == end - start and same_text(
                known, room, begin, text, size, start, end - start
            ):
                codes[row] = code
                break
            place = (place + 1) & mask
    return misses


@njit(cache=True, nogil=True)
def enter_name(code: int, table: npt.NDArray[np.uint32], arena: U8, ends: I64) -> None:
    mask = len(table) - 1
    place = np.int64(hash_text(arena.ctypes.data, len(arena), ends[code - 1], ends[code]) & np.uint64(mask))
    while table[place] != 0:
        place = (place + 1) & mask
    table[place] = code


@njit(cache=True, nogil=True)
def enter_names(count: int, table: npt.NDArray[np.uint32], arena: U8, ends: I64) -> None:
    for code in range(1, count + 1):
        enter_name(code, table, arena, ends)
