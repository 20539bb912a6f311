"""`/readyz` says no, and why, while nothing can be found or done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.patience import Patience
from monitor.standin import Standin
from notifier.store import StoreFullError
from tests.money.shop import ANNA, coupon
from tests.whole import HOUR, Clock, Shop, running, scan, until

pytestmark = pytest.mark.anyio
DAY = 24 * HOUR


async def ready(shop: Shop) -> tuple[int, str | None]:
    reply = await shop.ask("GET", "/readyz")
    why: str | None = json.loads(reply.body)["why"]
    return reply.status, why


def nothing_waits(shop: Shop) -> bool:
    """What was under way while the store refused tries again after a while of its own."""
    asking = shop.daemon.loop.pipeline.ask
    return isinstance(asking, Patience) and not asking.waiting


@pytest.mark.parametrize("back", [HOUR, 24 * HOUR, 49 * HOUR])
async def test_a_clock_behind_the_newest_tick_is_not_ready(
    tmp_path: Path, standin: Standin, clock: Clock, back: int
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await shop.pass_time(1)
        assert await ready(shop) == (200, None)
        clock.now -= back
        status, why = await ready(shop)
        assert status == 503
        assert why is not None
        assert f"{back // 1000} seconds behind the newest tick" in why
        assert await shop.value("ready") == 0
        today = scan("accepted", clock.now + back)
        assert (await shop.send(today)).status == 200, "what happens now is taken all the same"
        clock.now += back - 30_000
        assert await ready(shop) == (200, None)
        assert await shop.value("ready") == 1


async def test_a_tick_of_a_time_far_ahead_is_not_ready(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await shop.daemon.tick(clock.now + 400 * DAY)
        await until(lambda: shop.daemon.loop.pipeline.now > clock.now)
        assert (await ready(shop))[0] == 503


async def test_a_store_in_which_no_event_has_room_is_not_ready_though_money_is_still_written(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        store = shop.daemon.opened.store
        used = int((await store.info("memory"))["used_memory"])
        limit = int(used / 0.9)
        await store.call("CONFIG", "SET", "maxmemory", str(limit))
        assert await ready(shop) == (503, "the store is nearly full: no event is taken")
        await shop.daemon.observe(clock.now)
        assert await shop.value("ready") == 0
        assert await shop.value("store_used_bytes") == pytest.approx(used, rel=0.15)
        assert await shop.value("store_limit_bytes") == limit
        await store.call("CONFIG", "SET", "maxmemory", str(used * 4))
        await shop.daemon.observe(clock.now)
        assert await ready(shop) == (200, None)
        assert await shop.value("ready") == 1


async def test_a_store_that_is_full_is_not_ready_until_it_has_room(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        store = shop.daemon.opened.store
        before = (await store.call("CONFIG", "GET", "maxmemory"))[b"maxmemory"]
        await store.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreFullError):
            await shop.daemon.observe(clock.now)
        status, why = await ready(shop)
        assert (status, why is not None and "full" in why) == (503, True)
        assert shop.daemon.registry.get_sample_value("forestall_ready") == 0
        await store.call("CONFIG", "SET", "maxmemory", before)
        await shop.daemon.observe(clock.now)
        await until(lambda: nothing_waits(shop))
        assert await ready(shop) == (200, None)


async def test_a_full_store_is_still_seen_to_be_on_hold_and_to_wait(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        store = shop.daemon.opened.store
        await shop.daemon.observe(clock.now)
        await shop.daemon.ledger.hold(ANNA, clock.now)
        await shop.daemon.ledger.claim_all([coupon()], clock.now)
        await store.call("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreFullError):
            await shop.daemon.observe(clock.now)
        value = shop.daemon.registry.get_sample_value
        assert value("forestall_ledger_hold") == 1
        assert value("forestall_outbox_entries", {"state": "held"}) == 1
        await store.call("CONFIG", "SET", "maxmemory", "0")


async def test_a_store_without_its_replicas_is_not_ready(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        store = shop.daemon.opened.store
        await store.call("CONFIG", "SET", "min-replicas-to-write", "1")
        with pytest.raises(StoreFullError):
            await shop.daemon.observe(clock.now)
        assert (await ready(shop))[0] == 503
        await store.call("CONFIG", "SET", "min-replicas-to-write", "0")
        await shop.daemon.observe(clock.now)
        await until(lambda: nothing_waits(shop))
        assert await ready(shop) == (200, None)
