"""What a person decides is a step of its own: no checkpoint falls between who was told and the claim of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from monitor.app import Daemon
from monitor.decisions import Decisions
from monitor.incidents import Command
from monitor.loop import HalfDoneError
from monitor.standin import Standin
from monitor.stream import Step
from tests.doomed import ONE_IS_ENOUGH, doomed, kill_store, late, tick
from tests.whole import HOUR, Clock, running, until

pytestmark = pytest.mark.anyio


async def an_alert_that_waits(daemon: Daemon, clock: Clock) -> str:
    """An incident whose group is told at a moment between two ticks, so that a person's word is what tells it."""
    await late(daemon, clock)
    await tick(daemon, clock, 28)
    (view,) = daemon.incidents.firing()
    await daemon.checkpoints.write(clock.now)
    clock.now = view.opened_at + 360_000 * 1000
    return view.incident_id


async def test_a_crash_between_telling_and_claiming_loses_no_alert(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        incident = await an_alert_that_waits(daemon, clock)
        decisions = Decisions(daemon.opened.store)
        claims = (await daemon.ledger.counts()).get("pending", 0)

        async def write(command: Command) -> None:
            await decisions.write(command)
            kill_store(daemon)

        noted = Command("d1", clock.now, "li", "note", incident, "on it")
        asked = asyncio.create_task(daemon.loop.command(noted, write))
        embedded = daemon.opened.embedded
        assert embedded is not None
        await until(lambda: not daemon.loop.whole)
        await embedded._launch()
        await daemon.loop.finish(0)  # the crash
        await asyncio.gather(asked, return_exceptions=True)
        await daemon.checkpoints.write(clock.now)
        assert (await daemon.ledger.counts()).get("pending", 0) == claims
    async with running(tmp_path, standin, clock, **ONE_IS_ENOUGH) as shop:
        await shop.pass_time(0.5)
        await until(lambda: standin.counts.alerts == 1)


async def test_a_decision_is_never_older_than_what_the_engine_has_taken(tmp_path: Path, clock: Clock) -> None:
    """A restart asks for what was decided since its checkpoint: a word that waited for a step belongs after it."""
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        incident = await an_alert_that_waits(daemon, clock)
        decisions = Decisions(daemon.opened.store)
        early = Command("d1", daemon.loop.pipeline.now - 1, "li", "acknowledge", incident)
        await daemon.loop.command(early, decisions.write)
        assert [one.id for one in await decisions.since(daemon.loop.pipeline.now)] == ["d1"]


async def test_what_is_refused_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    async with doomed(tmp_path, clock) as daemon:
        unknown = Command("d1", clock.now, "li", "acknowledge", "I-none")
        with pytest.raises(KeyError):
            await daemon.loop.command(unknown, Decisions(daemon.opened.store).write)
        assert daemon.loop.whole


async def test_a_decision_that_was_given_up_half_way_ends_the_daemon(tmp_path: Path, clock: Clock) -> None:
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        incident = await an_alert_that_waits(daemon, clock)
        decisions = Decisions(daemon.opened.store)

        async def write(command: Command) -> None:
            await decisions.write(command)
            kill_store(daemon)

        noted = Command("d1", clock.now, "li", "note", incident, "on it")
        asked = asyncio.create_task(daemon.loop.command(noted, write))
        await until(lambda: not daemon.loop.whole)
        await daemon.loop.finish(0)
        await asyncio.gather(asked, return_exceptions=True)
        with pytest.raises(HalfDoneError):
            await daemon.loop.take(Step([], clock.now + HOUR, dict(daemon.loop.taken)))
