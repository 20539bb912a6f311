"""What a daemon needs beside its store, lost or changed: it says so and holds, and a person's release is an answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.app import Daemon
from monitor.links import Act, Link
from monitor.reloading import reload
from monitor.standin import Standin
from monitor.tenant import MADE, OTHER, PRINT
from tests.doomed import doomed, late, tick
from tests.whole import Clock, Shop, running, until

pytestmark = pytest.mark.anyio
LINK = Link(Act.APPROVE, "A1", 1, "n")
OLD, NEW = "the key of the old days", "another key since today"


async def pending(daemon: Daemon, clock: Clock) -> None:
    """An apology that waits, with a stream that no longer has the parcel."""
    await late(daemon, clock)
    await tick(daemon, clock, 28)
    assert (await daemon.ledger.counts())["pending"] >= 1
    for _ in range(3):
        await tick(daemon, clock, 1)
        await daemon.checkpoints.write(clock.now)
    assert await daemon.stream.trimmed()


async def status(shop: Shop) -> dict[str, Any]:
    reply = await shop.ask("GET", "/v1/status", **shop.bearer)
    found: dict[str, Any] = reply.json()
    return found


async def release(shop: Shop) -> None:
    reply = await shop.ask("POST", "/v1/commands/release", {"reason": "looked at"}, **shop.bearer)
    assert reply.status == 200, reply.body


async def test_lost_checkpoints_hold_what_waits_and_end_none_of_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """The parcel is in no table, so whether it stands still cannot be known: that it moved was said of all of them."""
    async with doomed(tmp_path, clock) as daemon:
        await pending(daemon, clock)
    shutil.rmtree(tmp_path / "checkpoints")
    with capture_logs() as logs:
        async with running(tmp_path, standin, clock) as shop:
            await until(shop.daemon.loop.caught_up.is_set)
            said = await status(shop)
            assert said["switches"] == ["hold"]
            assert "what the engine knew of parcels is lost" in said["doubt"]
            await shop.pass_time(1)
            assert standin.counts.coupons == 0
    assert "checkpoint.lost" in [one["event"] for one in logs]
    async with running(
        tmp_path, standin, clock
    ) as shop:  # from a checkpoint that never knew the parcel either
        await until(shop.daemon.loop.caught_up.is_set)
        assert (await status(shop))["outbox"].get("failed", 0) == 0
        await release(shop)
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)
        assert (await status(shop))["doubt"] is None


async def test_a_crash_before_the_first_checkpoint_loses_nothing_and_holds_nothing(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        await tick(daemon, clock, 28)
        assert (await daemon.ledger.head()).seq > 0
    async with running(tmp_path, standin, clock) as shop:
        await until(lambda: standin.counts.coupons == 1)
        assert (await status(shop))["switches"] == []


async def test_a_tenant_key_that_was_lost_is_held_until_a_person_accepts_the_new_one(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with doomed(tmp_path, clock) as daemon:
        await pending(daemon, clock)
    key = tmp_path / "tenant-key"
    kept = key.read_text()
    key.unlink()
    with capture_logs() as logs:
        async with running(tmp_path, standin, clock) as shop:
            assert (await status(shop))["switches"] == ["hold"]
            assert (await status(shop))["doubt"] == OTHER
            await shop.pass_time(1)
            assert standin.counts.coupons == 0
    assert "tenant_key.differs" in [one["event"] for one in logs]
    changed = key.read_text()
    assert changed != kept
    async with running(tmp_path, standin, clock) as shop:
        assert (await status(shop))["doubt"] == OTHER, "at each start, until somebody says so"
        await release(shop)
        assert (await status(shop))["doubt"] is None
    async with running(tmp_path, standin, clock) as shop:
        assert (await status(shop))["doubt"] is None
        assert (await status(shop))["switches"] == []
    key.write_text(kept)
    async with running(tmp_path, standin, clock) as shop:
        assert (await status(shop))["doubt"] == OTHER


async def test_a_key_lost_beside_a_store_that_keeps_no_print_of_it_is_held_as_well(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """Of an earlier program."""
    async with doomed(tmp_path, clock) as daemon:
        await pending(daemon, clock)
        assert await daemon.opened.store.delete(daemon.opened.store.key(PRINT)) == 1
    async with doomed(tmp_path, clock) as daemon:  # an upgrade
        assert daemon.opened.doubt is None
        assert await daemon.opened.store.delete(daemon.opened.store.key(PRINT)) == 1
    (tmp_path / "tenant-key").unlink()
    async with running(tmp_path, standin, clock) as shop:
        assert (await status(shop))["doubt"] == MADE
        assert (await status(shop))["switches"] == ["hold"]


def config(folder: Path, key: str) -> Path:
    path = folder / "forestall.toml"
    money = f'[money]\ntenant_key = "{key}"\n' if key else ""
    path.write_text(f'data_dir = "{folder}"\nshadow = false\n{money}', encoding="utf-8")
    return path


def signed(shop: Shop) -> str:
    links = shop.daemon.notices.desk.links
    assert links is not None
    return links.sign(LINK)


async def test_another_key_needs_a_restart_and_is_held_after_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    given = {"holdout_percent": 0}
    async with running(tmp_path, standin, clock, money={**given, "tenant_key": OLD}) as shop:
        shop.daemon.config = config(tmp_path, OLD)
        before = signed(shop)
        for key, named in ((OLD, False), (NEW, True), ("", True)):
            config(tmp_path, key)
            with capture_logs() as logs:
                reload(shop.daemon)
            (said,) = [one for one in logs if one["event"] == "config.reloaded"]
            assert ("money.tenant_key" in said["needs_restart"]) is named
            assert signed(shop) == before
        assert not (tmp_path / "tenant-key").exists()
    async with running(tmp_path, standin, clock, money={**given, "tenant_key": NEW}) as shop:
        assert (await status(shop))["doubt"] == OTHER
