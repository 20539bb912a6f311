"""Where the texts of tracking events lie in NDJSON that the library has decoded: one compiled pass, no object an event.

This decodes nothing and checks no JSON: `msgspec` has read every line before and refused what is malformed. So a
line is a whole object, strings end, and brackets pair; what remains is to find the values of the names we know.
Where anything is not plain (a name twice, a name with an escape, a value of another type), the answer is "look at
these lines one by one", never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from monitor.columns import I32, I64, U8, U32, U64
from monitor.wire import LONGEST, LONGEST_NAME
from monitor.words import byte_at, quote_or_slash, word_at

# Texts that become columns, in the order of the columns; and what is only looked at.
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
_FREE: Final = ("status_raw", "signed_by")  # texts of any length that no column holds
_NUMBERS: Final = ("latitude", "longitude")
_NAMES: Final = (*TEXTS, *_FREE, *_NUMBERS, "kind", "extra")
_KIND: Final = _NAMES.index("kind")
_EXTRA: Final = _NAMES.index("extra")
_NUMBER: Final = _NAMES.index("latitude")
PLACED: Final = np.uint32(3 << _NUMBER)  # in `seen`: has a latitude or a longitude
_REQUIRED: Final = sum(
    1 << _NAMES.index(name)
    for name in ("kind", "event_id", "occurred_at", "tracking_number", "carrier", "status")
)
_FILLED: Final = np.array(
    [name in {"event_id", "tracking_number", "occurred_at", "status", "delivered_to"} for name in TEXTS]
)
MOST: Final = np.array(
    [
        LONGEST.get(name, 64 if name.endswith("_at") else 2**31 if name == "order_id" else LONGEST_NAME)
        for name in TEXTS
    ],
    np.int64,
)  # an order id is bounded by its event, and a time that is longer is read elsewhere
_TRACKING: Final = np.uint64(int.from_bytes(b"tracking", "little"))
_SPACE, _TAB, _RETURN, _LINE = 32, 9, 13, 10


def _keys() -> U64:
    """Each name with its closing quote: length, sixteen bytes, and which of them count."""
    rows = []
    for name in _NAMES:
        text = (name + '"').encode().ljust(16, b"\0")
        counted = (b"\xff" * (len(name) + 1)).ljust(16, b"\0")
        rows.append(
            (
                len(name),
                *(
                    int.from_bytes(half, "little")
                    for whole in (text, counted)
                    for half in (whole[:8], whole[8:])
                ),
            )
        )
    return np.array(rows, np.uint64)


_KEYS: Final = _keys()
_COLON: Final = np.uint64(int.from_bytes(b'":"', "little"))
_COMMA: Final = np.uint64(int.from_bytes(b'","', "little"))
_THREE: Final = np.uint64(0xFFFFFF)


@dataclass(slots=True)
class Located:
    """One row a tracking event. `starts` and `ends` are columns of `TEXTS` by rows; both are 0 where absent.

    `line`: which value of the text each row is; `seen`: bits of the names it has; `others`: the values that are no
    tracking events. `escaped`: column and row of each text that holds a backslash.
    """

    starts: I32
    ends: I32
    line: I32
    seen: U32
    others: list[int]
    escaped: list[tuple[int, int]]


def locate(data: U8, values: int) -> Located | None:
    """`data` holds `values` JSON objects, one a line; None where some line is not plain."""
    starts, ends = (np.zeros((len(TEXTS), values), np.int32) for _ in range(2))
    line, others = np.empty(values, np.int32), np.empty(values, np.int32)
    seen = np.empty(values, np.uint32)
    escaped = np.empty((len(TEXTS) * values, 2), np.int32)
    rows, rest, slashes = _locate(data, starts, ends, line, seen, others, escaped)
    if rows + rest != values:
        return None
    return Located(
        starts=starts[:, :rows],
        ends=ends[:, :rows],
        line=line[:rows],
        seen=seen[:rows],
        others=others[:rest].tolist(),
        escaped=[(column, row) for column, row in escaped[:slashes].tolist()],
    )


@njit(cache=True, nogil=True)
def _skip(text: int, size: int, place: int) -> int:
    """Past the spaces; a line end is none."""
    while place < size and (
        byte_at(text, place) == _SPACE or byte_at(text, place) == _TAB or byte_at(text, place) == _RETURN
    ):
        place += 1
    return place


@njit(cache=True, nogil=True, inline="always")
def _string_end(text: int, size: int, place: int) -> tuple[int, bool]:
    """The closing quote of the string whose first character is at `place`, and whether it holds a backslash."""
    escaped = False
    while True:
        place = quote_or_slash(text, place, size)
        if place >= size or byte_at(text, place) == 34:
            return place, escaped
        escaped = True
        place += 2


@njit(cache=True, nogil=True)
def _nested_end(text: int, size: int, place: int) -> int:
    """Past the object or list that begins at `place`; at the line end where that comes first."""
    depth = 0
    while place < size:
        character = byte_at(text, place)
        if character == _LINE:
            return place  # the library reads on, the contract ends here
        if character == 34:
            place, _ = _string_end(text, size, place + 1)
        elif character in {91, 123}:
            depth += 1
        elif character in {93, 125}:
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1
    return place


@njit(cache=True, nogil=True)
def _name_at(low: np.uint64, high: np.uint64) -> int:
    """Which of `_NAMES` begins with these sixteen bytes, or -1."""
    for name in range(len(_KEYS)):
        if low & _KEYS[name, 3] == _KEYS[name, 1] and high & _KEYS[name, 4] == _KEYS[name, 2]:
            return name
    return -1


@njit(cache=True, nogil=True, inline="always")
def _value_end(text: int, size: int, place: int) -> tuple[int, bool]:
    """Past the value that begins at `place`, and whether it is a string with a backslash."""
    opening = byte_at(text, place)
    if opening == 34:
        place, escaped = _string_end(text, size, place + 1)
        return place + 1, escaped
    if opening in {123, 91}:
        return _nested_end(text, size, place), False
    while (
        place < size
        and byte_at(text, place) > _SPACE
        and byte_at(text, place) != 44
        and byte_at(text, place) != 125
    ):
        place += 1
    return place, False


@njit(cache=True, nogil=True, inline="always")
def _line(
    text: int, size: int, place: int, row: int, starts: I32, ends: I32, usual: I64, escaped: I32, slashes: int
) -> tuple[int, np.uint32, int, int]:
    """The object whose first name's quote is at `place`: past it, what it has, what it is, how many slashes.

    It is 0 where it is not plain, 1 a tracking event, 2 another.
    """
    found = np.uint32(0)
    plain, tracking = True, False
    first, before = 0, slashes
    while place < size and byte_at(text, place) == 34:
        # Lines of one sender look alike: the name that stood here in the line before is asked for first.
        expected = usual[np.uint64(first)]
        key = _KEYS[np.uint64(expected)]
        low, high = word_at(text, size, place + 1, 8), word_at(text, size, place + 9, 8)
        name = int(expected)
        if low & key[3] != key[1] or high & key[4] != key[2]:
            name = _name_at(low, high)
        if name >= 0:
            place += 1 + int(key[0]) if name == expected else 1 + int(_KEYS[name, 0])
            usual[np.uint64(first)] = name
        else:
            place, slash = _string_end(text, size, place + 1)
            plain = plain and not slash
        first = min(first + 1, 63)
        if word_at(text, size, place, 8) & _THREE == _COLON:
            begin = place + 2
        else:
            place = _skip(text, size, place + 1)
            if place >= size or byte_at(text, place) != 58:
                return place, found, 0, before
            begin = _skip(text, size, place + 1)
            if begin >= size:
                return place, found, 0, before
        place, slash = _value_end(text, size, begin)
        if name >= 0:
            bit = np.uint32(1) << np.uint32(name)
            plain = plain and not found & bit
            found |= bit
            is_text = byte_at(text, begin) == 34
            if name < len(MOST):
                length = place - begin - 2
                plain = plain and is_text
                if slash and plain:
                    escaped[slashes, 0] = name
                    escaped[slashes, 1] = row
                    slashes += 1
                else:
                    plain = (
                        plain
                        and length <= MOST[np.uint64(name)]
                        and (length > 0 or not _FILLED[np.uint64(name)])
                    )
                starts[np.uint64(name), np.uint64(row)] = begin + 1
                ends[np.uint64(name), np.uint64(row)] = place - 1
            elif name == _KIND:
                tracking = place - begin == 10 and word_at(text, size, begin + 1, 8) == _TRACKING
            elif name == _EXTRA:
                plain = plain and byte_at(text, begin) == 123
            elif name < _NUMBER:
                plain = plain and is_text
        if word_at(text, size, place - 1, 8) & _THREE == _COMMA:
            place += 1
            continue
        place = _skip(text, size, place)
        if place >= size or byte_at(text, place) != 44:
            break
        place = _skip(text, size, place + 1)
    if place >= size or byte_at(text, place) != 125:
        return place, found, 0, before
    if not tracking:
        return place + 1, found, 2, before
    return place + 1, found, 1 if plain and found & _REQUIRED == _REQUIRED else 0, slashes


@njit(cache=True, nogil=True)
def _locate(
    data: U8, starts: I32, ends: I32, line: I32, seen: U32, others: I32, escaped: I32
) -> tuple[int, int, int]:
    """How many rows, other values and escaped texts; fewer values than there are where a line is not plain.

    `starts` and `ends` come and stay 0 where a text is absent.
    """
    text, size = data.ctypes.data, len(data)
    usual = np.zeros(64, np.int64)  # the name in each place of the line before
    values = len(line)
    rows, rest, slashes = 0, 0, 0
    place = 0
    while place < size:
        place = _skip(text, size, place)
        if place >= size or byte_at(text, place) == _LINE:
            place += 1
            continue
        if rows + rest >= values or byte_at(text, place) != 123:
            return 0, 0, 0
        place, seen[rows], what, slashes = _line(
            text, size, _skip(text, size, place + 1), rows, starts, ends, usual, escaped, slashes
        )
        place = _skip(text, size, place)
        if what == 0 or (place < size and byte_at(text, place) != _LINE):
            return 0, 0, 0
        if what == 1:
            line[rows] = rows + rest
            rows += 1
        else:
            others[rest] = rows + rest
            rest += 1
            for column in range(len(starts)):
                starts[column, rows], ends[column, rows] = 0, 0
    return rows, rest, slashes
