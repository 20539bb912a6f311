"""Runs `detectors.usual` over finished series as the daemon would: judge a step, then learn it."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from detectors.pattern import Pattern
from detectors.usual import Usual


def evidence(
    series: npt.NDArray[np.int64], scored: int, pattern: Pattern
) -> tuple[npt.NDArray[np.float64], float]:
    """Log e-values of the last `scored` steps (rows are series), and the CPU milliseconds a series and step."""
    counts = series.astype(np.float64)
    exposure = np.ones(len(counts))
    usual = Usual(pattern, len(counts))
    before = counts.shape[1] - scored
    usual.load(counts[:, :before], np.ones((len(counts), before)))
    said = np.empty((len(counts), scored))
    started = time.process_time()
    for step in range(scored):
        if len(due := usual.due()):
            usual.refit(due)
        now = counts[:, before + step]
        said[:, step] = usual.judge(now, exposure).verdicts.log_evidence
        usual.learn(now, exposure)
    return said, (time.process_time() - started) * 1000 / said.size
