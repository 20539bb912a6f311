"""The event stream: in order, from positions, ticks aligned over shards, trimmed by id only."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.embedded import EmbeddedStore
from monitor.stream import BEGIN, READ_BYTES, EventStream, Frame, Reader
from notifier.store import Store, StoreUnreachableError

pytestmark = pytest.mark.anyio


async def drained(reader: Reader) -> list[str]:
    """What came out, one word an event and `t..` a tick, until nothing comes."""
    out: list[str] = []
    while True:
        step = await reader.next()
        if not step.frames and step.tick is None:
            return out
        out += sorted(frame.data.decode() for frame in step.frames)
        out += [] if step.tick is None else [f"t{step.tick}"]


async def test_entries_come_in_order_with_their_kind(store: Store) -> None:
    stream = EventStream(store)
    await stream.append("e", b"one")
    await stream.append_many([Frame("batch", b"two"), Frame("arrow", b"three")])
    await stream.tick(1_700_000_000_000)
    await store.stream_add(stream.key(0), {"strange": b"x"})
    await store.stream_add(stream.key(0), {"tick": b"later"})
    await store.stream_add(stream.key(0), {"tick": b"9" * 13})
    reader = Reader(stream)
    step = await reader.next()
    assert [(frame.kind, frame.data) for frame in step.frames] == [
        ("e", b"one"),
        ("batch", b"two"),
        ("arrow", b"three"),
    ]
    assert step.tick == 1_700_000_000_000
    step = await reader.next()
    assert [frame.kind for frame in step.frames] == ["other", "other", "other"]
    assert step.positions == await stream.ends()


async def test_a_reader_goes_on_where_another_stopped(store: Store) -> None:
    stream = EventStream(store)
    for number in range(5):
        await stream.append("e", b"%d" % number)
        await stream.tick(number)
    first = Reader(stream)
    step = await first.next()
    assert await drained(Reader(stream, dict(step.positions))) == ["1", "t1", "2", "t2", "3", "t3", "4", "t4"]


async def test_ticks_wait_for_all_shards(store: Store) -> None:
    stream = EventStream(store, shards=3)
    await stream.append("e", b"a", shard=0)
    await stream.append("e", b"b", shard=2)
    await stream.tick(1)
    await stream.append("e", b"c", shard=1)
    await stream.tick(2)
    await stream.append("e", b"d", shard=1)
    assert await drained(Reader(stream)) == ["a", "b", "t1", "c", "t2", "d"]


async def test_a_tick_that_reached_only_one_shard_is_held_back(store: Store) -> None:
    stream = EventStream(store, shards=2)
    await store.stream_add(stream.key(0), {"tick": b"1"})
    await stream.append("e", b"behind", shard=0)
    await stream.append("e", b"other", shard=1)
    reader = Reader(stream)
    assert await drained(reader) == ["other"]
    await store.stream_add(stream.key(1), {"tick": b"1"})
    assert await drained(reader) == ["t1", "behind"]


async def test_trimming_keeps_what_the_checkpoint_does_not_cover(store: Store) -> None:
    stream = EventStream(store)
    ids = [await stream.append("e", b"%d" % number) for number in range(10)]
    assert await stream.trim({0: ids[6]}) == 6
    assert await stream.length() == 4
    assert await drained(Reader(stream, {0: ids[6]})) == ["7", "8", "9"]
    assert await stream.damage({0: ids[6]}) is None


async def test_a_stream_that_lost_its_end_or_our_place_is_noticed(store: Store) -> None:
    stream = EventStream(store)
    ids = [await stream.append("e", b"%d" % number) for number in range(10)]
    assert await stream.damage({0: BEGIN}) is None
    await stream.trim({0: ids[5]})
    assert "events are lost" in (await stream.damage({0: ids[2]}) or "")
    await store.delete(stream.key(0))
    assert "restored or lost" in (await stream.damage({0: ids[9]}) or "")


async def test_lag_is_the_age_of_the_position(store: Store) -> None:
    stream = EventStream(store)
    assert await stream.lag_ms({0: BEGIN}) == 0
    await store.call("XADD", stream.key(0), "1000-0", "e", "x")
    await store.call("XADD", stream.key(0), "4500-0", "e", "x")
    assert await stream.lag_ms({0: "1000-0"}) == 3500
    assert await stream.lag_ms({0: "4500-0"}) == 0


async def test_a_long_backlog_is_read_in_bounded_steps(store: Store) -> None:
    stream = EventStream(store)
    await stream.append_many(Frame("e", b"x" * 300) for _ in range(1000))
    await stream.append_many(Frame("batch", b"x" * 100_000) for _ in range(400))
    reader = Reader(stream)
    small: list[int] = []
    great: list[int] = []
    while frames := (await reader.next()).frames:
        (great if frames[-1].kind == "batch" else small).append(len(frames))
    assert sum(small) + sum(great) == 1400
    assert max(small) <= 200
    assert max(great[2:]) <= READ_BYTES // 100_000


async def test_a_reader_takes_much_at_once_and_then_waits_again(store: Store) -> None:
    """Whichever way it reads, the entries come in their order, each once, and a small one that comes later as well."""
    stream = EventStream(store)
    expected = [b"%07d" % number * (1 + number % 3 * 40_000) for number in range(60)]
    await stream.append_many(Frame("batch", data) for data in expected[:50])
    reader, found = Reader(stream), list[bytes]()
    while len(found) < 50:
        found += [frame.data for frame in (await reader.next()).frames]
    assert (await reader.next()).frames == []
    for data in expected[50:]:
        await stream.append("batch", data)
        found += [frame.data for frame in (await reader.next(seconds=5)).frames]
    assert found == expected


@pytest.mark.parametrize(
    ("subject", "of_4", "of_256"), [("SF1", 2, 66), ("YT2026112200001", 3, 47), ("订单-1001", 1, 233)]
)
def test_a_subject_is_in_the_same_shard_in_every_process_and_version(
    subject: str, of_4: int, of_256: int
) -> None:
    """Else a restart would look for the events of a parcel, and other programs write them, where they are not."""
    for shards, shard in ((1, 0), (4, of_4), (256, of_256)):
        assert EventStream(None, shards).shard_of(subject) == shard  # type: ignore[arg-type]


@given(st.text(max_size=20), st.integers(1, 256))
def test_a_subject_is_in_one_of_the_shards_there_are(subject: str, shards: int) -> None:
    assert 0 <= EventStream(None, shards).shard_of(subject) < shards  # type: ignore[arg-type]


async def test_a_reader_keeps_its_place_while_the_store_is_away(tmp_path: Path) -> None:
    keeper = EmbeddedStore(tmp_path, maxmemory_mb=64, allow_unsafe_folder=True)
    await keeper.start()
    async with Store(keeper.url) as store:
        stream = EventStream(store)
        reader = Reader(stream)
        await stream.append("e", b"before")
        assert await drained(reader) == ["before"]
        await stream.append("e", b"during")
        await keeper.stop()
        with pytest.raises(StoreUnreachableError):
            await reader.next(seconds=0.01)
        await keeper.start()
        assert await drained(reader) == ["during"]
    await keeper.stop()
