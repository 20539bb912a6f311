"""When something may be sent: retries, the rate of a channel, its rest after an error, the customer's night."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifier.sending import Instant, Limits

SECOND: Final = 1000
HOUR: Final = 3_600_000
BEFORE: Final = 10 * SECOND  # clocks differ, and others start early
CROWDED: Final = 45 * SECOND
SPREAD: Final = 45 * SECOND
SET_BACK: Final = 60 * SECOND  # less is an attempt that took long before it asked
MOST_SLOTS: Final = 100_000
LONGEST: Final = 900.0  # seconds
MOST_AWAY: Final = 24 * HOUR  # longer may have been asked for by mistake


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling from `first` to `longest` seconds, with jitter that is the same for the same entry and attempt."""

    first: float = 5.0
    longest: float = LONGEST

    def after(self, key: str, attempt: int, asked: float | None = None) -> int:
        """Milliseconds. What the provider asked for is the least; jitter is added so that a crowd does not return
        together.
        """
        wait = min(self.longest, self.first * 2.0 ** min(max(attempt, 1) - 1, 30))
        jitter = random.Random(f"{key}:{attempt}").random()
        if asked is not None:
            return int((asked + jitter * min(wait, self.first)) * SECOND)
        return int(wait * (0.5 + jitter / 2) * SECOND)


@dataclass(slots=True)
class Pacer:
    """Slots of one channel, evenly spaced at the slower of its limits: no minute ever holds more than it may.

    Who comes too early is given a slot, and is let through when it comes back at that time.
    """

    limits: Limits
    longest: int = int(LONGEST * SECOND)  # milliseconds: who still has something to send asks within
    _seen: Instant = -(10**9)  # the latest time that anybody came with
    _last: Instant = -(10**9)  # when something last went
    _next: Instant = 0  # the first slot that is not given away
    _rests_until: Instant = 0
    _asked_until: Instant = 0  # somebody refused said to come back then
    _failures: int = 0
    _down_since: Instant | None = None
    _slots: dict[str, Instant] = field(default_factory=dict)

    def slot(self, entry: str, now: Instant) -> Instant:
        """`now` where the entry may go; otherwise when to come back. Slots that passed unused are not saved up."""
        if now < self._seen - SET_BACK:
            self._follow(now)
        self._seen = max(self._seen, now)
        if (calm := _calm(self.limits.crowded_minutes, entry, now)) > now:
            return calm
        given, spacing = self._slots.pop(entry, None), self._spacing()
        free = max(self._last + spacing, self._rests_until)
        if free <= now and (given is not None or self._next <= now):
            self._last = now
            self._next = max(self._next, now + spacing)
            return now
        if given is None or given <= now or given < free:
            given = max(now, free, self._next)
            self._next = given + spacing
        if len(self._slots) >= MOST_SLOTS:  # of entries that never came back: expired, rejected
            self._slots.clear()
        self._slots[entry] = given
        return given

    def took(self, more: int) -> None:
        """Requests beside the one that was let through: they take the slots after it."""
        if more > 0:
            self._last += more * self._spacing()
            self._next = max(self._next, self._last + self._spacing())

    def rest(self, until: Instant, returns: Instant = 0) -> None:
        """The provider is down or asked for peace: nobody knocks before; who was refused comes back at `returns`."""
        self._rests_until = max(self._rests_until, until)
        self._asked_until = max(self._asked_until, until, min(returns, until + MOST_AWAY))

    def failed(self, now: Instant) -> int:
        """How many times in a row the provider was not to be had."""
        if not self._failures or self._left_alone(now):
            self._failures, self._down_since = 0, now
        self._failures += 1
        return self._failures

    def answered(self) -> None:
        self._failures, self._down_since = 0, None

    def down(self, now: Instant) -> int:
        """For how long the provider has not been to be had, in milliseconds; not the time after, in which nobody asked,
        and 0 where nobody asks any more.
        """
        if self._down_since is None or self._left_alone(now):
            return 0
        return max(0, min(now, self._rests_until) - self._down_since)

    def _left_alone(self, now: Instant) -> bool:
        """Who was refused has not come back, nor has anybody else: it expired, or was taken back."""
        return now > self._asked_until + self.longest

    def _follow(self, now: Instant) -> None:
        """What lies ahead by a clock that was set back would shut the channel until it comes: it moves with the clock."""
        back = self._seen - now
        self._last -= back
        self._next -= back
        self._rests_until -= back
        self._asked_until -= back
        if self._down_since is not None:
            self._down_since -= back
        self._slots = {entry: given - back for entry, given in self._slots.items()}
        self._seen = now

    def _spacing(self) -> int:
        spacings = [0.0]
        if self.limits.per_second:
            spacings.append(SECOND / self.limits.per_second)
        if self.limits.per_minute:
            spacings.append(60 * SECOND / self.limits.per_minute)
        return int(max(spacings) + 0.999)


def _calm(minutes: tuple[int, ...], entry: str, now: Instant) -> Instant:
    """`now`, or a moment of the entry's own after the crowd around one of these minutes has gone."""
    for minute in minutes:
        since = (now - 60 * SECOND * minute + BEFORE) % HOUR
        if since < BEFORE + CROWDED:
            gone = now - since + BEFORE + CROWDED
            return gone + int(random.Random(f"{entry}:crowd").random() * SPREAD)
    return now


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` by the customer's clock; equal ones switch it off. Across midnight is usual."""

    start: time = time(21)
    end: time = time(8)
    timezone: str = "Asia/Shanghai"  # of customers whose own is not known

    def until(self, now: Instant, timezone: str | None = None) -> Instant:
        """`now` outside the quiet hours; otherwise when they end, by the wall clock, whatever the night does to it."""
        zone = _zone(timezone, self.timezone)
        local = datetime.fromtimestamp(now / SECOND, UTC).astimezone(zone)
        clock = local.time()
        if self.start <= self.end:
            quiet = self.start <= clock < self.end
        else:
            quiet = clock >= self.start or clock < self.end
        if not quiet:
            return now
        day = local.date() + timedelta(days=1) if clock >= self.end else local.date()
        return int(datetime.combine(day, self.end, zone).timestamp() * SECOND)


def _zone(name: str | None, otherwise: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or otherwise)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(otherwise)
