"""The texts of one line as numbers, each while the line is at hand; part of the pass of `monitor.linerows`.

`places` says where the texts lie: a row of starts and a row of ends, by `monitor.locate.TEXTS`, equal where there is
none. `counts` are those of `monitor.linerows.Counts`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.columns import I32, I64, U64
from monitor.compiling import inlined
from monitor.identity import begin, finish
from monitor.linecolumns import Aside, Columns, Known
from monitor.locate import MOST
from monitor.nametable import find_name, glance
from monitor.packing import pack_text
from monitor.times import BAD, DAY, MINUTE, moment_after
from monitor.words import same_text, word_at

EVENT_ID, NUMBER, SOURCE, CARRIER, FACILITY, REGION, COURIER, ORDER = range(8)
_OCCURRED, _RECEIVED, _ESTIMATED, _STATUS, _DELIVERED = range(8, len(MOST))
# Rows of `Known.names`.
_SOURCES, _CARRIERS, _FACILITIES, _REGIONS, _COURIERS, _STATUSES, _PLACES = range(7)
LEFT, LINKS, NEWEST = 3, 4, 5  # of the counts
MEMORY: Final = (
    4,
    MINUTE,
)  # of what the row before had: the minutes of its three times; start, length, code of its source
_BEFORE: Final = 3
_NONE: Final = np.uint64(0)


@inlined
def numbers(
    text: int,
    size: int,
    row: int,
    places: I32,
    columns: Columns,
    aside: Aside,
    known: Known,
    memory: I64,
    begun: U64,
    counts: I64,
) -> bool:
    """All of a row; whether all is right. What has no number yet is left in `aside`."""
    at, names = np.uint64(row), known.names
    if not (_fit(places) and _times(text, at, places, columns, memory, counts)):
        return False
    if not _words(text, size, at, places, columns, known):
        return False
    columns.key0[at], columns.key1[at] = pack_text(text, size, places[0, NUMBER], places[1, NUMBER])
    if columns.key0[at] == _NONE:
        _leave(NUMBER, row, places, aside, counts)
    columns.source[at] = _source(text, size, row, places, aside, names, memory, begun, counts)
    columns.event[at] = finish(begun[0], text, places[0, EVENT_ID], places[1, EVENT_ID])
    columns.carrier[at] = _name(text, size, row, CARRIER, _CARRIERS, places, aside, names, counts)
    columns.facility[at] = _name(text, size, row, FACILITY, _FACILITIES, places, aside, names, counts)
    columns.region[at] = _name(text, size, row, REGION, _REGIONS, places, aside, names, counts)
    columns.courier[at] = _name(text, size, row, COURIER, _COURIERS, places, aside, names, counts)
    if places[0, ORDER] != places[1, ORDER]:
        _link(row, places, aside, counts)
    return True


@inlined
def _fit(places: I32) -> bool:
    """Whether no text is too long."""
    fine = True
    for column in range(len(MOST)):
        fine = fine and places[1, column] - places[0, column] <= MOST[column]
    return fine


@inlined
def _times(text: int, at: np.uint64, places: I32, columns: Columns, memory: I64, counts: I64) -> bool:
    """Whether they are times, and it happened no more than a day after it was received."""
    occurred = moment_after(text, places[0, _OCCURRED], places[1, _OCCURRED], memory[0])
    received = moment_after(text, places[0, _RECEIVED], places[1, _RECEIVED], memory[1])
    estimated = moment_after(text, places[0, _ESTIMATED], places[1, _ESTIMATED], memory[2])
    if received == 0:
        received = occurred
    columns.occurred[at], columns.received[at], columns.estimated[at] = occurred, received, estimated
    counts[NEWEST] = max(counts[NEWEST], occurred, received)
    return bool(occurred > 0 and received > 0 and estimated > BAD and occurred - received <= DAY)


@inlined
def _code(text: int, size: int, start: int, end: int, names: I64, row: int) -> np.uint64:
    """0 where there is no text, or none that is known."""
    if start == end:
        return _NONE
    slots, mask = names[row, 0], np.uint64(names[row, 1])
    code = glance(text, size, start, end, slots, mask)
    if code == _NONE:
        code = find_name(text, size, start, end, slots, mask, names[row, 2], names[row, 3], names[row, 4])
    return code


@inlined
def _words(text: int, size: int, at: np.uint64, places: I32, columns: Columns, known: Known) -> bool:
    """Whether they are words of the contract."""
    status = _code(text, size, places[0, _STATUS], places[1, _STATUS], known.names, _STATUSES)
    start, end = places[0, _DELIVERED], places[1, _DELIVERED]
    place = _code(text, size, start, end, known.names, _PLACES)
    columns.status[at], columns.delivered_to[at] = known.statuses[status], known.places[place]
    return bool(status != _NONE and (place != _NONE or start == end))


@inlined
def _is_same(text: int, size: int, first: int, second: int, length: int, other_length: int) -> bool:
    if length != other_length:
        return False
    if length <= 8:
        return bool(word_at(text, size, first, length) == word_at(text, size, second, length))
    return bool(same_text(text, size, first, text, size, second, length))


@inlined
def _source(
    text: int,
    size: int,
    row: int,
    places: I32,
    aside: Aside,
    names: I64,
    memory: I64,
    begun: U64,
    counts: I64,
) -> np.int64:
    """Neighbours mostly have one source: it is looked up, and hashed as far as `begun`, once for all of them."""
    start, end = places[0, SOURCE], places[1, SOURCE]
    before = memory[_BEFORE]
    if not _is_same(text, size, before[0], start, before[1], end - start):
        begun[0] = begin(text, start, end)
        before[0], before[1] = start, end - start
        before[2] = np.int64(_code(text, size, start, end, names, _SOURCES))
    if before[2] == 0 and start != end:
        _leave(SOURCE, row, places, aside, counts)
    return np.int64(before[2])


@inlined
def _name(
    text: int,
    size: int,
    row: int,
    column: int,
    table: int,
    places: I32,
    aside: Aside,
    names: I64,
    counts: I64,
) -> np.uint64:
    start, end = places[0, column], places[1, column]
    code = _code(text, size, start, end, names, table)
    if code == _NONE and start != end:
        _leave(column, row, places, aside, counts)
    return code


@inlined
def _leave(column: int, row: int, places: I32, aside: Aside, counts: I64) -> None:
    to = np.uint64(counts[LEFT])
    aside.left[to, 0], aside.left[to, 1] = column, row
    aside.left[to, 2], aside.left[to, 3] = places[0, column], places[1, column]
    counts[LEFT] += 1


@inlined
def _link(row: int, places: I32, aside: Aside, counts: I64) -> None:
    to = np.uint64(counts[LINKS])
    aside.links[to, 0] = row
    aside.links[to, 1], aside.links[to, 2] = places[0, NUMBER], places[1, NUMBER]
    aside.links[to, 3], aside.links[to, 4] = places[0, ORDER], places[1, ORDER]
    counts[LINKS] += 1
