"""How often the interpreter looks for garbage in cycles."""

from __future__ import annotations

import gc
from typing import Final

# Findings are many and in no cycle: looking for cycles among them took half of what opening one costs.
THRESHOLDS: Final = (50_000, 20, 100)


def look_seldom() -> None:
    """For the whole process."""
    gc.set_threshold(*THRESHOLDS)
