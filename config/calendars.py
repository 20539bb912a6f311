"""When carriers work: calendars as rules, compiled to tables of worked seconds.

A calendar is a table `worked[hour]`: the seconds worked from the start of 2015 to the start of that UTC hour. The
business time between two moments is a difference of two readings. Years outside 2015..2039 count every second.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Final, Self, TypeAlias
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, field_validator, model_validator

from config.section import Section
from config.zones import ZoneName, unknown

FIRST_YEAR: Final = 2015
LAST_YEAR: Final = 2039
HOUR: Final = 3600
SUNDAY: Final = 6
HALF: Final = 0.5
_LEAP_YEAR: Final = 2024
EPOCH: Final = int(dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
HOURS: Final = int((dt.datetime(LAST_YEAR + 1, 1, 1, tzinfo=dt.UTC).timestamp() - EPOCH) // HOUR)
_SPRING_FESTIVAL_DAYS: Final = (-2, 6)  # around the lunar new year: carriers stop or thin out

Worked: TypeAlias = npt.NDArray[np.uint32]


def _country(value: str) -> str:
    names = holidays.list_supported_countries()
    if value not in names:
        raise ValueError(unknown("country", value, names))
    return value


Country = Annotated[str, AfterValidator(_country)]


class Season(Section):
    """Days on which work goes at another pace: 0 is rest, 0.5 means a day counts for half a day."""

    name: str
    first: dt.date | None = Field(None, description="with last: these very days")
    last: dt.date | None = None
    every_year: str | None = Field(
        None, pattern=r"^\d\d-\d\d/\d\d-\d\d$", description="as 11-11/11-15, or 12-24/01-02"
    )
    spring_festival: bool = Field(False, description="from two days before the lunar new year to six after")
    pace: float = Field(0.0, ge=0, le=1)

    @field_validator("every_year")
    @classmethod
    def _real_days(cls, value: str | None) -> str | None:
        for day in value.split("/") if value else ():
            try:
                dt.date.fromisoformat(f"{_LEAP_YEAR}-{day}")
            except ValueError:
                raise ValueError(f"{day} is no day of a year, as month-day") from None
        return value

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        dated = self.first is not None or self.last is not None
        if [dated, self.every_year is not None, self.spring_festival].count(True) != 1:
            raise ValueError("a season has either first and last, or every_year, or spring_festival")
        if dated and (self.first is None or self.last is None):
            raise ValueError("first and last belong together")
        if self.first and self.last and self.first > self.last:
            raise ValueError("first is after last")
        return self


class CalendarRule(Section):
    """The first rule that fits a carrier and a region counts; empty lists fit all."""

    carriers: tuple[str, ...] = ()
    regions: tuple[str, ...] = Field((), description="prefixes of region codes")
    timezone: ZoneName = "Asia/Shanghai"
    weekend: tuple[int, ...] = Field((), description="days of rest, Monday is 0; empty: works all seven")
    country: Country | None = Field(None, description="rests on this country's public holidays")
    sundays_of: Country | None = Field(
        None,
        description="country on whose public holidays a carrier does what it is learned to do on Sundays",
    )
    seasons: tuple[Season, ...] = ()

    @field_validator("weekend")
    @classmethod
    def _known_days(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= day <= SUNDAY for day in value):
            raise ValueError("days of the week are 0, which is Monday, to 6")
        return value

    def fits(self, carrier: str | None, region: str | None) -> bool:
        by_carrier = not self.carriers or carrier in self.carriers
        return by_carrier and (not self.regions or (region or "").startswith(self.regions))


CHINA: Final = (
    Season(name="Spring Festival", spring_festival=True, pace=0.25),
    Season(name="Singles' Day", every_year="11-11/11-16", pace=0.8),
    Season(name="618", every_year="06-18/06-20", pace=0.75),
)
DEFAULT_RULES: Final = (
    CalendarRule(regions=("US",), timezone="America/New_York", weekend=(6,), country="US"),
    CalendarRule(regions=("BR",), timezone="America/Sao_Paulo", weekend=(5, 6), country="BR"),
    CalendarRule(regions=("DE",), timezone="Europe/Berlin", weekend=(6,), country="DE"),
    CalendarRule(sundays_of="CN", seasons=CHINA),
)


def which(rules: Sequence[CalendarRule], carrier: str | None, region: str | None) -> int:
    """The index of the rule that counts; the last rule counts where none fits."""
    for index, rule in enumerate(rules):
        if rule.fits(carrier, region):
            return index
    return len(rules) - 1


def compiled(rules: Sequence[CalendarRule]) -> Worked:
    """One row a rule, HOURS + 1 columns."""
    return np.stack([worked(rule) for rule in rules])


@cache
def worked(rule: CalendarRule) -> Worked:
    days = _days()
    pace = np.ones(len(days))
    weekday = np.array([day.weekday() for day in days])
    pace[np.isin(weekday, rule.weekend)] = 0.0
    if rule.country:
        pace[_public_holidays(rule.country)] = 0.0
    for season in rule.seasons:
        inside = np.array([_in_season(season, day) for day in days])
        pace[inside] = np.minimum(pace[inside], season.pace)
    hourly = pace[_local_day_of_hours(rule.timezone)]
    seconds = np.zeros(HOURS + 1, np.uint32)
    np.cumsum(np.rint(hourly * HOUR).astype(np.uint32), out=seconds[1:])
    return seconds


def paced(rule: CalendarRule, weekdays: Sequence[float]) -> Worked:
    """As `worked`, each local day slowed to its weekday's pace (0 to 1, Monday first)."""
    days = _weekdays(rule.sundays_of)[_local_day_of_hours(rule.timezone)]
    hourly = np.diff(worked(rule)) * np.array(weekdays)[days]
    seconds = np.zeros(HOURS + 1, np.uint32)
    np.cumsum(np.rint(hourly).astype(np.uint32), out=seconds[1:])
    return seconds


