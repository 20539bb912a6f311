"""Compiled arithmetic of `detectors.rises`: a cell at a time, without arrays in between."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from detectors.compiling import kernel

LEAST: Final = 0.05  # of the usual: what a fall leaves
FEW: Final = 16  # cases, up to which a product is cheaper than log gamma, and exact
_NOTHING: Final = 1e-300
_NO_MORE: Final = 40.0  # log evidence below the best that adds nothing


class Hypotheses(NamedTuple):
    """One element a hypothesis of any height. A shape is a run of numbers of `parts`."""

    heights: Any  # [height]: in standard deviations
    parts: Any  # [part]: of a height, the distinct ones of all shapes
    shape: Any  # i8 [hypothesis, step]: the part it is at, step by step from its first
    age: Any  # i8
    prior: Any  # log


class Steps(NamedTuple):
    """Of each cell: [cell, step], the newest last, and [cell]."""

    counts: Any
    mean: Any
    log_variance: Any
    skip: Any  # a step without data
    dispersion: Any


class Scratch(NamedTuple):
    ratio: Any  # [part, step]
    present: Any  # [part]
    said: Any  # [height, hypothesis]


@kernel
def weigh(
    steps: Steps,
    hypotheses: Hypotheses,
    least_scale: float,
    step_limit: float,
    scratch: Scratch,
    log_evidence: Any,
    best: Any,
) -> None:
    """Of each cell: the log of its e-value, -inf where the newest step says nothing, and the number of the likeliest
    hypothesis among those of every height.
    """
    ways = len(hypotheses.age)
    for cell in range(len(steps.counts)):
        top = -math.inf
        for number in range(len(hypotheses.heights)):
            height = hypotheses.heights[number]
            _compare(steps, cell, hypotheses, height, least_scale, step_limit, scratch)
            for way in range(ways):
                log = _said(hypotheses, way, scratch)
                scratch.said[number, way] = log
                if log > top:
                    top = log
                    best[cell] = number * ways + way
        total = 0.0
        for number in range(len(hypotheses.heights)):
            for way in range(ways):
                less = scratch.said[number, way] - top
                if less > -_NO_MORE:
                    total += math.exp(less)
        silent = steps.skip[cell, steps.skip.shape[1] - 1]
        log_evidence[cell] = -math.inf if silent else top + math.log(total)


@kernel
def _compare(
    steps: Steps,
    cell: int,
    hypotheses: Hypotheses,
    height: float,
    least_scale: float,
    step_limit: float,
    scratch: Scratch,
) -> None:
    """How much likelier each step is at each part of a height, and how much of a case the rise still is."""
    dispersion = steps.dispersion[cell]
    last = steps.mean.shape[1] - 1
    newest = math.sqrt(dispersion * steps.mean[cell, last])
    for part in range(len(hypotheses.parts)):
        share = hypotheses.parts[part]
        excess = abs(height) * newest * share
        # where the excess now would be less than one case, the rise is as good as over
        scratch.present[part] = math.log(max(-math.expm1(-excess), _NOTHING))
        for step in range(last + 1):
            mean = steps.mean[cell, step]
            raised = max(mean + height * share * math.sqrt(dispersion * mean), LEAST * mean)
            # an uncertain mean widens what is usual
            spread = dispersion + mean * steps.log_variance[cell, step]
            log = log_ratio(steps.counts[cell, step], mean, raised, max(spread - 1.0, least_scale))
            scratch.ratio[part, step] = 0.0 if steps.skip[cell, step] else min(log, step_limit)


@kernel
def _said(hypotheses: Hypotheses, way: int, scratch: Scratch) -> Any:
    age = hypotheses.age[way]
    first = scratch.ratio.shape[1] - 1 - age
    log = hypotheses.prior[way] + scratch.present[hypotheses.shape[way, age]]
    for step in range(age + 1):
        log += scratch.ratio[hypotheses.shape[way, step], first + step]
    return log


@kernel
def log_ratio(count: float, mean: float, raised: float, scale: float) -> float:
    """Log of how much likelier a count is under a raised mean than under the usual one; negative binomials whose variance
    is 1 + `scale` times their mean.
    """
    usual, more = max(mean, 1e-9) / scale, max(raised, 1e-9) / scale
    log = -(more - usual) * math.log1p(scale)
    if count <= FEW and count == math.floor(count):
        product = 1.0
        for case in range(int(count)):
            product *= (more + case) / (usual + case)
        return log + math.log(product)
    return (
        log + math.lgamma(count + more) - math.lgamma(more) - math.lgamma(count + usual) + math.lgamma(usual)
    )
