"""The arithmetic under the usual of a quantity, beside numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from detectors import rhythm_kernels as kernels
from detectors.rhythm import Rhythm


@pytest.mark.parametrize("size", [1, 2, 3, 10, 11, 500, 501])
def test_the_median_is_numpys_also_of_many_that_are_equal(size: int) -> None:
    rng = np.random.default_rng(size)
    for values in (rng.normal(size=size), rng.integers(-1, 2, size) * 0.37, np.zeros(size)):
        assert kernels.median(values.copy()) == np.median(values)


def test_a_key_begins_at_the_logarithm_of_its_value_be_it_small_large_or_a_fraction() -> None:
    values = np.array([0.0, 1.0, 2.5, 4094.0, 4095.0, 4095.5, 4096.0, 1e9])
    rhythm = Rhythm()
    rhythm.learn(rhythm.rows(map(str, range(len(values)))), 5, values, 1 / 24)
    np.testing.assert_allclose(rhythm.levels()[: len(values)], np.log1p(values), rtol=1e-15)


def test_keys_that_come_later_change_nothing_of_those_before() -> None:
    early, late = Rhythm(), Rhythm()
    for rhythm, more in ((early, 0), (late, 700)):  # beyond the first room and the second
        rhythm.learn(rhythm.rows(["a", "b"]), 5, np.array([3.0, 8.0]), 1 / 24)
        rhythm.rows(str(key) for key in range(more))
    for name in ("levels", "ages"):
        np.testing.assert_array_equal(getattr(late, name)()[:2], getattr(early, name)()[:2])
    np.testing.assert_array_equal(late.usual(np.arange(2), 5), early.usual(np.arange(2), 5))


def test_hours_that_an_earlier_checkpoint_knew_go_on_as_stretches_of_three() -> None:
    hourly, later = Rhythm(), Rhythm(hours=3)
    rows = hourly.rows(["a", "b"])
    for hour in range(4 * 168):
        busy = 40.0 if hour % 24 < 12 else 4.0
        hourly.learn(rows, hour % 168, np.array([busy, 3 * busy]), 1 / 24)
    later.restore(hourly.state())
    for hour in (0, 13, 100, 167):
        np.testing.assert_allclose(later.usual(rows, hour // 3), hourly.usual(rows, hour), rtol=0.02)
        assert later.seen(rows, hour // 3).all()
    np.testing.assert_array_equal(later.ages(), hourly.ages())
