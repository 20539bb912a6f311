"""The usual of many cells, kept online: a bounded history, refitted now and then, and judged before it is learned.

    judgement = usual.judge(counts, exposure)      # the running step, whole or in part; changes nothing
    usual.learn(counts, exposure)                  # the finished step; time moves on by one

Steps are days or weeks, numbered from an epoch that the caller keeps. State is bounded by cells times history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.counts import F64, Fit, Marks, closed, fit, harmonics
from detectors.rises import Rises, Verdicts, plateau, ramp

HELD = 1e4  # precision of a coefficient that may not leave its prior


@dataclass(frozen=True)
class Pattern:
    """What the calendar of a step is, and how far the usual looks back.

    A cell's own season is fitted once it knows `season_after` years: from less, it would be made of noise.
    `guard` newest steps are left out of fits, so that a rise does not teach itself. With `level_steps`, the mean
    follows slow waves: the ratio of seen to expected over that many steps, `guard` of them ago.
    `marked` are declared days (public holidays, sale days): one effect is learned for each name.
    """

    rises: Rises
    year: float
    week: int = 1
    history: int = 416
    minimum: int = 104
    guard: int = 26
    harmonics: int = 2
    season_after: float = 4.0
    refit_every: int = 1
    level_steps: int = 0
    level_guard: int = 7
    level_cases: float = 50.0
    marked: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def calendar(self, steps: np.ndarray[Any, np.dtype[np.int64]], origin: int) -> F64:
        """Constant, weekday, season, trend (per year, from `origin`), declared days."""
        columns = [np.ones((len(steps), 1))]
        if self.week > 1:
            columns.append(np.eye(self.week)[steps % self.week])
        columns.append(harmonics(steps / self.year, self.harmonics))
        columns.append(((steps - origin) / self.year)[:, None])
        columns += [np.isin(steps, list(days)).astype(np.float64)[:, None] for days in self.marked.values()]
        return np.concatenate(columns, axis=1)

    def precision(self, known_steps: F64) -> F64:
        """How strongly coefficients are held to their prior, cells by columns; a mature season weakly."""
        weekdays = self.week if self.week > 1 else 0
        row = [1e-3, *[0.05] * weekdays, *[0.3] * (2 * self.harmonics), 1.0, *[0.1] * len(self.marked)]
        precision = np.repeat(np.array([row]), len(known_steps), axis=0)
        young = known_steps < self.season_after * self.year
        precision[young, 1 + weekdays : self.trend_column] = HELD
        return precision

    @property
    def trend_column(self) -> int:
        return 1 + (self.week if self.week > 1 else 0) + 2 * self.harmonics


@dataclass(frozen=True, slots=True)
class Judgement:
    """One entry a cell; `ready` is false while a cell has too little history to say anything."""

    ready: Marks
    mean: F64
    dispersion: F64
    verdicts: Verdicts
    recent_counts: F64
    recent_means: F64


class Usual:
    def __init__(self, pattern: Pattern, cells: int, step: int = 0) -> None:
        self.pattern = pattern
        self.step = step  # the number of the running step
        self.counts = np.zeros((cells, pattern.history))
        self.exposure = np.zeros((cells, pattern.history))
        self.fit: Fit | None = None
        self.fitted_at = 0
        self.catch_up = np.ones(cells)

    def learn(self, counts: F64, exposure: F64) -> None:
        """Exposure 0: nothing is known of this step and cell."""
        for kept, new in ((self.counts, counts), (self.exposure, exposure)):
            kept[:, :-1] = kept[:, 1:]
            kept[:, -1] = new
        self.step += 1

    def load(self, counts: F64, exposure: F64) -> None:
        """A whole history at once, oldest first; as learning it step by step."""
        width = min(counts.shape[1], self.pattern.history)
        self.counts[:, -width:] = counts[:, -width:]
        self.exposure[:, -width:] = exposure[:, -width:]
        self.step += counts.shape[1]

    def refit(self, prior: F64 | None = None) -> None:
        pattern = self.pattern
        steps = np.arange(self.step - pattern.history, self.step - pattern.guard + 1)
        counts, exposure = self.counts[:, : len(steps)], self.exposure[:, : len(steps)]
        after = self._after_closure(steps)
        exposure = exposure * np.where(after, self.catch_up[:, None], 1.0)
        start = None
        if self.fit is not None:
            start = self.fit.coefficients.copy()
            start[:, 0] += start[:, pattern.trend_column] * (self.step - self.fitted_at) / pattern.year
        calendar = pattern.calendar(steps, self.step)
        precision = pattern.precision((exposure > 0).sum(axis=1).astype(np.float64))
        self.fit = fit(counts, exposure, calendar, precision, prior=prior, start=start)
        self.fitted_at = self.step
        usual = np.exp(self.fit.log_rate(calendar)) * self.exposure[:, : len(steps)]
        after = self._after_closure(steps)
        self.catch_up = ((counts * after).sum(axis=1) + 20) / ((usual * after).sum(axis=1) + 20)

    def due(self) -> bool:
        return self.fit is None or self.step - self.fitted_at >= self.pattern.refit_every

    def judge(self, counts: F64, exposure: F64) -> Judgement:
        """Of the running step with the counts so far; `exposure` is scaled to the part of the step that has passed."""
        pattern, look = self.pattern, self.pattern.rises.steps
        if self.fit is None:
            raise RuntimeError("judged before the first fit")
        span = max(look, pattern.level_guard + pattern.level_steps)
        steps = np.arange(self.step - span + 1, self.step + 1)
        seen = np.concatenate([self.counts[:, -span + 1 :], counts[:, None]], axis=1)
        exposed = np.concatenate([self.exposure[:, -span + 1 :], exposure[:, None]], axis=1)
        calendar = pattern.calendar(steps, self.fitted_at)
        usual = np.exp(self.fit.log_rate(calendar))
        mean = usual * exposed
        shut = closed(seen, mean, self.fit.dispersion) | (exposed <= 0)
        mean = mean * np.where(_after(shut, usual), self.catch_up[:, None], 1.0)
        if pattern.level_steps:
            mean = mean * self._level(self.fit, seen, mean, shut)[:, None]
        recent = slice(span - look, span)
        verdicts = pattern.rises.judge(
            seen[:, recent],
            mean[:, recent],
            self.fit.dispersion,
            self.fit.log_variance(calendar[recent]),
            shut[:, recent],
        )
        ready = (self.exposure > 0).sum(axis=1) >= pattern.minimum
        return Judgement(
            ready,
            mean[:, -1],
            self.fit.dispersion,
            verdicts,
            seen[:, recent],
            np.where(shut, 0.0, mean)[:, recent],
        )

    def _level(self, fitted: Fit, seen: F64, mean: F64, shut: Marks) -> F64:
        window = slice(-self.pattern.level_guard - self.pattern.level_steps, -self.pattern.level_guard)
        open_days = ~shut[:, window]
        doubt = self.pattern.level_cases * fitted.dispersion
        level: F64 = ((seen[:, window] * open_days).sum(axis=1) + doubt) / (
            (mean[:, window] * open_days).sum(axis=1) + doubt
        )
        return level

    def _after_closure(self, steps: np.ndarray[Any, np.dtype[np.int64]]) -> Marks:
        if self.fit is None:
            return np.zeros((len(self.counts), len(steps)), dtype=np.bool_)
        usual = np.exp(self.fit.log_rate(self.pattern.calendar(steps, self.fitted_at)))
        counts, exposure = self.counts[:, : len(steps)], self.exposure[:, : len(steps)]
        return _after(closed(counts, usual * exposure, self.fit.dispersion) | (exposure <= 0), usual)


def _after(shut: Marks, usual: F64) -> Marks:
    """The first open step after a closure, over up to three steps on which nothing is usual (a weekend)."""
    quiet = usual < 0.05 * usual.mean(axis=1, keepdims=True)
    after = np.zeros_like(shut)
    carried = shut
    for _ in range(3):
        carried = np.pad(carried, ((0, 0), (1, 0)))[:, :-1]
        after |= carried & ~quiet & ~shut
        carried = carried & quiet
    return after


# A year of weeks is 52.18 of them; sizes and limits are tuned on generated series (`benchmarks/detection`).
WEEKS = Pattern(
    Rises((plateau(2), plateau(3), (1.0, 0.5, 0.25)), (1.0, 2.0, 4.0), fresh=4.0), year=365.25 / 7
)
WEEKS_ALARM = 2.45
DAYS = Pattern(
    Rises((plateau(7), plateau(14), ramp(12, 4)), (1.0, 2.0, 4.0, 8.0), fresh=3.0, step_limit=3.5),
    year=365.25,
    week=7,
    history=5 * 364,
    minimum=28,
    guard=10,
    harmonics=3,
    refit_every=7,
    level_steps=21,
)
DAYS_ALARM = 2.35
