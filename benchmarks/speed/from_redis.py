"""End to end from Redis: read, decode, keep state, find stalls. One consumer process; the stream is filled before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec
import redis
from river import stats

from benchmarks.speed import ours
from benchmarks.speed.job import HOUR_MS, LIMIT_HOURS, SEGMENT_OF, Counts, Measured, World, hours
from benchmarks.speed.redis_world import arrow_frames, fill, ndjson_frames, single_entries, valkey
from detectors.findings import State
from monitor.decode import Decoder
from monitor.engine import Engine
from monitor.names import Names
from monitor.stream import EventStream, Frame, Reader
from notifier.store import Store

READ: Final = 1000  # entries, of the naive loops


def naive(world: World) -> Measured:
    """One JSON entry an event, redis-py, a dictionary, river's quantile: each event on its own.

    It keeps its own place in the stream, as our reader does: the cheapest way to read there is.
    """
    return asyncio.run(_naive(world, _read))


def naive_group(world: World) -> Measured:
    """The same by a consumer group, acknowledged: what the client's documentation shows."""
    return asyncio.run(_naive(world, _read_as_group))


def ndjson(world: World) -> Measured:
    return asyncio.run(_ours(world, ndjson_frames, ()))


def arrow(world: World) -> Measured:
    return asyncio.run(_ours(world, arrow_frames, ()))


def ndjson_all_detectors(world: World) -> Measured:
    return asyncio.run(_ours(world, ndjson_frames, None))


def arrow_all_detectors(world: World) -> Measured:
    return asyncio.run(_ours(world, arrow_frames, None))


def ndjson_columns(world: World) -> Measured:
    return asyncio.run(_columns(world, ndjson_frames))


def arrow_columns(world: World) -> Measured:
    return asyncio.run(_columns(world, arrow_frames))


Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]


def _read(client: Any, key: str) -> Iterator[Entries]:
    position: bytes | str = "0"
    while found := client.xread({key: position}, count=READ):
        ((_, entries),) = found
        yield entries
        position = entries[-1][0]


def _read_as_group(client: Any, key: str) -> Iterator[Entries]:
    client.xgroup_create(key, "naive", id="0")
    while found := client.xreadgroup("naive", "one", {key: ">"}, count=READ):
        ((_, entries),) = found
        yield entries
        client.xack(key, "naive", *[entry for entry, _ in entries])


async def _naive(world: World, read: Callable[[Any, str], Iterator[Entries]]) -> Measured:
    last_mark = [mark for _, _, mark in hours(world)][-1]
    async with valkey() as embedded:
        async with Store(embedded.url) as store:
            await fill(store, single_entries(world), 1000)
            key = EventStream(store).key(0)
        client = redis.Redis(unix_socket_path=str(embedded.socket), protocol=2)
        cpu, wall = time.process_time(), time.perf_counter()
        counts = _naive_loop(read(client, key), last_mark)
        measured = Measured(len(world), time.perf_counter() - wall, time.process_time() - cpu, counts)
        client.close()
        return measured


def _naive_loop(reading: Iterator[Entries], last_mark: int) -> Counts:
    segment = {status.name.lower(): int(one) for status, one in SEGMENT_OF.items()}
    limit = {int(one): hours_ * HOUR_MS for one, hours_ in LIMIT_HOURS.items()}
    parcels: dict[str, list[Any]] = {}  # last scan, region, segment, stalled
    learned: dict[tuple[str, str, int], stats.Quantile] = {}
    # The fastest there is in Python beside orjson; the standard library's takes three times as long.
    decode = msgspec.json.decode
    opened = closed = mark = 0

    def sweep(now: int) -> int:
        found = 0
        for known in parcels.values():
            if not known[3] and now - known[0] >= limit[known[2]]:
                known[3] = 1
                found += 1
        return found

    for entries in reading:
        for _, fields in entries:
            event = decode(fields[b"e"])
            at = round(datetime.fromisoformat(event["occurred_at"]).timestamp() * 1000)
            if not mark:
                mark = at // HOUR_MS * HOUR_MS + HOUR_MS
            while at >= mark:
                opened += sweep(mark)
                mark += HOUR_MS
            number, status = event["tracking_number"], event["status"]
            known = parcels.get(number)
            if known is None:
                if status != "delivered":
                    parcels[number] = [at, event["region"], segment[status], 0]
                continue
            cell = (event["carrier"], known[1], known[2])
            quantile = learned.get(cell)
            if quantile is None:
                quantile = learned[cell] = stats.Quantile(0.99)
            quantile.update(at - known[0])
            closed += known[3]
            if status == "delivered":
                del parcels[number]
            else:
                known[0], known[2], known[3] = at, segment[status], 0
    while mark <= last_mark:
        opened += sweep(mark)
        mark += HOUR_MS
    return Counts(opened, closed, len(parcels))


async def _ours(
    world: World, frames: Callable[[World], Iterator[Frame]], detectors: Sequence[Any] | None
) -> Measured:
    async with valkey() as embedded, Store(embedded.url) as store:
        await fill(store, frames(world), 20)
        names = Names()
        settings = ours.settings_for(world)
        engine = Engine(settings, ours.fixed_limits(), names, place=detectors, parcel=detectors)
        engine.tick(int(world.at[0]) - 1)
        reader, decoder = Reader(EventStream(store)), Decoder(names)
        opened = closed = taken = 0
        last_mark = [mark for _, _, mark in hours(world)][-1]
        cpu, wall = time.process_time(), time.perf_counter()
        while engine.now < last_mark:
            step = await reader.next(seconds=1)
            for decoded in decoder.decode(step.frames):
                taken += decoded.events
                for finding in engine.feed(decoded.batch):
                    closed += finding.detector == "stall"
            if step.tick is not None:
                for finding in engine.tick(step.tick):
                    opened += finding.detector == "stall" and finding.state is State.OPENED
        return Measured(
            taken,
            time.perf_counter() - wall,
            time.process_time() - cpu,
            Counts(opened, closed, engine.live_parcels),
        )


async def _columns(world: World, frames: Callable[[World], Iterator[Frame]]) -> Measured:
    """The way to the engine's door: read and decoded, and nothing done with it."""
    async with valkey() as embedded, Store(embedded.url) as store:
        await fill(store, frames(world), 20)
        reader, decoder = Reader(EventStream(store)), Decoder(Names())
        taken = tick = 0
        last_mark = [mark for _, _, mark in hours(world)][-1]
        cpu, wall = time.process_time(), time.perf_counter()
        while tick < last_mark:
            step = await reader.next(seconds=1)
            taken += sum(decoded.events for decoded in decoder.decode(step.frames))
            tick = step.tick or tick
        assert taken == len(world)
        return Measured(taken, time.perf_counter() - wall, time.process_time() - cpu, note="no engine")
