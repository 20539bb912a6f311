"""When something may go: retries, slots of a channel, crowded minutes, the customer's night."""

from __future__ import annotations

from datetime import time

import pytest

from notifier.pacing import Backoff, Pacer, QuietHours
from notifier.sending import Limits
from tests.money.shop import HOUR, NOW


def test_backoff_grows_is_bounded_and_repeats_itself() -> None:
    backoff = Backoff(5, 900)
    waits = [backoff.after("A1", attempt) for attempt in range(1, 30)]
    assert waits == [backoff.after("A1", attempt) for attempt in range(1, 30)]
    assert waits[0] <= 5_000
    assert 450_000 <= waits[-1] <= 900_000
    assert backoff.after("A1", 1) != backoff.after("A2", 1)
    assert backoff.after("A1", 1, asked=37.0) >= 37_000


def test_slots_are_even_and_kept() -> None:
    pacer = Pacer(Limits(per_minute=20))
    assert pacer.slot("a", 0) == 0
    assert pacer.slot("b", 0) == 3000
    assert pacer.slot("c", 1000) == 6000
    assert pacer.slot("b", 3000) == 3000
    pacer.rest(60_000)
    assert pacer.slot("c", 6000) >= 60_000


def test_a_picture_takes_a_slot_of_its_own() -> None:
    pacer = Pacer(Limits(per_minute=20))
    assert pacer.slot("a", 0) == 0
    assert pacer.slot("b", 0) == 3000
    pacer.took(1)
    assert pacer.slot("b", 3000) == 6000
    assert pacer.slot("c", 3000) == 9000


@pytest.mark.parametrize("back", [HOUR, 365 * 24 * HOUR])
def test_a_clock_that_is_set_back_shuts_no_channel(back: int) -> None:
    for limits in (Limits(), Limits(per_second=1), Limits(per_minute=20)):
        pacer = Pacer(limits)
        assert pacer.slot("a", NOW + back) == NOW + back
        assert pacer.slot("b", NOW) - NOW <= 3_000, "a spacing after the last one, as ever"
        assert pacer.slot("b", NOW + 3_000) == NOW + 3_000


def test_a_rest_lasts_as_long_as_it_was_to_last_though_the_clock_is_set_back() -> None:
    pacer = Pacer(Limits(per_second=1))
    pacer.slot("a", NOW + HOUR)
    pacer.rest(NOW + HOUR + 600_000)
    assert pacer.slot("b", NOW) == NOW + 600_000


def test_who_is_down_has_been_for_as_long_though_the_clock_is_set_back() -> None:
    pacer = Pacer(Limits(per_second=1))
    pacer.slot("a", NOW + HOUR)
    pacer.failed(NOW + HOUR)
    pacer.rest(NOW + HOUR + 900_000)
    assert pacer.down(NOW + HOUR + 600_000) == 600_000
    pacer.slot("b", NOW)
    assert pacer.down(NOW + 600_000) == 600_000


def refused_until(pacer: Pacer, until: int) -> int:
    """One message, tried again and again; when it would have come back."""
    at, backoff = NOW, Backoff()
    while at < until:
        returns = at + backoff.after("A1", pacer.failed(at))
        pacer.rest(returns, returns)
        at = returns
    return at


