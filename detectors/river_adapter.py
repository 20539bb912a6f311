"""The only place that knows river: its models behind guards, with plain numbers in and out of checkpoints.

What river does with bad input is silent and lasting (one NaN and a drift detector never fires again), so nothing that
is not finite reaches it, a stream without variance is given a floor, and "not enough data yet" is `NotReady`, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from river import drift, linear_model, optim
from river.utils import VectorDict

from detectors.logistic import STEEPEST

F64 = npt.NDArray[np.float64]

_SCALE_FLOOR: Final = 0.05
_RUN: Final = 16  # values; a change that takes longer to show is said to have begun then
_TRUST: Final = 1.0


class NotReady(Enum):
    """A third answer, beside yes and no."""

    NOT_READY = "not_ready"


NOT_READY: Final = NotReady.NOT_READY


class OnlineLogistic:
    """Logistic regression that begins with stated weights; learning moves away from them as labels come.

    Features are named once; rows are vectors in that order.
    """

    def __init__(self, weights: Mapping[str, float], intercept: float, *, step: float = 0.3) -> None:
        """Steps shrink with what a weight has learned; `_TRUST` is what its beginning counts for."""
        self.names = tuple(weights)
        self._begin = dict(weights)
        self._model: Any = linear_model.LogisticRegression(
            optimizer=optim.AdaGrad(step), l2=0.0, intercept_init=intercept, intercept_lr=0.005
        )
        self._set(self._begin, intercept)
        self._settle(dict.fromkeys(self.names, _TRUST))
        self.learned = 0.0

    def _set(self, weights: Mapping[str, float], intercept: float) -> None:
        self._model._weights = VectorDict(dict(weights))
        self._model.intercept = intercept

    def _settle(self, squares: Mapping[str, float]) -> None:
        self._model.optimizer.g2.clear()
        self._model.optimizer.g2.update(squares)

    @property
    def weights(self) -> F64:
        known = self._model.weights
        return np.array([known.get(name, 0.0) for name in self.names])

    def logits(self, rows: F64) -> F64:
        """NaN where a row holds anything that is not finite."""
        with np.errstate(invalid="ignore"):
            return np.asarray(rows @ self.weights + self._model.intercept, dtype=np.float64)

    def learn(self, row: F64, label: bool, weight: float = 1.0) -> None:
        """A step is never steeper than `detectors.logistic.STEEPEST`, whatever the weight."""
        if not np.isfinite(row).all() or not math.isfinite(weight) or weight <= 0:
            return
        features = dict(zip(self.names, row.tolist(), strict=True))
        chance = self._model.predict_proba_one(features)[not label]
        most = STEEPEST / chance if chance > 0 else math.inf
        self._model.learn_one(features, label, w=min(weight, most))
        self.learned += weight

    def state(self) -> dict[str, Any]:
        return {
            "weights": {name: float(value) for name, value in self._model.weights.items()},
            "intercept": float(self._model.intercept),
            "steps": int(self._model.optimizer.n_iterations),
            "squares": {name: float(value) for name, value in self._model.optimizer.g2.items()},
            "learned": self.learned,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        known = {**self._begin, **state["weights"]}
        self._set({name: float(known[name]) for name in self.names}, float(state["intercept"]))
        self._model.optimizer.n_iterations = int(state["steps"])
        self._settle({name: float(value) for name, value in state["squares"].items()})
        self.learned = float(state["learned"])


class Drift:
    """Page and Hinkley's test for a lasting shift of a mean, in units of the spread of the first `ready` values.

    `update` answers NotReady for those, then the direction of a change (+1, -1) or 0. After a change it begins anew:
    what follows is the usual that the next change is measured against. `began` is when the last change likely did.
    """

    def __init__(self, *, ready: int = 20, threshold: float = 8.0, slack: float = 0.5) -> None:
        self._ready = ready
        self.began = 0
        self._test: Any = drift.PageHinkley(
            min_instances=1, delta=slack, threshold=threshold, alpha=1.0, mode="both"
        )
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._run: list[tuple[float, int]] = []  # values, and when each began, since nothing spoke for a rise
        self.mean = 0.0
        self._squares = 0.0
        self._test._reset()
        self._test._max_decrease = 0.0  # river begins at -1, as if a fall had been seen

    @property
    def seen(self) -> int:
        """Values so far of those that say what is usual."""
        return self._count

    @property
    def spread(self) -> float:
        return max(math.sqrt(self._squares / max(self._count - 1, 1)), _SCALE_FLOOR)

    def update(self, value: float, at: int = 0) -> int | NotReady:
        """`at`: when what the value sums up began."""
        if not math.isfinite(value):
            return NOT_READY if self._count < self._ready else 0
        if self._count < self._ready:
            self._count += 1
            miss = value - self.mean
            self.mean += miss / self._count
            self._squares += miss * (value - self.mean)
            return NOT_READY
        stands_out = float((value - self.mean) / self.spread)
        self._test.update(max(-6.0, min(6.0, stands_out)))
        self._run = [*self._run[1 - _RUN :], (stands_out, at)]
        if not self._test.drift_detected:
            if self._test._sum_increase <= self._test._min_increase + 0.5:
                self._run.clear()
            return 0
        self.began = self._likeliest()
        rising = self._test._sum_increase - self._test._min_increase
        falling = self._test._max_decrease - self._test._sum_decrease
        self._begin()
        return 1 if rising >= falling else -1

    def _likeliest(self) -> int:
        """From which value on a lasting shift of unknown size explains the run best."""
        best, total, found = -1.0, 0.0, 0
        for number, (value, at) in enumerate(reversed(self._run), 1):
            total += value
            if total * total / number > best:
                best, found = total * total / number, at
        return found

    def state(self) -> list[float]:
        test, mean = self._test, self._test._x_mean
        sums = [test._sum_increase, test._sum_decrease, min(test._min_increase, 1e300), test._max_decrease]
        return [
            float(self._count),
            self.mean,
            self._squares,
            float(mean.n),
            float(mean.get()),
            *map(float, sums),
            *(float(one) for pair in self._run for one in pair),
        ]

    def restore(self, state: Any) -> None:
        count, self.mean, self._squares, seen, average, up, down, lowest, highest, *run = (
            float(one) for one in state
        )
        self._count = int(count)
        self._run = [(value, int(at)) for value, at in zip(run[::2], run[1::2], strict=True)]
        self._test._reset()
        self._test._x_mean.n, self._test._x_mean._mean = seen, average
        self._test._sum_increase, self._test._sum_decrease = up, down
        self._test._min_increase, self._test._max_decrease = lowest, highest


class Softmax:
    """Multinomial logistic regression by plain gradient steps on sparse features.

    Its weights are a dictionary a label; labels appear as they are learned, and start at zero.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._model = linear_model.SoftmaxRegression(optim.SGD(rate))

    def learn(self, features: Mapping[int, float], label: str) -> None:
        if not all(map(math.isfinite, features.values())):
            raise ValueError("a feature is not a finite number")
        self._model.learn_one(dict(features), label)  # type: ignore[no-untyped-call]

    def probabilities(self, features: Mapping[int, float]) -> dict[str, float]:
        """Of the labels learned so far; they sum to one."""
        # dot() would add the features that a label never saw to its weights.
        scores = {
            label: sum(weights.get(name, 0.0) * value for name, value in features.items())
            for label, weights in self._model.weights.items()
        }
        highest = max(scores.values(), default=0.0)
        raised = {label: math.exp(score - highest) for label, score in scores.items()}
        total = sum(raised.values())
        return {label: value / total for label, value in raised.items()}

    def labels(self) -> set[str]:
        return set(self._model.weights)

    def state(self) -> dict[str, Any]:
        return {label: dict(sorted(weights.items())) for label, weights in self._model.weights.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._model = linear_model.SoftmaxRegression(optim.SGD(self._rate))
        for label, weights in state.items():
            self._model.weights[label].update({int(name): float(value) for name, value in weights.items()})
