"""Tracking numbers as two 64-bit words, exactly and reversibly: base 40, twelve characters a word.

The digits are 0 (nothing), 1..10 for 0-9, 11..36 for A-Z, then `-`, `_`, `/`; the first character is the highest
digit of the first word. A word whose highest digit is 0 cannot begin a packed number, so keys of orders put the
0 there and have 23 characters. 40**12 is below 2**64: the words above it are free for hashed keys (`monitor.names`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from monitor.columns import I32, I64, U8, U64

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
                value = digit[buffer[place]]
                illegal |= value
                first = first * np.uint64(BASE) + np.uint64(value)
            for place in range(middle, end):
                value = digit[buffer[place]]
                illegal |= value
                second = second * np.uint64(BASE) + np.uint64(value)
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
