"""Kill -9 changes nothing: the short version of `python -m benchmarks.crash`."""

from __future__ import annotations

import pytest

from benchmarks.crash import run

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_kills_at_random_moments_lose_nothing_and_do_nothing_twice() -> None:
    outcomes = await run(kills=4, seed=7, parcels=500, days=5)
    assert outcomes.kills == 4
    assert outcomes.claims > 20
    assert outcomes.missing == [], outcomes
    assert outcomes.surplus == [], outcomes
    assert outcomes.different == [], outcomes
    assert outcomes.coupons_wrong == [], outcomes
