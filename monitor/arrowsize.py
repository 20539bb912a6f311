"""What opening an Arrow IPC stream would take, read from its messages before anything of it is opened.

`pyarrow` allocates what a compressed buffer says it unfolds to, concatenates dictionaries that come in pieces once
for each batch behind a piece, and believes a batch's number of rows where no column has a byte. None of it has a
limit there, so a frame of some kilobytes could take all memory. The messages are read as the library reads them
(little-endian flatbuffers); what cannot be followed inside the frame is damaged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from monitor.columns import U8
from monitor.words import word_at

DAMAGED: Final = -1
BEYOND: Final = 2**62  # bytes; larger numbers are no sizes
_CONTINUES: Final = 0xFFFFFFFF
_DICTIONARY, _BATCH = 2, 3  # kinds of messages with columns in them


def unfolded(data: bytes) -> tuple[int, int]:
    """Bytes that opening takes beside the frame itself, or `DAMAGED`; and the most rows that have less than a byte each.

    The rows of a nested column count like those of a batch.
    """
    return _unfolded(np.frombuffer(data, np.uint8))


@njit(cache=True, nogil=True)
def _number(text: int, size: int, place: int, count: int) -> int:
    """Of `count` bytes; 0 outside the frame, where the library finds a damaged message itself."""
    if place < 0 or place + count > size:
        return 0
    return int(np.int64(word_at(text, size, place, count)))


@njit(cache=True, nogil=True)
def _field(text: int, size: int, table: int, number: int) -> int:
    """Where a field of a table lies; 0 where the table has none."""
    names = table - int(np.int32(_number(text, size, table, 4)))
    if 4 + 2 * number >= _number(text, size, names, 2):
        return 0
    offset = _number(text, size, names + 4 + 2 * number, 2)
    return table + offset if offset else 0


@njit(cache=True, nogil=True)
def _follow(text: int, size: int, field: int) -> int:
    return field + _number(text, size, field, 4) if field else 0


@njit(cache=True, nogil=True)
def _rows(text: int, size: int, batch: int) -> int:
    """Of the batch or of a nested column, whichever has most."""
    field, nodes = _field(text, size, batch, 0), _follow(text, size, _field(text, size, batch, 1))
    most = _number(text, size, field, 8) if field else 0
    count = _number(text, size, nodes, 4) if nodes else 0
    for node in range(min(count, size // 16)):
        most = max(most, _number(text, size, nodes + 4 + 16 * node, 8))
    return most


@njit(cache=True, nogil=True)
def _columns(text: int, size: int, batch: int, body: int) -> tuple[int, int]:
    """The bytes of all buffers once unfolded, and how many of them have to be allocated."""
    buffers = _follow(text, size, _field(text, size, batch, 2))
    packed = _field(text, size, batch, 3) > 0
    count = _number(text, size, buffers, 4) if buffers else 0
    if count > size // 16:
        return DAMAGED, DAMAGED
    every, fresh = 0, 0
    for buffer in range(count):
        place = buffers + 4 + 16 * buffer
        length = _number(text, size, place + 8, 8)
        if packed and length > 0:
            plain = _number(text, size, body + _number(text, size, place, 8), 8)
            if plain != -1:  # else it is left as it was
                length = plain
                fresh += plain
        if length < 0 or length > BEYOND or every > BEYOND:
            return DAMAGED, DAMAGED
        every += length
    return every, fresh


@njit(cache=True, nogil=True)
def _unfolded(data: U8) -> tuple[int, int]:
    text, size = data.ctypes.data, len(data)
    place, total, hollow, words = 0, 0, 0, 0
    pieces = False
    while place < size:
        length = _number(text, size, place, 4)
        if length == _CONTINUES:
            place += 4
            length = _number(text, size, place, 4)
        place += 4
        if length == 0 and place <= size:
            return total, hollow
        message = _follow(text, size, place)
        body = place + length
        field = _field(text, size, message, 3)
        bytes_ = _number(text, size, field, 8) if field else 0
        if body > size or bytes_ < 0 or bytes_ > size - body:
            return DAMAGED, 0
        field = _field(text, size, message, 1)
        kind = _number(text, size, field, 1) if field else 0
        table = _follow(text, size, _field(text, size, message, 2))
        if kind == _DICTIONARY:
            table, flag = _follow(text, size, _field(text, size, table, 1)), _field(text, size, table, 2)
            every, fresh = _columns(text, size, table, body)
            pieces = pieces or (flag > 0 and _number(text, size, flag, 1) != 0)
            words += every
        elif kind == _BATCH:
            every, fresh = _columns(text, size, table, body)
            if pieces:
                total += words
                pieces = False
        else:
            every, fresh = 0, 0
        if every < 0:
            return DAMAGED, 0
        rows = _rows(text, size, table) if kind in (_DICTIONARY, _BATCH) else 0
        hollow = max(hollow, rows if rows > every else 0)
        total += fresh
        if total > BEYOND:
            return BEYOND, hollow
        place = body + bytes_
    return total, hollow
