"""When people work: a duration of working time, laid into a calendar.

A rhythm is the cumulative work of each hour of the world. Adding six hours of work to a moment means: find the work
done until then, add six, find when that much is done. Nights, Sundays and holidays fall out of the one table.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import Enum
from functools import cache

import holidays
import numpy as np

from monitor.simulate.network import CARRIERS, Floats, Ints

HOUR = 3_600_000
DAY = 24 * HOUR
OFFSET = 8 * HOUR  # China has one zone and no summer time
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


class Activity(Enum):
    ORDERING = "ordering"
    PACKING = "packing"
    PICKUP = "pickup"
    SORTING = "sorting"
    DRIVING = "driving"
    STATION = "station"
    DELIVERY = "delivery"
    COLLECTING = "collecting"
    WRITING = "writing"
    OFFICE = "office"


def _hours(*spans: tuple[int, int, float]) -> Floats:
    day = np.full(24, 0.004)
    for begin, end, rate in spans:
        day[begin:end] = rate
    return day


PROFILE: Mapping[Activity, Floats] = {
    Activity.ORDERING: _hours(
        (0, 1, 0.5), (1, 7, 0.1), (7, 10, 0.7), (10, 19, 1.0), (19, 23, 1.7), (23, 24, 1.0)
    ),
    Activity.PACKING: _hours((8, 20, 1.0), (20, 22, 0.4)),
    Activity.PICKUP: _hours((9, 12, 0.8), (12, 14, 0.5), (14, 20, 1.2), (20, 21, 0.4)),
    Activity.SORTING: _hours((0, 6, 1.3), (6, 17, 0.8), (17, 24, 1.2)),
    Activity.DRIVING: _hours((0, 24, 1.0)),
    Activity.STATION: _hours((4, 9, 1.3), (9, 15, 1.0), (15, 19, 0.5)),
    Activity.DELIVERY: _hours((8, 12, 1.2), (12, 14, 0.6), (14, 19, 1.1), (19, 21, 0.4)),
    Activity.COLLECTING: _hours((7, 9, 0.7), (9, 17, 0.7), (17, 21, 1.6), (21, 23, 0.7), (23, 24, 0.1)),
    Activity.WRITING: _hours((7, 9, 0.5), (9, 23, 1.0), (23, 24, 0.4)),
    Activity.OFFICE: _hours((9, 12, 1.0), (13, 18, 1.0)),
}
# whose Sundays follow the carrier's, and the share of a day's work that others do on Saturday and Sunday
WITH_CARRIER = frozenset(
    {Activity.PICKUP, Activity.SORTING, Activity.DRIVING, Activity.STATION, Activity.DELIVERY}
)
WEEKEND: Mapping[Activity, tuple[float, float]] = {
    Activity.PACKING: (0.9, 0.35),
    Activity.OFFICE: (0.1, 0.1),
    Activity.ORDERING: (1.15, 1.25),
}


@cache
def free_days(year: int) -> frozenset[dt.date]:
    """Public holidays of China, with the days moved by decree."""
    return frozenset(holidays.country_holidays("CN", years=year))


class Rhythm:
    """Rates per local hour from `start` on; moments outside are clamped, so give room at both ends."""

    def __init__(self, start: int, rate: Floats) -> None:
        self.grid = start + HOUR * np.arange(len(rate) + 1, dtype=np.float64)
        self.work = np.concatenate([[0.0], np.cumsum(rate)]) * HOUR

    def done(self, at: Floats) -> Floats:
        return np.asarray(np.interp(at, self.grid, self.work))

    def moment(self, work: Floats) -> Floats:
        return np.asarray(np.interp(work, self.work, self.grid))

    def advance(self, at: Floats, work: Floats) -> Floats:
        return self.moment(self.done(at) + work)


class Calendars:
    """The rhythms of one span of time, per activity and per kind of Sunday."""

    def __init__(self, start: int, end: int) -> None:
        self.start = (start + OFFSET) // DAY * DAY - OFFSET
        self.days = int((end - self.start) // DAY) + 1
        self._made: dict[tuple[Activity, float], Rhythm] = {}

    @property
    def end(self) -> int:
        return self.start + self.days * DAY

    def rhythm(self, activity: Activity, sunday: float = 1.0) -> Rhythm:
        key = (activity, sunday)
        if key not in self._made:
            self._made[key] = Rhythm(self.start, self.rates(activity, sunday))
        return self._made[key]

    def rates(self, activity: Activity, sunday: float = 1.0) -> Floats:
        day = (self.start + OFFSET) // DAY + np.arange(self.days)
        weekday = (day + EPOCH_WEEKDAY) % 7
        first = dt.date(1970, 1, 1) + dt.timedelta(days=int(day[0]))
        dates = [first + dt.timedelta(days=i) for i in range(self.days)]
        free = np.array([date in free_days(date.year) for date in dates])
        saturday, rest = WEEKEND.get(activity, (1.0, 1.0))
        if activity in WITH_CARRIER:
            saturday, rest = min(1.0, 0.4 + 0.7 * sunday), sunday
        factor = np.where((weekday == 6) | free, rest, np.where(weekday == 5, saturday, 1.0))
        rates: Floats = np.maximum((factor[:, None] * PROFILE[activity][None, :]).ravel(), 1e-3)
        return rates

    def by_carrier(self, activity: Activity, carrier: Ints, at: Floats, work: Floats) -> Floats:
        """`advance`, each row in its own carrier's calendar."""
        result = np.empty_like(at)
        for sunday in sorted({c.sunday for c in CARRIERS}):
            rows = np.flatnonzero(np.array([c.sunday == sunday for c in CARRIERS])[carrier])
            if len(rows):
                result[rows] = self.rhythm(activity, sunday).advance(at[rows], work[rows])
        return result
