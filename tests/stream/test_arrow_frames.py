"""A plain Arrow frame that is read without the library becomes what the library's batch becomes, to the last code."""

from __future__ import annotations

import io
import random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import arrow, arrowplain
from monitor.arrowframes import ArrowRows, opened
from monitor.columns import Batch
from monitor.decode import CHUNK_ROWS, ENOUGH_ROWS, Decoder
from monitor.names import Interner, Names
from monitor.stream import Frame
from monitor.wire import DeadEventError
from tests.stream.test_arrow import TEXT_TYPES, ipc, scans, table
from tests.stream.test_arrow_plain import BAD, PLACE_TYPES, closely, learned, replaced, same
from tests.stream.test_arrow_plain import zoned as with_two_zoned
from tests.stream.test_decode import ORDER, SCAN, lines, rows


def zoned(batch: pa.RecordBatch, unit: str = "ms") -> pa.RecordBatch:
    """With all its times as timestamps."""
    batch = with_two_zoned(batch, unit)
    given_ = batch.column("estimated_at").cast(pa.timestamp("s", "UTC"))
    return replaced(batch, "estimated_at", given_.cast(pa.timestamp(unit, "UTC")))


def alone(data: bytes, names: Names, latest: int | None = None) -> Batch | None:
    """Without the library; None where it is left to it."""
    found, taken = opened(data), ArrowRows(names, 0)
    return taken.batch() if found is not None and taken.take(found, latest) else None


def by_the_library(data: bytes, names: Names, latest: int | None = None) -> Batch | None:
    (batch,) = arrow.load(data, CHUNK_ROWS)
    return arrowplain.plain(batch, names, latest)


def hold_together(data: bytes, one: Names, other: Names) -> Batch:
    for _ in range(2):  # at first all names are new
        last = agreed(alone(data, one), by_the_library(data, other))
        assert learned(one) == learned(other)
    return last


def agreed(found: Batch | None, expected: Batch | None) -> Batch:
    assert found is not None
    assert expected is not None
    same(found, expected)
    return found


@pytest.mark.parametrize("text", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("part", [(0, 60), (7, 53), (13, 9)], ids=str)
def test_both_ways_say_the_same(text: pa.DataType, unit: str, part: tuple[int, int]) -> None:
    hold_together(ipc(zoned(table(scans(60), text), unit).slice(*part)), Names(), Names())


@pytest.mark.parametrize("places", PLACE_TYPES, ids=str)
def test_places_may_be_of_any_width(places: pa.DataType) -> None:
    batch = zoned(table(scans(60), pa.string()))
    for name in ("facility", "tracking_number", "event_id", "source"):
        column = batch.column(name).dictionary_encode()
        batch = replaced(
            batch, name, pa.DictionaryArray.from_arrays(column.indices.cast(places), column.dictionary)
        )
    hold_together(ipc(batch), Names(), Names())


def test_a_gateway_with_polars_is_read_alone() -> None:
    frame = pl.DataFrame(scans(300)).with_columns(
        pl.col("longitude").cast(pl.Float64),
        pl.col("occurred_at", "received_at", "estimated_at").str.to_datetime(time_unit="ms", time_zone="UTC"),
        pl.col("kind", "source", "carrier", "status", "facility", "region").cast(pl.Categorical),
    )
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer)
    hold_together(buffer.getvalue(), Names(), Names())


def test_columns_that_nobody_looks_at_and_numbers_of_both_sizes_are_passed_over() -> None:
    batch = zoned(table(scans(60), pa.string_view()))
    place = batch.schema.get_field_index("latitude")
    columns = [*batch.columns[:place], batch.column(place).cast(pa.float32()), *batch.columns[place + 1 :]]
    more = {
        "note": pa.array(["x" * row for row in range(60)], pa.string_view()),
        "flag": pa.array([row % 3 == 0 or None for row in range(60)]),
        "weight": pa.array(range(60), pa.int16()),
        "nothing": pa.nulls(60),
    }
    names = [*batch.schema.names, *more]
    hold_together(ipc(pa.RecordBatch.from_arrays([*columns, *more.values()], names=names)), Names(), Names())


def test_numbers_that_base_40_cannot_take_and_orders_are_remembered() -> None:
    numbers = ["sf-lower", "顺丰123", "X" * 100, "A-_/Z", *(f"SF{number}" for number in range(4))]
    events = [
        {**event, "tracking_number": number, "order_id": f"订单-{row}" if row % 2 else None}
        for row, (event, number) in enumerate(zip(scans(8), numbers, strict=True))
    ]
    for text in TEXT_TYPES:
        found = hold_together(ipc(zoned(table(events, text))), Names(sides=2), Names(sides=2))
        assert len(found.links) == 4


