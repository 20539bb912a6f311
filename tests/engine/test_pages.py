"""On which pages a table lies changes nothing of what is in it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from monitor.engine import pages
from monitor.engine.layout import SLOT
from monitor.engine.pages import ENOUGH, HUGE, LEAST, Pages

ASKED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LARGE = LEAST // SLOT.itemsize + 5


def _may_be_huge() -> bool:
    """Asked for by Linux from 6.1 on; before that they come by and by."""
    kernel = tuple(int(part) for part in platform.release().split(".")[:2]) if ASKED.exists() else (0, 0)
    return kernel >= (6, 1) and "[never]" not in ASKED.read_text(encoding="ascii")


def _huge_bytes(address: int) -> int:
    """Of the mapping that holds the address, as the system counts."""
    inside = False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        first, *more = line.split()
        if not first.endswith(":"):
            start, end = (int(part, 16) for part in first.split("-"))
            inside = start <= address < end
        elif inside and first == "AnonHugePages:":
            return int(more[0]) * 1024
    raise AssertionError(f"no mapping holds {address:x}")


def test_an_array_is_zeroed_and_begins_at_a_cache_line_whatever_its_size() -> None:
    for rows in (0, 1, 1000, LARGE):
        found = Pages().zeros(rows, SLOT)
        assert found.shape == (rows,)
        assert not found.tobytes().strip(b"\0")
        assert found.ctypes.data % 64 == 0


def test_nothing_is_moved_while_little_is_in_use_and_all_of_it_step_by_step_after_that() -> None:
    table = Pages()
    found = table.zeros(LARGE, SLOT)
    found["key0"] = np.arange(LARGE)
    steps = table.left
    assert steps > 0
    table.follow(ENOUGH / 2)
    assert table.left == steps
    for taken in range(1, steps + 1):
        table.follow(ENOUGH)
        assert table.left == steps - taken
    table.follow(1.0)
    assert np.array_equal(found["key0"], np.arange(LARGE))


def test_a_small_table_needs_no_huge_pages_and_arrays_are_counted_together() -> None:
    table = Pages()
    for _ in range(2):
        assert table.left == 0
        table.zeros(LEAST // SLOT.itemsize // 2, SLOT)
    assert table.left > 0


@pytest.mark.skipif(not _may_be_huge(), reason="this system has no huge pages on request")
def test_huge_pages_hold_a_table_that_has_filled_and_none_that_is_nearly_empty() -> None:
    table = Pages()
    found = table.zeros(LARGE, SLOT)
    found["key0"][::1000] = 1
    assert _huge_bytes(found.ctypes.data) == 0
    while table.left:
        table.follow(ENOUGH)
    assert _huge_bytes(found.ctypes.data) >= LEAST
    assert found["key0"].sum() == len(found[::1000])


@pytest.mark.skipif(not _may_be_huge(), reason="this system has no huge pages on request")
@pytest.mark.parametrize(("huge", "least"), [("always", LEAST), ("never", 0)])
def test_who_knows_better_says_so(huge: Literal["always", "never"], least: int) -> None:
    table = Pages(huge)
    found = table.zeros(LARGE, SLOT)
    found["key0"] = 1
    assert table.left == 0
    table.follow(1.0)
    assert (_huge_bytes(found.ctypes.data) > 0) == (least > 0)
    assert _huge_bytes(found.ctypes.data) >= least


@pytest.mark.skipif(not _may_be_huge(), reason="this system has no huge pages on request")
def test_a_table_that_will_fill_has_its_memory_before_anything_is_written_to_it() -> None:
    found = Pages("always").zeros(LARGE, SLOT)
    assert _huge_bytes(found.ctypes.data) >= LEAST - HUGE
    assert not found.tobytes().strip(b"\0")


def test_a_system_that_refuses_or_cannot_be_asked_leaves_the_array_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "_SMALL", None)
    monkeypatch.setattr(pages, "_LARGE", None)
    monkeypatch.setattr(pages, "_NOW", 4711)
    monkeypatch.setattr(pages, "_TOUCH", 4711)
    table = Pages()
    found = table.zeros(LARGE, SLOT)
    found["key0"][-1] = 7
    while table.left:
        table.follow(1.0)
    assert found["key0"].sum() == 7
