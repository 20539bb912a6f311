"""The rows of a plain Arrow frame as codes, keys and times, each column in one pass, all in one call.

What it reads is described by `monitor.arrowmessages`, and looked at as `monitor.arrowrows` says.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from monitor.arrowrows import (
    DATA,
    ENTRIES,
    FIRST,
    FORM,
    INDEX,
    NONE,
    NULLS,
    NUMBERS,
    ODD,
    OFFSET,
    PLACES,
    SET,
    SIZE,
    SIZES,
    UNKNOWN,
    VALID,
    WIDTH,
    Codes,
    entry_codes,
    entry_of,
    identify,
    is_set,
    pack_numbers,
    spread,
    text_of,
    times_of,
)
from monitor.columns import F32, I64, U8, U32
from monitor.linecolumns import Columns, Known, columns_for
from monitor.times import DAY, EARLIEST, LATEST
from monitor.wire import LONGEST, LONGEST_NAME
from monitor.words import half_word_at, is_utf8, whole_word_at

FIELDS: Final = (
    *("kind", "status", "delivered_to", "event_id", "tracking_number", "order_id"),
    *("source", "carrier", "facility", "region", "courier_id"),
    *("occurred_at", "received_at", "estimated_at", "latitude", "longitude"),
)
KIND, STATUS, DELIVERED, EVENT_ID, NUMBER, ORDER, SOURCE, CARRIER, FACILITY, REGION, COURIER = range(11)
_OCCURRED, _RECEIVED, _ESTIMATED, _LATITUDE, _LONGITUDE = range(11, len(FIELDS))
NAMES: Final = range(SOURCE, COURIER + 1)  # whose interners are the first rows of `Known.names`
_STATUSES, _PLACES, KINDS = range(len(NAMES), len(NAMES) + 3)  # and those behind them
_BAD: Final = 256  # beyond every number of a word
_MOST_ID: Final = LONGEST["event_id"]
_MOST_NUMBER: Final = LONGEST["tracking_number"]
_TRACKING: Final = np.array([0, 1], np.uint8)


@njit(cache=True, nogil=True)
def _codes(column: I64, names: I64, out: Codes) -> int:
    """The highest code; `UNKNOWN` where a name has none, `ODD` where the column is not to be taken."""
    if column[FORM] == NONE:
        out[:] = 0
        return 0
    codes = np.empty(column[ENTRIES], np.uint32)
    if not entry_codes(column, LONGEST_NAME, names, codes):
        return ODD
    return int(spread(column, codes, 0, out))


@njit(cache=True, nogil=True)
def _words(column: I64, names: I64, values: U8, out: U8) -> bool:
    """Whether all are words of the list; what is null is 0."""
    if column[FORM] == NONE:
        out[:] = 0
        return True
    codes = np.empty(column[ENTRIES], np.uint32)
    if not entry_codes(column, LONGEST_NAME, names, codes):
        return False
    for entry in range(len(codes)):
        code = codes[entry]
        codes[entry] = _BAD if code == 0 or code == np.uint32(UNKNOWN) else values[code]
    return 0 <= spread(column, codes, 0, out) < _BAD


@njit(cache=True, nogil=True)
def _moments(column: I64, each: int, out: I64) -> bool:
    if each == 0:
        out[:] = 0
        return True
    return bool(times_of(column[VALID], column[DATA], 0, each, EARLIEST, LATEST, out))


@njit(cache=True, nogil=True)
def _newest(occurred: I64, received: I64) -> int:
    """Of all times, where each event has happened no more than a day after it was received; else `ODD`."""
    newest = 0
    for row in range(len(occurred)):
        if received[row] == 0:
            received[row] = occurred[row]
        if occurred[row] == 0 or occurred[row] - received[row] > DAY:
            return ODD
        newest = max(newest, occurred[row], received[row])
    return newest


@njit(cache=True, nogil=True)
def _degrees(column: I64, bits: int, most: float, out: F32) -> None:
    """NaN where absent, or beyond the globe."""
    rows, data, valid = len(out), column[DATA], column[VALID]
    if bits == 0:
        out[:] = np.nan
        return
    raw = np.empty(rows, np.int64)
    narrow = np.empty(rows, np.int32)
    for row in range(rows):
        if bits == 64:
            raw[row] = np.int64(whole_word_at(data, 8 * row))
        else:
            narrow[row] = np.int32(half_word_at(data, 4 * row))
    wide, short = raw.view(np.float64), narrow.view(np.float32)
    for row in range(rows):
        degree = wide[row] if bits == 64 else np.float64(short[row])
        fine = is_set(valid, row) and abs(degree) <= most
        out[row] = degree if fine else np.nan


@njit(cache=True, nogil=True)
def _is_complete(described: I64, of: I64) -> bool:
    """Whether nothing that is required is null."""
    fine = True
    for field in (KIND, STATUS, CARRIER, EVENT_ID, NUMBER):
        fine = fine and described[of[field], FORM] != NONE and described[of[field], NULLS] == 0
    return fine


@njit(cache=True, nogil=True)
def fill(
    described: I64,
    of: I64,
    units: I64,
    known: Known,
    columns: Columns,
    latitude: F32,
    longitude: F32,
    first: int,
    rows: int,
    slow: I64,
) -> tuple[int, int, int]:
    """Fills rows from `first` on. Which of `NAMES` have names without a code, as bits, or `ODD`; how many rows of `slow` have
    numbers that base 40 cannot take; the newest time.

    `of`: which row of `described` each of `FIELDS` is, the last one where it is absent; `units`: of times and degrees.
    `known`: with the words of `kind` behind the others.
    """
    none = (ODD, 0, 0)
    last = first + rows
    occurred, received = columns.occurred[first:last], columns.received[first:last]
    if not _is_complete(described, of) or units[_OCCURRED] == 0:
        return none
    if not (
        _moments(described[of[_OCCURRED]], units[_OCCURRED], occurred)
        and _moments(described[of[_RECEIVED]], units[_RECEIVED], received)
        and _moments(described[of[_ESTIMATED]], units[_ESTIMATED], columns.estimated[first:last])
    ):
        return none
    newest = _newest(occurred, received)
    status = columns.status[first:last]
    delivered_to = columns.delivered_to[first:last]
    if newest == ODD or not (
        _words(described[of[KIND]], known.names[KINDS], _TRACKING, status)  # to be written over
        and _words(described[of[STATUS]], known.names[_STATUSES], known.statuses, status)
        and _words(described[of[DELIVERED]], known.names[_PLACES], known.places, delivered_to)
    ):
        return none
    source = _codes(described[of[SOURCE]], known.names[0], columns.source[first:last])
    carrier = _codes(described[of[CARRIER]], known.names[1], columns.carrier[first:last])
    facility = _codes(described[of[FACILITY]], known.names[2], columns.facility[first:last])
    region = _codes(described[of[REGION]], known.names[3], columns.region[first:last])
    courier = _codes(described[of[COURIER]], known.names[4], columns.courier[first:last])
    unknown = 0
    for number, highest in enumerate((source, carrier, facility, region, courier)):
        if highest == ODD:
            return none
        unknown |= (1 << number) if highest == UNKNOWN else 0
    event = columns.event[first:last]
    if not identify(described[of[EVENT_ID]], described[of[SOURCE]], _MOST_ID, event):
        return none
    key0, key1 = columns.key0[first:last], columns.key1[first:last]
    misses = pack_numbers(described[of[NUMBER]], _MOST_NUMBER, key0, key1, slow)
    if misses == ODD:
        return none
    _degrees(described[of[_LATITUDE]], units[_LATITUDE], 90.0, latitude[first:last])
    _degrees(described[of[_LONGITUDE]], units[_LONGITUDE], 180.0, longitude[first:last])
    return unknown, misses, newest


@njit(cache=True, nogil=True)
def place_of(column: I64, row: int, frame: int) -> tuple[int, int]:
    """Where the text of a row begins and ends, from an address on; the same where it has none, `ODD` outside its buffer."""
    if not is_set(column[SET], column[FIRST] + row):
        return 0, 0
    entry = entry_of(column[INDEX], column[WIDTH], column[FIRST] + row)
    if entry < 0 or entry >= column[ENTRIES]:
        return ODD, ODD
    return _entry_place(column, entry, frame)


@njit(cache=True, nogil=True)
def _entry_place(column: I64, entry: int, frame: int) -> tuple[int, int]:
    place, last = column[OFFSET] + entry, column[OFFSET] + column[ENTRIES]
    if not is_set(column[VALID], place):
        return 0, 0
    text, room, start, end = text_of(
        column[FORM], column[PLACES], last, column[DATA], column[SIZE], column[SIZES], place
    )
    if start < 0 or not is_utf8(text, room, start, end):
        return ODD, ODD
    return text - frame + start, text - frame + end


@njit(cache=True, nogil=True)
def unknown_names(column: I64, names: I64, frame: int, codes: U32, found: I64, rows: int) -> int:
    """The entries whose names have no code and that some row uses, in the order of the rows: entry, start and end of the
    text from `frame` on. Fills `codes`. How many; `fill` has looked at the column.
    """
    entry_codes(column, LONGEST_NAME, names, codes)
    waiting, count = np.uint32(UNKNOWN - 1), 0
    for row in range(rows):
        if not is_set(column[SET], column[FIRST] + row):
            continue
        entry = entry_of(column[INDEX], column[WIDTH], column[FIRST] + row)
        if codes[entry] == np.uint32(UNKNOWN):
            codes[entry] = waiting
            found[count, 0] = entry
            found[count, 1], found[count, 2] = _entry_place(column, entry, frame)
            count += 1
    return count


@njit(cache=True, nogil=True)
def ordered(number: I64, order: I64, frame: int, rows: int, found: I64) -> int:
    """Rows that name their order: start and end of the tracking number and of the order id from `frame` on. How many, or
    `ODD`.
    """
    count = 0
    for row in range(rows):
        start, end = place_of(order, row, frame)
        if start == ODD:
            return ODD
        if start != end:
            found[count, 0], found[count, 1] = place_of(number, row, frame)
            found[count, 2], found[count, 3] = start, end
            count += 1
    return count


def warm() -> None:
    """Compiles all of it."""
    tables, numbers = np.zeros((1, NUMBERS), np.int64), np.zeros(len(FIELDS), np.int64)
    nowhere, nobody = np.zeros(0, np.float32), np.zeros(5, np.int64)
    known = Known(np.zeros((KINDS + 1, 5), np.int64), _TRACKING.copy(), _TRACKING.copy())
    columns = columns_for(0)
    slow, codes = np.zeros(0, np.int64), np.zeros(0, np.uint32)
    fill(tables, numbers, numbers, known, columns, nowhere, nowhere, 0, 0, slow)
    unknown_names(tables[0], nobody, 0, codes, np.zeros((0, 3), np.int64), 0)
    spread(tables[0], codes, 0, columns.source)
    spread(tables[0], codes, 0, columns.region)
    place_of(tables[0], 0, 0)
    ordered(tables[0], tables[0], 0, 0, np.zeros((0, 4), np.int64))
