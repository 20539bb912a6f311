"""Business time: days of rest, holidays and declared seasons, by carrier and region."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from config.calendars import DEFAULT_RULES, EPOCH, CalendarRule, Season, days_off, which, worked


def hours(rule: CalendarRule, day: dt.date) -> float:
    """Of business on one local day."""
    start = int(dt.datetime.combine(day, dt.time(), ZoneInfo(rule.timezone)).timestamp())
    first = (start - EPOCH) // 3600
    table = worked(rule)
    return (int(table[first + 24]) - int(table[first])) / 3600


CHINA = DEFAULT_RULES[-1]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (dt.date(2026, 3, 11), 24.0),  # a Wednesday
        (dt.date(2026, 3, 15), 24.0),  # a Sunday: carriers work
        (dt.date(2026, 2, 17), 6.0),  # the lunar new year
        (dt.date(2026, 2, 14), 24.0),  # three days before it
        (dt.date(2026, 2, 15), 6.0),
        (dt.date(2026, 2, 24), 24.0),
        (dt.date(2026, 11, 11), 19.2),  # Singles' Day
        (dt.date(2026, 6, 18), 18.0),
    ],
)
def test_declared_seasons_count_for_less(day: dt.date, expected: float) -> None:
    assert hours(CHINA, day) == pytest.approx(expected, abs=0.01)


def test_weekends_and_public_holidays_of_a_country_are_rest() -> None:
    brazil = DEFAULT_RULES[which(DEFAULT_RULES, "any", "BR-SP")]
    assert hours(brazil, dt.date(2026, 3, 14)) == 0.0  # a Saturday
    assert hours(brazil, dt.date(2026, 9, 7)) == 0.0  # independence
    assert hours(brazil, dt.date(2026, 9, 8)) == 24.0


def test_the_first_rule_that_fits_carrier_and_region_counts_and_else_the_last() -> None:
    rules = (
        CalendarRule(carriers=("ems",), weekend=(6,)),
        CalendarRule(
            regions=("44",),
            seasons=(Season(name="flood", first=dt.date(2026, 5, 1), last=dt.date(2026, 5, 3)),),
        ),
        CalendarRule(),
    )
    assert [which(rules, carrier, region) for carrier, region in (("ems", "440300"), ("sf", "440300"))] == [
        0,
        1,
    ]
    assert which(rules, "sf", "110105") == 2
    assert which(rules, None, None) == 2
    assert hours(rules[0], dt.date(2026, 3, 15)) == 0.0
    assert hours(rules[1], dt.date(2026, 5, 2)) == 0.0
    assert hours(rules[1], dt.date(2026, 5, 4)) == 24.0


def day(year: int, month: int, number: int) -> int:
    return (dt.date(year, month, number) - dt.date(1970, 1, 1)).days


def test_days_off_are_public_holidays_and_seasons_of_rest_and_no_others() -> None:
    off = days_off(CHINA)
    assert {day(2026, 10, 1), day(2026, 2, 15), day(2026, 2, 17), day(2026, 2, 23)} <= off
    assert off.isdisjoint({day(2026, 11, 11), day(2026, 6, 18), day(2026, 3, 15)}), "a slow day is no day off"
    brazil = days_off(CalendarRule(weekend=(5, 6), country="BR"))
    assert day(2017, 9, 7) in brazil
    assert day(2017, 9, 6) not in brazil
    assert days_off(CalendarRule()) == frozenset()
    inventory = Season(name="stocktaking", first=dt.date(2026, 6, 1), last=dt.date(2026, 6, 2))
    assert days_off(CalendarRule(seasons=(inventory,))) == {day(2026, 6, 1), day(2026, 6, 2)}
