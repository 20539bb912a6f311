"""The table of usual weeks, and the forecast over it, beside the same in plain numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.clock import HOURS_A_WEEK
from detectors.rhythm import Rhythm
from detectors.weeks import FADE, HORIZONS, Weeks, forecast, fullest

KEYS = 37


def learned(seed: int, hours: int = 400) -> tuple[Rhythm, Weeks]:
    rng = np.random.default_rng(seed)
    rhythm, weeks = Rhythm(), None
    size = rng.uniform(2, 300, KEYS)
    weeks = Weeks(rhythm)
    for hour in range(hours):
        known = KEYS if hour > 100 else KEYS - 10  # some come later
        rows = rhythm.rows([f"H{number}" for number in range(known)])
        weeks.follow()
        at = hour % HOURS_A_WEEK
        values = rng.poisson(size[:known] * (1.2 + np.sin(2 * np.pi * at / 24))).astype(np.float64)
        rhythm.learn(rows, at, values, 1 / 24)
        weeks.learned(at)
    return rhythm, weeks


def table(weeks: Weeks) -> npt.NDArray[np.float64]:
    scaled = weeks.factor[:, :KEYS] * weeks.scale() - 1
    return np.asarray(np.maximum(scaled, 0.0), np.float64)


def test_the_table_is_what_the_rhythm_says_of_every_hour_also_after_a_restart() -> None:
    rhythm, weeks = learned(1)
    usual = rhythm.week(np.arange(KEYS)).T
    np.testing.assert_allclose(table(weeks), usual, rtol=1e-5, atol=1e-4)
    weeks.forget()
    weeks.follow()
    np.testing.assert_allclose(table(weeks), usual, rtol=1e-5, atol=1e-4)


def test_a_forecast_is_the_same_as_hour_after_hour_in_double_precision() -> None:
    weeks = [learned(seed)[1] for seed in (1, 2, 3)]
    rng = np.random.default_rng(4)
    stock, more, faster = rng.uniform(0, 900, KEYS), rng.uniform(-3, 3, KEYS), rng.uniform(-3, 3, KEYS)
    hour = 150
    deviation = np.stack([more, faster]).astype(np.float32)
    answer = forecast(weeks, stock, deviation, hour)
    comes, goes, stands = map(table, weeks)
    level = stock.copy()
    for step in range(1, HORIZONS[-1] + 1):
        then, fade = (hour + step) % HOURS_A_WEEK, FADE**step
        pace = np.clip(((level + 5) / (stands[then] + 5)) ** 0.3, 0.5, 1.3)
        leave = goes[then] * np.exp(faster * fade) * pace
        level = np.maximum(level + comes[then] * np.exp(more * fade) - leave, 0.0)
        if step in HORIZONS:
            np.testing.assert_allclose(answer[HORIZONS.index(step)], level, rtol=3e-4, atol=0.02)


def test_the_fullest_hour_is_looked_for_half_a_day_about_each_horizon() -> None:
    _, weeks = learned(5)
    usual = table(weeks)
    for hour in (0, 100, 167):
        found = fullest(weeks.factor, weeks.scale(), hour)
        for column, horizon in enumerate(HORIZONS):
            around = (hour + horizon + np.arange(-12, 13)) % HOURS_A_WEEK
            np.testing.assert_allclose(found[column], usual[around].max(axis=0), rtol=1e-6)
