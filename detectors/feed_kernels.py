"""Compiled arithmetic of `detectors.feed_habits`: a week's rates, reckoned anew each hour for each feed."""

from __future__ import annotations

from typing import Any, Final

from detectors.compiling import kernel

DAYS: Final = 7
HOURS: Final = 24
SATURDAY: Final = 5


@kernel
def reckon(events: Any, hours: Any, one: float, seen_hours: float, night: int, of_day: Any, out: Any) -> None:
    """Events an hour by day of the week and hour into `out`, from what came in how many hours, alike.

    Drawn towards the rates of the hour and of the day, and these towards the overall one, by `one` event. A Saturday
    or Sunday of fewer than `seen_hours` is as quiet as the quietest `night` hours in a row. `of_day` [24] is scratch.
    """
    all_events, all_hours = 0.0, 0.0
    for day in range(DAYS):
        for hour in range(HOURS):
            all_events += events[day, hour]
            all_hours += hours[day, hour]
    overall = all_events / all_hours if all_hours > 0 else 0.0
    for hour in range(HOURS):
        told, seen = 0.0, 0.0
        for day in range(DAYS):
            told += events[day, hour]
            seen += hours[day, hour]
        of_day[hour] = overall * (told + one) / (overall * seen + one)
    for day in range(DAYS):
        told, seen, expected = 0.0, 0.0, 0.0
        for hour in range(HOURS):
            told += events[day, hour]
            seen += hours[day, hour]
            expected += of_day[hour] * hours[day, hour]
        weekday = (told + one) / (expected + one)
        rest = _rest(of_day, night) if day >= SATURDAY and seen < seen_hours else 1.0
        for hour in range(HOURS):
            rate = of_day[hour] * weekday
            out[day, hour] = rate * (events[day, hour] + one) / (rate * hours[day, hour] + one) * rest


@kernel
def _rest(of_day: Any, night: int) -> float:
    """The mean rate of the quietest `night` hours in a row, as a part of the day's."""
    total, quietest = 0.0, 0.0
    for first in range(HOURS):
        total += of_day[first]
        there = 0.0
        for hour in range(first, first + night):
            there += of_day[hour % HOURS]
        quietest = there if first == 0 else min(quietest, there)
    return quietest / night * HOURS / total if total > 0 else 1.0
