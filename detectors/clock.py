"""Local time from milliseconds UTC: hours of the week for habits, days for promises."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from detectors.findings import Instant

MINUTE: Final = 60_000
HOUR: Final = 3_600_000
DAY: Final = 86_400_000
HOURS_A_WEEK: Final = 168
_EPOCH_WEEKDAY: Final = 3  # 1970-01-01 was a Thursday; Monday is 0


@lru_cache(maxsize=4096)
def _offset_in_hour(hour: int, timezone: str) -> int:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    return int(offset.total_seconds() * 1000) if offset is not None else 0


def offset_of(now: Instant, timezone: str) -> int:
    """Milliseconds to add to UTC for the wall clock of `timezone` at `now`."""
    return _offset_in_hour(now // HOUR, timezone)


def hour_of_week(now: Instant, timezone: str) -> int:
    """0 is Monday 00:00 to 01:00 local time."""
    local = now + offset_of(now, timezone)
    return int((local // HOUR + _EPOCH_WEEKDAY * 24) % HOURS_A_WEEK)


def stamp(now: Instant, timezone: str) -> str:
    """Minutes, local, as people read them in a sentence."""
    return datetime.fromtimestamp(now / 1000, ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M")


def kept_until(promised: Instant, timezone: str) -> Instant:
    """The last second of a promise as people mean it: of one that names a day, that day's, be it of 23 or 25 hours."""
    offset = offset_of(promised, timezone)
    ends = day_ends(promised, offset)
    if ends == promised:
        return promised
    if (promised + offset) % DAY == 0:
        ends += offset - offset_of(ends, timezone)
    return ends - 1000


def day_spoken_of(promised: Instant, timezone: str, where: str) -> Instant | None:
    """Noon, by the clock of `where`, of the day that a promise names, as it was given or as `kept_until` says it: for who
    speaks of it. None: it names an hour.
    """
    offset = offset_of(promised, timezone)
    ends = (0, DAY - 1000)
    if (promised + offset) % DAY not in ends:
        if promised % DAY not in ends:
            return None
        offset = 0  # a day as UTC names it
    noon = (promised + offset) // DAY * DAY + DAY // 2
    return noon - offset_of(noon, where)


def is_date(at: Any, offset: int) -> Any:
    """Whether a moment (or each of an array) is a midnight, of UTC or of a wall clock: who only knows days says that."""
    return (at % DAY == 0) | ((at + offset) % DAY == 0)


def day_ends(at: Instant, offset: int) -> Instant:
    """Until when a moment may have been: a date names the whole day, any other time itself. A promise that names a day is kept
    until that day ends: midnight of the shop's wall clock or of UTC, as exports without a zone are read as UTC.
    """
    return at + DAY if is_date(at, offset) else at
