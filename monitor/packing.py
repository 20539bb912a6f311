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
from monitor.words import AHEAD, octet_at, prefetch, word_at

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


def _each(byte: int) -> np.uint64:
    return np.uint64(byte * 0x0101010101010101)


_ZEROS: Final = _each(ord("0"))
_ONES: Final = _each(1)
_HIGH: Final = _each(0x80)
# Added to a byte below 128, they set its highest bit from that character on, or beyond it.
_FROM_0: Final = _each(0x80 - ord("0"))
_BEYOND_9: Final = _each(0x7F - ord("9"))
_FROM_A: Final = _each(0x80 - ord("A"))
_BEYOND_Z: Final = _each(0x7F - ord("Z"))
_BYTES: Final = np.uint64(0x00FF00FF00FF00FF)
_PAIRS: Final = np.uint64(0x0000FFFF0000FFFF)


@njit(cache=True, nogil=True, inline="always")
def _four_by_four(text: int, size: int, place: int, end: int) -> tuple[np.uint64, np.uint64]:
    """Up to eight characters: the number of the first four and of the next four, in the lower and upper half.

    And what is not 0 where one of them is neither a digit nor a capital letter. All bytes at once: each has room for the
    sums, and each step doubles the room. What is behind the end counts as nothing.
    """
    count = min(max(end - place, 0), 8)
    counted = np.uint64(0) if count == 0 else np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * count)
    word = word_at(text, size, place, count) | (_ZEROS & ~counted)
    digit = (word + _FROM_0) & ~(word + _BEYOND_9)
    letter = (word + _FROM_A) & ~(word + _BEYOND_Z) & _HIGH
    wrong = (word | ~(digit | letter)) & _HIGH
    digits = (word - _ZEROS + _ONES - (letter >> np.uint64(7)) * np.uint64(7)) & counted
    pairs = (digits & _BYTES) * np.uint64(BASE) + (digits >> np.uint64(8) & _BYTES)
    fours = (pairs & _PAIRS) * np.uint64(BASE**2) + (pairs >> np.uint64(16) & _PAIRS)
    return fours, wrong


@njit(cache=True, nogil=True)
def _one_by_one(text: int, start: int, end: int, count: int) -> tuple[np.uint64, bool]:
    """The number of `count` characters, of which those behind the end are nothing; and whether all are legal."""
    value, legal = np.uint64(0), True
    for place in range(start, start + count):
        digit = DIGIT[octet_at(text, place)] if place < end else np.uint8(0)
        legal = legal and digit != ILLEGAL
        value = value * np.uint64(BASE) + np.uint64(digit)
    return value, legal


@njit(cache=True, nogil=True, inline="always")
def pack_text(text: int, size: int, start: int, end: int) -> tuple[np.uint64, np.uint64]:
    """The key of the number from `start` to `end` of `size` bytes; (0, 0) where base 40 cannot take it."""
    if end <= start or end - start > LONGEST:
        return np.uint64(0), np.uint64(0)
    first, wrong = _four_by_four(text, size, start, end)
    second, wrong_too = _four_by_four(text, size, start + 8, end)
    third, also_wrong = np.uint64(0), np.uint64(0)
    if end - start > 16:
        third, also_wrong = _four_by_four(text, size, start + 16, end)
    if wrong | wrong_too | also_wrong:
        high, legal = _one_by_one(text, start, end, WORD)
        low, legal_too = _one_by_one(text, start + WORD, end, WORD)
        return (high, low) if legal and legal_too else (np.uint64(0), np.uint64(0))
    half, up = np.uint64(0xFFFFFFFF), np.uint64(32)
    four = np.uint64(BASE**4)
    high = ((first & half) * four + (first >> up)) * four + (second & half)
    low = ((second >> up) * four + (third & half)) * four + (third >> up)
    return high, low


@njit(cache=True, nogil=True)
def pack_rows(buffer: U8, starts: I32, ends: I32, key0: U64, key1: U64, slow: I64) -> int:
    """Rows that base 40 cannot take get the key (0, 0) and their index in `slow`; returns how many those are."""
    text, size = buffer.ctypes.data, len(buffer)
    misses = 0
    rows = len(starts)
    for row in range(rows):
        prefetch(text + int(starts[min(row + AHEAD, rows - 1)]))
        key0[row], key1[row] = pack_text(text, size, int(starts[row]), int(ends[row]))
        if key0[row] == 0:
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
