"""Intake: durable when it answers, bounded when the store is slow, and open about what it refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.decode import Decoder
from monitor.embedded import EmbeddedStore
from monitor.intake import Intake, IntakeBusyError
from monitor.metrics import Metrics
from monitor.names import Names
from monitor.poison import HOUR, SAMPLE
from monitor.stream import EventStream, Reader
from monitor.vocabulary import DeadReason
from notifier.store import Store

pytestmark = pytest.mark.anyio
NOW = 1_772_323_200_000


def scan(number: int, **more: Any) -> bytes:
    event = {
        "kind": "tracking",
        "event_id": str(number),
        "source": "test",
        "occurred_at": "2026-03-01T00:00:00Z",
        "tracking_number": f"SF{number:06d}",
        "carrier": "sf",
        "status": "arrived",
        **more,
    }
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


@asynccontextmanager
async def opened(store: Store, shards: int = 1, **options: int) -> AsyncIterator[Intake]:
    most = options.pop("most_pending_bytes", 64 << 20)
    settings = IntakeSettings(linger_ms=1).model_copy(update=options)
    async with Intake(
        EventStream(store, shards), DeadLetters(store), settings, most_pending_bytes=most
    ) as intake:
        yield intake


async def numbers(store: Store, shards: int = 1) -> list[str]:
    """The tracking numbers in the stream, by shard and order."""
    reader = Reader(EventStream(store, shards))
    decoder = Decoder(Names())
    found: list[str] = []
    while frames := (await reader.next()).frames:
        for decoded in decoder.decode(frames):
            assert not decoded.dead
            found += decoder.names.unpack_many(decoded.batch.scans.key0, decoded.batch.scans.key1)
    return found


async def test_what_was_accepted_is_in_the_stream(store: Store) -> None:
    async with opened(store) as intake:
        receipt = await intake.submit(b"\n".join(map(scan, range(5))) + b"\n", NOW)
        assert (receipt.accepted, receipt.dead) == (5, [])
        assert await numbers(store) == [f"SF{number:06d}" for number in range(5)]


async def test_a_clock_that_was_set_back_refuses_nothing_of_today(store: Store) -> None:
    """What is of today by the engine's time is no event of the future."""
    days = 3 * 24 * 3_600_000
    async with opened(store) as intake:
        refused = await intake.submit(scan(1), NOW - days)
        assert [one.reason for one in refused.dead] == [DeadReason.TIME_OUT_OF_RANGE]
        intake.time = lambda: NOW
        assert (await intake.submit(scan(2), NOW - days)).accepted == 1
        ahead = await intake.submit(scan(3, occurred_at="2026-03-02T00:00:01Z"), NOW - days)
        assert [one.reason for one in ahead.dead] == [DeadReason.TIME_OUT_OF_RANGE]


async def test_many_submissions_share_an_entry(store: Store) -> None:
    async with opened(store, linger_ms=50) as intake:
        await asyncio.gather(*[intake.submit(scan(number), NOW) for number in range(200)])
    assert await EventStream(store).length() < 20
    assert sorted(await numbers(store)) == [f"SF{number:06d}" for number in range(200)]


async def test_a_full_frame_does_not_wait_for_the_linger(store: Store) -> None:
    async with opened(store, linger_ms=3_600_000, frame_events=10) as intake:
        async with asyncio.timeout(60):
            await asyncio.gather(*[intake.submit(scan(number), NOW) for number in range(10)])


async def test_a_great_submission_becomes_several_entries(store: Store) -> None:
    async with opened(store, frame_events=100) as intake:
        lines = [b"\n".join(map(scan, range(start, start + 90))) for start in range(0, 900, 90)]
        await asyncio.gather(*[intake.submit(line, NOW) for line in lines])
    assert await EventStream(store).length() >= 9
    assert len(await numbers(store)) == 900


async def test_the_good_ones_of_a_mixed_submission_are_taken_and_the_others_parked(store: Store) -> None:
    async with opened(store) as intake:
        receipt = await intake.submit(
            b"\n".join([scan(1), b"{", scan(2, status="gone"), b"", scan(3)]), NOW, feed="desk"
        )
    assert receipt.accepted == 2
    assert [(one.index, one.reason) for one in receipt.dead] == [
        (1, DeadReason.MALFORMED_JSON),
        (2, DeadReason.UNKNOWN_STATUS),
    ]
    assert await numbers(store) == ["SF000001", "SF000003"]
    letters = await DeadLetters(store).list()
    assert [(one.reason, one.feed, one.at) for one in letters] == [
        (DeadReason.UNKNOWN_STATUS, "desk", NOW),
        (DeadReason.MALFORMED_JSON, "desk", NOW),
    ]


