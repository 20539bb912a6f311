"""What a repeated event has in common with its first: a hash of source and event id. Part of the checkpoint format.

FNV-1a of source, a byte that UTF-8 never has, and event id, with a finisher.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from monitor.columns import I32, U8, U64
from monitor.texts import Coded, Column, Texts, join
from monitor.words import AHEAD, octet_at, prefetch, same_text

_BASIS: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3


def identities(sources: Texts, events: Column) -> U64:
    out = np.empty(len(events), np.uint64)
    _finish(_begun(sources), events.buffer, events.starts, events.ends, out)
    return out


def identity(source: str, event_id: str) -> int:
    """Of one event of any kind."""
    return int(identities(join([source]), join([event_id]))[0])


def _begun(sources: Texts) -> U64:
    """The hash so far after each row's source."""
    if isinstance(sources, Coded):
        return _begun(sources.words).take(sources.places)
    out = np.empty(len(sources), np.uint64)
    _begin(sources.buffer, sources.starts, sources.ends, out)
    return out


@njit(cache=True, nogil=True)
def begin(address: int, start: int, end: int) -> np.uint64:
    """The hash so far after a source."""
    return _more(_more_bytes(np.uint64(_BASIS), address, start, end), np.uint64(0xFF))


@njit(cache=True, nogil=True)
def finish(begun: np.uint64, address: int, start: int, end: int) -> np.uint64:
    """The hash after the event's id, too."""
    value = _more_bytes(begun, address, start, end)
    value ^= value >> np.uint64(32)
    value *= np.uint64(0xD6E8FEB86659FD93)
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True)
def _more(value: np.uint64, octet: np.uint64) -> np.uint64:
    return (value ^ octet) * np.uint64(_PRIME)


@njit(cache=True, nogil=True)
def _more_bytes(value: np.uint64, address: int, start: int, end: int) -> np.uint64:
    for place in range(start, end):
        value = _more(value, np.uint64(octet_at(address, place)))
    return value


@njit(cache=True, nogil=True)
def _begin(buffer: U8, starts: I32, ends: I32, out: U64) -> None:
    text, size = buffer.ctypes.data, len(buffer)
    before, length = 0, -1
    value, rows = np.uint64(0), len(out)
    for row in range(rows):
        prefetch(text + int(starts[min(row + AHEAD, rows - 1)]))
        start, end = int(starts[row]), int(ends[row])
        # Neighbours mostly have one source: it is hashed once for all of them.
        if end - start != length or not same_text(text, size, before, text, size, start, length):
            before, length = start, end - start
            value = begin(text, start, end)
        out[row] = value


@njit(cache=True, nogil=True)
def _finish(begun: U64, buffer: U8, starts: I32, ends: I32, out: U64) -> None:
    text = buffer.ctypes.data
    rows = len(out)
    for row in range(rows):
        prefetch(text + int(starts[min(row + AHEAD, rows - 1)]))
        out[row] = finish(begun[row], text, int(starts[row]), int(ends[row]))
