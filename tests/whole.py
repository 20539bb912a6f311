"""A whole daemon in the process of a test, with the stand-in shop behind it and a client in front."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from config.settings import Settings
from monitor.app import Daemon, open_daemon
from monitor.engine.warming import warm_kernels
from monitor.records import when
from monitor.server import bind, serving
from monitor.standin import Standin
from notifier.http import Http, Reply
from tests.clock import SECRET, Clock

__all__ = ["HOUR", "SECRET", "Clock"]

HOUR = 3_600_000


class Shop:
    """The daemon, the stand-in behind it, and a client in front of it."""

    def __init__(self, daemon: Daemon, standin: Standin, clock: Clock, http: Http) -> None:
        assert daemon.listening is not None
        self.daemon, self.standin, self.clock, self.http = daemon, standin, clock, http
        self.url = f"http://127.0.0.1:{daemon.listening.getsockname()[1]}"
        self.bearer = {"authorization": f"Bearer {daemon.token}"}

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        reply = await self.http.request(method, self.url + path, headers=headers, body=data)
        assert isinstance(reply, Reply), reply
        return reply

    async def send(self, *events: dict[str, Any]) -> Reply:
        return await self.ask("POST", "/v1/events", list(events), **self.bearer)

    async def pass_time(self, hours: float, step_minutes: int = 30) -> None:
        for _ in range(int(hours * 60 / step_minutes)):
            self.clock.now += step_minutes * 60_000
            await self.daemon.tick(self.clock.now)
        await until(lambda: self.daemon.loop.pipeline.now >= self.clock.now)

    async def pass_until(self, condition: Callable[[], bool]) -> None:
        """A minute at a time: what is tried again is due later, also where a busy machine is why the first try failed."""
        async with asyncio.timeout(120):
            while not condition():
                await self.pass_time(1 / 60, step_minutes=1)
                await asyncio.sleep(0.05)

    async def value(self, name: str, **labels: str) -> float:
        await self.daemon.observe(self.clock.now)
        self.daemon.refresh_metrics()
        return self.daemon.registry.get_sample_value(f"forestall_{name}", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- what is waited for is many things
            await asyncio.sleep(
                0.01
            )  # other tasks, and the store and the providers behind them, work meanwhile


def settings(folder: Path, providers: str, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": folder,
            "shadow": False,
            "store": {"allow_unsafe_folder": True},
            "engine": {"tick_seconds": 1800, "sweep_seconds": 1800, "checkpoint_seconds": 3600},
            "detection": {"learning_hours": 0},
            "money": {"holdout_percent": 0},
            "http": {"port": 0, "public_url": "http://console.test"},
            "channels": {
                "customer": {"type": "webhook", "url": f"{providers}/messages", "secret": SECRET},
                "shop": {"type": "webhook", "url": f"{providers}/desk", "secret": SECRET},
                "ops": {"type": "slack", "url": f"{providers}/ops"},
            },
            "coupons": {"coupons": {"type": "webhook", "url": f"{providers}/coupons", "secret": SECRET}},
            "notify": {"routes": [{"name": "ops", "receivers": ["ops"], "group_wait_seconds": 0}]},
            **more,
        }
    )


@cache
def warm() -> None:
    """As `forestall run` does: a kernel that compiles in the middle of a request would hold up its answer."""
    warm_kernels(time.monotonic)


@asynccontextmanager
async def running(folder: Path, standin: Standin, clock: Clock, **more: Any) -> AsyncIterator[Shop]:
    warm()
    listening = bind("127.0.0.1", 0)
    providers = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with (
        serving(standin.app, listening),
        Http() as http,
        open_daemon(settings(folder, providers, **more), clock, ticking=False) as daemon,
    ):
        task = asyncio.create_task(daemon.run())
        try:
            yield Shop(daemon, standin, clock, http)
        finally:
            daemon.stop()
            await task


def order(status: str, at: int, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "kind": "order", "event_id": f"o{number}-{status}", "source": "shop", "occurred_at": when(at),
        "order_id": f"O{number}", "customer_id": f"C{number}", "status": status, **more,
    }  # fmt: skip


def scan(status: str, at: int, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "kind": "tracking", "event_id": f"s{number}-{status}-{at}", "source": "feed", "occurred_at": when(at),
        "tracking_number": f"SF{number}", "carrier": "sf", "status": status, **more,
    }  # fmt: skip


async def late_parcel(shop: Shop, number: int = 1) -> None:
    """Shipped, and then nothing: promised for the next day."""
    now = shop.clock.now
    contact = {"phone": "13800138000"}
    placed = order("placed", now, number, amount=199.0, currency="CNY", contact=contact, locale="zh-CN")
    shipped = order("shipped", now, number, tracking_number=f"SF{number}", promised_at=when(now + 26 * HOUR))
    reply = await shop.send(placed, order("paid", now, number), shipped, scan("accepted", now, number))
    assert reply.status == 200, reply.body