async def test_an_event_of_tomorrow_is_refused(store: Store) -> None:
    async with opened(store) as intake:
        receipt = await intake.submit(scan(1, occurred_at="2026-03-04T00:00:00Z"), NOW)
    assert [one.reason for one in receipt.dead] == [DeadReason.TIME_OUT_OF_RANGE]


async def test_events_of_one_parcel_go_to_one_shard(store: Store) -> None:
    async with opened(store, shards=4) as intake:
        events = [scan(number % 7, event_id=str(number)) for number in range(70)]
        await asyncio.gather(*[intake.submit(event, NOW) for event in events])
    stream = EventStream(store, 4)
    for shard in range(4):
        for entry in await store.stream_range(stream.key(shard)):
            for line in entry.fields[1].split(b"\n"):
                assert stream.shard_of(json.loads(line)["tracking_number"]) == shard
    assert len(await numbers(store, 4)) == 70


async def test_a_dead_letter_can_be_tried_again_without_becoming_two(store: Store) -> None:
    dead = DeadLetters(store)
    async with opened(store) as intake:
        await intake.submit(scan(1, status="gone"), NOW)
        await intake.submit(scan(2, occurred_at="2026-03-03T00:00:00Z"), NOW)
        later = NOW + 3 * 86_400_000

        async def again(letter: Any) -> bool:
            receipt = await intake.submit(letter.raw, later, park=False)
            return receipt.accepted == 1

        assert await dead.replay(again) == (1, 1)
    assert [one.reason for one in await dead.list()] == [DeadReason.UNKNOWN_STATUS]
    assert await numbers(store) == ["SF000002"]


async def test_of_a_sender_of_mostly_rubbish_that_is_told_of_each_a_sample_is_kept(store: Store) -> None:
    with capture_logs() as said:
        assert await send_rubbish(store, told=True) == 900 + SAMPLE
    assert [one["event"] for one in said] == ["feed.poisoned", "feed.clean_again"]
    assert said[0]["feed"] == "broken"
    assert "13800138000" not in str(said)


async def test_of_one_who_cannot_be_told_everything_is_kept(store: Store) -> None:
    assert await send_rubbish(store, told=False) == 2000


async def send_rubbish(store: Store, *, told: bool) -> int:
    """How many of 2,000 became letters."""
    metrics = Metrics(process=False)
    dead = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), dead, IntakeSettings(linger_ms=1)) as intake:
        for _ in range(20):
            receipt = await intake.submit(b"\n".join([b"13800138000"] * 100), NOW, "broken", told=told)
        assert receipt.poisoned
        assert (await intake.submit(scan(1), NOW, feed="sound")).poisoned is False
        parked = await dead.count()
        if told:
            await intake.submit(b"{", NOW + HOUR, "broken", told=True)
            assert await dead.count() == parked + 1
        value = metrics.registry.get_sample_value
        refused = value("forestall_deadletter_total", {"reason": "not_an_object"})
        unkept = value("forestall_deadletter_unkept_total", {"why": "poisoned"}) or 0
        assert (refused, unkept) == (2000, 2000 - parked)
        for _ in range(30):
            receipt = await intake.submit(b"\n".join(map(scan, range(100))), NOW, "broken", told=told)
        assert not receipt.poisoned
    return parked


async def test_what_is_sent_again_because_the_store_was_full_is_one_letter(store: Store) -> None:
    """The events of a submission come before its letters: an event that is there twice is one."""
    async with opened(store) as intake:
        mixed = scan(1) + b"\n{"
        await store.call("SET", EventStream(store).key(0), "in the way")
        with pytest.raises(IntakeBusyError):
            await intake.submit(mixed, NOW)
        await store.delete(EventStream(store).key(0))
        await intake.submit(mixed, NOW)
    assert await DeadLetters(store).count() == 1


