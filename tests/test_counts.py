"""The usual of counts and what speaks for a rise: against known truth, and with bad input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

from detectors.counts import NEARLY_POISSON, fit, harmonics, upper_tail
from detectors.pattern import DAYS, DAYS_ALARM, WEEKS, WEEKS_ALARM
from detectors.rise_kernels import FEW, LEAST, log_ratio
from detectors.rises import Rises, discoveries, plateau, ramp
from detectors.usual import Usual

F64 = npt.NDArray[np.float64]


def negative_binomial(rng: np.random.Generator, mean: F64, dispersion: float) -> F64:
    return rng.negative_binomial(mean / (dispersion - 1), 1 / dispersion).astype(np.float64)


def weeks(seed: int, mean: float = 20.0, cells: int = 20, length: int = 300) -> F64:
    season = 1 + 0.5 * np.sin(2 * np.pi * np.arange(length) / WEEKS.year)
    return negative_binomial(np.random.default_rng(seed), np.tile(mean * season, (cells, 1)), 2.0)


def judged(counts: F64, now: F64, pattern: object = WEEKS) -> F64:
    assert isinstance(pattern, type(WEEKS))
    usual = Usual(pattern, len(counts))
    usual.load(counts, np.ones(counts.shape))
    usual.refit(usual.due())
    return usual.judge(now, np.ones(len(counts))).verdicts.log_evidence


def test_a_fit_finds_level_season_and_spread_and_past_outbreaks_do_not_move_it() -> None:
    rng = np.random.default_rng(3)
    steps = np.arange(300)
    calendar = np.concatenate([np.ones((300, 1)), harmonics(steps / 52, 1)], axis=1)
    mean = np.exp(calendar @ np.array([3.0, 0.4, -0.2]))
    counts = negative_binomial(rng, np.tile(mean, (30, 1)), 2.5)
    counts[:, 100:104] += 200
    fitted = fit(counts, np.ones(counts.shape), calendar, np.full(3, 1e-3))
    assert np.median(fitted.coefficients, axis=0) == pytest.approx([3.0, 0.4, -0.2], abs=0.05)
    assert 2.0 < np.median(fitted.dispersion) < 4.0


def test_small_counts_are_judged_by_the_middle_of_their_chance() -> None:
    tail = upper_tail(np.array([0.0, 1.0, 3.0]), np.array([1.0, 1.0, 1.0]), np.array([1.0, 1.0, 1.0]))
    chances = [math.exp(-1) / math.factorial(k) for k in range(8)]
    assert tail[0] == pytest.approx(1 - chances[0] / 2, abs=0.01)
    assert tail[1] == pytest.approx(sum(chances[1:]) - chances[1] / 2, abs=0.01)
    assert tail[2] == pytest.approx(sum(chances[3:]) - chances[3] / 2, abs=0.01)


def test_the_ratio_of_likelihoods_is_one_on_average_when_nothing_happens() -> None:
    counts = negative_binomial(np.random.default_rng(1), np.full(200_000, 6.0), 2.0)
    ratios = [math.exp(log_ratio(count, 6.0, 9.0, 1.0)) for count in counts]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)


@given(
    count=st.floats(0, 2000),
    mean=st.floats(1e-3, 500),
    times=st.floats(LEAST, 50),
    scale=st.floats(NEARLY_POISSON - 1, 20),
)
def test_the_ratio_of_likelihoods_is_that_of_two_negative_binomials(
    count: float, mean: float, times: float, scale: float
) -> None:
    def log_chance(cases: float, usual: float) -> float:
        size = usual / scale
        return float(
            gammaln(cases + size) - gammaln(size) - gammaln(cases + 1) + cases * math.log(scale / (1 + scale))
        ) - size * math.log1p(scale)

    for cases in (math.floor(count), count, math.floor(min(count, FEW))):
        expected = log_chance(cases, mean * times) - log_chance(cases, mean)
        assert log_ratio(float(cases), mean, mean * times, scale) == pytest.approx(
            expected, rel=1e-6, abs=1e-5
        )


def test_a_jump_is_seen_at_once_and_a_calm_week_is_not() -> None:
    counts = weeks(5)
    calm = judged(counts[:, :-1], counts[:, -1])
    assert (calm > WEEKS_ALARM).mean() < 0.1
    assert (judged(counts[:, :-1], counts[:, -1] + 50) > WEEKS_ALARM).all()


def test_a_slow_rise_is_seen_that_no_single_day_shows() -> None:
    rng = np.random.default_rng(8)
    counts = negative_binomial(rng, np.full((30, 400), 10.0), 1.5)
    rise = counts.copy()
    rise[:, -10:] += rng.poisson(7.0, (30, 10))
    slow = judged(rise[:, :-1], rise[:, -1], DAYS)
    alone = judged(counts[:, :-1], rise[:, -1], DAYS)
    assert (slow > DAYS_ALARM).mean() > 0.8
    assert (alone > DAYS_ALARM).mean() < 0.2


def test_the_running_day_is_judged_by_the_part_that_has_passed() -> None:
    counts = negative_binomial(np.random.default_rng(2), np.full((20, 200), 40.0), 1.5)
    usual = Usual(DAYS, 20)
    usual.load(counts, np.ones(counts.shape))
    usual.refit(usual.due())
    noon = np.full(20, 20.0)
    assert (usual.judge(noon, np.full(20, 0.5)).verdicts.log_evidence < 1).all()
    assert (usual.judge(noon * 3.5, np.full(20, 0.5)).verdicts.log_evidence > 2).mean() > 0.9


def test_ten_times_the_exposure_explains_ten_times_the_complaints() -> None:
    counts = weeks(4)
    usual = Usual(WEEKS, len(counts))
    usual.load(counts, np.ones(counts.shape))
    usual.refit(usual.due())
    season = 1 + 0.5 * math.sin(2 * math.pi * 300 / WEEKS.year)
    sale = negative_binomial(np.random.default_rng(12), np.full(20, 200.0 * season), 2.0)
    assert (usual.judge(sale, np.full(20, 10.0)).verdicts.log_evidence < WEEKS_ALARM).mean() > 0.9
    assert (usual.judge(sale, np.ones(20)).verdicts.log_evidence > WEEKS_ALARM).all()


def test_a_day_without_data_is_no_fall_and_the_day_after_may_catch_up() -> None:
    rng = np.random.default_rng(6)
    counts = negative_binomial(rng, np.full((10, 400), 60.0), 1.5)
    for day in range(20, 390, 30):
        counts[:, day], counts[:, day + 1] = 0, counts[:, day + 1] * 2
    counts[:, 399] = 0
    usual = Usual(DAYS, 10)
    usual.load(counts, np.ones(counts.shape))
    for _ in range(2):
        usual.refit(np.arange(10))
    caught_up = usual.judge(rng.poisson(120.0, 10).astype(np.float64), np.ones(10))
    assert usual.catch_up == pytest.approx(np.full(10, 2.0), rel=0.15)
    assert caught_up.means[:, -2] == pytest.approx(np.zeros(10))
    assert (caught_up.verdicts.log_evidence < 1).all()


def test_a_cell_without_variance_and_one_without_a_single_case_are_judged_too() -> None:
    counts = np.stack([np.zeros(300), np.full(300, 5.0)])
    said = judged(counts, np.array([0.0, 5.0]))
    assert np.isfinite(said).all()
    assert (said < 1).all()
    assert judged(counts, np.array([6.0, 60.0])).min() > 2


def test_a_young_cell_is_not_judged() -> None:
    usual = Usual(WEEKS, 1)
    for _ in range(WEEKS.minimum - 1):
        usual.learn(np.array([3.0]), np.ones(1))
    assert len(usual.due()) == 0
    usual.learn(np.array([3.0]), np.ones(1))
    assert len(usual.due()) == 1


def test_judging_changes_nothing_and_a_checkpoint_brings_everything_back() -> None:
    usual = Usual(WEEKS, 3)
    usual.load(weeks(9, cells=3), np.ones((3, 300)))
    usual.refit(usual.due())
    now = np.array([10.0, 30.0, 60.0])
    first = usual.judge(now, np.ones(3)).verdicts.log_evidence
    again = Usual(WEEKS)
    again.restore(usual.state())
    assert np.array_equal(first, usual.judge(now, np.ones(3)).verdicts.log_evidence)
    assert np.array_equal(first, again.judge(now, np.ones(3)).verdicts.log_evidence)


def test_one_odd_day_is_not_enough_where_a_step_may_only_say_so_much() -> None:
    rises = Rises((plateau(3), ramp(6, 3)), (2.0, 8.0), step_limit=2.0)
    mean, dispersion = np.full((1, rises.steps), 5.0), np.ones(1)
    counts = mean.copy()
    counts[0, -1] = 500
    quiet = np.zeros(mean.shape, dtype=np.bool_)
    once = rises.judge(counts, mean, dispersion, np.zeros(mean.shape), quiet).log_evidence[0]
    unlimited = replace(rises, step_limit=np.inf).judge(counts, mean, dispersion, np.zeros(mean.shape), quiet)
    assert once <= 2
    assert unlimited.log_evidence[0] > 100


def test_when_a_rise_began_is_said() -> None:
    rises = Rises((plateau(8),), (4.0,))
    mean = np.full((1, 8), 9.0)
    counts = mean.copy()
    counts[0, -3:] = 25
    said = rises.judge(counts, mean, np.ones(1), np.zeros(mean.shape), np.zeros(mean.shape, dtype=np.bool_))
    assert said.age[0] == 2


def test_discoveries_among_many_cells_need_more_than_one_alone() -> None:
    alone = np.array([math.log(30)])
    assert discoveries(alone, 0.05).tolist() == [True]
    assert not discoveries(np.concatenate([alone, np.full(99, -5.0)]), 0.05).any()
    together = np.concatenate([np.full(50, math.log(60)), np.full(50, -5.0)])
    assert discoveries(together, 0.05).sum() == 50
    assert discoveries(np.zeros(0), 0.05).shape == (0,)
