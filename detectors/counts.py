"""How many are usual: counts of many cells at once, as functions of the calendar and of exposure.

The model of one cell is log(mean) = log(exposure) + calendar columns @ coefficients, with variance dispersion * mean
(a negative binomial whose dispersion does not depend on how finely time is cut, so an hour, a day and a week share
it). It is fitted again from a bounded window, as Farrington's method does (Farrington 1996, Noufaily 2013): unusual
highs count less, so that past outbreaks do not become the usual; a zero that cannot be chance is a closed day and
counts nothing. All cells share the calendar, so a fit of thousands of cells is a handful of matrix products.

Rows are cells, columns are time steps, oldest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

F64: TypeAlias = npt.NDArray[np.float64]
Marks: TypeAlias = npt.NDArray[np.bool_]

UNUSUAL = 2.58  # standard residual above which a count weighs less
NEARLY_POISSON = (
    1.01  # the smallest dispersion: below it the size of the negative binomial is numerically endless
)
CLOSED = 8.0  # -log of the chance of a zero beyond which the place was closed, or its data missing
TRUSTED_MEAN = 0.02  # below it one case says nothing about spread
LOG_RANGE = 25.0
FEW_STEPS, DISPERSION_OF_FEW = 14.0, 2.0


@dataclass(frozen=True, slots=True)
class Fit:
    """`coefficients` are cells by columns, `covariance` cells by columns by columns, `dispersion` one a cell."""

    coefficients: F64
    covariance: F64
    dispersion: F64

    def log_rate(self, calendar: F64) -> F64:
        return np.clip(self.coefficients @ calendar.T, -LOG_RANGE, LOG_RANGE)

    def log_variance(self, calendar: F64) -> F64:
        """How unsure the log of the mean is, cells by steps."""
        spread: F64 = ((calendar @ self.covariance) * calendar).sum(axis=2)
        return spread


def harmonics(position: F64, orders: int) -> F64:
    """Cosine and sine columns of a season; `position` counts whole seasons."""
    angles = 2 * np.pi * np.outer(position, np.arange(1, orders + 1))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def fit(
    counts: F64,
    exposure: F64,
    calendar: F64,
    precision: F64,
    *,
    prior: F64 | None = None,
    start: F64 | None = None,
) -> Fit:
    """Penalised quasi-likelihood by Newton steps. Exposure 0 leaves a step out (nothing is known of it).

    The first calendar column is the constant. `precision` says how strongly each coefficient is held to `prior`
    (cells by columns; zeros if absent). `start`, a former fit's coefficients, saves steps.
    """
    known = (exposure > 0).astype(np.float64)
    offset = np.log(np.where(exposure > 0, exposure, 1.0))
    held = np.zeros((len(counts), calendar.shape[1])) if prior is None else prior
    if start is None:
        coefficients = held.copy()
        usual = (known * counts).sum(axis=1) + 0.5
        coefficients[:, 0] = np.log(usual / np.maximum((known * exposure).sum(axis=1), 1e-9))
    else:
        coefficients = start.copy()
    rounds, newton = (3, 8) if start is None else (2, 2)
    weights, information = known, np.empty((0, 0, 0))
    dispersion = np.ones(len(counts))
    for _ in range(rounds):
        for _ in range(newton):
            mean = _mean(offset, coefficients, calendar)
            information = _information(weights * mean, calendar, precision)
            gradient = (weights * (counts - mean)) @ calendar - precision * (coefficients - held)
            step = np.linalg.solve(information, gradient[:, :, None])[:, :, 0]
            coefficients = coefficients + np.clip(step, -2.0, 2.0)
        mean = _mean(offset, coefficients, calendar)
        dispersion = _dispersion(counts, mean, weights, calendar.shape[1])
        weights = known * _weight(counts, mean, dispersion)
    covariance = np.linalg.inv(information) * dispersion[:, None, None]
    return Fit(coefficients, covariance, dispersion)


def _mean(offset: F64, coefficients: F64, calendar: F64) -> F64:
    mean: F64 = np.exp(np.clip(offset + coefficients @ calendar.T, -LOG_RANGE, LOG_RANGE))
    return mean


def _information(weights: F64, calendar: F64, precision: F64) -> F64:
    """One symmetric matrix a cell, from one matrix product over the pairs of columns."""
    columns = calendar.shape[1]
    row, column = np.triu_indices(columns)
    packed = weights @ (calendar[:, row] * calendar[:, column])
    information = np.empty((len(weights), columns, columns))
    information[:, row, column] = packed
    information[:, column, row] = packed
    information[:, range(columns), range(columns)] += precision
    return information


def _dispersion(counts: F64, mean: F64, weights: F64, columns: int) -> F64:
    """Pearson's; a cell of few steps is helped to the usual of complaints."""
    trusted = np.where(mean > TRUSTED_MEAN, weights, 0.0)
    residual = (trusted * (counts - mean) ** 2 / np.maximum(mean, TRUSTED_MEAN)).sum(axis=1)
    freedom = np.maximum(trusted.sum(axis=1) - columns, 0.0)
    help_ = np.maximum(FEW_STEPS - freedom, 0.0)
    dispersion: F64 = (residual + help_ * DISPERSION_OF_FEW) / (freedom + help_)
    return np.maximum(dispersion, NEARLY_POISSON)


def _weight(counts: F64, mean: F64, dispersion: F64) -> F64:
    anscombe = 1.5 * (counts ** (2 / 3) * mean ** (-1 / 6) - np.sqrt(mean)) / np.sqrt(dispersion)[:, None]
    high = np.where(anscombe > UNUSUAL, (UNUSUAL / np.maximum(anscombe, UNUSUAL)) ** 2, 1.0)
    return np.where(closed(counts, mean, dispersion), 0.0, high)


def closed(counts: F64, mean: F64, dispersion: F64) -> Marks:
    """Zeros that cannot be chance."""
    scale = np.maximum(dispersion, NEARLY_POISSON) - 1
    marks: Marks = (counts == 0) & (mean * (np.log1p(scale) / scale)[:, None] > CLOSED)
    return marks


def upper_tail(counts: F64, mean: F64, dispersion: F64) -> F64:
    """Mid-p value of a count this high or higher, so that small counts are not judged too mildly."""
    scale = np.maximum(dispersion, NEARLY_POISSON) - 1
    size, failure = np.maximum(mean, 1e-12) / scale, scale / (1 + scale)
    at_least = np.where(counts > 0, betainc(np.maximum(counts, 1), size, failure), 1.0)
    tail: F64 = (at_least + betainc(counts + 1, size, failure)) / 2
    return tail