async def test_too_much_waiting_is_refused_not_queued(store: Store) -> None:
    async with opened(store, linger_ms=1000, most_pending_bytes=1000) as intake:
        first = asyncio.create_task(intake.submit(scan(1, facility="x" * 200, signed_by="y" * 500), NOW))
        await asyncio.sleep(0)
        with pytest.raises(IntakeBusyError, match="waiting"):
            await intake.submit(scan(2, facility="x" * 200), NOW)
        with pytest.raises(IntakeBusyError), intake.reserved(2000):
            pass
        intake._enough.set()
        await first


async def test_intake_stops_before_the_store_is_full_and_goes_on_when_there_is_room(store: Store) -> None:
    used = int((await store.info("memory"))["used_memory"])
    filler = [
        b"\n".join(scan(number, signed_by="x" * 60_000) for number in range(start, start + 20))
        for start in range(0, 400, 20)
    ]

    async def fill() -> None:
        for lines in filler:
            await intake.submit(lines, NOW)

    async with opened(store) as intake:
        await store.call("CONFIG", "SET", "maxmemory", used + (10 << 20))
        try:
            with pytest.raises(IntakeBusyError, match="nearly full"):
                await fill()
            await store.put("claim", "there is room for money")
            await EventStream(store).trim({0: "9999999999999-0"})
            assert (await intake.submit(scan(1), NOW)).accepted == 1
        finally:
            await store.call("CONFIG", "SET", "maxmemory", 512 << 20)


async def test_a_store_that_went_away_is_busy_and_then_works_again(tmp_path: Path) -> None:
    keeper = EmbeddedStore(tmp_path, maxmemory_mb=64, allow_unsafe_folder=True)
    await keeper.start()
    async with Store(keeper.url) as store, opened(store) as intake:
        assert (await intake.submit(scan(1), NOW)).accepted == 1
        await keeper.stop()
        with pytest.raises(IntakeBusyError, match="does not answer"):
            await intake.submit(scan(2), NOW)
        with pytest.raises(IntakeBusyError, match="does not answer"):
            await intake.submit(b"{", NOW)
        await keeper.start()
        assert (await intake.submit(scan(3), NOW)).accepted == 1
        assert await numbers(store) == ["SF000001", "SF000003"]
    await keeper.stop()


async def test_a_write_that_fails_unexpectedly_fails_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(store) as intake:
        with monkeypatch.context() as patch, capture_logs() as said:
            patch.setattr(store, "stream_add", None)
            with pytest.raises(IntakeBusyError, match="TypeError"):
                await intake.submit(scan(1), NOW)
        assert [one["event"] for one in said] == ["intake.failed"]
        assert (await intake.submit(scan(2), NOW)).accepted == 1


async def test_closing_writes_what_was_submitted(store: Store) -> None:
    async with opened(store, linger_ms=1000) as intake:
        waiting = asyncio.create_task(intake.submit(scan(1), NOW))
        await asyncio.sleep(0)
    assert (await waiting).accepted == 1
    with pytest.raises(IntakeBusyError, match="closed"):
        await intake.submit(scan(2), NOW)


async def test_nothing_acknowledged_is_lost_when_the_store_is_killed(
    tmp_path: Path, server_binary: Path | None, eventually: Callable[..., Any]
) -> None:
    keeper = EmbeddedStore(tmp_path, maxmemory_mb=64, allow_unsafe_folder=True, binary=server_binary)
    await keeper.start()
    watcher = asyncio.create_task(keeper.watch(0.01))
    acknowledged: set[str] = set()

    async def sender(first: int) -> None:
        for number in range(first, first + 10_000_000):
            with contextlib.suppress(IntakeBusyError):
                await intake.submit(scan(number), NOW)
                acknowledged.add(f"SF{number:06d}")
            await asyncio.sleep(0)

    async with Store(keeper.url) as store, opened(store, linger_ms=0) as intake:
        senders = [asyncio.create_task(sender(first * 100_000)) for first in range(8)]
        for kill in range(1, 6):
            seen = len(acknowledged)
            await eventually(lambda seen=seen: len(acknowledged) > seen + 50)
            assert keeper._server is not None
            os.kill(keeper._server.pid, signal.SIGKILL)
            await eventually(lambda kill=kill: keeper.starts > kill)
        for task in senders:
            task.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        kept = await numbers(store)
        assert acknowledged <= set(kept)
        assert keeper.torn is None
    watcher.cancel()
    await keeper.stop()
