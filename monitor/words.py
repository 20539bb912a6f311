"""Bytes eight at a time, for the kernels that look at texts: a step costs much the same for one byte and for eight.

The functions take the address of an array (`array.ctypes.data`) and its size, not the array: passing an array to a
function counts a reference up and down each time, which costs more than the work (measured: 80 ns a name for 15).
The caller holds the array meanwhile, and nothing here reads outside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from monitor.compiling import inlined

_ONES: Final = np.uint64(0x0101010101010101)
_HIGH: Final = np.uint64(0x8080808080808080)
_QUOTES: Final = np.uint64(0x2222222222222222)
_SLASHES: Final = np.uint64(0x5C5C5C5C5C5C5C5C)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)


def _loader(bits: int, number: Any) -> Callable[..., Any]:
    def load(_context: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
        def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            loaded = builder.load(pointer)
            loaded.align = 1
            return loaded

        return number(types.intp), code

    return load


def _write(_context: Any, _address: Any, _word: Any) -> tuple[Any, Callable[..., Any]]:
    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        builder.store(arguments[1], pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.uint64), code


_load8: Final[Any] = intrinsic(_loader(64, types.uint64))
_load4: Final[Any] = intrinsic(_loader(32, types.uint32))
_load1: Final[Any] = intrinsic(_loader(8, types.uint8))


def _count(_context: Any, _word: Any) -> tuple[Any, Callable[..., Any]]:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


zeros_below: Final[Any] = intrinsic(_count)  # the lowest bit that is set; the word is not 0


_store8: Final[Any] = intrinsic(_write)
WIDE: Final = 32  # bytes that are compared at once


def _quotes(_context: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        octets = ir.VectorType(ir.IntType(8), WIDE)
        loaded = builder.load(builder.inttoptr(arguments[0], octets.as_pointer()))
        loaded.align = 1
        quotes, slashes = (
            builder.icmp_unsigned("==", loaded, ir.Constant(octets, [character] * WIDE))
            for character in b'"\\'
        )
        return builder.bitcast(builder.or_(quotes, slashes), ir.IntType(WIDE))

    return types.uint32(types.intp), code


quotes_in: Final[Any] = intrinsic(
    _quotes
)  # a bit for each of the `WIDE` bytes at an address that is a quote or a backslash


def _compare(_context: Any, _address: Any, _pattern: Any, _counted: Any) -> tuple[Any, Callable[..., Any]]:
    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        octets = ir.VectorType(ir.IntType(8), WIDE)
        found, wanted, counted = (
            builder.load(builder.inttoptr(address, octets.as_pointer())) for address in arguments
        )
        for loaded in (found, wanted, counted):
            loaded.align = 1
        different = builder.and_(builder.xor(found, wanted), counted)
        unequal = builder.icmp_unsigned("!=", different, ir.Constant(octets, [0] * WIDE))
        bits = builder.bitcast(unequal, ir.IntType(WIDE))
        return builder.icmp_unsigned("==", bits, ir.Constant(ir.IntType(WIDE), 0))

    return types.boolean(types.intp, types.intp, types.intp), code


matches: Final[Any] = intrinsic(_compare)
"""Whether `WIDE` bytes at the first address are those at the second, wherever the third has its bits set."""


def _ask_for(_context: Any, _address: Any) -> tuple[Any, Callable[..., Any]]:
    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        )
        to_read, often, data = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(function, [builder.inttoptr(arguments[0], pointer), to_read, often, data])
        return context.get_dummy_value()

    return types.void(types.intp), code


prefetch: Final[Any] = intrinsic(_ask_for)
"""Asks for the memory at an address, which may be outside of everything: it will be looked at soon."""
AHEAD: Final = 12  # rows: texts of one column lie a line of text apart, and each would be waited for


@njit(cache=True, nogil=True)
def byte_at(address: int, place: int) -> np.int64:
    return np.int64(_load1(address + place))


@njit(cache=True, nogil=True)
def octet_at(address: int, place: int) -> np.uint8:
    """As `byte_at`, for a look into a table: an index without a sign needs no check for one below 0."""
    found: np.uint8 = _load1(address + place)
    return found


@njit(cache=True, nogil=True)
def whole_word_at(address: int, place: int) -> np.uint64:
    """Eight bytes of which the caller knows that they are there."""
    found: np.uint64 = _load8(address + place)
    return found


@njit(cache=True, nogil=True)
def half_word_at(address: int, place: int) -> np.uint32:
    """As `whole_word_at`, four bytes."""
    found: np.uint32 = _load4(address + place)
    return found


@njit(cache=True, nogil=True)
def word_at(address: int, size: int, place: int, count: int) -> np.uint64:
    """`count` (0..8) bytes from `place` on as one number, the first one lowest, zeros above."""
    if count <= 0:
        return np.uint64(0)
    if place + 8 <= size:
        whole: np.uint64 = _load8(address + place)
        return whole & (np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * count))
    word = np.uint64(0)
    for step in range(min(count, size - place)):
        word |= np.uint64(_load1(address + place + step)) << np.uint64(8 * step)
    return word


@njit(cache=True, nogil=True)
def quote_or_slash(address: int, place: int, end: int) -> int:
    """The first `"` or backslash from `place` on, or `end`."""
    while place + WIDE <= end:
        bits = np.uint64(quotes_in(address + place))
        if bits != 0:
            return place + int(zeros_below(bits))
        place += WIDE
    while place + 8 <= end:
        word = _load8(address + place)
        quotes, slashes = word ^ _QUOTES, word ^ _SLASHES
        found = (((quotes - _ONES) & ~quotes) | ((slashes - _ONES) & ~slashes)) & _HIGH
        if found != 0:
            return place + int(zeros_below(found) >> 3)
        place += 8
    while place < end and _load1(address + place) != 34 and _load1(address + place) != 92:
        place += 1
    return place


@njit(cache=True, nogil=True)
def hash_text(address: int, size: int, start: int, end: int) -> np.uint64:
    """Of names, which are short; not against an adversary (hits are compared)."""
    value = np.uint64(end - start) * np.uint64(0x9E3779B97F4A7C15)
    while end - start > 8:
        value = (value ^ word_at(address, size, start, 8)) * _MIX
        value ^= value >> np.uint64(29)
        start += 8
    return _mixed(value ^ word_at(address, size, start, end - start))


@inlined
def hash_word(word: np.uint64, length: int) -> np.uint64:
    """As `hash_text`, of a text of at most eight bytes."""
    return _mixed(np.uint64(length) * np.uint64(0x9E3779B97F4A7C15) ^ word)


@inlined
def _mixed(value: np.uint64) -> np.uint64:
    value *= _MIX
    # Once more: names that begin alike differ in their higher bytes only, and a table looks at the lowest bits.
    value = (value ^ (value >> np.uint64(32))) * _MIX
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def same_text(
    first: int, size: int, start: int, second: int, other_size: int, other: int, length: int
) -> bool:
    while length > 8:
        if word_at(first, size, start, 8) != word_at(second, other_size, other, 8):
            return False
        start += 8
        other += 8
        length -= 8
    return bool(word_at(first, size, start, length) == word_at(second, other_size, other, length))


@njit(cache=True, nogil=True)
def copy_text(source: int, size: int, place: int, target: int, length: int) -> None:
    """To `target`, behind which there is room for eight bytes more."""
    for step in range(0, length, 8):
        _store8(target + step, word_at(source, size, place + step, 8))


@njit(cache=True, nogil=True)
def is_ascii(address: int, size: int) -> bool:
    every = np.uint64(0)
    for place in range(0, size, 8):
        every |= word_at(address, size, place, min(8, size - place))
    return bool(every & _HIGH == 0)


@njit(cache=True, nogil=True)
def is_utf8(address: int, size: int, start: int, end: int) -> bool:
    """Of one text. As Python decodes it: no overlong forms, no surrogates, nothing beyond U+10FFFF."""
    place = start
    while place < end:
        if word_at(address, size, place, min(8, end - place)) & _HIGH == 0:
            place += 8
            continue
        first = byte_at(address, place)
        if first < 0x80:
            place += 1
            continue
        more = 1 if first < 0xE0 else 2 if first < 0xF0 else 3
        if first < 0xC2 or first > 0xF4 or place + more >= end:
            return False
        second = byte_at(address, place + 1)
        low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
        high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
        if second < low or second > high:
            return False
        for step in range(2, more + 1):
            if byte_at(address, place + step) & 0xC0 != 0x80:
                return False
        place += more + 1
    return True
