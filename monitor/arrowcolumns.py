"""Arrow arrays as our columns, without copying what lies in the frame already.

The frame comes from outside: what it says of lengths and places is checked against the buffers before anything
follows it. `OddError`: the array has another type than asked for, or points outside its buffers.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitor.arrowkernels import (
    DAMAGED,
    ELSEWHERE,
    all_ascii,
    check_places,
    gather,
    measure,
    spans_of_offsets,
    spans_of_views,
)
from monitor.columns import I32, I64, U8
from monitor.texts import Coded, Column, Texts
from monitor.times import EARLIEST, LATEST

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
    return _coded(array) if pa.types.is_dictionary(array.type) else _column(array, 0)


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
    # A copy in any case: kernels are compiled again for arrays that are read-only.
    return raw // (each // 1000) if each > 1000 else np.array(raw)


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


def _column(array: pa.Array, spare: int) -> Column:
    """With `spare` rows more that are absent."""
    rows, kind = len(array), array.type
    starts, ends = np.zeros(rows + spare, np.int32), np.zeros(rows + spare, np.int32)
    if pa.types.is_null(kind) or not rows:
        return Column(_NOTHING, starts, ends)
    if pa.types.is_string_view(kind):
        buffer = _viewed(array, starts, ends)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        buffer = _offset(array, starts, ends)
    else:
        raise OddError("no texts")
    if not all_ascii(buffer):
        try:
            buffer.tobytes().decode()
        except UnicodeDecodeError:
            raise OddError("not UTF-8") from None
    if (gone := nulls(array)) is not None:
        ends[:rows][gone] = starts[:rows][gone]
    return Column(buffer, starts, ends)


def _offset(array: pa.Array, starts: I32, ends: I32) -> U8:
    _, places, data = array.buffers()
    width = np.int32 if pa.types.is_string(array.type) else np.int64
    offsets: Any = np.frombuffer(places, width)[array.offset : array.offset + len(array) + 1]
    buffer = _bytes(data)
    size = spans_of_offsets(offsets, len(buffer), starts, ends)
    if size == DAMAGED:
        raise OddError("offsets beyond the data")
    first = int(offsets[0])
    return buffer[first : first + size]


def _viewed(array: pa.Array, starts: I32, ends: I32) -> U8:
    """Where some texts do not stand in the views themselves, all are put together."""
    _, views, *rest = array.buffers()
    view = np.frombuffer(views, np.int32)[4 * array.offset : 4 * (array.offset + len(array))]
    if (gone := nulls(array)) is not None:
        view = np.where(np.repeat(gone, 4), np.int32(0), view)
        view.flags.writeable = False  # as every other buffer: the kernels are compiled once
    size = spans_of_views(view, starts, ends)
    if size >= 0:
        return view.view(np.uint8)
    data = [_bytes(buffer) for buffer in rest]
    addresses = np.array([buffer.ctypes.data for buffer in data], np.int64)
    sizes = np.array([len(buffer) for buffer in data], np.int64)
    # Rows may share their bytes; a small frame that unfolds to gigabytes is none to be taken in one piece.
    most = min(_MOST_BYTES, 64 * (view.nbytes + int(sizes.sum())))
    size = measure(view, sizes, most, ends) if size == ELSEWHERE else size
    if size == DAMAGED:
        raise OddError("views beyond the data")
    out = np.empty(size + 8, np.uint8)
    gather(view, addresses, sizes, starts, out)
    out.flags.writeable = False
    return out[:size]


def _coded(array: pa.DictionaryArray) -> Coded:
    words, indices = _column(array.dictionary, 1), array.indices
    width = np.dtype(indices.type.to_pandas_dtype())
    places: Any = np.frombuffer(indices.buffers()[1], width)[indices.offset : indices.offset + len(array)]
    if width.itemsize != 4:  # the kernel is compiled for the usual widths
        places = (places.clip(max=_MOST_BYTES) if width == np.uint64 else places).astype(np.int64)
    if (gone := nulls(indices)) is not None:
        places = np.where(gone, -1, places.astype(np.int64))
    checked = np.empty(len(array), np.intp)
    if not check_places(places, len(words) - 1, checked):
        raise OddError("places beyond the words")
    return Coded(words, checked)
