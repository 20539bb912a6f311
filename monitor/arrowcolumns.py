"""Arrow arrays as our columns, without copying what lies in the frame already.

The frame comes from outside: what it says of lengths and places is checked against the buffers before anything
follows it. `OddError`: the array has another type than asked for, or points outside its buffers.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from monitor.columns import I32, I64, U8
from monitor.texts import Coded, Column, Texts, absent
from monitor.times import EARLIEST, LATEST
from monitor.words import copy_text

F64: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_PER_SECOND: Final = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_NOTHING: Final = np.frombuffer(b"", np.uint8)
_MOST_BYTES: Final = 2**31 - 1


class OddError(Exception):
    """Not to be taken as a column."""


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def texts(array: pa.Array) -> Texts:
    if pa.types.is_dictionary(array.type):
        return _coded(array)
    if pa.types.is_null(array.type):
        return absent(len(array))
    if pa.types.is_string_view(array.type):
        column = _viewed(array)
    elif pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        column = _offset(array, np.int32 if pa.types.is_string(array.type) else np.int64)
    else:
        raise OddError("no texts")
    if not _is_utf8(column):
        raise OddError("not UTF-8")
    gone = nulls(array)
    return column if gone is None else Column(column.buffer, column.starts, _without(column, gone))


def moments(array: pa.Array) -> I64:
    """Milliseconds of timestamps with a zone, 0 where absent."""
    kind = array.type
    raw = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array)]
    gone = nulls(array)
    if gone is not None:
        raw = np.where(gone, 0, raw)
    each = _PER_SECOND[kind.unit]
    if each == 1:
        # Beyond these it is out of range anyway, and the product would not fit.
        raw = np.clip(raw, EARLIEST // 1000 - 1, LATEST // 1000) * 1000
        return raw if gone is None else np.where(gone, 0, raw)
    return raw // (each // 1000) if each > 1000 else raw


def numbers(array: pa.Array) -> F64:
    """NaN where absent."""
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise OddError("no numbers")
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)


def _bytes(buffer: Any) -> U8:
    return _NOTHING if buffer is None else np.frombuffer(buffer, np.uint8)


def nulls(array: pa.Array) -> Mask | None:
    """Where it is null; None where it never is."""
    if array.null_count == 0:
        return None
    valid = None if pa.types.is_null(array.type) else array.buffers()[0]
    if valid is None:
        return np.ones(len(array), np.bool_)
    first, end = array.offset // 8, (array.offset + len(array) + 7) // 8
    bits = np.unpackbits(np.frombuffer(valid, np.uint8)[first:end], bitorder="little")
    gone: Mask = bits[array.offset - 8 * first :][: len(array)] == 0
    return gone


def _without(column: Column, gone: Mask) -> I32:
    return np.where(gone, column.starts, column.ends)


def _is_utf8(column: Column) -> bool:
    if not len(column.buffer) or int(column.buffer.max()) < 128:
        return True
    try:
        column.buffer.tobytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def _offset(array: pa.Array, width: type[np.int32 | np.int64]) -> Column:
    if not len(array):
        return absent(0)
    _, places, data = array.buffers()
    offsets = np.frombuffer(places, width)[array.offset : array.offset + len(array) + 1]
    buffer, first, last = _bytes(data), int(offsets[0]), int(offsets[-1])
    if not 0 <= first <= last <= len(buffer) or last - first > _MOST_BYTES or (np.diff(offsets) < 0).any():
        raise OddError("offsets beyond the data")
    narrow = (offsets - offsets[0]).astype(np.int32)
    return Column(buffer[first:last], narrow[:-1], narrow[1:])


def _viewed(array: pa.Array) -> Column:
    """Views point into several buffers: the texts are put together."""
    rows = len(array)
    if not rows:
        return absent(0)
    _, views, *rest = array.buffers()
    view = np.frombuffer(views, np.int32)[4 * array.offset : 4 * (array.offset + rows)]
    if (gone := nulls(array)) is not None:
        view = np.where(np.repeat(gone, 4), np.int32(0), view)
        view.flags.writeable = False  # as every other buffer: the kernels are compiled once
    if int(view[::4].max()) <= 12 and int(view[::4].min()) >= 0:  # all stand in the views themselves
        starts = np.arange(4, 16 * rows, 16, dtype=np.int32)
        return Column(view.view(np.uint8), starts, starts + view[::4])
    data = [_bytes(buffer) for buffer in rest]
    addresses = np.array([buffer.ctypes.data for buffer in data], np.int64)
    sizes = np.array([len(buffer) for buffer in data], np.int64)
    ends = np.zeros(rows + 1, np.int32)
    # Rows may share their bytes; a small frame that unfolds to gigabytes is none to be taken in one piece.
    total = _measure(view, sizes, ends, min(_MOST_BYTES, 64 * (view.nbytes + int(sizes.sum()))))
    if total < 0:
        raise OddError("views beyond the data")
    out = np.empty(total + 8, np.uint8)
    _gather(view, addresses, sizes, ends, out)
    out.flags.writeable = False
    return Column(out[:total], ends[:-1], ends[1:])


@njit(cache=True, nogil=True)
def _measure(view: I32, sizes: I64, ends: I32, most: int) -> int:
    """Fills in where each text will end; -1 where a view points outside its buffer or there is too much."""
    total = 0
    for row in range(len(ends) - 1):
        length = int(view[4 * row])
        if length > 12:
            buffer, place = int(view[4 * row + 2]), int(view[4 * row + 3])
            if buffer < 0 or buffer >= len(sizes) or place < 0 or place + length > sizes[buffer]:
                return -1
        total += length
        if length < 0 or total > most:
            return -1
        ends[row + 1] = total
    return total


@njit(cache=True, nogil=True)
def _gather(view: I32, addresses: I64, sizes: I64, ends: I32, out: U8) -> None:
    """`out` has room for eight bytes more than the texts."""
    inline, inline_size, target = view.ctypes.data, 4 * len(view), out.ctypes.data
    for row in range(len(ends) - 1):
        length = int(view[4 * row])
        if length <= 12:
            copy_text(inline, inline_size, 16 * row + 4, target + ends[row], length)
        else:
            buffer = view[4 * row + 2]
            copy_text(addresses[buffer], sizes[buffer], int(view[4 * row + 3]), target + ends[row], length)


def _coded(array: pa.DictionaryArray) -> Coded:
    words = texts(array.dictionary)
    if not isinstance(words, Column):
        raise OddError("words of words")
    indices = array.indices
    width = np.dtype(indices.type.to_pandas_dtype())
    places = np.frombuffer(indices.buffers()[1], width)[indices.offset : indices.offset + len(array)]
    gone = nulls(indices)
    if gone is not None:
        places = np.where(gone, 0, places)
    if len(places) and gone is not None and gone.all():
        return Coded(words, np.full(len(places), -1, np.int32))
    if len(places) and ((width.kind == "i" and int(places.min()) < 0) or int(places.max()) >= len(words)):
        raise OddError("places beyond the words")
    narrow: I32 = places.astype(np.int32)
    if gone is not None:
        narrow[gone] = -1
    return Coded(words, narrow)
