"""Names as numbers: interners for what repeats, packing for tracking numbers and order ids.

    names.carriers.code("sf") -> 7          names.carriers.text(7) -> "sf"
    names.pack("SF1234567890123") -> (key0, key1)          names.unpack(key0, key1) -> "SF1234567890123"

Code 0 is "absent or unknown". Interners are bounded: a name that does not fit gets 0 and is counted in `overflow`.
A number that base 40 cannot hold (lower case, Unicode, more than 24 characters) gets a hashed key of 123 bits, and
its text waits in `sides` until `release`; the engine releases with the parcel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from monitor import packing
from monitor.columns import I32, I64, U8, U32, U64
from monitor.nametable import enter_names, find_names

_Number = TypeVar("_Number", np.uint8, np.int64)

LONGEST_NUMBER: Final = 100  # characters; the decoder refuses longer ones as too_long
LONGEST_NAME: Final = 200  # bytes
NO_KEY: Final = (0, 0)
_ORDER: Final = b"order\0"
_PARCEL: Final = b"parcel\0"
_HALF: Final = 1 << 59  # hashed keys of orders begin here above `packing.HASHED`


def joined(texts: Sequence[str | None]) -> tuple[U8, I64]:
    """A column of strings as the UTF-8 bytes of all and the n + 1 offsets between them; None is empty."""
    encoded = [text.encode("utf-8", "surrogatepass") if text else b"" for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


class Interner:
    """Strings to small integers, for ever: bounded by `limit`, dumped with the checkpoint."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.overflow = 0
        self._codes: dict[str, int] = {}
        self._texts: list[str] = [""]
        self._arena = np.zeros(1 << 12, np.uint8)
        self._ends = np.zeros(1 << 8, np.int64)
        self._slots = np.zeros(2 << 9, np.uint64)
        self._mirrored = 0  # names of which the kernels know
        self._whereabouts: I64 | None = None

    def __len__(self) -> int:
        return len(self._texts) - 1

    def text(self, code: int) -> str | None:
        return self._texts[code] if 0 < code < len(self._texts) else None

    def texts(self) -> list[str | None]:
        """By code: what `text` answers, for taking many at once."""
        return [None, *self._texts[1:]]

    def known(self, text: str | None) -> int:
        """As `code`, but learns nothing."""
        return self._codes.get(text, 0) if text else 0

    def code(self, text: str | None) -> int:
        if not text:
            return 0
        code = self._codes.get(text)
        return self._enter(text) if code is None else code

    def codes(self, texts: Iterable[str | None]) -> list[int]:
        get = self._codes.get
        return [
            0 if not text else (code if (code := get(text)) is not None else self._enter(text))
            for text in texts
        ]

    def codes_of(self, buffer: U8, offsets: I64) -> U32:
        """Codes of a joined column (UTF-8 bytes, n + 1 offsets); zero-length is absent."""
        return self.codes_at(buffer, *_spans(offsets))

    def codes_at(self, buffer: U8, starts: I32, ends: I32) -> U32:
        """Codes of the texts `buffer[start:end]`; zero-length is absent."""
        codes, missing = self.found_at(buffer, starts, ends)
        for row in missing:
            text = buffer[starts[row] : ends[row]].tobytes().decode("utf-8", "replace")
            codes[row] = self.code(text)
        return codes

    def found_at(self, buffer: U8, starts: I32, ends: I32) -> tuple[U32, list[int]]:
        """As `codes_at`, but learns nothing: the codes, and the rows whose names are not known."""
        codes, slow = np.empty(len(starts), np.uint32), np.empty(len(starts), np.int64)
        misses = find_names(buffer, starts, ends, *self.table, codes, slow)
        return codes, slow[:misses].tolist()

    @property
    def table(self) -> tuple[U64, U8, I64]:
        """As `monitor.nametable` looks into it: slots, arena, ends."""
        if self._mirrored < len(self):
            self._mirror()
        return self._slots, self._arena, self._ends

    @property
    def whereabouts(self) -> I64:
        """Where the table lies: what `monitor.nametable.find_name` asks for, as numbers, until a name is learned.

        The addresses of slots, arena and ends, the mask of the slots and the size of the arena.
        """
        if self._whereabouts is None or self._mirrored < len(self):
            slots, arena, ends = self.table
            mask, size = len(slots) // 2 - 1, len(arena)
            self._whereabouts = np.array(
                [slots.ctypes.data, mask, arena.ctypes.data, size, ends.ctypes.data], np.int64
            )
        return self._whereabouts

    def _enter(self, text: str) -> int:
        if len(self) >= self.limit or len(text.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
            self.overflow += 1
            return 0
        code = len(self._texts)
        self._codes[text] = code
        self._texts.append(text)
        return code

    def _mirror(self) -> None:
        """The names that are new, where the kernels see them."""
        first, last = self._mirrored + 1, len(self)
        encoded = [text.encode("utf-8", "surrogatepass") for text in self._texts[first:]]
        ends = np.cumsum([self._ends[first - 1], *map(len, encoded)])
        self._ends = _with_room(self._ends, last + 1)
        self._ends[first : last + 1] = ends[1:]
        self._arena = _with_room(self._arena, int(ends[-1]))
        self._arena[ends[0] : ends[-1]] = np.frombuffer(b"".join(encoded), np.uint8)
        if 4 * last > len(self._slots):
            first, self._slots = 1, np.zeros(1 << (4 * last - 1).bit_length(), np.uint64)
        enter_names(first, last, self._slots, self._arena, self._ends)
        self._mirrored = last
        self._whereabouts = None  # they may have moved, whoever asked for the table

    def dump(self) -> list[str]:
        return self._texts[1:]

    def load(self, texts: Sequence[str]) -> None:
        self.__init__(self.limit)  # type: ignore[misc]
        for text in texts:
            self._enter(text)


class Names:
    """All names of one engine. `sides` bounds the hashed keys that are remembered at one time."""

    def __init__(self, *, places: int = 2_000_000, sides: int = 1_000_000) -> None:
        self.carriers = Interner(65_535)
        self.sources = Interner(65_535)
        self.regions = Interner(places)
        self.facilities = Interner(places)
        self.couriers = Interner(places)
        self.side_limit = sides
        self.side_overflow = 0
        self.sides: dict[tuple[int, int], str] = {}

    # -- keys --------------------------------------------------------------------------------------------------

    def key(self, text: str, *, order: bool = False) -> tuple[int, int]:
        """The key of a tracking number or order id, without remembering its text; (0, 0) for the empty one."""
        exact = _exact(text, packing.LONGEST - order)
        if exact is None:
            return _hashed(text, order=order)
        return exact if not order else (exact[0] // packing.BASE, _shifted(exact))

    def pack(self, text: str, *, order: bool = False) -> tuple[int, int]:
        """As `key`, and `unpack` will know it. (0, 0) where there is no room for another hashed key."""
        key = self.key(text, order=order)
        return key if key[0] < packing.HASHED or self._remember(key, text) else NO_KEY

    def pack_many(self, texts: Sequence[str]) -> tuple[U64, U64]:
        return self.pack_joined(*joined(texts))

    def pack_joined(self, buffer: U8, offsets: I64) -> tuple[U64, U64]:
        """Keys of a joined column of tracking numbers (UTF-8 bytes, n + 1 offsets)."""
        return self.pack_at(buffer, *_spans(offsets))

    def pack_at(self, buffer: U8, starts: I32, ends: I32) -> tuple[U64, U64]:
        """Keys of the tracking numbers `buffer[start:end]`."""
        rows = len(starts)
        key0, key1 = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
        slow = np.empty(rows, np.int64)
        misses = packing.pack_rows(buffer, starts, ends, key0, key1, slow)
        for row in slow[:misses].tolist():
            text = buffer[starts[row] : ends[row]].tobytes().decode("utf-8", "replace")
            key0[row], key1[row] = self.pack(text)
        return key0, key1

    def unpack(self, key0: int, key1: int) -> str:
        """The tracking number or order id of a key; KeyError for a hashed key that was released."""
        if key0 >= packing.HASHED:
            return self.sides[key0, key1]
        return self.unpack_many(np.array([key0], np.uint64), np.array([key1], np.uint64))[0]

    def unpack_many(self, key0: U64, key1: U64) -> list[str]:
        out = np.zeros((len(key0), packing.LONGEST), np.uint8)
        packing.unpack_rows(key0, key1, packing.CHARACTER, out)
        texts: list[str] = out.view(f"S{packing.LONGEST}").ravel().astype(f"U{packing.LONGEST}").tolist()
        for row in np.flatnonzero(key0 >= np.uint64(packing.HASHED)).tolist():
            texts[row] = self.sides[int(key0[row]), int(key1[row])]
        return texts

    def release(self, key0: int, key1: int) -> None:
        """The parcel or order has left: a hashed key's text goes with it. Exact keys need no release."""
        self.sides.pop((key0, key1), None)

    def _remember(self, key: tuple[int, int], text: str) -> bool:
        if key in self.sides:
            return True
        if len(self.sides) >= self.side_limit or len(text) > LONGEST_NUMBER:
            self.side_overflow += 1
            return False
        self.sides[key] = text
        return True

    # -- the checkpoint ----------------------------------------------------------------------------------------

    def _interners(self) -> dict[str, Interner]:
        return {
            "carriers": self.carriers,
            "sources": self.sources,
            "regions": self.regions,
            "facilities": self.facilities,
            "couriers": self.couriers,
        }

    def dump(self) -> dict[str, Any]:
        """For msgpack. Order matters: codes are in every dumped slot."""
        return {
            **self.interned(),
            "sides": sorted(row for rows in self.hashed(len(self.sides)) for row in rows),
        }

    def interned(self) -> dict[str, Any]:
        """Of `dump` all but the hashed keys, of which there may be a million."""
        return {name: interner.dump() for name, interner in self._interners().items()}

    def hashed(self, most: int) -> Iterator[list[tuple[int, int, str]]]:
        """The hashed keys and their texts, so many at a time; what is read must not change meanwhile."""
        rows = ((first, second, text) for (first, second), text in self.sides.items())
        while some := list(islice(rows, most)):
            yield some

    def load(self, state: Mapping[str, Any]) -> None:
        for name, interner in self._interners().items():
            interner.load(state[name])
        self.sides = {(first, second): text for first, second, text in state["sides"]}


def _with_room(array: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """The same, or a larger one."""
    if size <= len(array):
        return array
    larger = np.zeros(1 << (size - 1).bit_length(), array.dtype)
    larger[: len(array)] = array
    return larger


def _spans(offsets: I64) -> tuple[I32, I32]:
    narrow = offsets.astype(np.int32)
    return narrow[:-1], narrow[1:]


def is_order(key0: int) -> bool:
    return key0 < packing.ORDERS or key0 >= packing.HASHED + _HALF


def _exact(text: str, longest: int) -> tuple[int, int] | None:
    if not text:
        return NO_KEY
    if len(text) > longest or not text.isascii():
        return None
    digits = [int(packing.DIGIT[ord(character)]) for character in text]
    if packing.ILLEGAL in digits:
        return None
    digits += [0] * (packing.LONGEST - len(digits))
    words = [0, 0]
    for place, digit in enumerate(digits):
        words[place // packing.WORD] = words[place // packing.WORD] * packing.BASE + digit
    return words[0], words[1]


def _shifted(key: tuple[int, int]) -> int:
    """The second word after the number moved one character to the right."""
    return key[0] % packing.BASE * packing.ORDERS + key[1] // packing.BASE


def _hashed(text: str, *, order: bool) -> tuple[int, int]:
    digest = hashlib.blake2b(
        (_ORDER if order else _PARCEL) + text.encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()
    first = int.from_bytes(digest[:8]) % _HALF + (_HALF if order else 0)
    return packing.HASHED + first, int.from_bytes(digest[8:])