def test_full_interners_count_the_same() -> None:
    one, other = Names(places=3), Names(places=3)
    hold_together(ipc(zoned(table(scans(60), pa.dictionary(pa.int32(), pa.string_view())))), one, other)
    assert one.facilities.overflow == other.facilities.overflow > 0


@pytest.mark.parametrize(("name", "column"), BAD, ids=[f"{at}-{name}" for at, (name, _) in enumerate(BAD)])
def test_what_is_not_plain_is_left_and_teaches_nothing(name: str, column: pa.Array) -> None:
    names = Names()
    assert alone(ipc(replaced(zoned(table(scans(4), pa.string_view())), name, column)), names) is None
    assert learned(names) == learned(Names())


def test_an_order_that_is_no_text_is_left() -> None:
    events = [{**event, "order_id": "O-1"} for event in scans(4)]
    batch = replaced(
        zoned(table(events, pa.string())),
        "order_id",
        pa.array([b"a", b"\xff", b"b", b"c"]).cast(pa.string(), safe=False),
    )
    names = Names()
    assert alone(ipc(batch), names) is None
    assert learned(names) == learned(Names())


def test_times_in_the_future_are_not_plain() -> None:
    data = ipc(zoned(table(scans(4), pa.string_view())))
    assert alone(data, Names(), 1772323200000) is None
    assert alone(data, Names(), 1772323200000 + 86_400_000) is not None


def deltas(batch: pa.RecordBatch) -> bytes:
    """Two batches whose second dictionary is the first one and a piece."""
    first = batch.slice(0, 20)
    schema = first.schema
    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with pa.ipc.new_stream(buffer, schema, options=options) as writer:
        for part in (first, batch):
            column = part.column("facility").cast(pa.string()).dictionary_encode()
            place = schema.get_field_index("facility")
            columns = [*part.columns[:place], column, *part.columns[place + 1 :]]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return buffer.getvalue()


NESTED = pa.array([{"a": row} for row in range(60)])
FOR_THE_LIBRARY: dict[str, bytes] = {
    "compressed": ipc(zoned(table(scans(60), pa.string())), compression="lz4"),
    "two batches": ipc(*[zoned(table(scans(60), pa.string()))] * 2),
    "delta dictionaries": deltas(
        zoned(table(scans(60), pa.dictionary(pa.int32(), pa.string()))),
    ),
    "no rows": ipc(zoned(table(scans(4), pa.string())).slice(0, 0)),
    "nested": ipc(
        pa.RecordBatch.from_arrays(
            [*zoned(table(scans(60), pa.string())).columns, NESTED],
            names=[*table(scans(1), pa.string()).schema.names, "extra"],
        )
    ),
    "times as text": ipc(table(scans(60), pa.string())),
    "times in seconds": ipc(zoned(table(scans(60), pa.string()), "s")),
    "behind the end": ipc(zoned(table(scans(60), pa.string()))) + bytes(8),
    "cut off": ipc(zoned(table(scans(60), pa.string())))[:-24],
    "nothing": b"",
}


@pytest.mark.parametrize("name", FOR_THE_LIBRARY)
def test_what_is_not_as_it_mostly_is_is_left_to_the_library(name: str) -> None:
    assert opened(FOR_THE_LIBRARY[name]) is None or name == "no rows"
    found = list(Decoder(Names()).decode([Frame("arrow", FOR_THE_LIBRARY[name])]))
    expected = {"two batches": 120, "delta dictionaries": 80, "no rows": 0, "cut off": 0, "nothing": 0}
    assert sum(part.events for part in found) == expected.get(name, 60)


def test_a_frame_without_an_end_is_whole_where_its_messages_are() -> None:
    data = ipc(zoned(table(scans(9), pa.string())))
    agreed(alone(data[:-8], Names()), by_the_library(data[:-8], Names()))


PLAIN = [ipc(zoned(table(scans(9), text))) for text in TEXT_TYPES]


