"""What a crash leaves behind, and what the next start makes of it."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.app import Daemon, open_daemon
from monitor.standin import Standin
from monitor.stream import Step
from notifier.actions import Decided
from notifier.outbox import FencedError, Outbox
from notifier.store import StoreUnreachableError
from tests.doomed import ONE_IS_ENOUGH, doomed, kill_store, late, tick
from tests.whole import HOUR, Clock, running, settings, until, warm

pytestmark = pytest.mark.anyio


async def test_what_was_claimed_after_the_checkpoint_is_sent_after_a_crash(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """The checkpoint knows no such episode; delivery waits until it was found again."""
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        await daemon.checkpoints.write(clock.now)
        await tick(daemon, clock, 28)
        assert (await daemon.ledger.counts())["pending"] >= 1
    async with running(tmp_path, standin, clock):
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)


async def test_an_alert_that_was_given_up_before_a_crash_is_said_again_after_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """That it was never said was known to the memory that died; by what was left it would be repeated in half a day."""
    told = {**ONE_IS_ENOUGH, "notify": {"routes": [{"name": "ops", "receivers": ["ops"]}]}}
    async with doomed(tmp_path, clock, **told) as daemon:
        await late(daemon, clock)
        await tick(daemon, clock, 28)
        await daemon.delivery.start()
        clock.now += 2 * HOUR
        await daemon.delivery.run_once(clock.now)
        await daemon.delivery.idle()
        assert [claim.why for claim in await daemon.ledger.untold()] == ["expired"]
    async with running(tmp_path, standin, clock, **told) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        for _ in range(6):  # of three hours: by itself it would be repeated after twelve
            await shop.pass_time(0.5, step_minutes=10)
            await shop.daemon.delivery.run_once(clock.now)  # its own rounds are of a clock that runs slower
            await shop.daemon.delivery.idle()
        await until(lambda: standin.counts.alerts == 1)


async def test_what_was_claimed_and_not_told_before_a_crash_can_be_explained_after_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """The claim is there, and why it was made is nowhere: taken again it is told, though it was decided before."""
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        await daemon.checkpoints.write(clock.now)

        crashed = asyncio.Event()

        async def crash(decisions: Sequence[Decided]) -> None:
            crashed.set()
            raise ZeroDivisionError(len(decisions))

        daemon.sink.decisions = crash  # type: ignore[method-assign]
        for _ in range(56):
            clock.now += HOUR // 2
            await daemon.tick(clock.now)
        await until(crashed.is_set)
        assert (await daemon.ledger.counts())["pending"] >= 1
    async with running(tmp_path, standin, clock) as shop:
        await until(lambda: standin.counts.coupons == 1)
        told = json.loads((await shop.ask("GET", "/v1/explain/SF1")).body)["records"]
        assert "coupon" in {one["kind"] for one in told if one["what"] == "action"}


async def test_a_store_that_dies_in_the_middle_of_a_step_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    """The engine has found and the ledger has not claimed: the step ends when the store is back."""
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        daemon.beat = daemon.uptime() - 1000
        assert not daemon.health()["alive"]
        embedded = kill_store(daemon)
        step = asyncio.create_task(take_ticks(daemon, clock.now, 28))
        await until(lambda: not daemon.loop.whole)
        await until(lambda: daemon.health()["alive"])  # it waits: another daemon would not get further
        await embedded._launch()
        await step
        await until(lambda: not daemon.health()["alive"])  # what stands still now does so by itself
        assert (await daemon.ledger.counts())["pending"] >= 1
        await daemon.checkpoints.write(clock.now)
        assert len(files(tmp_path)) == 1


async def test_a_step_that_was_given_up_is_in_no_checkpoint(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """A checkpoint of what was found and not claimed would forget it."""
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        await daemon.checkpoints.write(clock.now)
        embedded = kill_store(daemon)
        step = asyncio.create_task(take_ticks(daemon, clock.now, 28))
        await until(lambda: not daemon.loop.whole)
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        await embedded._launch()
        before = files(tmp_path)
        await daemon.checkpoints.write(clock.now)
        assert files(tmp_path) == before
    async with running(tmp_path, standin, clock) as shop:
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)


async def test_a_checkpoint_waits_for_the_thread_of_one_that_was_cancelled(
    tmp_path: Path, clock: Clock
) -> None:
    """As at a stop: the older one must neither be torn nor come out as the newer."""
    async with doomed(tmp_path, clock) as daemon:
        slow = Slow()
        daemon.checkpoints.parts = {**daemon.checkpoints.parts, "slow": slow}
        first = asyncio.create_task(daemon.checkpoints.write(clock.now))
        await until(lambda: slow.sealing == 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await late(daemon, clock)
        last = asyncio.create_task(daemon.checkpoints.write(clock.now))
        waits = daemon.checkpoints._writing
        await until(lambda: last.done() or (slow.copied == 2 and waits.locked()))
        slow.go.set()
        await last
        await until(lambda: len(files(tmp_path)) == 2)
        checkpoint, problems = daemon.checkpoints.folder.newest()
        assert problems == []
        assert checkpoint is not None
        assert (checkpoint.written_at, checkpoint.parts["slow"]) == (clock.now, b"2")


async def test_a_checkpoint_that_does_not_fit_is_one_line_and_the_stream_stays(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """No file of this process may grow: as on a full disk, beside a store that is elsewhere."""
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        await daemon.checkpoints.write(clock.now)
        before, length = files(tmp_path), await daemon.stream.length()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with capture_logs() as logs:
                await daemon.checkpoints.write(clock.now)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [one["why"] for one in logs if one["event"] == "checkpoint.failed"] == ["File too large"]
        assert files(tmp_path) == before
        assert await daemon.stream.length() == length
        await daemon.checkpoints.write(clock.now)
        assert len(files(tmp_path)) == 2
    async with running(tmp_path, standin, clock) as shop:
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1)


class Slow:
    """A part whose first dump takes until `go`; its bytes are the number of the dump."""

    def __init__(self) -> None:
        self.copied = self.sealing = 0
        self.go = threading.Event()

    def copying(self) -> Generator[None, None, Callable[[], bytes]]:
        self.copied += 1
        number = self.copied
        yield

        def seal() -> bytes:
            self.sealing += 1
            if number == 1:
                assert self.go.wait(60)
            return b"%d" % number

        return seal

    def load(self, _data: bytes) -> None: ...


async def test_a_store_that_became_an_older_copy_under_a_living_daemon_is_held(
    tmp_path: Path, clock: Clock
) -> None:
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        copy = tmp_path / "store" / "copy"
        shutil.copytree(tmp_path / "store" / "appendonlydir", copy)
        await tick(daemon, clock, 28)
        await daemon.observe(clock.now)
        assert "hold" not in await daemon.ledger.switches()
        embedded = kill_store(daemon)
        shutil.rmtree(tmp_path / "store" / "appendonlydir")
        copy.rename(tmp_path / "store" / "appendonlydir")
        await embedded._launch()
        await daemon.observe(clock.now)
        assert "hold" in await daemon.ledger.switches()


async def take_ticks(daemon: Daemon, now: int, hours: int) -> None:
    for half in range(1, 2 * hours + 1):
        await daemon.loop.take(Step([], now + half * HOUR // 2, dict(daemon.loop.taken)))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


async def test_a_daemon_that_was_replaced_neither_holds_the_money_nor_trims(
    tmp_path: Path, clock: Clock
) -> None:
    """It may have slept: to it the other's stream looks as if events were lost."""
    async with doomed(tmp_path, clock) as daemon:
        await daemon.delivery.start()
        await late(daemon, clock)
        other = Outbox(daemon.opened.store, daemon.ledger)
        await other.take_over()
        daemon.loop.taken = {0: "1-1"}
        for question in (daemon.observe, daemon.checkpoints.write):
            with pytest.raises(FencedError, match="this one must stop"):
                await question(clock.now)
        assert await daemon.ledger.switches() == {}
        assert not (tmp_path / "checkpoints").exists()


async def test_a_dead_part_ends_the_daemon_with_its_own_error_though_the_store_is_away(
    tmp_path: Path, clock: Clock
) -> None:
    """What the last checkpoint meets on the way out is not why it ended."""
    warm()
    async with open_daemon(settings(tmp_path, "http://127.0.0.1:9"), clock, ticking=False) as daemon:

        async def away() -> None:
            raise StoreUnreachableError("away")

        async def broken(now: int) -> int:
            raise ZeroDivisionError(now)

        daemon.checkpoints.refresh = away
        daemon.delivery.run_once = broken  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await daemon.run()
        assert not (tmp_path / "checkpoints").exists()
