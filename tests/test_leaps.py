"""A wall clock that leaps: what a bad time source says for a moment gets into no stream, and what stays is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.leaps import PATIENCE, Leaps
from monitor.standin import Standin
from tests.doomed import doomed
from tests.money.shop import ops_alert
from tests.whole import Clock, running, until

SECOND, HOUR, YEAR = 1_000, 3_600_000, 365 * 86_400_000
T0 = 1_795_334_400_000


def test_time_that_passes_is_believed_however_seldom_it_is_asked_for() -> None:
    leaps = Leaps()
    for up, wall in ((0, T0), (1, T0 + SECOND), (36_001, T0 + SECOND + 10 * HOUR)):
        assert leaps.believed(wall, up)


def test_an_hour_is_believed_at_once_and_more_after_it_has_stood_for_a_while() -> None:
    leaps = Leaps()
    assert leaps.believed(T0, 0)
    assert leaps.believed(T0 + HOUR, 0)
    assert not leaps.believed(T0 + YEAR, 10)
    assert not leaps.believed(T0 + YEAR, 10 + PATIENCE - 1)
    assert leaps.believed(T0 + YEAR, 10 + PATIENCE)
    assert leaps.believed(T0 + YEAR + SECOND, 11 + PATIENCE)


def test_a_year_ahead_and_back_was_nothing() -> None:
    leaps = Leaps()
    assert leaps.believed(T0, 0)
    with capture_logs() as logs:
        assert not leaps.believed(T0 + YEAR, 1)
        assert leaps.believed(T0 + 2 * SECOND, 2)
    assert [(one["event"], one["seconds_ahead"]) for one in logs] == [
        ("clock.leapt", YEAR // SECOND - 1),
        ("clock.believed", 0),
    ]
    assert not leaps.believed(T0 + YEAR, 3), "and is doubted anew"
    assert not leaps.believed(T0 + YEAR, 2 + PATIENCE)


def test_a_step_back_is_believed_and_told() -> None:
    leaps = Leaps()
    assert leaps.believed(T0, 0)
    with capture_logs() as logs:
        assert leaps.believed(T0 - HOUR, 1)
        assert leaps.believed(T0 - HOUR + SECOND, 2)
    assert [(one["event"], one["seconds"]) for one in logs] == [("clock.went_back", 3601)]


@pytest.mark.anyio
async def test_a_tick_of_a_leap_gets_into_the_stream_only_when_it_stands(
    tmp_path: Path, clock: Clock
) -> None:
    async with doomed(tmp_path, clock) as daemon:
        daemon.leaps, up = Leaps(), [0.0]
        daemon.uptime = lambda: up[0]
        await daemon.keep_time(clock.now)
        before = await daemon.stream.length()
        await daemon.keep_time(clock.now + YEAR)
        assert await daemon.stream.length() == before
        up[0] = PATIENCE
        await daemon.keep_time(clock.now + YEAR)
        await until(lambda: daemon.loop.pipeline.now == clock.now + YEAR)
        daemon.refresh_metrics()
        value = daemon.registry.get_sample_value("forestall_clock_behind_seconds")
        assert value == YEAR / SECOND, "the clock went back after all: time stands, and it shows"


@pytest.mark.anyio
async def test_nothing_leaves_by_a_clock_that_has_just_leapt(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """A year on, all that waits has expired: it would be given up."""
    async with running(tmp_path, standin, clock) as shop:
        daemon, true = shop.daemon, clock.now
        daemon.leaps = Leaps()
        assert daemon.leaps.believed(true, daemon.uptime())
        clock.now += YEAR
        alert = ops_alert(variables={"message": {"title": "t", "body": "b"}}, expires_at=true + HOUR)
        await daemon.ledger.claim_all([alert], true)
        for _ in range(2):
            beat = daemon.beat
            await until(lambda: daemon.beat > beat)  # noqa: B023 -- it is awaited here
        assert (await daemon.ledger.counts())["pending"] == 1
        clock.now = true
        await until(lambda: standin.counts.alerts == 1)