def test_a_channel_that_nobody_asks_any_more_is_not_down_for_good() -> None:
    """Its last message expired after half an hour of refusals."""
    pacer = Pacer(Limits())
    last = refused_until(pacer, NOW + HOUR // 2)
    assert pacer.down(last) >= HOUR // 2
    assert pacer.down(last + 900_000) >= HOUR // 2, "what waits may take that long to ask"
    assert [pacer.down(last + 900_001 + hours * HOUR) for hours in (0, 2, 24 * 7)] == [0, 0, 0]
    later = last + 24 * HOUR
    assert pacer.failed(later) == 1, "it begins anew"
    pacer.rest(later + 5_000)
    assert pacer.down(later + 5_000) == 5_000


def test_who_was_sent_away_for_hours_and_refused_again_was_refused_all_the_while() -> None:
    pacer = Pacer(Limits())
    pacer.failed(NOW)
    pacer.rest(NOW + 900_000, NOW + 2 * HOUR)
    assert pacer.failed(NOW + 2 * HOUR) == 2
    pacer.rest(NOW + 2 * HOUR + 900_000, NOW + 4 * HOUR)
    assert pacer.down(NOW + 2 * HOUR + 900_000) == 2 * HOUR + 900_000


def test_who_was_sent_away_for_a_year_alarms_nobody_for_a_year() -> None:
    pacer = Pacer(Limits())
    pacer.failed(NOW)
    pacer.rest(NOW + 900_000, NOW + 365 * 24 * HOUR)
    assert pacer.down(NOW + 24 * HOUR) > 0
    assert pacer.down(NOW + 25 * HOUR) == 0


def test_an_attempt_that_took_long_before_it_asked_is_no_clock_that_was_set_back() -> None:
    pacer = Pacer(Limits(per_minute=20))
    assert pacer.slot("a", NOW) == NOW
    assert pacer.slot("b", NOW - 50_000) == NOW + 3_000


@pytest.mark.parametrize("minute", [0, 30])
def test_a_crowded_minute_is_kept_clear_of_and_who_waited_comes_apart(minute: int) -> None:
    """From ten seconds before to three quarters of a minute after; nobody waits longer than a minute and a half."""
    hour = 3_600_000 * 500_000 + minute * 60_000
    for offset in (-10_000, -1, 0, 44_999):
        pacer = Pacer(Limits(crowded_minutes=(0, 30)))
        later = [pacer.slot(f"A{number}", hour + offset) - hour for number in range(50)]
        assert all(45_000 <= at < 90_000 for at in later)
        assert len(set(later)) > 40
        assert pacer.slot("A1", hour + later[1]) == hour + later[1], "and then it goes"
    pacer = Pacer(Limits(crowded_minutes=(0, 30)))
    for offset in (-10_001, 45_000, 15 * 60_000):
        assert pacer.slot(f"B{offset}", hour + offset) == hour + offset
    assert Pacer(Limits()).slot("A1", hour) == hour


@pytest.mark.parametrize(
    ("moment", "zone", "wakes"),
    [
        ("2026-11-22T12:59:59+00:00", "Asia/Shanghai", "2026-11-22T12:59:59+00:00"),
        ("2026-11-22T13:00:00+00:00", "Asia/Shanghai", "2026-11-23T00:00:00+00:00"),
        ("2026-12-31T20:00:00+00:00", "Asia/Shanghai", "2027-01-01T00:00:00+00:00"),
        (
            "2026-03-08T06:30:00+00:00",
            "America/New_York",
            "2026-03-08T12:00:00+00:00",
        ),  # the night loses an hour
        (
            "2026-11-01T05:30:00+00:00",
            "America/New_York",
            "2026-11-01T13:00:00+00:00",
        ),  # the night wins an hour
        ("2026-11-22T13:00:00+00:00", "Mars/Olympus", "2026-11-23T00:00:00+00:00"),
        ("2028-02-28T22:00:00+00:00", "Europe/London", "2028-02-29T08:00:00+00:00"),
    ],
)
def test_quiet_hours_end_in_the_morning_of_the_customer(moment: str, zone: str, wakes: str) -> None:
    from datetime import datetime

    now, then = (int(datetime.fromisoformat(text).timestamp() * 1000) for text in (moment, wakes))
    assert QuietHours().until(now, zone) == then


def test_quiet_hours_by_day_and_none() -> None:
    assert (
        QuietHours(time(12), time(14), "UTC").until(1_795_334_400_000 + 5 * HOUR)
        == 1_795_334_400_000 + 6 * HOUR
    )
    assert QuietHours(time(8), time(8)).until(NOW) == NOW
