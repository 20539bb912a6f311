"""The messages of an Arrow IPC stream for the kernels: where the columns of a plain frame lie, read without the library.

To open a frame costs the library some 200 us when its code is out of the caches, whatever the frame holds. A plain one
needs none of that: one batch, nothing compressed, dictionaries whole, columns that are flat (`monitor.arrowlayout`). What
the library would verify is compared here before anything follows it: tables, vectors, buffers and their sizes
(little-endian flatbuffers, places counted from where a message begins). Whatever is not as it mostly is, is left to the library.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from monitor.arrowrows import (
    DATA,
    ENTRIES,
    FIRST,
    FORM,
    INDEX,
    NONE,
    NULLS,
    NUMBERS,
    OFFSETS,
    PLACES,
    SET,
    SIZE,
    SIZES,
    VALID,
    VIEWS,
    WIDTH,
    signed,
    whole_at,
)
from monitor.columns import I64, U8
from monitor.words import byte_at, half_word_at

FLAT: Final = 4  # a form beside those of texts: numbers of one width
LEFT: Final = -1  # to the library
# Of a column: form, bits of a number or a place, row of its dictionary or -1.
COLUMN_FORM, BITS, WORDS = range(3)
SPANS: Final = 2048  # numbers: two for each buffer behind the views of a frame
_CONTINUES: Final = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_VERSION: Final = 4  # of the format: the fifth, which all write since 2020
_ABSENT, _BAD = 0, -1
# What is left to read of a batch: the next node, buffer and count of buffers behind views, and how many of each are left;
# where the body begins and how long it is; the length of the buffer last read; the first free number of the spans.
_NODE, _NODES, _BUFFER, _BUFFERS, _COUNT, _COUNTS, _BODY, _BYTES, _LENGTH, _SPAN = range(10)


@njit(cache=True, nogil=True, inline="always")
def _half(text: int, place: int) -> int:
    return int(np.int64(half_word_at(text, place)))


@njit(cache=True, nogil=True, inline="always")
def _two(text: int, place: int) -> int:
    return int(byte_at(text, place) | byte_at(text, place + 1) << 8)


@njit(cache=True, nogil=True)
def _table(text: int, low: int, high: int, field: int) -> int:
    """The table that a field points to, all of it in `low`..`high`; else `_BAD`."""
    if field <= 0 or field + 4 > high:
        return _BAD
    table = field + _half(text, field)
    if table + 4 > high or (table - low) & 3:
        return _BAD
    names = table - signed(np.uint64(half_word_at(text, table)))
    if names < low or names + 4 > high or (names - low) & 1:
        return _BAD
    size = _two(text, names)
    return table if size >= 4 and not size & 1 and names + size <= high else _BAD


@njit(cache=True, nogil=True)
def _field(text: int, low: int, high: int, table: int, number: int, width: int) -> int:
    """Where a field of a table lies; `_ABSENT` where the table has none, `_BAD` where it lies outside."""
    names = table - signed(np.uint64(half_word_at(text, table)))
    if 4 + 2 * number >= _two(text, names):
        return _ABSENT
    offset = _two(text, names + 4 + 2 * number)
    if offset == 0:
        return _ABSENT
    place = table + offset
    return place if place + width <= high and not (place - low) & (width - 1) else _BAD


@njit(cache=True, nogil=True)
def _vector(text: int, low: int, high: int, field: int, width: int) -> int:
    """Where a vector's length lies; `_BAD` where there is none, or it ends outside."""
    if field <= 0:
        return _BAD
    vector = field + _half(text, field)
    if vector + 4 > high or (vector + 4 - low) & 7:
        return _BAD
    return vector if _half(text, vector) * width <= high - vector - 4 else _BAD


@njit(cache=True, nogil=True)
def _rows(text: int, low: int, high: int, table: int, left: I64) -> int:
    """How many rows a batch has, and `left` what is to be read of it; or `LEFT`."""
    length = _field(text, low, high, table, 0, 8)
    nodes = _vector(text, low, high, _field(text, low, high, table, 1, 4), 16)
    buffers = _vector(text, low, high, _field(text, low, high, table, 2, 4), 16)
    counts = _field(text, low, high, table, 4, 4)
    if min(length, nodes, buffers, counts) == _BAD:
        return LEFT
    if _field(text, low, high, table, 3, 4) != _ABSENT:  # compressed
        return LEFT
    left[_NODE], left[_NODES] = nodes + 4, _half(text, nodes)
    left[_BUFFER], left[_BUFFERS] = buffers + 4, _half(text, buffers)
    left[_COUNT], left[_COUNTS] = 0, 0
    if counts != _ABSENT:
        vector = _vector(text, low, high, counts, 8)
        if vector == _BAD:
            return LEFT
        left[_COUNT], left[_COUNTS] = vector + 4, _half(text, vector)
    rows = whole_at(text, length) if length != _ABSENT else 0
    return rows if 0 <= rows <= left[_BYTES] else LEFT


