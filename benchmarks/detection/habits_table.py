"""Feeds of different habits: how often they are called silent though nothing is wrong, and how late when something is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import mean
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.detection.tables import Options, show
from config.calendars import DEFAULT_RULES, weekday_worked
from detectors.clock import DAY, HOUR, MINUTE, offset_of
from detectors.feed_silent import FeedSilent
from detectors.findings import Instant, State
from detectors.interfaces import SCHEMAS, Window

ZONE: Final = "Asia/Shanghai"
STEP: Final = 5 * MINUTE
MONDAY: Final = 1_772_380_800_000  # 2026-03-02, midnight in Shanghai
BEFORE_NEW_YEAR: Final = 1_767_542_400_000  # 2026-01-05, a Monday; the festival begins on 15 February
DAYS: Final = 60
SETTLED: Final = 14  # days
DEATHS: Final = {
    "Tuesday noon": 36.5,
    "Wednesday 2:00": 37 + 2 / 24,
    "Saturday noon": 40.5,
}  # days after the Monday
LIMIT: Final = 6  # days that a death is followed

Rng = np.random.Generator
Rate = Callable[[int, float], float]  # of a weekday and a local hour: events an hour


def _by_rate(rate: Rate) -> Callable[[Rng, Instant], int]:
    def events(rng: Rng, at: Instant) -> int:
        day, hour = _local(at)
        return int(rng.poisson(rate((day + 3) % 7, hour) * STEP / HOUR))

    return events


def _local(at: Instant) -> tuple[int, float]:
    """Days since 1970, and the hour in it."""
    day, rest = divmod(at + offset_of(at, ZONE), DAY)
    return day, rest / HOUR


def _batch(hour: float, jitter: float, size: int) -> Callable[[Rng, Instant], int]:
    """Once a day, around an hour."""

    def events(_: Rng, at: Instant) -> int:
        day, now = _local(at)
        due = hour + np.random.default_rng(day).normal(0, jitter)
        return size if now <= due < now + STEP / HOUR else 0

    return events


def _hourly(rng: Rng, at: Instant) -> int:
    return 20 if _local(at)[1] % 1 * HOUR < STEP and rng.random() < 0.98 else 0


def _festival(rng: Rng, at: Instant) -> int:
    closed = BEFORE_NEW_YEAR + 41 * DAY <= at < BEFORE_NEW_YEAR + 50 * DAY
    return 0 if closed else _by_rate(_day(60, 0))(rng, at)


def _day(busy: float, night: float) -> Rate:
    return lambda _, hour: busy if 8 <= hour < 22 else night


def _office(rate: float) -> Rate:
    return lambda weekday, hour: rate if weekday < 5 and 9 <= hour < 18 else 0.0


FEEDS: Mapping[str, Callable[[Rng, Instant], int]] = {
    "60 an hour, day and night": _by_rate(lambda *_: 60),
    "60 an hour, 8 to 22": _by_rate(_day(60, 0)),
    "60 an hour, 1 by night": _by_rate(_day(60, 1)),
    "17 an hour, 8 to 22": _by_rate(_day(17, 0)),
    "24 a day, 8 to 22": _by_rate(_day(24 / 14, 0)),
    "20 an hour, Mon-Fri 9 to 18": _by_rate(_office(20)),
    "5 an hour, Mon-Fri 9 to 18": _by_rate(_office(5)),
    "30 an hour, Mon-Sat 8 to 22": _by_rate(lambda day, hour: 30 if day < 6 and 8 <= hour < 22 else 0),
    "300 once a day, 10:00 by a quarter": _batch(10, 0.25, 300),
    "300 once a day, 9 to 18 anywhere": _batch(13.5, 2.0, 300),
    "20 every hour": _hourly,
    "one event a day": _batch(15, 3.0, 1),
    "60 an hour, 8 to 22, closed over Spring Festival": _festival,
}


class _Feed:
    """A detector that hears one feed, and what it said."""

    def __init__(self, start: Instant, state: Mapping[str, Any] | None = None) -> None:
        self.detector = detector()
        self.now = start
        self.openings: list[Instant] = []
        if state is not None:
            self.detector.restore(state)

    def hear(self, events: int) -> None:
        since, self.now = self.now, self.now + STEP
        row = {
            "feed": "x",
            "events": events,
            "newest_occurred": self.now,
            "newest_received": self.now,
            "live": 9,
        }
        window = Window(since, self.now, feeds=pl.DataFrame([row], schema=dict(SCHEMAS["feeds"])))
        self.openings += [self.now for one in self.detector.run(window) if one.state is State.OPENED]


def detector() -> FeedSilent:
    return FeedSilent(timezone=ZONE, weekday=lambda day: weekday_worked(DEFAULT_RULES[-1], day))


def measured(name: str, seed: int) -> tuple[int, int, list[float]]:
    """Openings in the first weeks, in the others, and hours until each death is noticed (NaN: not within LIMIT days)."""
    start = BEFORE_NEW_YEAR if FEEDS[name] is _festival else MONDAY
    rng, feed = np.random.default_rng(seed), _Feed(start)
    deaths = sorted((start + round(days * DAY), words) for words, days in DEATHS.items())
    found: list[float] = []
    for at in range(start, start + DAYS * DAY, STEP):
        if deaths and at == deaths[0][0]:
            found.append(_noticed(feed, at))
            deaths.pop(0)
        feed.hear(FEEDS[name](rng, at))
    early = sum(at < start + SETTLED * DAY for at in feed.openings)
    return early, len(feed.openings) - early, found


def _noticed(alive: _Feed, died: Instant) -> float:
    dead = _Feed(died, alive.detector.state())
    while not dead.openings and dead.now < died + LIMIT * DAY:
        dead.hear(0)
    return (dead.openings[0] - died) / HOUR if dead.openings else float("nan")


def rows(seeds: range) -> Iterator[tuple[object, ...]]:
    for name in FEEDS:
        runs = [measured(name, seed) for seed in seeds]
        late = [f"{mean(hours):.1f}" for hours in zip(*(run[2] for run in runs), strict=True)]
        yield (name, f"{mean(run[0] for run in runs):.1f}", f"{mean(run[1] for run in runs):.1f}", *late)


def table(options: Options) -> None:
    """Means of three runs of each feed."""
    seeds = range(options.seed, options.seed + 3)
    columns = (
        "feed",
        "false, first 14 days",
        "false, 46 days after",
        *(f"late h: {name}" for name in DEATHS),
    )
    show(f"Feeds called silent, {DAYS} days", columns, list(rows(seeds)))
