"""A daemon on a store that is full: it starts, what was claimed leaves, and people can stop it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from structlog.testing import capture_logs

from monitor.app import open_daemon
from monitor.standin import Standin
from notifier.audit import Audit
from notifier.ledger import Ledger
from notifier.outbox import FencedError, Outbox
from notifier.retention import Retention
from notifier.store import Store, StoreFullError
from tests.doomed import doomed, late, tick
from tests.fakes.valkey import Valkey
from tests.money.shop import ANNA, DAY, IDENTITY, NOW, OPEN, coupon
from tests.whole import Clock, running, settings, until

pytestmark = pytest.mark.anyio
LEASE = 90_000


@pytest.fixture
def server() -> Iterator[Valkey]:
    """In a folder with a short path, and so small that a hundred entries fill it."""
    with (
        TemporaryDirectory(prefix="full") as folder,
        Valkey(Path(folder), fsync="no", maxmemory="16mb") as one,
    ):
        yield one


async def fill(store: Store) -> None:
    """Until it refuses, and then well over: what is freed by the way makes no room."""
    with contextlib.suppress(StoreFullError):
        while True:
            await store.call("RPUSH", store.key("ballast"), b"x" * 100_000)
    used = int((await store.info("memory"))["used_memory"])
    await store.call("CONFIG", "SET", "maxmemory", used - (2 << 20))


async def test_a_full_store_is_taken_over_and_watched(server: Valkey) -> None:
    async with Store(server.url, "t") as store:
        ledger = Ledger(store, IDENTITY, OPEN)
        await ledger.open(None, NOW)
        await ledger.claim_all([coupon()], NOW)
        first, second = Outbox(store, ledger), Outbox(store, ledger)
        await first.take_over()
        await fill(store)
        await second.take_over()
        with pytest.raises(FencedError):
            await first.check(NOW)
        await store.delete(ledger.key("fence"))
        assert await second.check(NOW) is not None, "a store that forgot is held, full or not"
        assert set(await ledger.switches()) == {"hold"}
        await ledger.release(ANNA, NOW)
        assert len(await second.lease(NOW, 1, LEASE, {})) == 1


async def test_people_stop_what_leaves_a_full_store(server: Valkey) -> None:
    async with Store(server.url, "t") as store:
        ledger = Ledger(store, IDENTITY, OPEN)
        await ledger.open(None, NOW)
        await fill(store)
        with pytest.raises(StoreFullError):
            await ledger.claim_all([coupon()], NOW)
        await ledger.kill(ANNA, NOW)
        assert set(await ledger.switches()) == {"kill"}


async def test_what_is_old_makes_room_in_a_full_store(server: Valkey) -> None:
    async with Store(server.url, "t") as store:
        ledger = Ledger(store, IDENTITY, OPEN)
        await ledger.open(None, NOW)
        shadow = replace(OPEN, shadow=True)  # suppressed: nothing is owed
        await Ledger(store, IDENTITY, shadow).claim_all([coupon()], NOW)
        retention = Retention(store, ledger, Audit(store, ledger, IDENTITY), 500 * DAY)
        assert (await retention.run(NOW)).claims == 0
        await fill(store)
        assert (await retention.run(NOW + 401 * DAY)).claims == 1


async def test_a_daemon_starts_on_a_full_store_and_sends_what_was_claimed(
    tmp_path: Path, standin: Standin, clock: Clock, server: Valkey
) -> None:
    told = {"store": {"url": server.url}}
    async with doomed(tmp_path, clock, **told) as daemon:
        await late(daemon, clock)
        await tick(daemon, clock, 28)
        await daemon.checkpoints.write(clock.now)
        await fill(daemon.opened.store)
    async with running(tmp_path, standin, clock, **told) as shop:
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)
        reply = await shop.ask("POST", "/v1/commands/hold", {"reason": "full"}, **shop.bearer)
        assert reply.status == 200, reply.body


async def test_a_daemon_that_ticks_by_itself_starts_on_a_full_store(
    tmp_path: Path, clock: Clock, server: Valkey
) -> None:
    async with doomed(tmp_path, clock, store={"url": server.url}) as daemon:
        await tick(daemon, clock, 1)
        await daemon.checkpoints.write(clock.now)
    told = settings(tmp_path, "http://127.0.0.1:9", store={"url": server.url})
    async with Store(server.url) as store:
        await fill(store)
        with capture_logs() as logs:
            async with open_daemon(told, clock) as daemon:
                await daemon.delivery.start()
                await store.call("CONFIG", "SET", "maxmemory", "0")
                await daemon.keep_time(clock.now)
        assert [one for one in logs if one["event"] == "tick.waits"]
