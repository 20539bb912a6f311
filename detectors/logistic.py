"""Logistic regression over sign-offs, one compiled pass a batch: river's AdaGrad, without its objects.

`detectors.river_adapter.OnlineLogistic` is the same model by river itself, one row at a time: the reference that
`tests/test_signature.py` holds this one to, label by label, and the two read each other's state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

F64 = npt.NDArray[np.float64]

STEP: Final = 0.3
INTERCEPT_STEP: Final = 0.005
TRUST: Final = 1.0  # what the beginning of a weight counts for
STEEPEST: Final = 10.0  # slope of one label, which grows with its weight
FURTHEST: Final = 30.0  # log odds
_EPS: Final = 1e-8


class Logistic:
    """Begins with stated weights; learning moves away from them as labels come. Rows are vectors in the order of `names`."""

    def __init__(self, weights: Mapping[str, float], intercept: float) -> None:
        self.names = tuple(weights)
        self._begin = dict(weights)
        self.weights: F64 = np.array([weights[name] for name in self.names], dtype=np.float64)
        self._squares = np.full(len(self.names), TRUST)
        self._sums = np.array([intercept, 0.0, 0.0])  # the intercept, steps so far, weight learned so far

    @property
    def intercept(self) -> float:
        return float(self._sums[0])

    def logits(self, rows: F64) -> F64:
        """NaN where a row holds anything that is not finite."""
        return np.asarray(_logits(np.ascontiguousarray(rows), self.weights, self._sums[0]), np.float64)

    def learn(self, row: F64, label: bool, weight: float = 1.0) -> None:
        _learn(np.ascontiguousarray(row), label, weight, self.weights, self._squares, self._sums)

    def learn_silence(self, rows: F64, told: F64, weight: F64, writes: float) -> F64:
        """Each row with its log odds from complaints (`told`, 0 without any), in order: scored, then taught how likely it
        is false now that 48 hours are over. Of those cheated a share `writes` complains: who did not is false the less
        for it.

        Returns how likely each is false.
        """
        return np.asarray(
            _learn_silence(rows, told, weight, writes, self.weights, self._squares, self._sums), np.float64
        )

    def state(self) -> dict[str, Any]:
        return {
            "weights": dict(zip(self.names, self.weights.tolist(), strict=True)),
            "intercept": float(self._sums[0]),
            "steps": int(self._sums[1]),
            "squares": dict(zip(self.names, self._squares.tolist(), strict=True)),
            "learned": float(self._sums[2]),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        known = {**self._begin, **state["weights"]}
        self.weights = np.array([float(known[name]) for name in self.names])
        squares = state["squares"]
        self._squares = np.array([float(squares.get(name, TRUST)) for name in self.names])
        self._sums = np.array([float(state[name]) for name in ("intercept", "steps", "learned")])


@njit(cache=True, nogil=True)
def _gradient(label: bool, logit: float) -> float:
    z = logit if label else -logit
    if z > 18.0:
        size = math.exp(-z)
    elif z < -18.0:
        size = 1.0
    else:
        size = 1.0 / (math.exp(z) + 1.0)
    return -size if label else size


@njit(cache=True, nogil=True)
def _logit(row: Any, weights: Any, intercept: float) -> float:
    logit = intercept
    for at in range(len(row)):
        logit += row[at] * weights[at]
    return logit


@njit(cache=True, nogil=True)
def _logits(rows: Any, weights: Any, intercept: float) -> Any:
    found = np.empty(len(rows))
    for number in range(len(rows)):
        logit = _logit(rows[number], weights, intercept)
        found[number] = logit if math.isfinite(logit) else math.nan
    return found


@njit(cache=True, nogil=True)
def _step(row: Any, slope: float, weight: float, weights: Any, squares: Any, sums: Any) -> None:
    slope = max(-STEEPEST, min(STEEPEST, slope))
    sums[0] -= INTERCEPT_STEP * slope
    for at in range(len(row)):
        if row[at] != 0.0:
            step = row[at] * slope
            squares[at] += step * step
            weights[at] -= STEP / math.sqrt(squares[at] + _EPS) * step
    sums[1] += 1.0
    sums[2] += weight


@njit(cache=True, nogil=True)
def _learn(row: Any, label: bool, weight: float, weights: Any, squares: Any, sums: Any) -> None:
    logit = _logit(row, weights, sums[0])
    if math.isfinite(logit) and math.isfinite(weight) and weight > 0.0:
        _step(row, _gradient(label, logit) * weight, weight, weights, squares, sums)


@njit(cache=True, nogil=True)
def _learn_silence(
    rows: Any, told: Any, weight: Any, writes: float, weights: Any, squares: Any, sums: Any
) -> Any:
    """One step a row towards its probability: two, towards either label, would not weigh against each other where a row
    that stands for many others is as steep as a step may be.
    """
    found = np.empty(len(rows))
    for number in range(len(rows)):
        logit = _logit(rows[number], weights, sums[0])
        before = _probability(logit)
        score = _probability(logit + told[number])
        false = score if told[number] != 0.0 else score * (1.0 - writes) / (1.0 - score * writes)
        found[number] = false
        if math.isfinite(logit):
            slope = weight[number] * (before - false)
            _step(rows[number], slope, weight[number], weights, squares, sums)
    return found


@njit(cache=True, nogil=True)
def _probability(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-FURTHEST, min(FURTHEST, logit))))
