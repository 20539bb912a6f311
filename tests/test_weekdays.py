"""What a carrier does on which day of the week, from the legs that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from config.calendars import EPOCH, CalendarRule, paced, weekday_worked, worked
from detectors.weekdays import Weekdays

SUNDAY = 6


def fed(
    weeks: int,
    carriers: Mapping[int, Sequence[float]],
    sale: tuple[int, int] | None = None,
    waiting: Mapping[int, Sequence[float]] | None = None,
) -> Weekdays:
    """Legs of carriers by weekday, Monday first, of a hundred that wait unless said; a sale multiplies one day by ten."""
    week = Weekdays(8)
    for number in range(weeks):
        for day in range(7):
            legs, stock = np.zeros(8), np.zeros(8)
            times = 10 if (number, day) == sale else 1
            for carrier, daily in carriers.items():
                legs[carrier] = daily[day] * times
                stock[carrier] = (waiting or {}).get(carrier, [100] * 7)[day] * times
            week.learn(day, legs, stock)
    return week


def test_a_half_sunday_is_learned_and_a_full_one_is_not_slowed() -> None:
    pace = fed(3, {1: [400] * 6 + [100], 2: [400] * 7}).pace()
    assert pace[1, SUNDAY] == pytest.approx(100 / 400, abs=0.04)
    assert pace[1, :SUNDAY].min() > 0.95
    assert pace[2].min() > 0.95


def test_nothing_is_said_of_a_carrier_before_its_week_was_seen() -> None:
    week = Weekdays(8)
    legs, stock = np.zeros(8), np.zeros(8)
    legs[1], stock[1] = 400, 100
    for day in (0, 1, 2, 3, 4, SUNDAY):
        legs[1] = 400 if day != SUNDAY else 40
        week.learn(day, legs, stock)
    assert (week.pace() == 1).all()


def test_the_first_sunday_is_enough_to_know_the_second() -> None:
    pace = fed(1, {1: [400] * 6 + [40]}).pace()
    assert pace[1, SUNDAY] < 0.2


def test_who_is_given_less_on_a_sunday_does_not_rest_on_it() -> None:
    few = [100.0] * 6 + [40.0]
    pace = fed(3, {1: [4 * number for number in few]}, waiting={1: few}).pace()
    assert pace[1].min() > 0.95


def test_a_jam_in_which_more_wait_is_no_day_of_rest() -> None:
    assert fed(3, {1: [400.0] * 7}, waiting={1: [100.0] * 4 + [300.0] * 3}).pace()[1].min() > 0.95


def test_a_small_carrier_s_sunday_is_believed_as_well() -> None:
    pace = fed(3, {1: [40] * 6 + [4]}, waiting={1: [15.0] * 7}).pace()
    assert pace[1, SUNDAY] < 0.3


def test_a_sale_is_one_day_and_slows_no_other() -> None:
    pace = fed(4, {1: [400] * 6 + [200]}, sale=(3, 1)).pace()
    assert pace[1, [0, 2, 3, 4, 5]].min() > 0.9


def test_a_few_parcels_on_a_day_are_no_day_of_rest() -> None:
    assert fed(1, {1: [6, 4, 5, 6, 5, 4, 2]}, waiting={1: [2.0] * 7}).pace()[1].min() > 0.85


def test_luck_makes_no_day_of_rest() -> None:
    rng = np.random.default_rng(4)
    lowest = [
        fed(2, {1: rng.poisson(8.0, 7).tolist()}, waiting={1: [3.0] * 7}).pace()[1].min() for _ in range(40)
    ]
    assert np.quantile(lowest, 0.1) > 0.7


def test_legs_that_never_last_over_midnight_count_as_well() -> None:
    pace = fed(3, {1: [400] * 6 + [40]}, waiting={1: [0.0] * 6 + [200.0]}).pace()
    assert pace[1, SUNDAY] < 0.3
    assert pace[1, :SUNDAY].min() > 0.95


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


def test_a_day_without_any_data_teaches_nothing() -> None:
    week = fed(3, {1: [400] * 7})
    before = week.state()
    for day in (2, 3):
        week.learn(day, np.zeros(8), np.full(8, 100.0))
    assert before | {"idle": week.state()["idle"]} == week.state()


def test_a_sunday_on_which_nobody_works_is_learned_from_the_second_on() -> None:
    assert (fed(1, {1: [40.0] * 6 + [0]}).pace() == 1).all()
    pace = fed(3, {1: [40.0] * 6 + [0]}).pace()
    assert pace[1, SUNDAY] < 0.3
    assert pace[1, :SUNDAY].min() > 0.95


def test_two_like_days_without_anything_are_a_broken_feed_if_nobody_waited_or_could_be_heard() -> None:
    for waiting, unheard in ((0.0, False), (100.0, True)):
        week = fed(3, {1: [400] * 7})
        for _ in range(3):
            week.learn(2, np.zeros(8), np.full(8, waiting), np.arange(8) == (1 if unheard else -1))
        assert week.pace()[1].min() > 0.95


def test_a_shop_that_stands_still_for_weeks_has_no_days_of_rest() -> None:
    week = fed(3, {1: [400] * 7})
    for day in (*range(7), *range(7)):
        week.learn(day, np.zeros(8), np.full(8, 100.0))
    assert week.pace()[1].min() > 0.95


def test_a_day_of_rest_that_is_worked_once_has_to_be_seen_twice_again() -> None:
    week = fed(1, {1: [400.0] * 6 + [0]})
    busy = np.where(np.arange(8) == 1, 400.0, 0.0)
    week.learn(SUNDAY, busy, np.full(8, 100.0))
    before = week.pace()
    again = Weekdays(8)
    again.restore(week.state())
    again.learn(SUNDAY, np.zeros(8), np.full(8, 100.0))
    assert (again.pace() == before).all()


def test_counts_of_an_older_kind_are_forgotten() -> None:
    week = fed(3, {1: [400] * 6 + [100]})
    state = week.state()
    del state["waiting"]
    other = Weekdays(8)
    other.restore(state)
    assert (other.pace() == 1).all()


@pytest.mark.parametrize(("day", "weekday"), [(20_241, SUNDAY), (20_242, 1), (20_239, SUNDAY), (20_238, 4)])
def test_a_public_holiday_is_worked_like_a_sunday(day: int, weekday: int) -> None:
    """2025-06-02, a Monday, and 2025-05-31, a Saturday, are the Dragon Boat Festival's; the rest are usual days."""
    rule = CalendarRule(timezone="UTC", sundays_of="CN")
    assert weekday_worked(rule, day) == weekday
    slow = paced(rule, (1, 1, 1, 1, 1, 1, 0.5))
    start = day * 24 - EPOCH // 3600
    assert int(slow[start + 24]) - int(slow[start]) == (43_200 if weekday == SUNDAY else 86_400)


def test_a_day_on_which_a_carrier_was_not_heard_teaches_nothing_of_it() -> None:
    daily = {1: [400.0] * 7, 2: [400.0] * 7}
    week, twin = fed(3, daily), fed(3, daily)
    legs, stock = np.zeros(8), np.zeros(8)
    legs[2], stock[1:3] = 40, 100
    unheard = np.arange(8) == 1
    week.learn(SUNDAY, legs, stock, unheard)
    assert (week.pace()[1] == twin.pace()[1]).all()
    assert week.pace()[2, SUNDAY] < twin.pace()[2, SUNDAY] - 0.1
