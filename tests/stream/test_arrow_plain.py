"""A plain Arrow batch becomes what the closer look makes of it, to the last code; what is not plain teaches nothing."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import arrow, arrowplain
from monitor.columns import Batch
from monitor.names import Names
from monitor.scancolumns import links_of, to_scans
from monitor.stream import Frame
from monitor.wire import DeadEventError
from tests.stream.test_arrow import TEXT_TYPES, decoded, ipc, scans, table
from tests.stream.test_decode import SCAN, lines

PLACE_TYPES = (
    pa.int8(),
    pa.uint8(),
    pa.int16(),
    pa.uint16(),
    pa.int32(),
    pa.uint32(),
    pa.int64(),
    pa.uint64(),
)


def closely(batch: pa.RecordBatch, names: Names, latest: int | None = None) -> Batch | None:
    """The other way."""
    texts, rest = arrow.split(batch, latest)
    return None if texts is None or rest else Batch(to_scans(texts, names), links=links_of(texts))


def learned(names: Names) -> Any:
    return names.dump(), names.side_overflow, names.carriers.overflow


def same(one: Batch, other: Batch) -> None:
    for name in type(one.scans).__slots__:
        first, second = getattr(one.scans, name), getattr(other.scans, name)
        assert first.dtype == second.dtype, name
        np.testing.assert_array_equal(first, second, name)
    assert one.links == other.links


def zoned(batch: pa.RecordBatch, unit: str = "ms") -> pa.RecordBatch:
    """With its times as timestamps."""
    columns = batch.columns
    for name in ("occurred_at", "received_at"):
        place = batch.schema.get_field_index(name)
        columns[place] = columns[place].cast(pa.timestamp("s", "UTC")).cast(pa.timestamp(unit, "UTC"))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def replaced(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    columns = batch.columns
    columns[batch.schema.get_field_index(name)] = column
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


@pytest.mark.parametrize("text", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("part", [(0, 60), (7, 53), (13, 9)], ids=str)
def test_both_ways_say_the_same(text: pa.DataType, unit: str, part: tuple[int, int]) -> None:
    batch = zoned(table(scans(60), text), unit).slice(*part)
    one, other = Names(), Names()
    for _ in range(2):  # at first all names are new
        plain, expected = arrowplain.plain(batch, one, None), closely(batch, other)
        assert plain is not None
        assert expected is not None
        same(plain, expected)
        assert learned(one) == learned(other)


@pytest.mark.parametrize("places", PLACE_TYPES, ids=str)
def test_places_may_be_of_any_width(places: pa.DataType) -> None:
    events = scans(60)
    batch = zoned(table(events, pa.string()))
    for name in ("facility", "tracking_number", "event_id", "source"):
        column = batch.column(name).dictionary_encode()
        batch = replaced(
            batch, name, pa.DictionaryArray.from_arrays(column.indices.cast(places), column.dictionary)
        )
    plain, expected = arrowplain.plain(batch, Names(), None), closely(batch, Names())
    assert plain is not None
    assert expected is not None
    same(plain, expected)


def test_numbers_that_base_40_cannot_take_and_orders_are_remembered() -> None:
    numbers = ["sf-lower", "顺丰123", "X" * 100, "A-_/Z", *(f"SF{number}" for number in range(4))]
    events = [
        {**event, "tracking_number": number, "order_id": f"O-{row}" if row % 2 else None}
        for row, (event, number) in enumerate(zip(scans(8), numbers, strict=True))
    ]
    batch = zoned(table(events, pa.string_view()))
    one, other = Names(sides=2), Names(sides=2)
    plain, expected = arrowplain.plain(batch, one, None), closely(batch, other)
    assert plain is not None
    assert expected is not None
    same(plain, expected)
    assert learned(one) == learned(other)
    assert len(plain.links) == 4


def test_full_interners_count_the_same() -> None:
    one, other = Names(places=3), Names(places=3)
    batch = zoned(table(scans(60), pa.dictionary(pa.int32(), pa.string_view())))
    plain, expected = arrowplain.plain(batch, one, None), closely(batch, other)
    assert plain is not None
    assert expected is not None
    same(plain, expected)
    assert one.facilities.overflow == other.facilities.overflow


BAD: list[tuple[str, pa.Array]] = [
    ("kind", pa.array(["tracking", "order", "tracking", "tracking"])),
    ("kind", pa.array(["tracking", None, "tracking", "tracking"])),
    ("status", pa.array(["accepted", "nonsense", "accepted", "accepted"])),
    ("status", pa.array(["accepted", "", "accepted", "accepted"])),
    ("status", pa.array(["accepted", None, "accepted", "accepted"])),
    ("delivered_to", pa.array(["locker", "", None, None])),
    ("delivered_to", pa.array(["locker", "moon", None, None])),
    ("carrier", pa.array(["sf", None, "sf", "sf"])),
    ("carrier", pa.nulls(4)),
    ("event_id", pa.array(["a", "", "b", "c"])),
    ("event_id", pa.array(["a", None, "b", "c"])),
    ("event_id", pa.array(["a", "x" * 513, "b", "c"])),
    ("event_id", pa.array([b"a", b"\xed\xa0\x80", b"b", b"c"]).cast(pa.string(), safe=False)),
    ("event_id", pa.DictionaryArray.from_arrays(pa.array([0, None, 0, 0]), pa.array(["a"]))),
    ("event_id", pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 0]), pa.array(["a", None]))),
    ("tracking_number", pa.array(["A", "", "B", "C"])),
    ("tracking_number", pa.array(["A", "x" * 101, "B", "C"])),
    ("tracking_number", pa.array([b"A", b"\xff", b"B", b"C"]).cast(pa.string(), safe=False)),
    ("region", pa.array(["r", "x" * 201, None, None])),
    ("facility", pa.array([b"f", b"\xc0\x80", b"f", b"f"]).cast(pa.string(), safe=False)),
    ("facility", pa.DictionaryArray.from_arrays(pa.array([0, 9, 0, 0]), pa.array(["a"]), safe=False)),
    ("facility", pa.DictionaryArray.from_arrays(pa.array([0, -2, 0, 0]), pa.array(["a"]), safe=False)),
    ("occurred_at", pa.array([1772323200, None, 1772323200, 1772323200], pa.timestamp("s", "UTC"))),
    ("occurred_at", pa.array([1772323200, 0, 1772323200, 1772323200], pa.timestamp("s", "UTC"))),
    ("received_at", pa.array([1772323200, 2**60, None, None], pa.timestamp("ms", "UTC"))),
    ("received_at", pa.array([1772323200000 - 2 * 86_400_000] * 4, pa.timestamp("ms", "UTC"))),
    ("occurred_at", pa.array([1772323200] * 4, pa.timestamp("s"))),
    ("latitude", pa.array(["1"] * 4)),
]


@pytest.mark.parametrize(("name", "column"), BAD, ids=[f"{at}-{name}" for at, (name, _) in enumerate(BAD)])
def test_what_is_not_plain_teaches_nothing(name: str, column: pa.Array) -> None:
    names = Names()
    batch = replaced(zoned(table(scans(4), pa.string_view())), name, column)
    assert arrowplain.plain(batch, names, None) is None
    assert learned(names) == learned(Names())


def test_times_in_the_future_are_not_plain() -> None:
    batch = zoned(table(scans(4), pa.string_view()))
    assert arrowplain.plain(batch, Names(), 1772323200000) is None


PLAIN = [ipc(zoned(table(scans(9), text))) for text in TEXT_TYPES]


@given(st.sampled_from(PLAIN), st.integers(0, 2**32), st.integers(1, 8))
def test_flipped_bytes_are_plain_only_where_the_closer_look_agrees(
    data: bytes, seed: int, flips: int
) -> None:
    rng = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(flips):
        damaged[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    try:
        batches = arrow.load(bytes(damaged), 1000)
    except DeadEventError:
        return
    for batch in batches:
        plain = arrowplain.plain(batch, Names(), None)
        if plain is None:
            continue
        expected = closely(batch, Names())
        if expected is not None:
            same(plain, expected)


def test_a_frame_of_many_batches_comes_in_its_order() -> None:
    events = scans(9)
    batches = [zoned(table(events[first : first + 3], pa.string_view())) for first in (0, 3, 6)]
    (found,) = decoded(ipc(*batches))
    expected = closely(zoned(table(events, pa.string_view())), Names())
    assert expected is not None
    same(found.batch, expected)


def test_a_zone_that_is_no_text_breaks_nothing() -> None:
    data = PLAIN[0].replace(b"UTC", b"\x80TC")
    assert data != PLAIN[0]
    *_, after = decoded(data, Frame("e", lines(SCAN)))
    assert after.events == 1


def test_bytes_behind_a_short_text_are_looked_at_closely() -> None:
    """They are no part of any event, but a frame with such is damaged; what it is worth is decided in one place."""
    data = ipc(zoned(table(scans(4), pa.string_view())))
    place = data.index(b"440300\0\0\0\0\0\0") + 8
    damaged = data[:place] + b"\xff" + data[place + 1 :]
    (batch,) = arrow.load(damaged, 1000)
    assert arrowplain.plain(batch, Names(), None) is None
