"""The middle of many values, without numpy's look for NaN."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.rhythm import middle_of


@pytest.mark.parametrize("size", [1, 2, 5, 8, 1001])
def test_the_middle_is_the_median(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size).round(1)  # some are equal
    assert middle_of(values.copy()) == np.median(values)
