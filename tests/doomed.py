"""A daemon that will end as a crash ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from monitor.app import Daemon, open_daemon
from monitor.embedded import EmbeddedStore
from monitor.records import when
from tests.whole import HOUR, Clock, order, scan, settings, until, warm

ONE_IS_ENOUGH: Any = {
    "incidents": {"rules": {"parcels_late": {"min_members": 1}, "parcels_stalled": {"min_members": 1}}},
    "notify": {"routes": [{"name": "ops", "receivers": ["ops"], "group_wait_seconds": 360_000}]},
}


@asynccontextmanager
async def doomed(folder: Path, clock: Clock, **more: Any) -> AsyncIterator[Daemon]:
    """Takes its stream and sends nothing; ends as a crash ends, with nothing finished and nothing written."""
    warm()
    told = settings(folder, "http://127.0.0.1:9", **more)
    async with open_daemon(told, clock, ticking=False) as daemon:
        taking = asyncio.create_task(daemon.loop.run())
        try:
            yield daemon
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)


async def late(daemon: Daemon, clock: Clock) -> None:
    """A parcel whose promise will be broken."""
    now = clock.now
    contact = {"phone": "13800138000"}
    events = [
        order("placed", now, amount=199.0, currency="CNY", contact=contact),
        order("shipped", now, tracking_number="SF1", promised_at=when(now + 26 * HOUR)),
        scan("accepted", now),
    ]
    await daemon.intake.submit("\n".join(map(json.dumps, events)).encode(), now)
    await tick(daemon, clock, 1)


async def tick(daemon: Daemon, clock: Clock, hours: int) -> None:
    for _ in range(2 * hours):
        clock.now += HOUR // 2
        await daemon.tick(clock.now)
    await until(lambda: daemon.loop.pipeline.now >= clock.now)


def kill_store(daemon: Daemon) -> EmbeddedStore:
    embedded = daemon.opened.embedded
    assert embedded is not None
    assert embedded._server is not None
    embedded._server.kill()
    embedded._server.wait()
    return embedded
