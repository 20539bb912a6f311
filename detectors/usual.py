"""The usual of many cells, kept online: a bounded history, refitted now and then, and judged before it is learned.

    judgement = usual.judge(counts, exposure)      # the running step, whole or in part; changes nothing
    usual.learn(counts, exposure)                  # the finished step; time moves on by one

Steps are days or weeks, numbered from an epoch that the caller keeps. State is bounded by cells times history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.counts import F64, Fit, Marks, closed, fit
from detectors.pattern import Pattern
from detectors.plain import pack, unpack
from detectors.rises import I64, Verdicts

CHUNK = 256  # cells fitted at once: bounds the memory of a fit
CATCH_UP_CASES = 20.0  # how much evidence it takes to believe that the day after a closure catches up


@dataclass(frozen=True, slots=True)
class Judgement:
    """One row a cell judged; `ready` is false while a cell has too little history to say anything.

    `means` are of the steps that were looked at, the running one last (0 where closed), as are `counts`.
    """

    ready: Marks
    counts: F64
    means: F64
    dispersion: F64
    log_variance: F64
    verdicts: Verdicts


class Usual:
    def __init__(self, pattern: Pattern, cells: int = 0, step: int = 0) -> None:
        columns = pattern.columns
        self.pattern = pattern
        self.step = self.origin = step  # the number of the running step, and of the first
        self.counts = np.zeros((cells, pattern.history), dtype=np.float32)
        self.exposure = np.zeros((cells, pattern.history), dtype=np.float32)
        self.coefficients = np.zeros((cells, columns))
        self.covariance = np.zeros((cells, columns, columns), dtype=np.float32)
        self.dispersion = np.ones(cells)
        self.catch_up = np.ones(cells)
        self.fitted_at = np.full(cells, -1, dtype=np.int64)

    def add(self, counts: npt.NDArray[Any], exposure: npt.NDArray[Any]) -> None:
        """New cells with their history, `history` columns each."""
        new = Usual(self.pattern, len(counts), self.origin)
        new.counts[:], new.exposure[:] = counts, exposure
        for name in ARRAYS:
            setattr(self, name, np.concatenate([getattr(self, name), getattr(new, name)]))

    def keep(self, rows: I64) -> None:
        """Forget all other cells."""
        for name in ARRAYS:
            setattr(self, name, getattr(self, name)[rows])

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

    def known(self) -> I64:
        """Steps of which something is known, a cell."""
        known: I64 = np.count_nonzero(self.exposure, axis=1)
        return known

    def due(self) -> I64:
        """Cells with enough history whose fit is missing or old."""
        old = (self.fitted_at < 0) | (self.step - self.fitted_at >= self.pattern.refit_every)
        return np.flatnonzero(old & (self.known() >= self.pattern.minimum))

    def refit(self, rows: I64, prior: F64 | None = None) -> None:
        """`prior`: the coefficients that each of these cells is held to; the fitted ones of a larger cell."""
        for begin in range(0, len(rows), CHUNK):
            part = slice(begin, begin + CHUNK)
            self._refit(rows[part], None if prior is None else prior[part])

    def _refit(self, rows: I64, prior: F64 | None) -> None:
        pattern = self.pattern
        steps = np.arange(self.step - pattern.history, self.step - pattern.guard + 1)
        steps = steps[: pattern.history]
        known: F64 = self.exposure[rows, : len(steps)].astype(np.float64)
        any_known = known.any(axis=0)
        steps, known = steps[any_known], known[:, any_known]
        if not len(steps):
            return
        at = steps - (self.step - pattern.history)
        counts = self.counts[np.ix_(rows, at)].astype(np.float64)
        calendar = pattern.calendar(steps, self.origin)
        warm = self.fitted_at[rows] >= 0
        start = self.coefficients[rows] if warm.all() else None
        after = np.zeros(counts.shape, dtype=np.bool_)
        if start is not None:
            after = _after_closure(counts, known, np.exp(start @ calendar.T), self.dispersion[rows])
        precision = pattern.precision((known > 0).sum(axis=1), held=prior is not None)
        exposure = known * np.where(after, self.catch_up[rows][:, None], 1.0)
        fitted = fit(counts, exposure, calendar, precision, prior=prior, start=start)
        usual = np.exp(fitted.log_rate(calendar))
        after = _after_closure(counts, known, usual, fitted.dispersion)
        expected = (usual * known * after).sum(axis=1)
        self.catch_up[rows] = ((counts * after).sum(axis=1) + CATCH_UP_CASES) / (expected + CATCH_UP_CASES)
        self.coefficients[rows] = fitted.coefficients
        self.covariance[rows] = fitted.covariance
        self.dispersion[rows] = fitted.dispersion
        self.fitted_at[rows] = self.step

    def judge(self, counts: F64, exposure: F64, rows: I64 | None = None) -> Judgement:
        """Of the running step with the counts so far; `exposure` is scaled to the part of the step that has passed."""
        pattern, look = self.pattern, self.pattern.rises.steps
        rows = np.arange(len(self.counts)) if rows is None else rows
        span = max(look, pattern.level_guard + pattern.level_steps)
        steps = np.arange(self.step - span + 1, self.step + 1)
        seen = np.concatenate([self.counts[rows, -span + 1 :], counts[:, None]], axis=1).astype(np.float64)
        exposed = np.concatenate([self.exposure[rows, -span + 1 :], exposure[:, None]], axis=1)
        calendar = pattern.calendar(steps, self.origin)
        fitted = Fit(self.coefficients[rows], self.covariance[rows].astype(np.float64), self.dispersion[rows])
        usual = np.exp(fitted.log_rate(calendar))
        mean = usual * exposed
        shut = closed(seen, mean, fitted.dispersion) | (exposed <= 0)
        mean *= np.where(_after(shut, usual), self.catch_up[rows][:, None], 1.0)
        if pattern.level_steps:
            mean *= self._level(seen, np.where(shut, 0.0, mean), fitted.dispersion)[:, None]
        seen, mean, shut = seen[:, -look:], mean[:, -look:], shut[:, -look:]
        variance = fitted.log_variance(calendar[-look:])
        verdicts = pattern.rises.judge(seen, mean, fitted.dispersion, variance, shut)
        ready = self.fitted_at[rows] >= 0
        return Judgement(ready, seen, np.where(shut, 0.0, mean), fitted.dispersion, variance, verdicts)

    def _level(self, seen: F64, mean: F64, dispersion: F64) -> F64:
        """Closed steps have mean 0 here, and their count is 0."""
        window = slice(-self.pattern.level_guard - self.pattern.level_steps, -self.pattern.level_guard)
        doubt = self.pattern.level_cases * dispersion
        level: F64 = (seen[:, window].sum(axis=1) + doubt) / (mean[:, window].sum(axis=1) + doubt)
        return level

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "origin": self.origin} | {
            name: pack(getattr(self, name)) for name in ARRAYS
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.step, self.origin = int(state["step"]), int(state["origin"])
        for name in ARRAYS:
            setattr(self, name, unpack(state[name]))


ARRAYS = ("counts", "exposure", "coefficients", "covariance", "dispersion", "catch_up", "fitted_at")


def _after_closure(counts: F64, exposure: F64, usual: F64, dispersion: F64) -> Marks:
    return _after(closed(counts, usual * exposure, dispersion) | (exposure <= 0), usual)


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