@given(st.sampled_from(PLAIN), st.integers(0, 2**32), st.integers(1, 8))
def test_flipped_bytes_are_plain_only_where_the_library_agrees(data: bytes, seed: int, flips: int) -> None:
    rng = random.Random(seed)
    damaged = bytearray(data)
    for _ in range(flips):
        damaged[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    check_damaged(bytes(damaged))


def check_damaged(data: bytes) -> bool:
    """Whether it was taken all the same."""
    found = alone(data, Names())
    if found is None:
        return False
    batches = arrow.load(data, CHUNK_ROWS)
    assert len(batches) == 1
    plain = arrowplain.plain(batches[0], Names(), None)
    assert plain is not None
    same(found, plain)
    expected = closely(batches[0], Names())
    if expected is not None:
        same(found, expected)
    return True


@pytest.mark.parametrize("text", range(len(TEXT_TYPES)))
def test_each_byte_of_what_is_no_text_may_be_damaged(text: int) -> None:
    """Of what says where things lie: whatever it says then, nothing outside the frame is read, and none is misread."""
    data = PLAIN[text]
    rng = random.Random(text)
    taken = 0
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.randrange(8)
        taken += check_damaged(bytes(damaged))
    assert 0 < taken < len(data) // 3


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_frame_that_is_cut_off_is_no_frame(cut: int) -> None:
    data = PLAIN[cut % len(PLAIN)]
    assert not check_damaged(data[: len(data) * cut // 40])


def framed(events: list[dict[str, Any]]) -> Frame:
    return Frame("arrow", ipc(zoned(table(events, pa.dictionary(pa.int32(), pa.string_view())))))


def parts(events: list[dict[str, Any]], size: int) -> list[Frame]:
    return [framed(events[first : first + size]) for first in range(0, len(events), size)]


def test_small_frames_are_one_batch_and_great_ones_are_by_themselves() -> None:
    events = scans(ENOUGH_ROWS)
    small = list(Decoder(Names()).decode(parts(events[:300], 50)))
    assert [part.events for part in small] == [300]
    mixed = list(Decoder(Names()).decode([*parts(events[:100], 50), framed(events), *parts(events[:60], 30)]))
    assert [part.events for part in mixed] == [100, ENOUGH_ROWS, 60]
    assert rows(mixed) == rows(
        list(Decoder(Names()).decode([framed(events[:100]), framed(events), framed(events[:60])]))
    )


def test_frames_of_both_ways_and_lines_keep_their_order() -> None:
    events = scans(90)
    frames = [
        framed(events[:30]),
        Frame("arrow", ipc(table(events[30:60], pa.string()))),
        framed(events[60:]),
        Frame("batch", lines(SCAN, ORDER)),
        framed(events[:7]),
    ]
    together, one_by_one = Names(), Names()
    found = rows(list(Decoder(together).decode(frames)))
    decoder = Decoder(one_by_one)
    assert found == rows([part for frame in frames for part in decoder.decode([frame])])
    assert together.dump() == one_by_one.dump()


def test_what_was_handed_out_is_not_written_over() -> None:
    events, decoder = scans(200), Decoder(Names())
    (first,) = decoder.decode([framed(events[:100])])
    before = first.batch.scans.event.copy()
    list(decoder.decode([framed(events[100:])]))
    assert (first.batch.scans.event == before).all()


def test_a_frame_beyond_the_limit_of_rows_is_taken_in_parts() -> None:
    events = scans(CHUNK_ROWS + 1)
    found = list(Decoder(Names()).decode([framed(events)]))
    assert [part.events for part in found] == [CHUNK_ROWS, 1]


def test_a_damaged_frame_stops_none_beside_it() -> None:
    events = scans(30)
    bad = framed(events[10:20])
    torn = Frame("arrow", bad.data[: len(bad.data) // 2])
    found = list(Decoder(Names()).decode([framed(events[:10]), torn, framed(events[20:])]))
    assert sum(part.events for part in found) == 20
    assert sum(len(part.dead) for part in found) == 1
    with pytest.raises(DeadEventError):
        arrow.load(torn.data, CHUNK_ROWS)


def test_whoever_asked_for_the_table_before_its_whereabouts_are_of_now() -> None:
    """Names that others have looked up in between may have moved the table."""
    interner = Interner(100_000)
    interner.codes(f"first {number}" for number in range(10))
    before = interner.whereabouts
    interner.codes(f"name {number}" for number in range(50_000))
    slots, arena, ends = interner.table
    assert interner.whereabouts is not before
    assert interner.whereabouts.tolist() == [
        slots.ctypes.data,
        len(slots) // 2 - 1,
        arena.ctypes.data,
        len(arena),
        ends.ctypes.data,
    ]
