"""When a feed usually speaks, and how long it is quiet after such an hour: nights, weekends, batches.

**Rates** are learned by hour of the week, drawn towards those of the hour of the day and of the weekday, and these
towards the feed's overall rate, by one event's worth each. So a single night tells of all nights, one empty Saturday of
the next, and a shop that opens on Saturdays is believed within weeks. A Saturday or Sunday not yet seen is taken for as
quiet as the feed's quietest hours: who rests at night mostly rests at weekends. A public holiday may be as quiet as a
Sunday, and teaches nothing. Where less comes than is usual (a sale is over), less is expected at once.

**Quiet**: the longest usual wait for the next word after a last one in this hour of the week. What fades does so by
time, never by the number of events, or an hour of busy traffic would wash a night out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from detectors.clock import DAY, HOUR, HOURS_A_WEEK, offset_of
from detectors.counts import F64
from detectors.feed_kernels import reckon
from detectors.findings import Instant

HALF_LIFE_HOURS: Final = 24 * 14.0
A_WEEK_LESS: Final = 0.5 ** (HOURS_A_WEEK / HALF_LIFE_HOURS)
LEVEL_HALF_LIFE_HOURS: Final = 12.0  # of how much comes lately
NIGHT_HOURS: Final = 6  # who is polled each six hours has no night
ONE: Final = 1.0  # events by which a rate is drawn towards the one that stands for it
BELIEVED: Final = 0.5  # what was missing may be lost for good
SEEN_HOURS: Final = 12.0  # of a weekend day, before it is known
LONGEST: Final = 4 * DAY  # a longer wait is no habit
SLACK: Final = 0.5  # of the longest usual miss
DAYS_SEEN: Final = 5  # of a week, with a wait that began at this hour of the day
LATE: Final = 4.0  # hours by which any batch may be late
SPREAD: Final = 2.0  # of the longest wait over the shortest
WEEK: Final = 7 * DAY
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday


class Habits:
    """`weekday` of a local day (days since 1970) with public holidays as Sundays; None: nobody knows of any."""

    def __init__(self, timezone: str, weekday: Callable[[int], int] | None) -> None:
        self._timezone = timezone
        self._worked = weekday
        self._events = np.zeros((7, 24))
        self._hours = np.zeros((7, 24))
        self._waits = np.zeros(HOURS_A_WEEK)  # hours
        self._wait_hour = -1  # in which the last wait began, and the longest that began in it
        self._wait_now = 0.0
        self.missed = 0.0  # events that the longest usual wait missed, fading
        self._hour = -1  # the running one, since 1970, and what it brought
        self._now = [0.0, 0.0]  # its events and hours
        self._lately = [0.0, 0.0]  # events that came and that were expected
        self._known: F64 | None = None
        # Slots of the local hour that was asked for last: one is asked for several times when it is over.
        self._asked: tuple[int, tuple[int, int]] = (-1, (0, 0))

    # --- what is learned ----------------------------------------------------

    def learn(self, events: float, start: Instant, end: Instant) -> None:
        """So many came between; spread evenly where that is more than an hour."""
        for since, until in _hours(start, end):
            if since // HOUR != self._hour:
                self._enter(since // HOUR)
            self._now[0] += events * (until - since) / (end - start)
            self._now[1] += (until - since) / HOUR

    def _enter(self, hour: int) -> None:
        """The running hour is over: a part of one, with a batch in it, would be taken for a high rate."""
        passed = max(hour - self._hour, 0)
        told, hours = self._now
        at = self._hour * HOUR
        self._hour, self._now = hour, [0.0, 0.0]
        if not hours:
            return
        slot, worked = self._slots(at)
        if slot == worked:
            self._events.flat[slot] += told
            self._hours.flat[slot] += hours
        self._known = None
        fade = 0.5 ** (passed / LEVEL_HALF_LIFE_HOURS)
        new = told, self._rate(at) * hours
        self._lately = [(known + more) * fade for known, more in zip(self._lately, new, strict=True)]
        fade = 0.5 ** (passed / HALF_LIFE_HOURS)
        self._events *= fade
        self._hours *= fade
        self.missed *= fade

    def rest(self, start: Instant, end: Instant) -> None:
        """A while ago nothing came between these, improbably, and nothing was missing: half of it is believed."""
        for since, until in _hours(start, end):
            slot, worked = self._slots(since)
            if slot == worked:
                self._hours.flat[slot] += BELIEVED * (until - since) / HOUR
        self._known = None

    def wait(self, last: Instant, until: Instant) -> None:
        """The next word came; what was empty in between has been learned."""
        if until - last > LONGEST:
            return
        hour = (last - 1) // HOUR
        if hour != self._wait_hour:
            self._remember_wait()
            self._wait_hour, self._wait_now = hour, 0.0
        self._wait_now = max(self._wait_now, (until - last) / HOUR)

    def _remember_wait(self) -> None:
        """Of the hour in which the last one began, which is over: what was known of it counts a week less."""
        slot, _ = self._slots(self._wait_hour * HOUR)
        self._waits[slot] = max(float(self._waits[slot]) * A_WEEK_LESS, self._wait_now)

    def miss(self, last: Instant, until: Instant) -> None:
        """As `wait`, for one so long that it was doubted or might have been."""
        self.missed = max(self.missed, self.expected(last, until))

    def adopt(self, events: Sequence[float], hours: Sequence[float], longest: float) -> None:
        """What was known by hour of the week, and the longest usual wait in hours, after any hour."""
        self._events = np.array(events, np.float64).reshape(7, 24)
        self._hours = np.array(hours, np.float64).reshape(7, 24)
        self._waits[:] = longest
        self._known = None

    # --- what is known ------------------------------------------------------

    def usual_wait(self, last: Instant) -> float:
        """Hours. Of this hour of the week, or else of this hour on other days, of those around it, of any hour."""
        slot, _ = self._slots(last - 1)
        now = self._wait_now if (last - 1) // HOUR == self._wait_hour else 0.0
        around = (np.array([slot - 1, slot + 1]) + HOURS_A_WEEK) % HOURS_A_WEEK
        other_days = np.arange(slot % 24, HOURS_A_WEEK, 24)
        for slots in (slot, other_days, around, slice(None)):
            known = float(np.max(self._waits[slots]))
            if known:
                return max(known, now)
        return now

    def slack(self, last: Instant) -> float:
        """Hours by which the next word may be late: of a feed that comes in batches much, of a steady one next to none, and
        of one whose wait after this hour of the day is much the same each day some hours, however much a batch brings.
        """
        rate = self._overall() * self._level()
        slack = SLACK * self.missed / rate if rate else 0.0
        slot, _ = self._slots(last - 1)
        waits = self._waits[slot % 24 :: 24]
        seen = waits[waits > 0.0]
        if len(seen) < DAYS_SEEN:
            return slack
        return min(slack, LATE + SPREAD * float(seen.max() - seen.min()))

    def expected(self, start: Instant, end: Instant) -> float:
        """Events."""
        weeks = (end - start) // WEEK
        total = weeks * float(self._rates().sum())
        for since, until in _hours(start + weeks * WEEK, end):
            total += self._rate(since) * (until - since) / HOUR
        return total * self._level()

    def _rate(self, at: Instant) -> float:
        rates = self._rates()
        return min(float(rates[slot]) for slot in self._slots(at))

    def _slots(self, at: Instant) -> tuple[int, int]:
        """The hour of the week, Monday's first is 0; and the one that is worked then, another on a public holiday."""
        local = (at + offset_of(at, self._timezone)) // HOUR
        if self._asked[0] != local:
            day, hour = divmod(local, 24)
            weekday = (day + _EPOCH_WEEKDAY) % 7
            worked = self._worked(day) if self._worked else weekday
            self._asked = local, (weekday * 24 + hour, worked * 24 + hour)
        return self._asked[1]

    def _level(self) -> float:
        told, expected = self._lately
        return min((told + ONE) / (expected + ONE), 1.0)

    def _overall(self) -> float:
        hours = float(self._hours.sum())
        return float(self._events.sum()) / hours if hours else 0.0

    def _rates(self) -> F64:
        """Events an hour, by hour of the week."""
        if self._known is None:
            rates = np.empty_like(self._events)
            reckon(self._events, self._hours, ONE, SEEN_HOURS, NIGHT_HOURS, np.empty(DAY // HOUR), rates)
            self._known = rates.reshape(-1)
        return self._known

    # --- checkpoints --------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "events": self._events.reshape(-1).tolist(),
            "hours": self._hours.reshape(-1).tolist(),
            "waits": self._waits.tolist(),
            "wait_hour": self._wait_hour,
            "wait_now": self._wait_now,
            "missed": self.missed,
            "hour": self._hour,
            "now": self._now,
            "lately": self._lately,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._events = np.array(state["events"], np.float64).reshape(7, 24)
        self._hours = np.array(state["hours"], np.float64).reshape(7, 24)
        self._waits = np.array(state["waits"], np.float64)
        self._wait_hour, self._wait_now = state["wait_hour"], state["wait_now"]
        self.missed, self._hour = state["missed"], state["hour"]
        self._now, self._lately = list(state["now"]), list(state["lately"])
        self._known = None


def _hours(start: Instant, end: Instant) -> Iterator[tuple[Instant, Instant]]:
    """Cut where an hour begins."""
    while start < end:
        until = min(end, (start // HOUR + 1) * HOUR)
        yield start, until
        start = until
