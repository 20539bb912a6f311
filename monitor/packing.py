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

from monitor.columns import I64, U8, U64

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


@njit(cache=True, nogil=True)
def pack_rows(buffer: U8, offsets: I64, digit: U8, key0: U64, key1: U64, slow: I64) -> int:
    """Rows that base 40 cannot take get the key (0, 0) and their index in `slow`; returns how many those are."""
    misses = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        length = end - start
        exact = 0 < length <= LONGEST
        first = np.uint64(0)
        second = np.uint64(0)
        if exact:
            for place in range(LONGEST):
                value = np.uint64(0)
                if place < length:
                    code = digit[buffer[start + place]]
                    if code == ILLEGAL:
                        exact = False
                        break
                    value = np.uint64(code)
                if place < WORD:
                    first = first * np.uint64(BASE) + value
                else:
                    second = second * np.uint64(BASE) + value
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
def hash_bytes(buffer: U8, start: int, end: int) -> np.uint64:
    """FNV-1a with a finisher: of names, which are short; not against an adversary (hits are compared)."""
    value = np.uint64(0xCBF29CE484222325)
    for place in range(start, end):
        value = (value ^ np.uint64(buffer[place])) * np.uint64(0x100000001B3)
    value ^= value >> np.uint64(29)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def find_names(
    buffer: U8,
    offsets: I64,
    table: npt.NDArray[np.uint32],
    arena: U8,
    ends: I64,
    codes: npt.NDArray[np.uint32],
    slow: I64,
) -> int:
    """Codes of interned names; a name that is not in the table gets 0 and its row in `slow`. Empty is absent: 0.

    `table` is open addressed, holds codes, 0 is free; name c lies in `arena[ends[c - 1]:ends[c]]`.
    """
    mask = len(table) - 1
    misses = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        codes[row] = 0
        if start == end:
            continue
        place = np.int64(hash_bytes(buffer, start, end) & np.uint64(mask))
        while True:
            code = np.int64(table[place])
            if code == 0:
                slow[misses] = row
                misses += 1
                break
            begin = ends[code - 1]
            same = ends[code] - begin == end - start
            if same:
                for step in range(end - start):
                    if arena[begin + step] != buffer[start + step]:
                        same = False
                        break
            if same:
                codes[row] = code
                break
            place = (place + 1) & mask
    return misses


@njit(cache=True, nogil=True)
def enter_name(code: int, table: npt.NDArray[np.uint32], arena: U8, ends: I64) -> None:
    mask = len(table) - 1
    place = np.int64(hash_bytes(arena, ends[code - 1], ends[code]) & np.uint64(mask))
    while table[place] != 0:
        place = (place + 1) & mask
    table[place] = code


@njit(cache=True, nogil=True)
def enter_names(count: int, table: npt.NDArray[np.uint32], arena: U8, ends: I64) -> None:
    for code in range(1, count + 1):
        enter_name(code, table, arena, ends)
