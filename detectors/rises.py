"""How strongly counts speak for a rise that began some steps ago, and when it began.

Each hypothesis is a shape (how the excess runs from its first step on), a height in standard deviations and an age.
Under it the recent counts are likelier or less likely than usual; the weighted mean of these likelihood ratios over
all hypotheses is an **e-value**: under the usual it is at most 1 on average, so it exceeds 1/a with probability at
most a (Ville), however often it is looked at while a step fills, and sums over ages are Shiryaev and Roberts' detector
of changes. Jumps and slow rises are merely different shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from detectors.counts import F64, Marks, log_ratio


@dataclass(frozen=True)
class Rises:
    """`shapes` run from the first step of a rise, 1.0 being its full height; `fresh` weighs the hypothesis that
    it began in this very step against each older age. One step speaks at most `step_limit`: a single odd day
    (a holiday nobody declared) is no rise, whatever its size.
    """

    shapes: tuple[tuple[float, ...], ...]
    heights: tuple[float, ...]
    fresh: float = 3.0
    step_limit: float = np.inf

    @cached_property
    def steps(self) -> int:
        """How many recent steps a judgement looks at."""
        return max(map(len, self.shapes))

    def judge(self, counts: F64, mean: F64, dispersion: F64, log_variance: F64, skip: Marks) -> Verdicts:
        """All cells by `steps`, the newest last. `skip` marks steps without data: they say nothing."""
        spread = dispersion[:, None] + mean * log_variance  # an uncertain mean widens what is usual
        deviation = np.sqrt(dispersion[:, None] * mean)
        terms, ages, heights = [], [], []
        for height in self.heights:
            said: dict[float, F64] = {}
            for shape in self.shapes:
                prior = np.log(self.fresh + len(shape) - 1) + np.log(len(self.shapes) * len(self.heights))
                for age in range(len(shape)):
                    total = np.zeros(len(counts))
                    for step, part in enumerate(shape[: age + 1]):
                        if part not in said:
                            ratio = log_ratio(counts, mean, mean + height * part * deviation, spread)
                            said[part] = np.where(skip, 0.0, np.minimum(ratio, self.step_limit))
                        total = total + said[part][:, self.steps - 1 - age + step]
                    # where the excess now would be less than one case, the rise is as good as over
                    present = -np.expm1(-height * shape[age] * deviation[:, -1])
                    weight = np.log(self.fresh) if age == 0 else 0.0
                    terms.append(total + weight - prior + np.log(np.maximum(present, 1e-300)))
                    ages.append(age)
                    heights.append(height)
        stacked = np.array(terms)
        best = stacked.argmax(axis=0)
        top = stacked[best, np.arange(len(counts))]
        log_evidence = top + np.log(np.exp(stacked - top).sum(axis=0))
        log_evidence = np.where(skip[:, -1], -np.inf, log_evidence)
        return Verdicts(log_evidence, np.array(ages)[best], np.array(heights)[best])


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One entry a cell: log of the e-value, and the likeliest age (steps since it began) and height of a rise."""

    log_evidence: F64
    age: np.ndarray[tuple[int], np.dtype[np.int64]]
    height: F64


def plateau(steps: int) -> tuple[float, ...]:
    return (1.0,) * steps


def ramp(steps: int, full_after: int) -> tuple[float, ...]:
    return tuple(min(1.0, (step + 1) / full_after) for step in range(steps))


def fading(*parts: float) -> tuple[float, ...]:
    return parts


def discoveries(log_evidence: F64, rate: float) -> Marks:
    """e-BH (Wang and Ramdas 2022): false discovery rate at most `rate`, whatever the dependence between the cells."""
    cells = len(log_evidence)
    order = np.argsort(-log_evidence, kind="stable")
    needed = np.log(cells / rate) - np.log(np.arange(1, cells + 1))
    passing = np.flatnonzero(log_evidence[order] >= needed)
    found = np.zeros(cells, dtype=np.bool_)
    if len(passing):
        found[order[: passing[-1] + 1]] = True
    return found
