"""Learned durations: what a lane borrows, and states of older versions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from config.detection import SegmentLimits, StallSettings
from detectors.kernels import BINS, bin_of, when_below
from detectors.survival import ALL_AFTER, Durations

HOUR = 3600
DAY_MS = 24 * 1000 * HOUR
LEGS = len(StallSettings().by_leg()) + 1
FACILITY, LINEHAUL = 3, 4
ONWARD = {FACILITY: LINEHAUL}


class Older(StallSettings):
    """As of a version that did not know the last leg."""

    def by_leg(self) -> tuple[SegmentLimits, ...]:
        return super().by_leg()[:-1]


def learned(settings: StallSettings | None = None) -> Durations:
    """Lanes 1 and 2 are one way of two carriers, lane 3 another way of the first; each leg of 1 and 3 has 100 cases."""
    settings = settings or StallSettings()
    durations = Durations(8, len(settings.by_leg()) + 1, settings, ONWARD)
    for lane, hours in ((1, 30), (3, 8)):
        durations.ends[lane, FACILITY, bin_of(4 * HOUR)] = 100
        durations.ends[lane, LINEHAUL, bin_of(hours * HOUR)] = 100
    again(durations)
    return durations


def again(durations: Durations) -> None:
    carriers, ways = np.array([0, 1, 2, 1]), np.array([0, 7, 7, 9])
    for now in (1_000, 2_000):  # the second knows the limit of the way onward
        durations.estimate(now, carriers, ways, 3)


def test_on_the_road_a_lane_without_cases_is_as_slow_as_its_way_and_not_as_its_carrier() -> None:
    median = learned().median / HOUR
    assert median[2, LINEHAUL] == pytest.approx(30, rel=0.1)
    assert median[2, LINEHAUL] == pytest.approx(median[1, LINEHAUL], rel=0.1)
    assert median[3, LINEHAUL] == pytest.approx(8, rel=0.1)


def test_where_a_departure_may_have_been_missed_the_way_onward_counts() -> None:
    settings, limit = StallSettings(), learned().limit / HOUR
    assert limit[1, FACILITY] == pytest.approx(
        settings.onward_share * limit[1, LINEHAUL] + settings.onward_hours, abs=0.1
    )
    assert limit[3, FACILITY] == pytest.approx(4 + settings.facility.margin_hours, abs=1)


def test_where_nothing_moves_half_of_the_lane_is_enough_and_a_jam_needs_nearly_all() -> None:
    settings = StallSettings()
    durations = Durations(8, LEGS, settings, ONWARD, jammed=(FACILITY,))
    for leg in (FACILITY, LINEHAUL):
        for hours, cases in ((10, 60), (20, 30), (30, 10)):
            durations.ends[1, leg, bin_of(hours * HOUR)] = cases
    again(durations)
    quick, limit = durations.quick / HOUR, durations.limit / HOUR
    assert quick[1, LINEHAUL] == pytest.approx(10 + settings.stop_margin_hours, abs=1)
    assert quick[1, FACILITY] == pytest.approx(30 + settings.jam_margin_hours, abs=2)
    assert (quick <= limit).all()


def week_by_week(hours: Sequence[float], cases: float) -> float:
    """The limit on the road, in hours, of a lane that took so long in the weeks of a shop."""
    durations = Durations(8, LEGS, StallSettings(), ONWARD)
    for week, taken in enumerate(hours):
        durations.ends[1, LINEHAUL, bin_of(int(taken * HOUR))] += cases
        durations.ends[3, LINEHAUL, bin_of(8 * HOUR)] += 100
        durations.estimate((week + 1) * 7 * DAY_MS, np.array([0, 1, 2, 1]), np.array([0, 7, 7, 9]), 3)
    return float(durations.limit[1, LINEHAUL]) / HOUR


def test_a_lane_that_always_takes_longer_than_the_ceiling_is_waited_for_longer() -> None:
    ceiling = StallSettings().linehaul.ceiling_hours
    assert week_by_week([324] * 5, 40) == pytest.approx(1.5 * 324, rel=0.1)
    assert week_by_week([324] * 5, 5) == ceiling  # few cases, which may be those of a broken lane
    assert week_by_week([30] * 5 + [324], 40) <= ceiling  # a jam of a week
    assert week_by_week([30] * 5 + [324] * 4, 40) > ceiling  # by then it is the usual


def test_a_state_that_knows_one_leg_less_and_borrows_from_carriers_is_taken_over() -> None:
    old = learned(Older())
    state = old.state(3)
    del state["quick"], state["group_of"]
    state["carriers"] = np.array([0, 1, 2, 1]).tobytes()
    state["by_carrier"] = state.pop("by_group")
    new = Durations(8, LEGS, StallSettings(), ONWARD)
    new.restore(state)
    assert (new.limit[:4, : LEGS - 1] == old.limit[:4]).all()
    assert (new.quick[:4, : LEGS - 1] == old.limit[:4]).all()
    assert (new.limit[:, -1] == StallSettings().cleared.default_hours * HOUR).all()
    again(new)
    again(old)
    assert (new.limit[:4, : LEGS - 1] == old.limit[:4]).all()


def test_a_state_of_more_legs_is_refused() -> None:
    with pytest.raises(ValueError, match="legs"):
        Durations(8, LEGS - 1, Older(), ONWARD).restore(learned().state(3))


def test_medians_are_those_of_the_hazards_that_a_lane_is_asked_for() -> None:
    settings, random = StallSettings(), np.random.default_rng(5)
    durations = Durations(8, LEGS, settings, ONWARD)
    cells = (4, LEGS, BINS)
    durations.ends[:4] = random.poisson(2, cells) * (random.random(cells) < 0.4)
    durations.still[:4] = random.poisson(1, cells) * (random.random(cells) < 0.2)
    durations.ends[2, FACILITY] = 0  # borrows
    again(durations)
    for lane in range(4):
        for leg in range(LEGS):
            middle = when_below(durations.hazard(lane, leg), 0.5)
            assert durations.median[lane, leg] == pytest.approx(middle, rel=1e-6)
            assert durations.cases[lane, leg] == pytest.approx(durations.ends[lane, leg].sum(), rel=1e-6)


def heard(durations: Durations, lane: int, leg: int, hours: float, cases: int) -> None:
    """As the engine counts legs that ended."""
    durations.ends[lane, leg, bin_of(round(hours * HOUR))] += cases
    durations.news[lane, leg] += cases


def refreshed(durations: Durations, now: int) -> None:
    durations.refresh(now, np.array([0, 1, 2, 1]), np.array([0, 7, 7, 9]), 3)


def test_a_lane_is_estimated_anew_when_its_cases_have_grown_by_a_tenth_and_others_are_left() -> None:
    durations = learned()
    before = durations.limit.copy()
    heard(durations, 1, LINEHAUL, 60, 9)  # of 100, and 5 that are borrowed
    refreshed(durations, 3_000)
    assert (durations.limit == before).all()
    heard(durations, 1, LINEHAUL, 60, 4)
    refreshed(durations, 4_000)
    assert durations.limit[1, LINEHAUL] != before[1, LINEHAUL]
    assert durations.cases[1, LINEHAUL] == pytest.approx(113)
    assert (
        durations.limit[2, LINEHAUL] == before[2, LINEHAUL]
    )  # which borrows of it; the leg has not by a tenth
    heard(durations, 1, LINEHAUL, 60, 9)
    refreshed(durations, 5_000)
    assert durations.limit[2, LINEHAUL] != before[2, LINEHAUL]


def test_after_half_a_day_everything_is_estimated_anew() -> None:
    durations, whole = learned(), learned()
    for one in (durations, whole):
        heard(one, 1, LINEHAUL, 60, 9)
        one.still[3, FACILITY, bin_of(50 * HOUR)] = 40  # a census
    refreshed(durations, 3_000)
    assert durations.limit[1, LINEHAUL] == learned().limit[1, LINEHAUL]
    refreshed(durations, 2_000 + ALL_AFTER)
    whole.estimate(2_000 + ALL_AFTER, np.array([0, 1, 2, 1]), np.array([0, 7, 7, 9]), 3)
    for name in ("limit", "quick", "median", "cases", "staying", "ends"):
        np.testing.assert_array_equal(getattr(durations, name), getattr(whole, name))


def test_a_restart_estimates_the_same_lanes_at_the_same_moments() -> None:
    random = np.random.default_rng(11)
    durations = learned()
    restored = durations
    for number in range(60):
        now = 3_000 + number * 3_600_000
        lane, leg, cases = int(random.integers(4)), int(random.integers(1, 6)), int(random.integers(1, 12))
        hours = float(random.uniform(1, 70))
        state = restored.state(3)
        restored = Durations(8, LEGS, StallSettings(), ONWARD)
        restored.restore(state)
        for one in (durations, restored):
            heard(one, lane, leg, hours, cases)
            refreshed(one, now)
            if number % 7 == 0:
                one.counting[lane, leg, 40] = number
                one.finish_census(3)
        for name in ("limit", "quick", "median", "cases", "staying", "ends", "news"):
            np.testing.assert_array_equal(getattr(durations, name), getattr(restored, name))
        assert durations.grown(3) == restored.grown(3)


def test_what_was_learned_since_a_census_is_much_where_it_is_a_fifth() -> None:
    durations = learned()
    assert durations.grown(3)  # there was none
    durations.finish_census(3)
    heard(durations, 1, LINEHAUL, 30, 80)  # of 400
    refreshed(durations, 3_000)
    assert not durations.grown(3)
    heard(durations, 3, FACILITY, 4, 1)
    assert durations.grown(3)
