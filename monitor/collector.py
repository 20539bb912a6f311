"""How often the interpreter looks for garbage in cycles, and how what is free goes back to the system."""

from __future__ import annotations

import ctypes
import gc
from typing import Final

# Findings are many and in no cycle: looking for cycles among them took half of what opening one costs.
THRESHOLDS: Final = (50_000, 20, 100)


def look_seldom() -> None:
    """For the whole process."""
    gc.set_threshold(*THRESHOLDS)


def give_back() -> None:
    """Collects all garbage, and returns to the system what the allocator keeps for later (glibc; others do by
    themselves): after warming, 150 MB. Takes some tenths of a second.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
