"""Memory of a test process: what tests are done with is given back.

An engine is hundreds of megabytes in a few objects, and a daemon that is over is a ring of them. The collector, which
counts objects, comes when a quarter more of them is there: after some dozens of daemons.
"""

from __future__ import annotations

import gc
import mmap
from pathlib import Path
from typing import Final

from monitor.collector import give_back

GROWN: Final = 100 * 2**20  # bytes since memory was last given back


class Memory:
    def __init__(self) -> None:
        self._before = resident()

    def keep(self) -> None:
        """What is there now stays for good: to look through it for garbage each time takes a third of a second."""
        gc.collect()
        gc.freeze()
        self._before = resident()

    def give_back(self) -> None:
        """After a test; does something where memory has grown."""
        if resident() - self._before > GROWN:
            give_back()
            self._before = resident()


def resident() -> int:
    """Bytes of memory in use; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0
