"""A region that stands still, from arrivals by region and hour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from detectors.standstill import LONGEST_DAYS, Standstill

F64 = npt.NDArray[np.float64]
HOURLY = np.array([0.0, 6.0, 2.0, 40.0])
PROFILE = np.where((np.arange(24) >= 6) & (np.arange(24) < 22), 1.4, 0.2)  # 22.4 + 1.6 of 24 hours


class World:
    """Poisson arrivals by hour of the day; hours go on and on."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.judge = Standstill(len(HOURLY))
        self.hour = 0

    def goes(self, hours: int, factor: float | F64 = 1.0) -> F64:
        """For so many hours; returns in how many of them each region stood still."""
        still = np.zeros(len(HOURLY))
        for _ in range(hours):
            hour = self.hour % 24
            self.judge.run(hour, self.rng.poisson(HOURLY * PROFILE[hour] * factor).astype(float), 1 / 24)
            still += self.judge.stopped
            self.hour += 1
        return still


def quiet(region: int) -> F64:
    factor = np.ones(len(HOURLY))
    factor[region] = 0.0
    return factor


@pytest.mark.parametrize("seed", range(5))
def test_sixty_usual_days_are_no_standstill_whatever_the_hour(seed: int) -> None:
    assert not World(seed).goes(60 * 24).any()


@pytest.mark.parametrize(("region", "hours"), [(1, 5), (2, 8), (3, 1)])
def test_a_region_that_stops_by_day_is_known_after_some_eleven_arrivals_that_did_not_come(
    region: int, hours: int
) -> None:
    world = World()
    world.goes(10 * 24 + 8)
    still = world.goes(12, quiet(region))
    assert still[region] >= 12 - hours
    assert still.sum() == still[region]
    assert 12 / 24 <= world.judge.since_days[region] < 18 / 24


def test_it_ends_within_hours_of_moving_again() -> None:
    world = World()
    world.goes(10 * 24 + 8)
    world.goes(48, quiet(2))
    assert world.judge.stopped[2]
    world.goes(6)
    assert not world.judge.stopped.any()


@pytest.mark.parametrize("factor", [0.0, 0.3, 10.0])
def test_what_befalls_all_regions_alike_is_nobody_s_storm(factor: float) -> None:
    world = World()
    world.goes(10 * 24 + 8)
    assert not world.goes(48, factor).any()


def test_a_stop_teaches_nothing_but_one_without_end_is_the_usual_at_last() -> None:
    world = World()
    world.goes(10 * 24 + 8)
    world.goes(72, quiet(1))
    world.goes(24)
    assert world.goes(12, quiet(1))[1] >= 5  # a second storm is known as well as the first
    world.goes(24 * int(LONGEST_DAYS * 4), quiet(1))
    assert not world.judge.stopped.any()


def test_the_backlog_after_a_stop_is_not_what_comes_in_those_hours() -> None:
    world = World()
    world.goes(10 * 24)
    world.goes(48, quiet(1))
    flood = np.ones(len(HOURLY))
    flood[1] = 150.0  # by night
    world.goes(5, flood)
    assert not world.goes(8 * 24 - 5).any()


def test_nothing_is_said_in_the_first_days() -> None:
    assert not World().goes(72, quiet(3)).any()
    world = World()
    world.goes(48)
    assert not world.goes(24, quiet(3)).any()


def test_it_goes_on_from_its_state_as_it_would_have() -> None:
    one, other = World(), World()
    one.goes(10 * 24 + 8)
    one.goes(3, quiet(1))
    other.judge.restore(one.judge.state())
    other.hour, other.rng = one.hour, np.random.default_rng(9)
    one.rng = np.random.default_rng(9)
    assert (one.goes(48, quiet(1)) == other.goes(48, quiet(1))).all()
    assert (one.judge.since_days == other.judge.since_days).all()
