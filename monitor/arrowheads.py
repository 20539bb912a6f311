"""What the head of an Arrow IPC stream, its schema, says of the frames behind it: found out once a head, as frames of one
sender begin alike to the byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from monitor import arrowfill
from monitor.arrow import BROKEN, check_names, has_our_types
from monitor.arrowcolumns import OddError
from monitor.arrowlayout import EACH, FORMS
from monitor.arrowmessages import FLAT, LEFT, dictionaries_of
from monitor.arrowrows import NONE
from monitor.columns import I64
from monitor.wire import DeadEventError

_KEPT: Final = 16
_LONGEST: Final = 1 << 16  # bytes of a head that is kept
_DEGREES: Final = {pa.float64(): 64, pa.float32(): 32, pa.null(): 0}


@dataclass(frozen=True, slots=True)
class Head:
    """`columns`, `ids`: as `arrowmessages.describe` takes them; `of`, `units`: as `arrowfill.fill` does.

    `plain`: whether frames behind it may be taken without the library at all.
    """

    raw: bytes
    plain: bool
    columns: I64
    ids: I64
    of: I64
    units: I64
    has_orders: bool


def head_of(data: bytes) -> Head | None:
    """None where the library cannot read it, or it is too long to be kept."""
    for known in _heads:
        if data.startswith(known.raw):
            return known
    found = _read(data)
    if found is not None:
        _heads.insert(0, found)
        del _heads[_KEPT:]
    return found


_heads: list[Head] = []


def _read(data: bytes) -> Head | None:
    try:
        schema = pa.ipc.open_stream(data).schema
    except BROKEN:
        return None
    names = np.empty(len(schema), np.int64)
    length = dictionaries_of(np.frombuffer(data, np.uint8), names)
    if length == LEFT or length > _LONGEST:
        return None
    raw = data[:length]
    try:
        check_names(schema)
        has_our_types(schema)
        return _plain(raw, schema, names)
    except (OddError, DeadEventError, *BROKEN):
        none = np.zeros((0, 3), np.int64)
        return Head(raw, plain=False, columns=none, ids=none, of=names, units=names, has_orders=False)


def _plain(raw: bytes, schema: pa.Schema, names: I64) -> Head:
    """Raises OddError where some frames are not to be read without the library."""
    ids: dict[int, int] = {}  # and the form of the words
    columns = []
    for field, name in zip(schema, names.tolist(), strict=True):
        form, bits = _form(field.type)
        if name != -1 and ids.setdefault(name, form) != form:
            raise OddError("a dictionary of two types")
        columns.append((form, bits, list(ids).index(name) if name != -1 else -1))
    places = [schema.get_field_index(name) for name in arrowfill.FIELDS]
    types = [schema.field(place).type if place >= 0 else pa.null() for place in places]
    return Head(
        raw,
        plain=True,
        columns=np.array(columns, np.int64).reshape(-1, 3),
        ids=np.array(list(ids.items()), np.int64).reshape(-1, 2),
        of=np.array([place if place >= 0 else len(schema) for place in places], np.int64),
        units=np.array(
            [_unit(name, kind) for name, kind in zip(arrowfill.FIELDS, types, strict=True)], np.int64
        ),
        has_orders=not pa.types.is_null(types[arrowfill.ORDER]),
    )


def _form(kind: pa.DataType) -> tuple[int, int]:
    """And the bits of a number, or of a place in a dictionary."""
    bits = 0
    if pa.types.is_null(kind):
        return NONE, 0
    if pa.types.is_dictionary(kind):
        kind, bits = kind.value_type, kind.index_type.bit_width
    for is_form, form in FORMS:
        if is_form(kind):
            return form, bits
    if bits or not (pa.types.is_primitive(kind) or pa.types.is_boolean(kind)):
        raise OddError("a column that is not flat")
    return FLAT, kind.bit_width


def _unit(name: str, kind: pa.DataType) -> int:
    """Units a millisecond of times, bits of degrees; 0 where there is no such column, or it is one of texts."""
    if name in {"latitude", "longitude"}:
        if kind not in _DEGREES:
            raise OddError(name)
        return _DEGREES[kind]
    if name.endswith("_at") and not pa.types.is_null(kind):
        if not pa.types.is_timestamp(kind) or kind.unit not in EACH:
            raise OddError(name)
        return EACH[kind.unit]
    return 0
