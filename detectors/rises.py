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

from detectors.counts import F64, NEARLY_POISSON, Marks
from detectors.rise_kernels import Hypotheses, Scratch, Steps, weigh

I64: TypeAlias = npt.NDArray[np.int64]


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
    def hypotheses(self) -> Hypotheses:
        """For each shape and age: which part each step from the first is at, the age and the log of the prior."""
        runs, ages, priors = [], [], []
        for shape in self.shapes:
            share = 1 / (len(self.shapes) * len(self.heights) * (self.fresh + len(shape) - 1))
            run = [self.parts.index(part) for part in shape] + [0] * (self.steps - len(shape))
            for age in range(len(shape)):
                runs.append(run)
                ages.append(age)
                priors.append(np.log(share * (self.fresh if age == 0 else 1.0)))
        return Hypotheses(
            np.array(self.heights), np.array(self.parts), np.array(runs), np.array(ages), np.array(priors)
        )

    @cached_property
    def _scratch(self) -> Scratch:
        parts, ways = len(self.parts), len(self.hypotheses.age)
        return Scratch(np.zeros((parts, self.steps)), np.zeros(parts), np.zeros((len(self.heights), ways)))

    def judge(self, counts: F64, mean: F64, dispersion: F64, log_variance: F64, skip: Marks) -> Verdicts:
        """All cells by `steps`, the newest last. `skip` marks steps without data: they say nothing.

        Raises ValueError for another number of steps.
        """
        if counts.shape[1] != self.steps:
            raise ValueError(f"{counts.shape[1]} steps, and {self.steps} are judged")
        steps = Steps(*(np.ascontiguousarray(one) for one in (counts, mean, log_variance, skip, dispersion)))
        log_evidence, best = np.empty(len(counts)), np.zeros(len(counts), np.int64)
        weigh(
            steps,
            self.hypotheses,
            NEARLY_POISSON - 1.0,
            float(self.step_limit),
            self._scratch,
            log_evidence,
            best,
        )
        height, way = np.divmod(best, len(self.hypotheses.age))
        return Verdicts(log_evidence, self.hypotheses.age[way], self.hypotheses.heights[height])


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
