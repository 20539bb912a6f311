"""Compiling leaves the process as it found it."""

from __future__ import annotations

import gc
import time

from monitor.engine.warming import warm_kernels


def test_garbage_is_collected_as_often_as_before_when_the_kernels_are_ready() -> None:
    before = gc.get_threshold()
    assert warm_kernels(time.monotonic) > 0
    assert gc.get_threshold() == before
