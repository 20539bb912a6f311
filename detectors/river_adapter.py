"""The one door to river: models behind plain numbers, refusing what would poison them for good."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from river import linear_model, optim


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
