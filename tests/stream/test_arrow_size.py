"""A small frame that unfolds to gigabytes is a dead letter with its reason, before anything of it is unfolded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from monitor import arrow
from monitor.arrowsize import DAMAGED, unfolded
from monitor.stream import Frame
from monitor.vocabulary import DeadReason
from tests.stream.test_arrow import FRAMES, decoded, ipc, scans, table
from tests.stream.test_decode import SCAN, lines

MIB = 1 << 20


@pytest.fixture
def pool() -> Iterator[pa.MemoryPool]:
    """Counts what the library allocates from here on."""
    usual = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counted)
    yield counted
    pa.set_memory_pool(usual)


def reasons(data: bytes) -> list[DeadReason]:
    """Of the frame; what comes behind it is taken all the same."""
    *found, after = decoded(data, Frame("e", lines(SCAN)))
    assert after.events == 1
    assert not any(part.events for part in found)
    return [dead.reason for part in found for dead in part.dead]


def with_column(name: str, column: pa.Array) -> pa.RecordBatch:
    batch = table(scans(len(column)), pa.string())
    return pa.RecordBatch.from_arrays([*batch.columns, column], names=[*batch.schema.names, name])


def zeros(size: int) -> pa.Array:
    """One text of `size` bytes, as one row."""
    return pa.array([bytes(size).decode()], pa.large_string())


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_compressed_frame_that_unfolds_to_too_much_is_never_unfolded(
    compression: str, pool: pa.MemoryPool
) -> None:
    bomb = ipc(with_column("note", zeros(arrow.MOST_UNFOLDED)), compression=compression)
    assert len(bomb) < MIB
    assert (pool.max_memory() or 0) > arrow.MOST_UNFOLDED, "writing it took as much, and was counted"
    counted = pa.proxy_memory_pool(pool)
    pa.set_memory_pool(counted)
    assert reasons(bomb) == [DeadReason.TOO_LARGE]
    assert (counted.max_memory() or 0) < MIB


def test_words_are_unfolded_like_columns() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), zeros(arrow.MOST_UNFOLDED))
    assert reasons(ipc(with_column("status_raw", words), compression="zstd")) == [DeadReason.TOO_LARGE]


def test_a_compressed_frame_below_the_limit_is_taken() -> None:
    data = ipc(with_column("note", zeros(arrow.MOST_UNFOLDED - MIB)), compression="zstd")
    (found,) = decoded(data)
    assert found.events == 1


def test_a_frame_that_is_large_itself_is_taken() -> None:
    rows = table(scans(1), pa.string())
    data = ipc(*[with_column("note", zeros(arrow.MOST_UNFOLDED // 2))] * 3)
    assert unfolded(data) == (0, 0)
    assert sum(part.events for part in decoded(data)) == 3 * rows.num_rows


def pieces(words: int) -> bytes:
    """A batch behind every word that is added to a dictionary."""
    texts = [f"{number:01000d}" for number in range(words)]
    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)

    def batch(known: int) -> pa.RecordBatch:
        places = pa.array([0], pa.int32())
        column = pa.DictionaryArray.from_arrays(places, pa.array(texts[:known], pa.string()))
        return with_column("status_raw", column)

    with pa.ipc.new_stream(buffer, batch(1).schema, options=options) as writer:
        for known in range(1, words + 1):
            writer.write_batch(batch(known))
    return buffer.getvalue()


def test_a_dictionary_in_pieces_counts_once_for_every_batch_behind_a_piece() -> None:
    few = pieces(60)
    assert 60 * 61 / 2 * 1000 < unfolded(few)[0] < 60 * 61 / 2 * 1100
    assert sum(part.events for part in decoded(few)) == 60
    many = pieces(400)
    assert len(many) < 3 * MIB
    assert reasons(many) == [DeadReason.TOO_LARGE]


def nothings(rows: int) -> pa.Array:
    return pa.Array.from_buffers(pa.null(), rows, [None])


def nested(rows: int) -> pa.Array:
    """One row with a list of that many nothings."""
    return pa.FixedSizeListArray.from_arrays(nothings(rows), rows)


@pytest.mark.parametrize(
    "batch",
    [
        pa.RecordBatch.from_arrays([nothings(2**30)], names=["kind"]),
        pa.RecordBatch.from_arrays([pa.array(["tracking"]), nested(2**30)], names=["kind", "note"]),
    ],
    ids=["rows", "nested"],
)
def test_rows_without_a_byte_are_a_bad_frame(batch: pa.RecordBatch) -> None:
    assert reasons(ipc(batch)) == [DeadReason.BAD_FRAME]


def test_rows_that_share_a_great_text_are_no_lines_of_their_own() -> None:
    """A row is wrong, so all would be looked at as JSON: gigabytes of it."""
    rows = 3000
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), zeros(MIB // 4))
    batch = with_column("status_raw", words)
    columns: list[Any] = batch.columns
    columns[batch.schema.get_field_index("status")] = pa.array(["nonsense"] * rows)
    batch = pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    assert reasons(ipc(batch)) == [DeadReason.TOO_LARGE]


@pytest.mark.parametrize("data", FRAMES)
def test_no_writers_frame_is_damaged_and_each_cut_one_is(data: bytes) -> None:
    fresh, hollow = unfolded(data)
    assert 0 <= fresh < len(data)
    assert hollow == 0
    whole = [0]
    for message in pa.ipc.MessageReader.open_stream(data):
        whole.append(whole[-1] + message.serialize().size)
    last = whole[-1]  # behind it is the end mark
    assert [end for end in range(last + 1) if unfolded(data[:end])[0] != DAMAGED] == whole


def test_the_end_mark_ends_it() -> None:
    assert unfolded(FRAMES[0] + b"anything") == unfolded(FRAMES[0])


def test_what_is_no_stream_of_messages_is_damaged() -> None:
    for data in (b"{}", b"\xff" * 64, b"ARROW1\0\0" + FRAMES[0], bytes(range(1, 200))):
        assert unfolded(data)[0] == DAMAGED
