"""What the place stage reads of the running totals of regions, beside plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.engine.kernels.places import changes_of_regions
from monitor.engine.layout import REGION, Records


def totals(rng: np.random.Generator, rows: int, before: Records | None = None) -> Records:
    found = np.zeros(rows, REGION)
    for name in ("shipped", "delivered", "live"):
        found[name] = rng.integers(0, 2, rows)
        if before is not None and name != "live":
            found[name][: len(before)] += before[name]
    return found


@pytest.mark.parametrize("known", [0, 1, 40, 60])
def test_regions_that_moved_or_hold_something_are_told_with_what_was_added(known: int) -> None:
    rng = np.random.default_rng(known)
    before = totals(rng, known)
    now = totals(rng, 60, before)
    codes, columns = np.empty(len(now), np.int64), np.empty((3, len(now)), np.int64)
    found = changes_of_regions(now, before, codes, columns)
    added = {name: np.array(now[name]) for name in ("shipped", "delivered", "live")}
    for name in ("shipped", "delivered"):
        added[name][:known] -= before[name]
    some = np.flatnonzero((added["shipped"] > 0) | (added["delivered"] > 0) | (added["live"] > 0))
    some = some[some > 0]  # code 0 is no region
    assert 0 < len(some) < len(now) - 1
    np.testing.assert_array_equal(codes[:found], some)
    np.testing.assert_array_equal(columns[:, :found], [added[name][some] for name in added])
