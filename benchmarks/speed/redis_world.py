"""The input as it stands in a real Valkey: one entry an event, frames of NDJSON, frames of Arrow; a tick each hour."""

from __future__ import annotations

import io
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import polars as pl

from benchmarks.speed.job import World, hours
from monitor.embedded import EmbeddedStore
from monitor.stream import EventStream, Frame
from notifier.store import Store

FRAME = 5000


@asynccontextmanager
async def valkey() -> AsyncIterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory(prefix="forestall-bench-") as folder:
        embedded = EmbeddedStore(Path(folder), maxmemory_mb=4096, allow_unsafe_folder=True)
        await embedded.start()
        try:
            yield embedded
        finally:
            await embedded.stop()


async def fill(store: Store, frames: Iterator[Frame], at_once: int) -> None:
    """Not part of any measurement, so without the log's fsync."""
    stream = EventStream(store)
    await store.call("CONFIG", "SET", "appendonly", "no")
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) >= at_once:
            await stream.append_many(waiting)
            waiting = []
    await stream.append_many(waiting)


def single_entries(world: World) -> Iterator[Frame]:
    encode = msgspec.json.encode
    return (Frame("e", encode(record)) for record in world.records())


def ndjson_frames(world: World) -> Iterator[Frame]:
    encode = msgspec.json.encode
    lines = [encode(record) for record in world.records()]
    for start, end, now in hours(world):
        for first in range(start, end, FRAME):
            yield Frame("batch", b"\n".join(lines[first : min(first + FRAME, end)]))
        yield Frame("tick", b"%d" % now)


def arrow_frames(world: World) -> Iterator[Frame]:
    """As a gateway would send them: repeated names as dictionaries, times as timestamps with a zone."""
    table = pl.DataFrame(list(world.records())).with_columns(
        pl.col("occurred_at").str.to_datetime(time_unit="ms", time_zone="UTC"),
        pl.col("kind", "source", "carrier", "status", "facility", "region").cast(pl.Categorical),
    )
    for start, end, now in hours(world):
        for first in range(start, end, FRAME):
            buffer = io.BytesIO()
            table.slice(first, min(FRAME, end - first)).write_ipc_stream(buffer)
            yield Frame("arrow", buffer.getvalue())
        yield Frame("tick", b"%d" % now)
