"""Arrow frames of every writer, and of none: the same events as their lines, and nothing outside the frame is read."""

from __future__ import annotations

import io
import random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import arrow
from monitor.decode import Decoder
from monitor.names import Names
from monitor.stream import Frame
from monitor.vocabulary import DeadReason
from tests.stream.test_decode import ORDER, SCAN, lines, rows

TEXT = ("event_id", "source", "tracking_number", "carrier", "status", "facility", "region", "courier_id")
TEXT_TYPES = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint64(), pa.large_string()),
    pa.dictionary(pa.int32(), pa.string_view()),
)


def ipc(*batches: pa.RecordBatch, compression: str | None = None) -> bytes:
    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(buffer, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return buffer.getvalue()


def scans(count: int) -> list[dict[str, Any]]:
    """With absent texts, short and long ones, and some that are not ASCII."""
    return [
        {
            **SCAN,
            "event_id": f"e{number}" if number % 2 else f"a rather long id, {number}",
            "tracking_number": f"SF{number:0{5 + number % 12}d}",
            "facility": (None, "仓", f"the hub of the town number {number % 5}", "hub")[number % 4],
            "courier_id": None,
            "delivered_to": None if number % 2 else "locker",
            "latitude": None if number % 3 else 22.5,
        }
        for number in range(count)
    ]


def table(events: list[dict[str, Any]], text: pa.DataType) -> pa.RecordBatch:
    fields = [
        pa.field(
            name, text if name in TEXT else pa.float64() if name in {"latitude", "longitude"} else pa.string()
        )
        for name in events[0]
    ]
    plain = pa.schema([pa.field(one.name, pa.string() if one.name in TEXT else one.type) for one in fields])
    batch = pa.RecordBatch.from_pylist(events, schema=plain)
    columns = [
        column.dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else column.cast(field.type)
        for column, field in zip(batch.columns, fields, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def decoded(data: bytes, *more: Frame) -> list[Any]:
    return list(Decoder(Names()).decode([Frame("arrow", data), *more]))


def of_lines(events: list[dict[str, Any]]) -> list[Any]:
    given_ = [{name: value for name, value in event.items() if value is not None} for event in events]
    return rows(list(Decoder(Names()).decode([Frame("batch", lines(*given_))])))


@pytest.mark.parametrize("text", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_every_writers_texts_are_columns(text: pa.DataType, compression: str | None) -> None:
    events = scans(60)
    data = ipc(table(events, text), compression=compression)
    (batch,) = arrow.load(data, 1000)
    texts, rest = arrow.split(batch, None)
    assert texts is not None, "taken as columns, not line by line"
    assert not rest
    assert rows(decoded(data)) == of_lines(events)


@pytest.mark.parametrize("text", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("most", [1, 7, 59])
def test_a_long_batch_is_taken_in_parts(text: pa.DataType, most: int) -> None:
    events = scans(60)
    names = Names()
    found = []
    for batch in arrow.load(ipc(table(events, text)), most):
        assert batch.num_rows <= most
        texts, _ = arrow.split(batch, None)
        assert texts is not None
        number = texts.tracking_number
        found += names.unpack_many(*names.pack_at(number.buffer, number.starts, number.ends))
    assert found == [event["tracking_number"] for event in events]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_may_have_any_unit(unit: str) -> None:
    events = scans(5)
    batch = table(events, pa.string())
    zoned = pa.array([1772323200, 1772323201, None, 1772323203, 1772323204], pa.int64())
    factor = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    moments = pa.array([None if one is None else one * factor for one in zoned.to_pylist()], pa.int64())
    place = batch.schema.get_field_index("received_at")
    columns = batch.columns
    columns[place] = moments.cast(pa.timestamp(unit, "Asia/Shanghai"))
    found = decoded(ipc(pa.RecordBatch.from_arrays(columns, names=batch.schema.names)))
    occurred = found[0].batch.scans.occurred.tolist()
    assert found[0].batch.scans.received.tolist() == [
        1772323200000, 1772323201000, occurred[2], 1772323203000, 1772323204000
    ]  # fmt: skip


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("moment", [0, -1, 2**63 - 1, -(2**63), 946_684_799])
def test_a_time_out_of_range_is_a_dead_letter_of_its_own(unit: str, moment: int) -> None:
    batch = table(scans(3), pa.string())
    factor = {"s": 1, "ms": 1000, "us": 10**6, "ns": 10**9}[unit]
    good = 1772323200 * factor
    columns = batch.columns
    columns[batch.schema.get_field_index("occurred_at")] = pa.array([good, moment, good], pa.int64()).cast(
        pa.timestamp(unit, "UTC")
    )
    columns[batch.schema.get_field_index("received_at")] = pa.nulls(3)
    found = decoded(ipc(pa.RecordBatch.from_arrays(columns, names=batch.schema.names)))
    dead = [one.reason for part in found for one in part.dead]
    taken = sum(part.events for part in found)
    # A moment that no calendar has takes the frame with it: there is no line to write for it.
    assert (taken, len(dead)) in {(2, 1), (0, 1)}


def test_rows_of_other_kinds_go_by_lines_and_the_scans_by_columns() -> None:
    order = {name: value for name, value in ORDER.items() if name not in {"extra", "contact", "amount"}}
    events = [scans(3)[0], order, scans(3)[2]]
    names = list(dict.fromkeys(name for event in events for name in event))
    batch = pa.RecordBatch.from_pylist([{name: event.get(name) for name in names} for event in events])
    found = decoded(ipc(batch))
    assert [len(one.batch.scans) for one in found] == [2, 0]
    assert [order.order_id for one in found for order in one.batch.orders] == ["O-1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", ""),
        ("status", None),
        ("delivered_to", ""),
        ("carrier", None),
        ("event_id", ""),
        ("region", "x" * 201),
    ],
)
@pytest.mark.parametrize("text", TEXT_TYPES, ids=str)
def test_one_bad_row_is_one_dead_letter(name: str, value: str | None, text: pa.DataType) -> None:
    events = scans(5)
    events[3] = {**events[3], name: value}
    found = decoded(ipc(table(events, text)))
    assert len([dead for part in found for dead in part.dead]) == 1
    assert sum(part.events for part in found) == 4


def test_words_that_no_row_uses_are_not_learned() -> None:
    names = Names()
    batch = table(scans(4), pa.string())
    columns = batch.columns
    columns[batch.schema.get_field_index("carrier")] = pa.DictionaryArray.from_arrays(
        pa.array([1, 1, 1, 3], pa.int16()), pa.array(["never", "sf", "nor this", "zto", ""])
    )
    list(
        Decoder(names).decode(
            [Frame("arrow", ipc(pa.RecordBatch.from_arrays(columns, names=batch.schema.names)))]
        )
    )
    assert [names.carriers.text(code) for code in (1, 2)] == ["sf", "zto"]
    assert len(names.carriers) == 2


def test_a_column_twice_is_a_bad_frame() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(["tracking"])] * 2, names=["kind", "kind"])
    (found,) = decoded(ipc(batch))
    assert [dead.reason for dead in found.dead] == [DeadReason.BAD_FRAME]


def test_a_place_beyond_the_dictionary_takes_no_event_and_reads_nothing() -> None:
    batch = table(scans(4), pa.string())
    columns = batch.columns
    columns[batch.schema.get_field_index("carrier")] = pa.DictionaryArray.from_arrays(
        pa.array([0, 0, 100, 0], pa.int16()), pa.array(["sf"]), safe=False
    )
    (found,) = decoded(ipc(pa.RecordBatch.from_arrays(columns, names=batch.schema.names)))
    assert [dead.reason for dead in found.dead] == [DeadReason.BAD_FRAME]


def frames() -> list[bytes]:
    written = [ipc(table(scans(9), text)) for text in TEXT_TYPES]
    written.append(ipc(table(scans(9), pa.string_view()), compression="zstd"))
    for level in (pl.CompatLevel.oldest(), pl.CompatLevel.newest()):
        buffer = io.BytesIO()
        frame = pl.DataFrame(scans(9), infer_schema_length=None)
        frame.with_columns(pl.col("carrier", "status", "facility").cast(pl.Categorical)).write_ipc_stream(
            buffer, compat_level=level
        )
        written.append(buffer.getvalue())
    return written


FRAMES = frames()


@given(st.sampled_from(FRAMES), st.integers(0, 2**32), st.integers(1, 8))
def test_flipped_bytes_are_taken_or_dead_and_break_nothing(data: bytes, seed: int, flips: int) -> None:
    rng = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(flips):
        damaged[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    found = decoded(bytes(damaged), Frame("e", lines(SCAN)))
    assert found[-1].events >= 1


@given(st.sampled_from(FRAMES), st.integers(0, 4000))
def test_a_frame_that_ends_too_early_breaks_nothing(data: bytes, size: int) -> None:
    assert decoded(data[:size], Frame("e", lines(SCAN)))[-1].events >= 1


@pytest.mark.parametrize("text", TEXT_TYPES, ids=str)
def test_columns_look_the_same_to_the_kernels_whichever_way_they_came(text: pa.DataType) -> None:
    """A kernel is compiled again for an array that is read-only or strided: seconds, in the middle of a stream."""
    batch = table(scans(20), text)
    place = batch.schema.get_field_index("occurred_at")
    columns = batch.columns
    columns[place] = pa.array([1772323200000] * 20, pa.int64()).cast(pa.timestamp("ms", "UTC"))
    zoned = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    (arrow_,) = decoded(ipc(zoned))
    (ndjson,) = Decoder(Names()).decode([Frame("batch", lines(*[SCAN] * 20))])
    (one,) = Decoder(Names()).decode([Frame("e", lines(SCAN))])
    for found in (arrow_, ndjson, one):
        for name in type(found.batch.scans).__slots__:
            array = getattr(found.batch.scans, name)
            expected = getattr(ndjson.batch.scans, name)
            assert array.dtype == expected.dtype, name
            assert array.flags.writeable, name
            assert array.flags.c_contiguous, name
