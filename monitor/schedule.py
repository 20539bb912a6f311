"""APScheduler's one seam: jobs by name and period, every missed run counted, none dropped silently.

A job is handed the time at which it runs; what it did not do in a missed run it must be able to do in the next one
(ticks, sweeps, checkpoints and reconciliation all can), so missed runs are merged into one. How often it runs goes by a
clock that nobody sets: after an hour back by the wall clock, none would run for an hour.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from monitor.metrics import Metrics
from notifier.store import StoreError

log = structlog.get_logger(__name__)
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LoopTime(tzinfo):
    """The zone in which it is as late as the event loop's clock says. APScheduler asks its zone what time it is, and takes
    wall clock time from every other.
    """

    def fromutc(self, _wall: datetime) -> datetime:
        return BEGINNING.replace(tzinfo=self) + timedelta(seconds=asyncio.get_running_loop().time())

    def utcoffset(self, _at: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, _at: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _at: datetime | None) -> str:
        return "loop time"


class Every(BaseTrigger):  # type: ignore[misc]
    """Each so many seconds of whatever zone the scheduler is in. APScheduler's own would convert, and so ask for the time,
    where this one adds.
    """

    def __init__(self, seconds: float, jitter: float) -> None:
        self._period = seconds
        self._spread = jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        wait = self._period + random.uniform(0, self._spread)
        return (previous or now) + timedelta(seconds=wait)

    def __str__(self) -> str:
        return f"every {self._period:g} s"


class Schedule:
    def __init__(self, clock: Callable[[], int], uptime: Callable[[], float], metrics: Metrics) -> None:
        """`clock` is the time that jobs are handed, which a demo may run fast; `uptime` is in real seconds."""
        self._clock = clock
        self._uptime = uptime
        self._metrics = metrics
        self._periods: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._skipped: dict[str, int] = {}  # since the last run, and counted already
        self._scheduler = AsyncIOScheduler(
            timezone=LoopTime(),
            # One run at a time, late runs merged into one, and never dropped for being late.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        for name in ("apscheduler.scheduler", "apscheduler.executors.default"):
            logging.getLogger(name).addFilter(_is_news)
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR)

    def every(
        self, seconds: float, name: str, job: Callable[[int], Awaitable[object]], *, jitter: float = 0.0
    ) -> None:
        """Run `job(now)` each `seconds`, first after one period, spread by `jitter` of it, so that many daemons
        do not act in step.
        """
        self._metrics.counter("schedule_missed").labels(job=name)
        self._metrics.counter("schedule_failed").labels(job=name)
        self._periods[name] = seconds
        self._scheduler.add_job(self._run, Every(seconds, seconds * jitter), args=(name, job), id=name)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _run(self, name: str, job: Callable[[int], Awaitable[object]]) -> None:
        up = self._uptime()
        merged = round((up - self._last.get(name, up)) / self._periods[name]) - 1 - self._skipped.pop(name, 0)
        if merged > 0:
            self._count_missed(name, merged)
        self._last[name] = up
        await job(self._clock())

    def _missed(self, event: Any) -> None:
        self._skipped[event.job_id] = self._skipped.get(event.job_id, 0) + 1
        self._count_missed(event.job_id, 1)

    def _count_missed(self, name: str, runs: int) -> None:
        self._metrics.counter("schedule_missed").labels(job=name).inc(runs)
        log.warning("schedule.missed", job=name, runs=runs)

    def _failed(self, event: Any) -> None:
        error = event.exception
        if isinstance(error, asyncio.CancelledError):  # the daemon ends
            return
        self._metrics.counter("schedule_failed").labels(job=event.job_id).inc()
        if isinstance(error, StoreError):  # one line of our own; while the store is away there are many
            log.error("schedule.failed", job=event.job_id, why=str(error))
            return
        log.error("schedule.failed", job=event.job_id, error=type(error).__name__, exc_info=error)


def _is_news(record: logging.LogRecord) -> bool:
    """Of APScheduler's own lines: not what is said here as well, as it names the loop's time, which reads as 1970."""
    return record.levelno >= logging.ERROR and "raised an exception" not in str(record.msg)
