"""A store that forgets under a living daemon: it is held, and the daemon lives; only a later daemon ends it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.standin import Standin
from notifier.audit import Audit
from notifier.ledger import Ledger
from notifier.outbox import FORGOT, FencedError, Outbox
from notifier.store import Store
from tests.doomed import doomed, kill_store, late, tick
from tests.money.shop import ANNA, IDENTITY, NOW, OPEN, coupon
from tests.whole import Clock, Shop, late_parcel, running, until

pytestmark = pytest.mark.anyio
LEASE = 90_000


async def boxes(store: Store) -> tuple[Ledger, Outbox, Outbox]:
    ledger = Ledger(store, IDENTITY, OPEN)
    await ledger.open(None, NOW)
    return ledger, Outbox(store, ledger), Outbox(store, ledger)


async def doubt(shop: Shop) -> str | None:
    said: str | None = (await shop.daemon.status())["doubt"]
    return said


async def test_only_a_later_delivery_ends_an_earlier_one(store: Store) -> None:
    ledger, first, second = await boxes(store)
    await first.take_over()
    await first.check(NOW)
    await second.take_over()
    for question in (first.check(NOW), first.lease(NOW, 1, LEASE, {})):
        with pytest.raises(FencedError, match="another daemon has taken over"):
            await question
    await second.check(NOW)
    assert await ledger.switches() == {}


@pytest.mark.parametrize("known", [None, "1"], ids=["emptied", "put back"])
async def test_a_store_that_forgot_us_hands_out_nothing_and_is_held(store: Store, known: str | None) -> None:
    ledger, ours, _ = await boxes(store)
    await ours.take_over()
    await ledger.claim_all([coupon()], NOW)
    if known is None:
        await store.delete(ledger.key("fence"))
    else:
        await store.put(ledger.key("fence"), known)
    assert await ours.lease(NOW, 1, LEASE, {}) == []
    with capture_logs() as logs:
        await ours.check(NOW)
        await ours.check(NOW)
    assert [one["why"] for one in logs] == [FORGOT]
    assert set(await ledger.switches()) == {"hold"}
    assert await Audit(store, ledger, IDENTITY).verify() == []
    assert await ours.lease(NOW, 1, LEASE, {}) == []
    await ledger.release(ANNA, NOW)
    assert len(await ours.lease(NOW, 1, LEASE, {})) == 1


async def test_who_comes_to_a_store_that_forgot_is_the_later_one_all_the_same(store: Store) -> None:
    _, first, second = await boxes(store)
    for _ in range(3):
        await first.take_over()
    await store.call("FLUSHALL")
    await second.take_over()
    with pytest.raises(FencedError):
        await first.check(NOW)
    await second.check(NOW)


async def test_a_living_daemon_outlives_an_emptied_store_on_hold(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        await late_parcel(shop)
        await shop.pass_time(1)
        await shop.daemon.opened.store.call("FLUSHALL")
        await shop.daemon.observe(clock.now)
        assert "hold" in await shop.daemon.ledger.switches()
        assert await doubt(shop) == FORGOT
        await late_parcel(shop, 2)  # of the first one the store knows nothing any more
        await shop.pass_time(28)
        assert (await shop.daemon.ledger.counts())["held"] >= 1
        assert standin.counts.coupons == 0
        reply = await shop.ask("POST", "/v1/commands/release", {}, **shop.bearer)
        assert reply.status == 200, reply.body
        await until(lambda: standin.counts.coupons == 1)
        await shop.daemon.observe(clock.now)
        assert await shop.daemon.ledger.switches() == {}, "it was said once, and answered"
        assert await doubt(shop) is None


async def test_a_living_daemon_outlives_an_older_copy_on_hold(tmp_path: Path, clock: Clock) -> None:
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        copy = tmp_path / "store" / "copy"
        shutil.copytree(tmp_path / "store" / "appendonlydir", copy)
        await daemon.delivery.start()
        await daemon.observe(clock.now)
        assert await daemon.ledger.switches() == {}
        embedded = kill_store(daemon)
        shutil.rmtree(tmp_path / "store" / "appendonlydir")
        copy.rename(tmp_path / "store" / "appendonlydir")
        await embedded._launch()
        assert await daemon.delivery.run_once(clock.now) == 0
        await daemon.observe(clock.now)
        assert set(await daemon.ledger.switches()) == {"hold"}
        await tick(daemon, clock, 1)
        assert await daemon.delivery.run_once(clock.now) == 0
