"""The pages of memory that a large table lies on: small ones while it is nearly empty, huge ones when it has filled.

In a full table of millions a place is found faster on pages of 2 MB; of a shop's first thousand parcels, which a hash
scatters, each would bring 2 MB into memory. Where the system has no such pages or is not asked for them (macOS, an
older kernel), the arrays are the same and only slower.
"""

from __future__ import annotations

import contextlib
import mmap
from typing import Any, Final, Literal

import numpy as np

from monitor.engine.layout import Records

HUGE: Final = 2 << 20  # bytes
ENOUGH: Final = 0.0625  # of the room in use: with less, huge pages are mostly empty
LEAST: Final = 32 * HUGE  # what all arrays of a table take together; a smaller one is not worth the moving
STEP: Final = HUGE  # moved at a time: some milliseconds
_SMALL: Final[int | None] = getattr(mmap, "MADV_NOHUGEPAGE", None)
_LARGE: Final[int | None] = getattr(mmap, "MADV_HUGEPAGE", None)
# By number, as the module does not name them.
_NOW: Final = 25  # MADV_COLLAPSE; without it (Linux before 6.1) the kernel takes minutes
_TOUCH: Final = 23  # MADV_POPULATE_WRITE; before Linux 5.14 a page comes when it is first written to


class Pages:
    """Of the arrays of one table, which fill alike."""

    def __init__(self, huge: Literal["auto", "always", "never"] = "auto") -> None:
        """`always` spares a table that will fill the moving, half a second for a million parcels, and takes all its memory
        at once: later each page would stop the loop while the system clears it.
        """
        self._huge = huge
        self._areas: list[mmap.mmap] = []
        self._left: list[tuple[mmap.mmap, int]] = []
        self._bytes = 0

    def zeros(self, rows: int, kind: np.dtype[Any]) -> Records:
        """Zeroed, and beginning at a cache line: a slot over two lines costs two loads from memory, one of them not
        asked for ahead.
        """
        whole = -(-rows * kind.itemsize // HUGE) * HUGE
        area = mmap.mmap(-1, whole + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        _advise(area, _LARGE if self._huge == "always" else _SMALL, 0, len(area))
        start = -np.frombuffer(area, np.uint8).ctypes.data % HUGE
        if self._huge == "always":
            _advise(area, _TOUCH, start, whole)
        if self._huge == "auto":
            self._bytes += rows * kind.itemsize
            self._areas.append(area)
            self._left += [(area, first) for first in range(start, start + whole, STEP)]
        found: Records = np.frombuffer(area, kind, rows, start)
        return found

    @property
    def left(self) -> int:
        """Steps to go until all lies on huge pages."""
        return len(self._left) if self._bytes >= LEAST else 0

    def follow(self, share: float) -> None:
        """`share` of the room that buckets have taken. To be called often: a call moves but a few of the pages."""
        if share < ENOUGH or not self.left:
            return
        for area in self._areas:
            _advise(area, _LARGE, 0, len(area))
        self._areas.clear()
        area, first = self._left.pop()
        _advise(area, _NOW, first, STEP)


def _advise(area: mmap.mmap, advice: int | None, start: int, length: int) -> None:
    """The system may refuse: then nothing has changed."""
    if advice is not None:
        with contextlib.suppress(OSError):
            area.madvise(advice, start, length)
