"""Where the texts of a tracking event lie in its line of NDJSON, which the library has decoded.

This decodes nothing and checks no JSON: `msgspec` has read every line before and refused what is malformed. So a
line is a whole object, strings end, and brackets pair; what remains is to find the values of the names we know.
Where anything is not plain (a name twice, a name with an escape, a value of another type), the answer is "look at
these lines one by one", never a guess.

Lines of one sender look alike. What followed each name the last time is asked for first, with all that stands between
two texts, in one comparison.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from monitor.columns import I32, I64, U8, U64
from monitor.compiling import inlined, lean
from monitor.wire import LONGEST, LONGEST_NAME
from monitor.words import WIDE, byte_at, matches, quote_or_slash, quotes_in, word_at, zeros_below

# Texts that become columns, in the order in which a row's texts are kept; and what is only looked at.
TEXTS: Final = (
    "event_id",
    "tracking_number",
    "source",
    "carrier",
    "facility",
    "region",
    "courier_id",
    "order_id",
    "occurred_at",
    "received_at",
    "estimated_at",
    "status",
    "delivered_to",
)
WIDTH: Final = 24  # of arrays by name
_FREE: Final = ("status_raw", "signed_by")  # texts of any length that no column holds
_NAMES: Final = (*TEXTS, *_FREE, "latitude", "longitude", "kind", "extra")
_EXTRA: Final = _NAMES.index("extra")
_KIND: Final = _NAMES.index("kind")
_EVENT_ID, _NUMBER, _PLACE = (_NAMES.index(name) for name in ("event_id", "tracking_number", "delivered_to"))
_OTHER: Final = len(_NAMES)  # any other name
_END: Final = _OTHER  # what follows the last value
_BEGIN: Final = _OTHER + 1
FOLLOWS: Final = _BEGIN + 1  # how many things something may follow


def _bits(*names: str) -> np.uint32:
    return np.uint32(sum(1 << _NAMES.index(name) for name in names))


PLACED: Final = _bits("latitude", "longitude")  # in what a line has
_REQUIRED: Final = _bits("kind", "event_id", "occurred_at", "tracking_number", "carrier", "status")
_HAS_KIND, _HAS_PLACE = _bits("kind"), _bits("delivered_to")
_KNOWN: Final = _bits(*_NAMES)
_COLUMNS: Final = _bits(*TEXTS)
_STRANGE: Final = np.uint32(1 << 31)  # a name with an escape
_MUST_FIT: Final = np.uint32(_bits(*TEXTS, *_FREE, "extra") | _STRANGE)  # what has but one type
MOST: Final = np.array(
    [
        LONGEST.get(name, 64 if name.endswith("_at") else 2**31 - 1 if name == "order_id" else LONGEST_NAME)
        for name in TEXTS
    ],
    np.int32,
)  # an order id is bounded by its event, and a time that is longer is read elsewhere
_TRACKING: Final = np.uint64(int.from_bytes(b"tracking", "little"))
_SPACE, _TAB, _RETURN, _LINE = 32, 9, 13, 10
_QUOTE, _COMMA, _COLON, _OPEN, _CLOSE = 34, 44, 58, 123, 125
_ROOM: Final = 64  # bytes of a pattern, and of what counts in it: a line of the cache each
_TOP, _BEYOND = np.uint64(1 << 63), np.uint64(1 << WIDE)
_NEAR: Final = 96  # bytes: more than a pattern and as many as are looked at behind it
NO_EVENT, SCAN, OTHER = range(3)  # what a line is; the first is "look closer"


def _patterns() -> U8:
    """`","name":"` and which bytes of it count, a name a row: from the end of one text to the beginning of the next.

    The last row is the end of an object behind a text. What is no text has a row that is never found in UTF-8.
    """
    count = len(_NAMES) + 1
    room = np.zeros((count + 1) * 2 * _ROOM, np.uint8)
    rows = room[-room.ctypes.data % _ROOM :][: count * 2 * _ROOM].reshape(count, 2 * _ROOM)
    for row, name in zip(rows, (*_NAMES, ""), strict=True):
        text = f'","{name}":"'.encode() if name else b'"}'
        if name in {"latitude", "longitude", "extra"}:
            text = b"\xff" * 4
        row[: len(text)] = np.frombuffer(text, np.uint8)
        row[_ROOM : _ROOM + len(text)] = 0xFF
    return rows


def _keys() -> U64:
    """Each name with its closing quote: length, sixteen bytes, and which of them count."""
    rows = []
    for name in _NAMES:
        text, counted = (name + '"').encode(), b"\xff" * (len(name) + 1)
        halves = [whole.ljust(16, b"\0")[at : at + 8] for whole in (text, counted) for at in (0, 8)]
        rows.append((len(name), *(int.from_bytes(half, "little") for half in halves)))
    return np.array(rows, np.uint64)


PATTERNS: Final = _patterns()
_KEYS: Final = _keys()
_LENGTHS: Final = np.array([len(name) + 6 for name in _NAMES] + [0], np.int64)  # of the patterns


@lean
def skip(text: int, size: int, place: int) -> int:
    """Past the spaces; a line end is none."""
    while place < size and (
        byte_at(text, place) == _SPACE or byte_at(text, place) == _TAB or byte_at(text, place) == _RETURN
    ):
        place += 1
    return place


@lean
def _string_end(text: int, size: int, place: int) -> tuple[int, bool]:
    """The closing quote of the string whose first character is at `place`, and whether it holds a backslash."""
    escaped = False
    while True:
        place = quote_or_slash(text, place, size)
        if place >= size or byte_at(text, place) == _QUOTE:
            return place, escaped
        escaped = True
        place += 2


@lean
def _nested_end(text: int, size: int, place: int) -> int:
    """Past the object or list that begins at `place`; at the line end where that comes first."""
    depth = 0
    while place < size:
        character = byte_at(text, place)
        if character == _LINE:
            return place  # the library reads on, the contract ends here
        if character == _QUOTE:
            place, _ = _string_end(text, size, place + 1)
        elif character in (91, 123):
            depth += 1
        elif character in (93, 125):
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    return place


@lean
def _value_end(text: int, size: int, place: int) -> tuple[int, bool]:
    """Past the value that begins at `place`, and whether it is a string with a backslash."""
    opening = byte_at(text, place)
    if opening == _QUOTE:
        place, escaped = _string_end(text, size, place + 1)
        return place + 1, escaped
    if opening in (91, 123):
        return _nested_end(text, size, place), False
    while (
        place < size
        and byte_at(text, place) > _SPACE
        and byte_at(text, place) != _COMMA
        and byte_at(text, place) != _CLOSE
    ):
        place += 1
    return place, False


@lean
def _name_at(low: np.uint64, high: np.uint64) -> int:
    """Which of `_NAMES` begins with these sixteen bytes, or `_OTHER`."""
    for name in range(len(_KEYS)):
        if low & _KEYS[name, 3] == _KEYS[name, 1] and high & _KEYS[name, 4] == _KEYS[name, 2]:
            return name
    return _OTHER


@lean
def _member(text: int, size: int, place: int, follows: bool) -> tuple[int, int, int, bool, bool]:
    """Where the next value begins and what is behind it, its name, whether it has a backslash, whether its name has.

    It begins at -1 where there is none; what is "behind" is then where that was seen, or -1 where it is not plain.
    """
    if follows:
        place = skip(text, size, place)
        if place >= size or byte_at(text, place) != _COMMA:
            return -1, place, _OTHER, False, False
        place = skip(text, size, place + 1)
    if place >= size or byte_at(text, place) != _QUOTE:
        return -1, place, _OTHER, False, False
    name = _name_at(word_at(text, size, place + 1, 8), word_at(text, size, place + 9, 8))
    end, odd = _string_end(text, size, place + 1)
    place = skip(text, size, end + 1)
    if place >= size or byte_at(text, place) != _COLON:
        return -1, -1, _OTHER, False, False
    begin = skip(text, size, place + 1)
    if begin >= size:
        return -1, -1, _OTHER, False, False
    place, escaped = _value_end(text, size, begin)
    return begin, place, name, escaped, odd


@inlined
def _is_empty(places: I32, name: int) -> bool:
    return bool(places[0, name] == places[1, name])


@inlined
def _members(
    text: int, size: int, place: int, patterns: int, row: int, places: I32, usual: I64, guess: I64
) -> tuple[int, np.uint32, np.uint32, bool]:
    """Where the object ends, what it has, which texts are escaped, and whether all is plain."""
    found, twice, slashes, odd = np.uint32(0), np.uint32(0), np.uint32(0), np.uint32(0)
    before, shift, end = _BEGIN, 2, place - 2
    while True:
        name = usual[np.uint64(before)]
        wanted = patterns + 2 * _ROOM * name + shift
        if end < size - _NEAR and matches(text + end + shift, wanted, wanted + _ROOM):
            if name == _END:
                place = end + 1
                break
            begin, slash = end + _LENGTHS[np.uint64(name)], False
            bits, length = np.uint64(quotes_in(text + begin)), guess[0, np.uint64(name)]
            if bits << np.uint64(63 - length) == _TOP:
                end = begin + length
            else:
                length = int(zeros_below(bits | _BEYOND))
                end = begin + length
                misses = guess[1, np.uint64(name)]
                guess[1, np.uint64(name)] = misses + 1
                guess[0, np.uint64(name)] = length if length < WIDE and misses < 4 + row // 4 else 63
            if byte_at(text, end) != _QUOTE:
                end, slash = _string_end(text, size, begin)
        else:
            begin, place, name, slash, strange = _member(text, size, end + 1 + shift // 2, shift == 0)
            if begin < 0 or name != _OTHER:
                usual[np.uint64(before)] = name
            if begin < 0:
                break
            if byte_at(text, begin) != (_OPEN if name == _EXTRA else _QUOTE):
                odd |= np.uint32(1) << np.uint32(name)
            if strange:
                odd |= _STRANGE
            begin, end = begin + 1, place - 1
        bit = np.uint32(1) << np.uint32(name)
        twice |= found & bit
        found |= bit
        if slash:
            slashes |= bit
        places[0, np.uint64(name)], places[1, np.uint64(name)] = begin, end
        before, shift = name, 0
    return place, found, slashes, not (twice & _KNOWN or odd & _MUST_FIT)


@inlined
def in_line(
    text: int, size: int, place: int, patterns: int, row: int, places: I32, usual: I64, guess: I64
) -> tuple[int, np.uint32, np.uint32, int]:
    """The object whose first name's quote is at `place`: past it, what it has, which texts are escaped, what it is.

    The rows of `places` get the starts and the ends of the texts that it has. `patterns`: the address of `PATTERNS`.
    `usual`: what followed each name before.
    """
    place, found, slashes, plain = _members(text, size, place, patterns, row, places, usual, guess)
    if place < 0 or place >= size or byte_at(text, place) != _CLOSE:
        return place, found, slashes, NO_EVENT
    begin = int(places[0, _KIND])
    if (
        not found & _HAS_KIND
        or places[1, _KIND] - begin != 8
        or word_at(text, size, begin, 8) != _TRACKING
        or byte_at(text, begin - 1) != _QUOTE
    ):
        return place + 1, found, slashes, OTHER
    if found & _REQUIRED != _REQUIRED or _is_empty(places, _EVENT_ID) or _is_empty(places, _NUMBER):
        plain = False
    if found & _HAS_PLACE and _is_empty(places, _PLACE):
        plain = False
    return place + 1, found, slashes & _COLUMNS, SCAN if plain else NO_EVENT
