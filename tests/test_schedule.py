"""Jobs run, late runs are merged and counted, failures are counted and do not end the schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo

import pytest
from structlog.testing import capture_logs

from monitor.metrics import Metrics
from monitor.schedule import Schedule
from notifier.store import StoreUnreachableError

pytestmark = pytest.mark.anyio


def reading(*values: float) -> Callable[[], float]:
    left: Iterator[float] = iter(values)
    last = values[-1]
    return lambda: next(left, last)


def scheduled(metrics: Metrics, *uptimes: float) -> Schedule:
    return Schedule(lambda: 1_000, reading(*uptimes), metrics)


def count(metrics: Metrics, name: str, job: str) -> float:
    value = metrics.registry.get_sample_value(f"forestall_{name}_total", {"job": job})
    assert value is not None
    return value


async def runs(schedule: Schedule, job_runs: asyncio.Queue[int], times: int) -> list[int]:
    schedule.start()
    try:
        async with asyncio.timeout(20):
            return [await job_runs.get() for _ in range(times)]
    finally:
        schedule.stop()


async def test_a_job_is_handed_the_time_of_its_run() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    metrics = Metrics(process=False)
    schedule = scheduled(metrics, 0.01, 0.02)
    schedule.every(0.01, "tick", queue.put)
    assert await runs(schedule, queue, 2) == [1_000, 1_000]
    assert count(metrics, "schedule_missed", "tick") == 0


async def test_a_run_that_comes_late_is_counted_with_all_it_merged() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    metrics = Metrics(process=False)
    schedule = scheduled(metrics, 0.01, 0.06)
    schedule.every(0.01, "tick", queue.put)
    await runs(schedule, queue, 2)
    assert count(metrics, "schedule_missed", "tick") == 4


async def test_a_job_that_raises_is_counted_said_once_and_runs_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    metrics = Metrics(process=False)
    schedule = scheduled(metrics, 0.01)

    async def fails_once(now: int) -> None:
        await queue.put(now)
        if queue.qsize() == 1:
            raise RuntimeError("no")

    schedule.every(0.01, "job", fails_once)
    with capture_logs() as said:
        await runs(schedule, queue, 2)
    assert count(metrics, "schedule_failed", "job") >= 1
    assert [one["event"] for one in said] == ["schedule.failed"]
    assert caplog.records == [], "APScheduler says it once more, and in the loop's time, which reads as 1970"


async def test_a_store_that_is_away_is_one_line_and_an_end_is_none() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    metrics = Metrics(process=False)
    schedule = scheduled(metrics, 0.01)
    errors: list[BaseException] = [
        StoreUnreachableError("the store does not answer"),
        asyncio.CancelledError(),
    ]

    async def fails(now: int) -> None:
        await queue.put(now)
        if errors:
            raise errors.pop(0)

    with capture_logs() as logs:
        schedule.every(0.01, "job", fails)
        await runs(schedule, queue, 4)
    assert count(metrics, "schedule_failed", "job") == 1
    failed = [one for one in logs if one["event"] == "schedule.failed"]
    assert [(one["why"], "exc_info" in one) for one in failed] == [("the store does not answer", False)]


@pytest.mark.parametrize("leap", [timedelta(hours=-1), timedelta(days=365), timedelta(days=-365)], ids=str)
async def test_a_wall_clock_that_is_set_neither_stops_a_job_nor_makes_it_late(
    leap: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year ahead is three thousand million runs of this job: looking them up would take the daemon's memory."""
    moved = [timedelta(0)]

    class Wall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp((datetime.now().astimezone() + moved[0]).timestamp(), tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Wall)
    queue: asyncio.Queue[int] = asyncio.Queue()
    metrics = Metrics(process=False)
    schedule = scheduled(metrics, 0.01)
    schedule.every(0.01, "tick", queue.put)
    schedule.start()
    try:
        async with asyncio.timeout(20):
            await queue.get()
            moved[0] = leap
            assert [await queue.get() for _ in range(5)] == [1_000] * 5
    finally:
        schedule.stop()
    assert count(metrics, "schedule_missed", "tick") == 0


async def test_a_job_that_is_still_running_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    metrics, begun, free = Metrics(process=False), asyncio.Event(), asyncio.Event()
    schedule = scheduled(metrics, 0.01)

    async def slow(_now: int) -> None:
        begun.set()
        await free.wait()

    schedule.every(0.01, "job", slow)
    with capture_logs() as said:
        schedule.start()
        async with asyncio.timeout(20):
            await begun.wait()
            while not said:  # noqa: ASYNC110 -- the scheduler tells of it, and nobody else
                await asyncio.sleep(0.01)
        free.set()
        schedule.stop()
    assert said[0] == {"event": "schedule.missed", "job": "job", "runs": 1, "log_level": "warning"}
    assert caplog.records == []
