"""Rows of Arrow columns for the kernels: where each text lies, read from the frame's own buffers and checked there.

The batch comes by Arrow's C data interface, whose structs hold addresses but few sizes: the library has validated
before that each buffer has room for the column's rows, and that the last offset lies in the data. A column is a row of
numbers (`FORM`...): how its texts lie, the addresses of its buffers, and, where the texts are the words of a dictionary,
those of its places. An entry is a word of the dictionary, or a row where there is none. Nothing follows a length, an
offset or a place before it was compared with what it points into; the caller holds the batch meanwhile.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numba import njit

from monitor import packing
from monitor.columns import I64, U8, U16, U32, U64
from monitor.compiling import inlined
from monitor.identity import begin, finish
from monitor.nametable import find_name
from monitor.words import byte_at, half_word_at, is_utf8, whole_word_at, word_at

Codes: TypeAlias = U8 | U16 | U32
# What a column is described by.
FORM, ENTRIES, OFFSET, VALID, PLACES, DATA, SIZE, SIZES = range(8)  # of its texts
INDEX, WIDTH, FIRST, SET = range(
    8, 12
)  # of the rows and their places in a dictionary; WIDTH is 0 where there is none
NULLS: Final = 12  # rows that are null, or not 0 where that is not known
NUMBERS: Final = 13
NONE, OFFSETS, WIDE_OFFSETS, VIEWS = range(4)  # forms
# Of the struct `ArrowArray`: where its members lie.
_LENGTH, _NULL_COUNT, _OFFSET, _COUNT, _BUFFERS, _CHILDREN, _DICTIONARY = 0, 8, 16, 24, 40, 48, 56

ODD: Final = -1  # the batch is not to be taken this way
UNKNOWN: Final = 0xFFFFFFFF  # the code of a name that has none yet, and of a word that is none
_INLINE: Final = 12  # bytes
_NO_ASCII: Final = np.uint64(0x8080808080808080)
_HALF: Final = np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True, inline="always")
def whole_at(address: int, place: int) -> int:
    return int(np.int64(whole_word_at(address, place)))


@njit(cache=True, nogil=True)
def describe(batch: int, wanted: I64, out: I64) -> bool:
    """`wanted`: the number of each column in the batch (-1: it is not there), its form, the width of its places.

    False for a batch that begins in the middle of its columns, or lacks a buffer.
    """
    if whole_at(batch, _OFFSET) != 0:
        return False
    for row in range(len(wanted)):
        out[row, :] = 0
        if wanted[row, 0] < 0:
            continue
        array = whole_at(whole_at(batch, _CHILDREN), 8 * wanted[row, 0])
        out[row, NULLS] = whole_at(array, _NULL_COUNT)
        if wanted[row, 2]:
            buffers = whole_at(array, _BUFFERS)
            out[row, INDEX], out[row, WIDTH], out[row, FIRST] = (
                whole_at(buffers, 8),
                wanted[row, 2],
                whole_at(array, _OFFSET),
            )
            out[row, SET] = whole_at(buffers, 0) if whole_at(array, _NULL_COUNT) else 0
            array = whole_at(array, _DICTIONARY)
        else:
            out[row, INDEX] = out[row, FIRST] = whole_at(array, _OFFSET)
            out[row, SET] = whole_at(whole_at(array, _BUFFERS), 0) if whole_at(array, _NULL_COUNT) else 0
        form, buffers, last = (
            wanted[row, 1],
            whole_at(array, _BUFFERS),
            whole_at(array, _LENGTH) + whole_at(array, _OFFSET),
        )
        out[row, FORM], out[row, ENTRIES], out[row, OFFSET] = (
            form,
            whole_at(array, _LENGTH),
            whole_at(array, _OFFSET),
        )
        out[row, VALID] = whole_at(buffers, 0) if whole_at(array, _NULL_COUNT) else 0
        out[row, PLACES], out[row, DATA] = whole_at(buffers, 8), whole_at(buffers, 16)
        if (out[row, ENTRIES] and not out[row, PLACES]) or (wanted[row, 2] and not out[row, INDEX]):
            return False
        if form == VIEWS:  # the addresses of the buffers behind them, and their sizes in the last one
            out[row, DATA], out[row, SIZE] = buffers + 16, whole_at(array, _COUNT) - 3
            out[row, SIZES] = whole_at(buffers, 8 * whole_at(array, _COUNT) - 8)
        elif out[row, ENTRIES] and form == OFFSETS:
            out[row, SIZE] = int(np.int64(np.int32(half_word_at(out[row, PLACES], 4 * last))))
        elif out[row, ENTRIES]:
            out[row, SIZE] = whole_at(out[row, PLACES], 8 * last)
    return True


@njit(cache=True, nogil=True)
def moments(batch: int, column: int, each: int, low: int, high: int, out: I64) -> bool:
    """Times in milliseconds, 0 where null; `each`: units a millisecond. False where one is not in `low`..`high`."""
    array = whole_at(whole_at(batch, _CHILDREN), 8 * column)
    buffers, offset = whole_at(array, _BUFFERS), whole_at(array, _OFFSET)
    valid, data = whole_at(buffers, 0) if whole_at(array, _NULL_COUNT) else 0, whole_at(buffers, 8)
    return bool(times_of(valid, data, offset, each, low, high, out))


@njit(cache=True, nogil=True)
def times_of(valid: int, data: int, offset: int, each: int, low: int, high: int, out: I64) -> bool:
    """As `moments`, of a column whose bits and times lie at these addresses."""
    fine = data != 0
    for row in range(len(out) if fine else 0):
        moment = whole_at(data, 8 * (offset + row))
        if each != 1:  # to divide takes as long as all else
            moment //= each
        if not is_set(valid, offset + row):
            moment = 0
        elif moment < low or moment >= high:
            fine = False
        out[row] = moment
    return fine


@njit(cache=True, nogil=True, inline="always")
def is_set(bits: int, place: int) -> bool:
    """Of a bitmap; where there is none, nothing is null."""
    return bits == 0 or byte_at(bits, place >> 3) >> (place & 7) & 1 == 1


@njit(cache=True, nogil=True, inline="always")
def signed(half: np.uint64) -> int:
    return int(np.int64(np.int32(np.uint32(half))))


@njit(cache=True, nogil=True, inline="always")
def _is_padded(low: np.uint64, high: np.uint64, length: int) -> bool:
    """Whether there are zeros behind a text that stands in its view; the closer look decides about anything else."""
    if length >= 4:
        return length == _INLINE or high >> np.uint64(8 * (length - 4)) == 0
    return length >= 0 and high == 0 and low >> np.uint64(32 + 8 * length) == 0


@njit(cache=True, nogil=True, inline="always")
def text_of(
    form: int, places: int, last: int, data: int, size: int, sizes: int, entry: int
) -> tuple[int, int, int, int]:
    """Address and size of what holds the text, and where in it; it begins at -1 where it is outside.

    `last`: how many places there are. Of views, `data` and `sizes` are tables of `size` buffers.
    """
    if form == VIEWS:
        low, high = whole_word_at(places, 16 * entry), whole_word_at(places, 16 * entry + 8)
        length = signed(low & _HALF)
        if length <= _INLINE:
            start = 16 * entry + 4
            return places, 16 * last, start if _is_padded(low, high, length) else -1, start + length
        buffer, start = signed(high & _HALF), signed(high >> np.uint64(32))
        if buffer < 0 or buffer >= size or start < 0:
            return data, 0, -1, -1
        room = whole_at(sizes, 8 * buffer)
        if start + length > room:
            return data, 0, -1, -1
        return whole_at(data, 8 * buffer), room, start, start + length
    if form == OFFSETS:
        both = whole_word_at(places, 4 * entry)
        start, end = signed(both & _HALF), signed(both >> np.uint64(32))
    else:
        start, end = whole_at(places, 8 * entry), whole_at(places, 8 * entry + 8)
    if start < 0 or end < start or end > size:
        return data, 0, -1, -1
    return data, size, start, end


@njit(cache=True, nogil=True, inline="always")
def entry_of(index: int, width: int, row: int) -> int:
    """The place of a row in the dictionary; negative ones are beyond every dictionary. Where there is none, `index` is
    the first row.
    """
    if width == 4:
        return int(np.int64(half_word_at(index, 4 * row)))
    if width == 0:
        return row - index
    if width == 8:
        return whole_at(index, 8 * row)
    return int(np.int64(word_at(index, width * row + width, width * row, width)))


@inlined
def _is_utf8(text: int, size: int, start: int, end: int) -> bool:
    """Short texts of ASCII, which most are, need no call."""
    if end - start <= 8 and word_at(text, size, start, end - start) & _NO_ASCII == 0:
        return True
    return bool(is_utf8(text, size, start, end))


@njit(cache=True, nogil=True)
def entry_codes(column: I64, most: int, names: I64, codes: U32) -> bool:
    """The code of each entry's name: 0 where it is empty, `UNKNOWN` where it has none. False where one is not to be taken.

    `names`: `Interner.whereabouts`.
    """
    form, places, data, size, sizes = column[FORM], column[PLACES], column[DATA], column[SIZE], column[SIZES]
    offset, valid, every = column[OFFSET], column[VALID], column[OFFSET] + column[ENTRIES]
    table, mask, known, known_size, bounds = names[0], np.uint64(names[1]), names[2], names[3], names[4]
    for entry in range(len(codes)):
        codes[entry] = 0
        given = is_set(valid, offset + entry)
        if not given and form == VIEWS:
            continue
        text, room, start, end = text_of(form, places, every, data, size, sizes, offset + entry)
        if start < 0 or end - start > most:
            return False
        if start == end or not given:
            continue
        code = find_name(text, room, start, end, table, mask, known, known_size, bounds)
        if code == 0:
            if not is_utf8(text, room, start, end):
                return False
            code = np.uint64(UNKNOWN)
        codes[entry] = code
    return True


@njit(cache=True, nogil=True)
def row_codes(column: I64, most: int, names: I64, numbers: U32, absent: int, out: U32) -> int:
    """The code of each row's name: 0 where it is empty, `UNKNOWN` where it has none, `absent` where it is null.

    Where there are `numbers` it is the number of its code, the first one also for what is not known. The highest of all,
    or `ODD` where a place is beyond the entries, or a text longer than `most`, no UTF-8 or outside its buffer.
    """
    codes = np.empty(column[ENTRIES], np.uint32)
    if not entry_codes(column, most, names, codes):
        return ODD
    if len(numbers):
        for entry in range(len(codes)):
            codes[entry] = numbers[codes[entry] if codes[entry] != np.uint32(UNKNOWN) else np.uint32(0)]
    return int(spread(column, codes, absent, out))


@njit(cache=True, nogil=True)
def spread(column: I64, codes: U32, absent: int, out: Codes) -> int:
    """To each row the code of its entry, `absent` where it is null; the highest, or `ODD` for a place beyond the entries."""
    index, width, first, valid = column[INDEX], column[WIDTH], column[FIRST], column[SET]
    entries, highest = len(codes), np.uint32(0)
    for row in range(len(out)):
        code = np.uint32(absent)
        if is_set(valid, first + row):
            entry = entry_of(index, width, first + row)
            if entry < 0 or entry >= entries:
                return ODD
            code = codes[np.uint64(entry)]
        highest = max(highest, code)
        out[row] = code
    return int(np.int64(highest))


@njit(cache=True, nogil=True)
def pack_numbers(column: I64, most: int, key0: U64, key1: U64, slow: I64) -> int:
    """Keys of tracking numbers; those that base 40 cannot take have their rows in `slow`. How many, or `ODD`.

    It is odd where a number is absent, longer than `most`, no UTF-8 or outside its buffer.
    """
    form, places, data, size, sizes = column[FORM], column[PLACES], column[DATA], column[SIZE], column[SIZES]
    offset, valid = column[OFFSET], column[VALID]
    index, width, first, entries = column[INDEX], column[WIDTH], column[FIRST], column[ENTRIES]
    misses = 0
    for row in range(len(key0)):
        entry = entry_of(index, width, first + row)
        if entry < 0 or entry >= entries or not is_set(valid, offset + entry):
            return ODD
        text, room, start, end = text_of(form, places, offset + entries, data, size, sizes, offset + entry)
        if start < 0 or end == start or end - start > most:
            return ODD
        key0[row], key1[row] = packing.pack_text(text, room, start, end)
        if key0[row] == 0:
            if not is_utf8(text, room, start, end):
                return ODD
            slow[misses] = row
            misses += 1
    return misses


@njit(cache=True, nogil=True)
def _begun(column: I64) -> U64:
    """The hash so far after the source of each entry that `row_codes` has looked at; the last one after none."""
    form, places, data, size, sizes = column[FORM], column[PLACES], column[DATA], column[SIZE], column[SIZES]
    offset, last = column[OFFSET], column[ENTRIES]
    begun = np.empty(last + 1, np.uint64)
    begun[last] = begin(0, 0, 0)
    for entry in range(last):
        begun[entry] = begun[last]
        if is_set(column[VALID], offset + entry):
            text, _, start, end = text_of(form, places, offset + last, data, size, sizes, offset + entry)
            begun[entry] = begin(text, start, end)
    return begun


@njit(cache=True, nogil=True)
def identify(column: I64, source: I64, most: int, out: U64) -> bool:
    """Each row's identity; False where an event id is absent, longer than `most`, no UTF-8 or outside its buffer.

    `row_codes` has looked at the places of `source`.
    """
    begun = _begun(source)
    form, places, data, size, sizes = column[FORM], column[PLACES], column[DATA], column[SIZE], column[SIZES]
    offset, valid = column[OFFSET], column[VALID]
    index, width, first, entries = column[INDEX], column[WIDTH], column[FIRST], column[ENTRIES]
    origins, wide, before, given = source[INDEX], source[WIDTH], source[FIRST], source[SET]
    last = len(begun) - 1
    for row in range(len(out)):
        entry = entry_of(index, width, first + row)
        if entry < 0 or entry >= entries or not is_set(valid, offset + entry):
            return False
        text, room, start, end = text_of(form, places, offset + entries, data, size, sizes, offset + entry)
        if start < 0 or end == start or end - start > most or not _is_utf8(text, room, start, end):
            return False
        origin = last
        if last and is_set(given, before + row):
            origin = entry_of(origins, wide, before + row)
        out[row] = finish(begun[np.uint64(origin)], text, start, end)
    return True


def warm() -> None:
    """Compiles all of it, without the library whose batches it reads."""
    buffers, array, batch = np.zeros(2, np.int64), np.zeros(10, np.int64), np.zeros(10, np.int64)
    children = np.array([array.ctypes.data], np.int64)
    array[_BUFFERS // 8], batch[_CHILDREN // 8] = buffers.ctypes.data, children.ctypes.data
    texts = np.zeros((1, NUMBERS), np.int64)
    describe(batch.ctypes.data, np.array([[-1, NONE, 0]]), texts)
    moments(batch.ctypes.data, 0, 1, 0, 0, np.zeros(0, np.int64))
    column, codes, keys = texts[0], np.zeros(0, np.uint32), np.zeros(0, np.uint64)
    row_codes(column, 0, np.zeros(5, np.int64), codes, 0, codes)
    pack_numbers(column, 0, keys, keys, np.zeros(0, np.int64))
    identify(column, column, 0, keys)
