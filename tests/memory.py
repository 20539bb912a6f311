"""Memory of a process that runs tests: what they are done with is given back.

An engine is hundreds of megabytes in a few objects, and a daemon that is over is a ring of them. The collector, which
counts objects, comes for it when there are a quarter more than before: after some dozens of daemons.
"""

from __future__ import annotations

import gc
from typing import Final

import pytest

from monitor.collector import give_back
from monitor.engine.helpers import resident

GROWN: Final = 100 * 2**20  # bytes since memory was last given back
MOST: Final = 2 * 2**30  # bytes: two such processes and their daemons are to fit a small machine


class Memory:
    def __init__(self) -> None:
        self._before = resident()

    def give_back(self) -> None:
        """After a test. Does something where memory has grown, and fails where that is not enough."""
        if not gc.get_freeze_count():  # the first time, or after a test of what freezes by itself
            _keep()
        elif resident() - self._before < GROWN:
            return
        else:
            give_back()
        self._before = resident()
        if self._before > MOST:
            pytest.fail(f"{self._before >> 20} MiB are in use by what the tests until here have left")


def _keep() -> None:
    """What is there now stays for good: to look through all modules for garbage each time takes a third of a second."""
    gc.collect()
    gc.freeze()
