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
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.counts import F64, Marks, log_ratio

I64: TypeAlias = npt.NDArray[np.int64]


LEAST = 0.05  # of the usual: what a fall leaves


@dataclass(frozen=True)
class Rises:
    """`shapes` run from the first step of a rise, 1.0 being its full height; `fresh` weighs the hypothesis that
    it began in this very step against each older age. A negative height is a fall. One step speaks at most `step_limit`: a single odd day
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

    @cached_property
    def parts(self) -> tuple[float, ...]:
        """The distinct heights that occur in the shapes, relative to full height."""
        return tuple(sorted({part for shape in self.shapes for part in shape}))

    @cached_property
    def hypotheses(self) -> tuple[F64, I64, F64, F64]:
        """For each shape and age: which steps count under which part (parts times steps, by hypotheses), the age,
        the log of the prior, and the part that the newest step would be at.
        """
        chosen, ages, priors, newest = [], [], [], []
        for shape in self.shapes:
            share = 1 / (len(self.shapes) * len(self.heights) * (self.fresh + len(shape) - 1))
            for age in range(len(shape)):
                marks = np.zeros((len(self.parts), self.steps))
                for step, part in enumerate(shape[: age + 1]):
                    marks[self.parts.index(part), self.steps - 1 - age + step] = 1.0
                chosen.append(marks.reshape(-1))
                ages.append(age)
                priors.append(np.log(share * (self.fresh if age == 0 else 1.0)))
                newest.append(shape[age])
        return np.array(chosen).T, np.array(ages), np.array(priors), np.array(newest)

    def judge(self, counts: F64, mean: F64, dispersion: F64, log_variance: F64, skip: Marks) -> Verdicts:
        """All cells by `steps`, the newest last. `skip` marks steps without data: they say nothing."""
        chosen, ages, priors, newest = self.hypotheses
        spread = dispersion[:, None] + mean * log_variance  # an uncertain mean widens what is usual
        deviation = np.sqrt(dispersion[:, None] * mean)
        cells, said = len(counts), []
        for height in self.heights:
            raised = mean[:, None] + height * np.array(self.parts)[:, None] * deviation[:, None]
            raised = np.maximum(raised, LEAST * mean[:, None])
            ratio = log_ratio(counts[:, None], mean[:, None], raised, spread[:, None])
            ratio = np.where(skip[:, None], 0.0, np.minimum(ratio, self.step_limit))
            # where the excess now would be less than one case, the rise is as good as over
            present = -np.expm1(-abs(height) * np.outer(deviation[:, -1], newest))
            said.append(
                ratio.reshape(cells, len(chosen)) @ chosen + priors + np.log(np.maximum(present, 1e-300))
            )
        stacked = np.concatenate(said, axis=1)
        best = stacked.argmax(axis=1)
        top = stacked[np.arange(cells), best]
        log_evidence = top + np.log(np.exp(stacked - top[:, None]).sum(axis=1))
        log_evidence = np.where(skip[:, -1], -np.inf, log_evidence)
        return Verdicts(log_evidence, ages[best % len(ages)], np.array(self.heights)[best // len(ages)])


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One entry a cell: log of the e-value, and the likeliest age (steps since it began) and height of a rise."""

    log_evidence: F64
    age: I64
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
    if not cells:
        return np.zeros(0, dtype=np.bool_)
    order = np.argsort(-log_evidence, kind="stable")
    needed = np.log(cells / rate) - np.log(np.arange(1, cells + 1))
    passing = np.flatnonzero(log_evidence[order] >= needed)
    found = np.zeros(cells, dtype=np.bool_)
    if len(passing):
        found[order[: passing[-1] + 1]] = True
    return found
