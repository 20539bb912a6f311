"""What a carrier does on which day of the week, from the legs that ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from config.calendars import EPOCH, CalendarRule, is_holiday, paced, worked
from detectors.weekdays import Weekdays

SUNDAY = 6


def fed(weeks: int, carriers: Mapping[int, Sequence[float]], sale: tuple[int, int] | None = None) -> Weekdays:
    """Legs of carriers by weekday, Monday first; a sale multiplies one day of one week by ten."""
    week = Weekdays(8)
    for number in range(weeks):
        for day in range(7):
            legs = np.zeros(8)
            for carrier, daily in carriers.items():
                legs[carrier] = daily[day] * (10 if (number, day) == sale else 1)
            week.learn(day, legs)
    return week


def test_a_half_sunday_is_learned_and_a_full_one_is_not_slowed() -> None:
    pace = fed(3, {1: [400] * 6 + [100], 2: [400] * 7}).pace()
    assert pace[1, SUNDAY] == pytest.approx((100 + 30) / (400 + 30), abs=0.01)
    assert pace[1, :SUNDAY].min() > 0.95
    assert pace[2].min() > 0.95


def test_nothing_is_said_of_a_carrier_before_its_week_was_seen() -> None:
    pace = fed(1, {1: [400] * 6 + [0]}).pace()
    assert (pace == 1).all()


def test_a_sale_is_one_day_and_slows_no_other() -> None:
    pace = fed(4, {1: [400] * 6 + [200]}, sale=(3, 1)).pace()
    assert pace[1, [0, 2, 3, 4, 5]].min() > 0.9


def test_a_few_parcels_on_a_day_are_no_day_of_rest() -> None:
    assert fed(4, {1: [6, 4, 5, 6, 5, 4, 2]}).pace()[1].min() > 0.85


def test_nothing_is_ever_a_standstill_and_a_checkpoint_keeps_it() -> None:
    week = fed(4, {1: [4000] * 6 + [0]})
    assert week.pace()[1, SUNDAY] >= 0.1
    other = Weekdays(8)
    other.restore(week.state())
    assert (other.pace() == week.pace()).all()


def test_a_slowed_calendar_counts_slow_days_by_their_pace() -> None:
    rule = CalendarRule(timezone="UTC")
    slow = paced(rule, (1, 1, 1, 1, 1, 1, 0.5))
    sunday = (1_773_532_800 - EPOCH) // 3600  # 2026-03-15, 00:00 UTC
    assert int(worked(rule)[sunday + 24]) - int(worked(rule)[sunday]) == 86_400
    assert int(slow[sunday + 24]) - int(slow[sunday]) == 43_200
    assert int(slow[sunday]) - int(slow[sunday - 24]) == 86_400


def test_who_is_slow_on_sundays_is_as_slow_on_public_holidays() -> None:
    week = (1, 1, 1, 1, 1, 1, 0.25)
    china = CalendarRule(slow_holidays="CN")
    dragon_boat = (dt.date(2025, 6, 2) - dt.date(1970, 1, 1)).days  # a Monday
    assert [is_holiday(china, day) for day in (dragon_boat, dragon_boat + 1)] == [True, False]
    assert not is_holiday(CalendarRule(), dragon_boat)
    assert not is_holiday(china, 10**6)
    midnight = (dragon_boat * 86_400 - EPOCH) // 3600 - 8  # in Shanghai
    for rule, seconds in ((china, 21_600), (CalendarRule(), 86_400)):
        slow = paced(rule, week)
        assert int(slow[midnight + 24]) - int(slow[midnight]) == seconds
    as_usual = paced(china, (1,) * 7)
    assert int(as_usual[midnight + 24]) - int(as_usual[midnight]) == 86_400


def test_a_day_without_any_data_teaches_nothing() -> None:
    week = fed(3, {1: [400] * 7})
    before = week.state()
    week.learn(2, np.zeros(8))
    assert week.state() == before
