"""Business time: days of rest, holidays and declared seasons, by carrier and region."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from config.calendars import DEFAULT_RULES, EPOCH, CalendarRule, Season, days_off, which, worked
from config.loading import ConfigError, load


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


def test_a_season_over_the_end_of_the_year_is_both_its_ends() -> None:
    rule = CalendarRule(seasons=(Season(name="Christmas", every_year="12-24/01-02"),))
    days = [(12, 23), (12, 24), (12, 31), (1, 1), (1, 2), (1, 3), (6, 1)]
    assert [hours(rule, dt.date(2026, *day)) for day in days] == [24, 0, 0, 0, 0, 24, 24]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"timezone": "Europe/Berln"}, "no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
        ({"timezone": "../../etc/passwd"}, "no time zone"),
        ({"country": "XX"}, "no country 'XX'"),
        ({"sundays_of": "China"}, "no country 'China'"),
        ({"weekend": [7]}, "days of the week are 0"),
        ({"seasons": [{"name": "x"}]}, "either first and last, or every_year, or spring_festival"),
        ({"seasons": [{"name": "x", "spring_festival": True, "every_year": "01-01/01-02"}]}, "either first"),
        ({"seasons": [{"name": "x", "first": "2026-01-01"}]}, "first and last belong together"),
        ({"seasons": [{"name": "x", "first": "2026-01-02", "last": "2026-01-01"}]}, "first is after last"),
        ({"seasons": [{"name": "x", "every_year": "11-31/99-99"}]}, "11-31 is no day of a year"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_what_is_wrong(rule: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        CalendarRule.model_validate(rule)
    assert said in str(caught.value)
    assert Season(name="leap", every_year="02-29/02-29").every_year


def test_the_check_of_a_config_says_where_a_calendar_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text('[[detection.calendars]]\ntimezone = "Asia/Shanghia"\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (line,) = caught.value.problems
    assert "detection.calendars.0.timezone" in line
    assert "Asia/Shanghai" in line