@cache
def _days() -> list[dt.date]:
    """From the day before the first to the day after the last: local days at the edges."""
    first = dt.date(FIRST_YEAR - 1, 12, 31)
    count = (dt.date(LAST_YEAR + 1, 1, 1) - first).days + 1
    return [first + dt.timedelta(days=number) for number in range(count)]


@cache
def _local_day_of_hours(timezone: str) -> npt.NDArray[np.int64]:
    """For each UTC hour since EPOCH the index of its local day in `_days()`; offsets are read once a day."""
    zone = ZoneInfo(timezone)
    starts = EPOCH + np.arange(0, HOURS, 24, dtype=np.int64) * HOUR
    offset = [
        int((dt.datetime.fromtimestamp(start, zone).utcoffset() or dt.timedelta()).total_seconds())
        for start in starts.tolist()
    ]
    seconds = np.arange(HOURS, dtype=np.int64) * HOUR + np.repeat(np.array(offset), 24)[:HOURS]
    days: npt.NDArray[np.int64] = seconds // 86_400 + 1
    return days


@cache
def _public_holidays(country: str) -> npt.NDArray[np.bool_]:
    """Of `_days()`."""
    rest = holidays.country_holidays(country, years=range(FIRST_YEAR - 1, LAST_YEAR + 2))
    return np.array([day in rest for day in _days()])


@cache
def _weekdays(sundays_of: str | None) -> npt.NDArray[np.uint8]:
    """Of `_days()`; a public holiday of that country is a Sunday."""
    weekdays = np.array([day.weekday() for day in _days()], np.uint8)
    if sundays_of:
        weekdays[_public_holidays(sundays_of)] = SUNDAY
    return weekdays


def weekday_worked(rule: CalendarRule, day: int) -> int:
    """Of a local day, in days since 1970: Monday is 0, and a holiday that is worked like a Sunday is one."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    number = (date - _days()[0]).days
    weekdays = _weekdays(rule.sundays_of)
    return int(weekdays[number]) if 0 <= number < len(weekdays) else date.weekday()


@cache
def days_off(rule: CalendarRule) -> frozenset[int]:
    """Local days, counted from 1970, that are no working days though they may be weekdays: public holidays, on which a
    carrier rests or works as on a Sunday, and seasons in which a day counts for half a day or less.
    """
    off = np.zeros(len(_days()), np.bool_)
    for country in filter(None, (rule.country, rule.sundays_of)):
        off |= _public_holidays(country)
    for season in rule.seasons:
        if season.pace <= HALF:
            off |= np.array([_in_season(season, day) for day in _days()])
    first = (_days()[0] - dt.date(1970, 1, 1)).days
    return frozenset((first + np.flatnonzero(off)).tolist())


@cache
def _lunar_new_years() -> dict[int, dt.date]:
    years = holidays.country_holidays("CN", years=range(FIRST_YEAR, LAST_YEAR + 1), observed=False)
    found: dict[int, dt.date] = {}
    for day, name in sorted(years.items()):
        if "Spring Festival" in name:
            found.setdefault(day.year, day)
    return found


def _in_season(season: Season, day: dt.date) -> bool:
    if season.spring_festival and (start := _lunar_new_years().get(day.year)):
        before, after = _SPRING_FESTIVAL_DAYS
        return before <= (day - start).days <= after
    if season.every_year:
        first, last = season.every_year.split("/")
        today = f"{day:%m-%d}"
        return first <= today <= last if first <= last else today >= first or today <= last
    return bool(season.first and season.last and season.first <= day <= season.last)
