"""The bins of durations, found by a float's bits, are those that a search finds."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from detectors.kernels import BINS, EDGES, bin_of, log_of
from monitor.engine import plain


def test_each_edge_begins_a_bin() -> None:
    for number, edge in enumerate(EDGES[: BINS - 1].tolist(), start=1):
        assert (bin_of(edge - 1), bin_of(edge)) == (number - 1, number)


@given(st.integers(-10, 2**32))
@example(0)
@example(2**24 + 1)  # from here on a 32-bit float leaves seconds out
def test_a_bin_is_the_one_a_search_finds(seconds: int) -> None:
    assert bin_of(seconds) == plain.bin_of(seconds)


@given(st.integers(1, int(EDGES[-1])))
def test_a_logarithm_is_right_to_a_hundredth(seconds: int) -> None:
    assert abs(log_of(seconds) - math.log(seconds)) < (0.01 if seconds >= 64 else 0.5 / seconds + 0.01)
