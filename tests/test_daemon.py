"""The daemon whole, in this process: events over HTTP in, coupons and words out, the same after a restart."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from monitor.app import Daemon, open_daemon
from monitor.records import when
from monitor.server import bind, serving
from monitor.standin import Standin
from notifier.http import Http, Reply

pytestmark = pytest.mark.anyio
SECRET = "a-secret-of-the-test"
HOUR = 3_600_000
MORNING = 1_773_277_200_000  # Thursday 2026-03-12 09:00 in Shanghai


class Clock:
    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> int:
        return self.now


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

    async def value(self, name: str, **labels: str) -> float:
        await self.daemon.observe(self.clock.now)
        self.daemon.refresh_metrics()
        return self.daemon.registry.get_sample_value(f"forestall_{name}", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.wait([asyncio.ensure_future(asyncio.to_thread(int))])


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
                "shop": {"type": "webhook", "url": f"{providers}/messages", "secret": SECRET},
                "ops": {"type": "slack", "url": f"{providers}/ops"},
            },
            "coupons": {"coupons": {"type": "webhook", "url": f"{providers}/coupons", "secret": SECRET}},
            "notify": {"routes": [{"name": "ops", "receivers": ["ops"], "group_wait_seconds": 0}]},
            **more,
        }
    )


@asynccontextmanager
async def running(folder: Path, standin: Standin, clock: Clock, **more: Any) -> AsyncIterator[Shop]:
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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def standin(clock: Clock) -> Standin:
    return Standin(secret=SECRET, clock=clock)


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


async def test_a_late_parcel_brings_a_coupon_and_one_message(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages >= 1)
        assert standin.counts.amount == 500
        story = json.loads((await shop.ask("GET", "/v1/explain/SF1")).body)
        assert any(
            line.endswith(")") and "coupon 5.00 CNY: send, because ok" in line for line in story["lines"]
        )
        assert (
            await shop.value("actions_total", kind="coupon", decision="send", reason="ok", arm="treated") == 1
        )
        assert await shop.value("spent_minor_units_total", currency="CNY") == 500
        parcel = json.loads((await shop.ask("GET", "/v1/parcels/SF1")).body)
        assert {finding["kind"] for finding in parcel["findings"]} >= {"promise_broken"}


async def test_after_a_restart_nothing_is_done_twice(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1)
    sent = standin.counts.messages
    async with running(tmp_path, standin, clock) as shop:
        assert shop.daemon.live_parcels == 1
        await shop.pass_time(3)
        assert (await shop.ask("GET", "/readyz")).status == 200
        await shop.daemon.delivery.idle()
        assert (standin.counts.coupons, standin.counts.messages) == (1, sent)


async def test_in_shadow_mode_all_is_decided_and_nothing_leaves(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock, shadow=True) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        assert (
            await shop.value(
                "actions_total", kind="coupon", decision="suppressed", reason="shadow", arm="treated"
            )
            == 1
        )
        assert await shop.value("shadow") == 1
        await shop.daemon.delivery.idle()
        assert (standin.counts.coupons, standin.counts.messages) == (0, 0)


async def test_bad_events_are_told_one_by_one_and_the_good_ones_taken(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        reply = await shop.send(scan("accepted", clock.now), {"kind": "tracking"}, scan("flying", clock.now))
        told = json.loads(reply.body)
        assert (reply.status, told["accepted"]) == (422, 1)
        assert [error["index"] for error in told["errors"]] == [1, 2]
        letters = json.loads((await shop.ask("GET", "/v1/deadletters", **shop.bearer)).body)
        assert {letter["reason"] for letter in letters} == {"missing_field", "unknown_status"}


async def test_what_changes_something_needs_the_token(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    async with running(tmp_path, standin, clock) as shop:
        for method, path in (
            ("POST", "/v1/events"),
            ("POST", "/v1/commands/hold"),
            ("GET", "/v1/deadletters"),
        ):
            assert (await shop.ask(method, path, {})).status == 401
        done = await shop.ask("POST", "/v1/commands/kill", {"reason": "drill"}, **shop.bearer)
        assert done.status == 200
        await late_parcel(shop)
        await shop.pass_time(28)
        assert (
            await shop.value(
                "actions_total", kind="coupon", decision="suppressed", reason="kill_switch", arm="treated"
            )
            == 1
        )


async def test_metrics_are_clean_and_say_nothing_of_persons(
    tmp_path: Path, standin: Standin, clock: Clock, requires: Callable[[str], str]
) -> None:
    promtool = requires("promtool")
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        text = (await shop.ask("GET", "/metrics")).body
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
        for private in (b"13800138000", b"SF1", b"C1", b"O1"):
            assert private not in text


async def test_a_reload_takes_new_limits_and_a_wrong_one_changes_nothing(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        from monitor.app import reload

        config = tmp_path / "forestall.toml"
        shop.daemon.config = config
        config.write_text('[money]\nbudget_day = "1.00"\n', encoding="utf-8")
        reload(shop.daemon)
        assert await shop.value("config_reload_success") == 1
        assert shop.daemon.ledger.rules.budget_day == 100
        config.write_text("[money]\nbudget_dya = 3\n", encoding="utf-8")
        reload(shop.daemon)
        assert await shop.value("config_reload_success") == 0
        assert shop.daemon.ledger.rules.budget_day == 100
