"""Feeds that rest: what is a habit is no silence, and a silence in a habit's way is found when the habit ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from config.calendars import DEFAULT_RULES, weekday_worked
from detectors.feed_habits import Habits
from detectors.feed_silent import FeedSilent
from detectors.findings import CloseReason, Instant, State
from tests.recordings.windows import MONDAY, rows, window

MINUTE, HOUR = 60_000, 3_600_000
DAY = 24 * HOUR
STEP = 15 * MINUTE
ZONE = "Asia/Shanghai"
Events = Callable[[int, float], int]  # of a day since MONDAY and a local hour, in a step

SATURDAY, SUNDAY = 5, 6


class Heard:
    """A detector that hears one feed, step by step from MONDAY on; hours of openings since then."""

    def __init__(self, events: Events) -> None:
        self.detector, self.events, self.now = FeedSilent(), events, MONDAY
        self.opened: list[float] = []
        self.doubted: list[float] = []

    def until(self, days: float, events: Events | None = None) -> list[float]:
        """Hours at which it was called silent on the way."""
        before = len(self.opened)
        while self.now < MONDAY + round(days * DAY):
            since, self.now = self.now, self.now + STEP
            day, rest = divmod(since - MONDAY, DAY)
            count = (events or self.events)(day, rest / HOUR)
            row = {
                "feed": "x",
                "events": count,
                "newest_occurred": since,
                "newest_received": since,
                "live": 9,
            }
            for one in self.detector.run(window(since, self.now, feeds=rows("feeds", [row]))):
                self.opened += [self.hours] if one.state is State.OPENED else []
            self.doubted += [self.hours] if self.detector.doubted() else []
        return self.opened[before:]

    @property
    def hours(self) -> float:
        return (self.now - MONDAY) / HOUR

    def restart(self) -> None:
        again = FeedSilent()
        again.restore(self.detector.state())
        self.detector = again


def nothing(_day: int, _hour: float) -> int:
    return 0


def by_day(_day: int, hour: float) -> int:
    return 15 if 8 <= hour < 22 else 0


def office(day: int, hour: float) -> int:
    return 5 if day % 7 < SATURDAY and 9 <= hour < 18 else 0


def six_days(day: int, hour: float) -> int:
    return by_day(day, hour) if day % 7 < SUNDAY else 0


def batch(_day: int, hour: float) -> int:
    return 300 if hour == 10 else 0


@pytest.mark.parametrize("events", [by_day, office, six_days, batch])
def test_who_rests_at_night_at_weekends_or_between_batches_is_not_called_silent(events: Events) -> None:
    assert Heard(events).until(28) == []


@pytest.mark.parametrize(("events", "days"), [(by_day, 3), (office, 7.5)])
def test_nor_is_it_doubted_once_some_nights_and_a_weekend_have_been_seen(events: Events, days: float) -> None:
    heard = Heard(events)
    heard.until(28)
    assert [hours for hours in heard.doubted if hours > days * 24] == []


@pytest.mark.parametrize(
    ("events", "last", "found"),
    [
        (by_day, 22.5, 22 * 24 + 13),  # at noon: within the hour
        (
            by_day,
            22 + 23 / 24,
            23 * 24 + 9,
        ),  # at night: in the morning, as soon as it should have spoken for an hour
        (office, 25.75, 28 * 24 + 10 + 3),  # on Friday at 18:00: on Monday
        (office, 22.5, 22 * 24 + 15),
        (batch, 22.5, 23 * 24 + 10 + 5),  # the batch that did not come, some hours later
    ],
)
def test_a_silence_is_found_as_soon_as_it_is_none_of_its_habits(
    events: Events, last: float, found: float
) -> None:
    heard = Heard(events)
    heard.until(last)
    heard.restart()
    first, *_ = heard.until(last + 4, nothing)
    assert last * 24 + 0.5 < first <= found


def late_on_some_days(day: int, hour: float) -> int:
    """A batch at ten, and each fifth day three hours later."""
    return 300 if hour == (13 if day % 5 == 3 else 10) else 0


def test_a_batch_that_is_late_now_and_then_has_the_time_that_it_takes() -> None:
    heard = Heard(late_on_some_days)
    assert heard.until(28) == []
    heard.until(41.5)
    first, *_ = heard.until(46, nothing)
    assert 42 * 24 + 13 < first <= 43 * 24


def test_a_weekend_that_begins_to_be_free_is_a_silence_once_or_twice_and_then_a_habit() -> None:
    heard = Heard(by_day)
    heard.until(21)
    weekends = [heard.until(day, six_days) for day in (28, 35, 42, 49)]
    assert [len(found) for found in weekends] == [1, 0, 0, 0]


def test_a_restart_before_it_is_known_whether_a_backlog_comes_forgets_nothing() -> None:
    heard = Heard(by_day)
    heard.until(21)
    assert (
        len(heard.until(28 + 9 / 24, six_days)) == 1
    )  # it speaks again since eight, and may yet have more to say
    heard.restart()
    assert heard.until(49, six_days) == []


def test_what_is_called_silent_is_doubted_until_it_speaks_also_after_a_restart() -> None:
    heard = Heard(by_day)
    heard.until(22.5)
    assert len(heard.until(22.75, nothing)) == 1
    for _ in range(2):
        assert set(heard.detector.doubted()) == {"x"}
        heard.restart()
    heard.until(22.75 + 1 / 24)
    assert set(heard.detector.doubted()) == set()


def test_a_silence_that_a_backlog_follows_is_no_habit() -> None:
    """Two Tuesdays alike, from noon to eight: what the first hid came in the evening."""

    def broken(day: int, hour: float) -> int:
        if 12 <= hour < 20 and day in (22, 29):
            return 0
        return 500 if hour == 20 and day in (22, 29) else by_day(day, hour)

    heard = Heard(by_day)
    heard.until(22)
    assert heard.until(23, broken) == [22 * 24 + 13]
    assert heard.until(30, broken) == [29 * 24 + 13]


def test_a_batch_that_just_came_makes_no_high_rate_of_its_hour() -> None:
    habits = Habits(ZONE, None)
    for hour in range(72):
        at = MONDAY + hour * HOUR
        habits.learn(20, at, at + 5 * MINUTE)
        habits.learn(0, at + 5 * MINUTE, at + HOUR)
    at = MONDAY + 72 * HOUR
    habits.learn(20, at, at + 5 * MINUTE)
    assert habits.expected(at + 5 * MINUTE, at + 65 * MINUTE) == pytest.approx(20, rel=0.2)


def test_a_public_holiday_may_be_as_quiet_as_a_sunday_and_teaches_nothing() -> None:
    def worked(day: int) -> int:
        return weekday_worked(DEFAULT_RULES[-1], day)

    def learned(festival: int) -> Habits:
        habits = Habits(ZONE, worked)
        for day in range(28):
            events = festival if day == holiday else 0 if day % 7 == SUNDAY else 240
            habits.learn(events, MONDAY + day * DAY, MONDAY + (day + 1) * DAY)
        return habits

    local = (MONDAY + 8 * HOUR) // DAY
    holiday = next(day for day in range(14, 60) if worked(local + day) == SUNDAY != day % 7)
    noon: Instant = MONDAY + holiday * DAY + 12 * HOUR
    assert learned(0).expected(noon, noon + HOUR) < 1
    assert learned(0).expected(noon - DAY * 14, noon - DAY * 14 + HOUR) > 8
    busy, quiet = learned(240).state(), learned(0).state()
    assert busy["events"] == quiet["events"]


def test_a_checkpoint_that_knew_one_gap_for_all_hours_is_read() -> None:
    rates = [60.0] * 168
    old = {
        "feeds": {
            "x": [MONDAY, MONDAY - 30 * DAY, 40_000, 60.0, 504.0, rates, [1.0] * 168, 10.0, 0.1, MONDAY]
        },
        "doubted": [],
        "episodes": [],
    }
    heard = Heard(nothing)
    heard.detector.restore(old)
    assert heard.until(2) == [10.0]


def test_a_feed_that_no_parcel_hangs_on_is_out_of_use_after_three_silent_weeks() -> None:
    detector, now, found = FeedSilent(), MONDAY, []
    live = 9

    def run(days: float, events: int) -> None:
        nonlocal now
        for _ in range(round(days * DAY / HOUR)):
            row = {
                "feed": "x",
                "events": events,
                "newest_occurred": now,
                "newest_received": now,
                "live": live,
            }
            since, now = now, now + HOUR
            found.extend(detector.run(window(since, now, feeds=rows("feeds", [row]))))

    run(14, 60)
    run(22, 0)
    assert [one.state for one in found] == [State.OPENED], "parcels hang on it: somebody has to look"
    live = 0
    run(1, 0)
    assert [one.state for one in found] == [State.OPENED, State.CLOSED]
    assert found[-1].close_reason is CloseReason.EXPIRED
    assert "no longer in use" in str(found[-1].evidence["en"])
    run(10, 0)
    assert len(found) == 2
    run(0.25, 60)
    run(0.5, 0)
    assert len(found) == 2, "what it says is learned anew"
