"""What the schema of an Arrow batch says of it, once a schema: frames of one sender have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from monitor import arrowrows
from monitor.arrow import has_our_types
from monitor.arrowcolumns import OddError
from monitor.columns import I64

# Texts in the order of the rows of `Layout.wanted`.
TEXTS: Final = (
    "kind",
    "status",
    "delivered_to",
    "source",
    "carrier",
    "region",
    "facility",
    "courier_id",
    "event_id",
    "tracking_number",
)
FORMS: Final = (
    (pa.types.is_string, arrowrows.OFFSETS),
    (pa.types.is_large_string, arrowrows.WIDE_OFFSETS),
    (pa.types.is_string_view, arrowrows.VIEWS),
)
EACH: Final = {"ms": 1, "us": 1000, "ns": 1_000_000}
_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """`wanted`: as `arrowrows.describe` takes it. `moments`: number of a column of times, and units a millisecond.

    `ours`: whether all columns have the contract's types.
    """

    schema: pa.Schema
    ours: bool
    names: frozenset[str]
    wanted: I64
    moments: dict[str, tuple[int, int]]


def layout_of(schema: pa.Schema) -> Layout:
    for known in _layouts:
        if known.schema.equals(schema):
            return known
    _layouts.insert(0, _layout(schema))
    del _layouts[_KEPT:]
    return _layouts[0]


_layouts: list[Layout] = []


def _layout(schema: pa.Schema) -> Layout:
    try:
        has_our_types(schema)
    except OddError:
        return Layout(schema, ours=False, names=frozenset(), wanted=np.zeros((0, 3), np.int64), moments={})
    wanted = [_text(schema, name) for name in TEXTS]
    moments = {
        field.name: (number, EACH[field.type.unit])
        for number, field in enumerate(schema)
        if pa.types.is_timestamp(field.type) and field.type.unit in EACH
    }
    names = frozenset(schema.names)
    return Layout(schema, ours=True, names=names, wanted=np.array(wanted, np.int64), moments=moments)


def _text(schema: pa.Schema, name: str) -> tuple[int, int, int]:
    """A column of nothing but nulls is none."""
    number = schema.get_field_index(name)
    kind, width = schema.field(number).type if number >= 0 else pa.null(), 0
    if pa.types.is_dictionary(kind):
        kind, width = kind.value_type, kind.index_type.bit_width // 8
    form = next((form for is_kind, form in FORMS if is_kind(kind)), arrowrows.NONE)
    return (number, form, width) if form != arrowrows.NONE else (-1, arrowrows.NONE, 0)
