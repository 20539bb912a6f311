"""RFC 3339 times to milliseconds since 1970, UTC: one by one, and a column at once.

Both say the same of every text: a zone is required, fractions beyond the millisecond are cut, the 60th second of a
leap second counts as the next minute's first.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numba import njit

from monitor.columns import I32, I64, U8
from monitor.compiling import inlined
from monitor.words import AHEAD, byte_at, prefetch, whole_word_at

EARLIEST: Final = 946_684_800_000  # 2000-01-01
LATEST: Final = 4_102_444_800_000  # 2100-01-01, excluded
DAY: Final = 86_400_000
BAD: Final = -1  # not a time; every time in range is positive

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_NO_DAY: Final = -1_000_000  # before the year 1
_NO_ZONE: Final = 86_400  # no zone is a day away
_DAYS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


def parse_time(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.group(1, 2, 3, 4, 5, 6))
    away_hours, away_minutes = int(found[9] or 0), int(found[10] or 0)
    if second > 60 or hour > 23 or minute > 59 or away_hours > 23 or away_minutes > 59:
        return None
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    seconds = round(midnight.timestamp()) + hour * 3600 + minute * 60 + second
    away = (away_hours * 60 + away_minutes) * (-60 if found[8] == "-" else 60)
    return (seconds - away) * 1000 + int((found[7] or "0")[:3].ljust(3, "0"))


@njit(cache=True, nogil=True)
def _two(text: int, at: int) -> np.int64:
    """Two digits, or a number too large for every field."""
    high, low = byte_at(text, at) - 48, byte_at(text, at + 1) - 48
    if high < 0 or high > 9 or low < 0 or low > 9:
        return np.int64(1000)
    return high * 10 + low


@njit(cache=True, nogil=True)
def _days_at(text: int, at: int) -> np.int64:
    """Days since 1970 of a date, or `_NO_DAY`."""
    century, years = _two(text, at), _two(text, at + 2)
    month, day = _two(text, at + 5), _two(text, at + 8)
    year = century * 100 + years
    dashes = byte_at(text, at + 4) == 45 and byte_at(text, at + 7) == 45
    if not dashes or century > 99 or years > 99 or year == 0 or month < 1 or month > 12 or day < 1:
        return np.int64(_NO_DAY)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS[month - 1] + (1 if leap and month == 2 else 0):
        return np.int64(_NO_DAY)
    # Of the proleptic Gregorian calendar, years beginning in March.
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@njit(cache=True, nogil=True)
def _fraction(text: int, place: int, end: int) -> tuple[np.int64, int]:
    """Milliseconds of what may stand behind the seconds, and past it; -1 where a point has no digits."""
    thousandths, digits = np.int64(0), 0
    if byte_at(text, place) != 46:
        return thousandths, place
    place += 1
    while place < end and 48 <= byte_at(text, place) <= 57:
        if digits < 3:
            thousandths = thousandths * 10 + byte_at(text, place) - 48
        digits += 1
        place += 1
    if digits == 0:
        return np.int64(BAD), place
    while digits < 3:
        thousandths *= 10
        digits += 1
    return thousandths, place


@njit(cache=True, nogil=True)
def _away(text: int, place: int, end: int) -> np.int64:
    """Seconds ahead of UTC, of a zone that is all there is to the end, or `_NO_ZONE`."""
    zone = byte_at(text, place) if place < end else np.int64(0)
    if zone | 32 == 122 and place + 1 == end:
        return np.int64(0)
    if abs(44 - zone) != 1 or end - place != 6 or byte_at(text, place + 3) != 58:
        return np.int64(_NO_ZONE)
    hours, minutes = _two(text, place + 1), _two(text, place + 4)
    if hours > 23 or minutes > 59:
        return np.int64(_NO_ZONE)
    return (hours * 60 + minutes) * 60 * (44 - zone)


@njit(cache=True, nogil=True)
def _moment(text: int, at: int, end: int) -> np.int64:
    """The time in the bytes from `at` to `end`, or -1 (`BAD`); -1 ms itself is out of range and of no interest."""
    if end - at < 20:
        return np.int64(BAD)
    days, separator = _days_at(text, at), byte_at(text, at + 10)
    hour, minute, second = _two(text, at + 11), _two(text, at + 14), _two(text, at + 17)
    colons = byte_at(text, at + 13) == 58 and byte_at(text, at + 16) == 58
    if days == _NO_DAY or separator | 32 != 116 or not colons or hour > 23 or minute > 59 or second > 60:
        return np.int64(BAD)
    thousandths, place = _fraction(text, at + 19, end)
    away = _away(text, place, end)
    if thousandths == BAD or away == _NO_ZONE:
        return np.int64(BAD)
    return (days * 86400 + hour * 3600 + minute * 60 + second - away) * 1000 + thousandths


@njit(cache=True, nogil=True)
def _within_minute(text: int, at: int, end: int) -> np.int64:
    """Milliseconds since the minute, of a text that ends with `:SSZ` or `:SS.mmmZ`; -1 where it has another form."""
    length = end - at
    if length not in (20, 24) or byte_at(text, end - 1) != 90 or byte_at(text, at + 16) != 58:
        return np.int64(BAD)
    second, thousandths = _two(text, at + 17), np.int64(0)
    if length == 24:
        last = byte_at(text, at + 22) - 48
        thousandths = _two(text, at + 20) * 10 + last
        if byte_at(text, at + 19) != 46 or last < 0 or last > 9 or thousandths > 999:
            return np.int64(BAD)
    return second * 1000 + thousandths if second <= 60 else np.int64(BAD)


MINUTE: Final = 3  # numbers in which `moment_after` remembers the minute it read last


@inlined
def moment_after(text: int, start: int, end: int, minute: I64) -> np.int64:
    """The time of a text; 0 where it is empty, -1 (`BAD`) where it is no time, or not in 2000..2099.

    Neighbours mostly lie in one minute: its text is read once for all of them. `minute` is all zeros at first.
    """
    if start == end:
        return np.int64(0)
    rest = _within_minute(text, start, end)
    date, clock = np.int64(0), np.int64(0)
    if rest >= 0:
        date, clock = np.int64(whole_word_at(text, start)), np.int64(whole_word_at(text, start + 8))
    if rest >= 0 and date == minute[0] and clock == minute[1]:
        moment = minute[2] + rest
    else:
        moment = _moment(text, start, end)
        if rest >= 0 and moment != BAD:
            minute[0], minute[1], minute[2] = date, clock, moment - rest
    return moment if EARLIEST <= moment < LATEST else np.int64(BAD)


@njit(cache=True, nogil=True)
def parse_times(buffer: U8, starts: I32, ends: I32, out: I64) -> bool:
    """Fills `out` (0 where the text is empty); False where some text is not a time or not in 2000..2099."""
    text = buffer.ctypes.data
    rows = len(out)
    minute = np.zeros(MINUTE, np.int64)
    for row in range(rows):
        prefetch(text + int(starts[min(row + AHEAD, rows - 1)]))
        moment = moment_after(text, int(starts[row]), int(ends[row]), minute)
        if moment == BAD:
            return False
        out[row] = moment
    return True