@njit(cache=True, nogil=True)
def _next_node(text: int, left: I64, rows: int) -> int:
    """How many of the next node's rows are null, of which there are so many; or `LEFT`."""
    if left[_NODES] <= 0 or whole_at(text, left[_NODE]) != rows:
        return LEFT
    nulls = whole_at(text, left[_NODE] + 8)
    left[_NODE] += 16
    left[_NODES] -= 1
    return nulls if 0 <= nulls <= rows else LEFT


@njit(cache=True, nogil=True)
def _next_buffer(text: int, left: I64, least: int) -> int:
    """Where the next buffer begins, of at least so many bytes; or `LEFT`."""
    if left[_BUFFERS] <= 0:
        return LEFT
    place, length = whole_at(text, left[_BUFFER]), whole_at(text, left[_BUFFER] + 8)
    left[_BUFFER] += 16
    left[_BUFFERS] -= 1
    left[_LENGTH] = length
    every = left[_BYTES]
    if place < 0 or place & 7 or length < least or place > every or length > every - place:
        return LEFT
    return int(left[_BODY] + place)


@njit(cache=True, nogil=True)
def _texts(text: int, left: I64, form: int, entries: int, nulls: int, out: I64, spans: I64) -> bool:
    """The next texts as a row of numbers (`monitor.arrowrows`)."""
    valid = _next_buffer(text, left, (entries + 7) // 8 if nulls else 0)
    least = (4 if form == OFFSETS else 8) * (entries + 1) if entries else 0
    if form == VIEWS:
        least = 16 * entries
    places = _next_buffer(text, left, least)
    if min(valid, places) == LEFT:
        return False
    out[FORM], out[ENTRIES], out[PLACES] = form, entries, text + places
    out[VALID] = text + valid if nulls else 0
    if form == VIEWS:
        return _spans(text, left, out, spans)
    data = _next_buffer(text, left, 0)
    if data == LEFT:
        return False
    out[DATA] = text + data
    if entries:
        if form == OFFSETS:
            first, last = _half(text, places), _half(text, places + 4 * entries)
        else:
            first, last = whole_at(text, places), whole_at(text, places + 8 * entries)
        out[SIZE] = last
        return bool(0 <= first <= last <= left[_LENGTH])
    return True


@njit(cache=True, nogil=True)
def _spans(text: int, left: I64, out: I64, spans: I64) -> bool:
    """The buffers behind views: their addresses, then their sizes."""
    if left[_COUNTS] <= 0:
        return False
    count = whole_at(text, left[_COUNT])
    left[_COUNT] += 8
    left[_COUNTS] -= 1
    first = left[_SPAN]
    if count < 0 or count > (len(spans) - first) // 2:
        return False
    for number in range(count):
        place = _next_buffer(text, left, 0)
        if place == LEFT:
            return False
        spans[first + number], spans[first + count + number] = text + place, left[_LENGTH]
    left[_SPAN] = first + 2 * count
    out[DATA], out[SIZE] = spans.ctypes.data + 8 * first, count
    out[SIZES] = spans.ctypes.data + 8 * (first + count)
    return True


@njit(cache=True, nogil=True)
def _column(text: int, left: I64, rows: int, column: I64, words: I64, out: I64, spans: I64) -> bool:
    nulls = _next_node(text, left, rows)
    if nulls == LEFT:
        return False
    out[NULLS] = nulls
    form, bits, number = column[COLUMN_FORM], column[BITS], column[WORDS]
    if form == NONE:
        return True
    if number < 0 and form != FLAT:
        fine = _texts(text, left, form, rows, nulls, out, spans)
        out[SET] = out[VALID]
        return bool(fine)
    valid = _next_buffer(text, left, (rows + 7) // 8 if nulls else 0)
    places = _next_buffer(text, left, (rows * bits + 7) // 8)
    if min(valid, places) == LEFT:
        return False
    if number >= 0:
        if words[number, FORM] == NONE:  # its dictionary has not come
            return False
        out[:] = words[number]
        out[INDEX], out[WIDTH], out[FIRST], out[NULLS] = text + places, bits // 8, 0, nulls
        out[SET] = text + valid if nulls else 0
    else:
        out[FORM], out[DATA], out[VALID] = FLAT, text + places, text + valid if nulls else 0
    return True


@njit(cache=True, nogil=True)
def _dictionary(
    text: int, low: int, high: int, table: int, ids: I64, left: I64, words: I64, spans: I64
) -> bool:
    number, pieces = _field(text, low, high, table, 0, 8), _field(text, low, high, table, 2, 1)
    if min(number, pieces) == _BAD or (pieces != _ABSENT and byte_at(text, pieces) != 0):
        return False
    name = whole_at(text, number) if number != _ABSENT else 0
    batch = _table(text, low, high, _field(text, low, high, table, 1, 4))
    if batch == _BAD:
        return False
    rows = _rows(text, low, high, batch, left)
    if rows < 0:
        return False
    for row in range(len(ids)):
        if ids[row, 0] == name and words[row, FORM] == NONE:
            nulls = _next_node(text, left, rows)
            if nulls == LEFT or not _texts(text, left, ids[row, 1], rows, nulls, words[row], spans):
                return False
            return bool(left[_NODES] == 0 and left[_BUFFERS] == 0 and left[_COUNTS] == 0)
    return False


@njit(cache=True, nogil=True)
def describe(data: U8, head: int, columns: I64, ids: I64, out: I64, spans: I64) -> int:
    """The rows of the one batch behind the schema, whose message has `head` bytes; or `LEFT`.

    `columns`: what the schema says of each (`COLUMN_FORM`...). `ids`: of each dictionary, its number and the form of its
    words. `out`: a row of numbers a column, as `monitor.arrowrows` reads them, and of a flat one `DATA`, `VALID`, `NULLS`.
    `spans` belongs to it.
    """
    text, size, place = data.ctypes.data, len(data), head
    left, words = np.zeros(10, np.int64), np.zeros((len(ids), out.shape[1]), np.int64)
    out[len(columns), :] = 0  # the column that is not there
    found = LEFT
    while place < size:
        if place + 8 > size or _half(text, place) != _CONTINUES:
            return LEFT
        length, low = _half(text, place + 4), place + 8
        if length == 0:
            return found if low == size else LEFT
        high = low + length
        if length & 7 or length < 8 or high > size:
            return LEFT
        message = _table(text, low, high, low)
        kind = _kind(text, low, high, message)
        body = _field(text, low, high, message, 3, 8) if kind != LEFT else _BAD
        if body == _BAD:
            return LEFT
        left[_BODY], left[_BYTES] = high, whole_at(text, body) if body != _ABSENT else 0
        if left[_BYTES] < 0 or left[_BYTES] & 7 or left[_BYTES] > size - high:
            return LEFT
        table = _table(text, low, high, _field(text, low, high, message, 2, 4))
        if table == _BAD or found != LEFT:
            return LEFT
        if kind == _DICTIONARY:
            if not _dictionary(text, low, high, table, ids, left, words, spans):
                return LEFT
        else:
            found = _rows(text, low, high, table, left)
            if found == LEFT:
                return LEFT
            for column in range(len(columns)):
                out[column, :] = 0
                if not _column(text, left, found, columns[column], words, out[column], spans):
                    return LEFT
            if left[_NODES] != 0 or left[_BUFFERS] != 0 or left[_COUNTS] != 0:
                return LEFT
        place = int(high + left[_BYTES])
    return found


@njit(cache=True, nogil=True)
def _kind(text: int, low: int, high: int, message: int) -> int:
    """`_DICTIONARY` or `_BATCH`, of a message as it mostly is; else `LEFT`."""
    if message == _BAD or _field(text, low, high, message, 4, 4) != _ABSENT:
        return LEFT
    version, kind = _field(text, low, high, message, 0, 2), _field(text, low, high, message, 1, 1)
    if version <= 0 or kind <= 0 or _two(text, version) != _VERSION:
        return LEFT
    found = int(byte_at(text, kind))
    return found if found in (_DICTIONARY, _BATCH) else LEFT


@njit(cache=True, nogil=True)
def dictionaries_of(data: U8, out: I64) -> int:
    """The numbers of the dictionaries of a schema's columns, -1 where a column has none; how long its message is.

    The library has read the schema before; `LEFT` where it is written in an older way, or has other columns.
    """
    text, size = data.ctypes.data, len(data)
    if size < 16 or _half(text, 0) != _CONTINUES:
        return LEFT
    low, high = 8, 8 + _half(text, 4)
    if high > size or high & 7:
        return LEFT
    message = _table(text, low, high, low)
    if message == _BAD:
        return LEFT
    body, kind = _field(text, low, high, message, 3, 8), _field(text, low, high, message, 1, 1)
    if kind <= 0 or byte_at(text, kind) != _SCHEMA or (body > 0 and whole_at(text, body) != 0):
        return LEFT
    schema = _table(text, low, high, _field(text, low, high, message, 2, 4))
    fields = _field(text, low, high, schema, 1, 4) if schema != _BAD else _BAD
    order = _field(text, low, high, schema, 0, 2) if schema != _BAD else _BAD
    # Where the highest byte comes first, the order of bytes is stated.
    if fields <= 0 or order == _BAD or (order != _ABSENT and _two(text, order) != 0):
        return LEFT
    vector = fields + _half(text, fields)
    if vector + 4 > high or _half(text, vector) != len(out) or vector + 4 + 4 * len(out) > high:
        return LEFT
    for number in range(len(out)):
        out[number] = -1
        field = _table(text, low, high, vector + 4 + 4 * number)
        if field == _BAD:
            return LEFT
        place = _field(text, low, high, field, 4, 4)
        if place != _ABSENT:
            encoding = _table(text, low, high, place)
            name = _field(text, low, high, encoding, 0, 8) if encoding != _BAD else _BAD
            if name == _BAD:
                return LEFT
            out[number] = whole_at(text, name) if name != _ABSENT else 0
    return high


def warm() -> None:
    """Compiles all of it."""
    data = np.frombuffer(b"", np.uint8)
    tables = np.zeros((0, 3), np.int64)
    describe(data, 0, tables, tables, np.zeros((1, NUMBERS), np.int64), np.zeros(0, np.int64))
    dictionaries_of(data, np.zeros(0, np.int64))
