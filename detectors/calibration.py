"""What a stated probability has turned out to be: scores are held to their own record.

A parcel is looked at many times and spoken of when its odds first pass a threshold, which is when chance has raised
them most; and a jam makes days unlike those that taught. So of each parcel the odds at that first moment are kept, and
its outcome counted in a bin of them. A bin of few cases stays at what was said; probabilities never fall with the odds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]

LOW, HIGH, STEP = -1.5, 4.0, 0.25
_EDGES: Final = np.arange(LOW, HIGH + STEP / 2, STEP)
_CENTRES: Final = (_EDGES[:-1] + _EDGES[1:]) / 2
HALF_LIFE_DAYS: Final = 20.0
TRUST: Final = 12.0  # imagined cases of each bin that came out as said


class Calibration:
    def __init__(self, threshold: float, capacity: int = 200_000) -> None:
        """`threshold`: the stated probability from which on a case counts; kept as log odds."""
        self.threshold = float(np.log(threshold / (1.0 - threshold)))
        self._capacity = capacity
        self._said: dict[str, float] = {}  # log odds when they first passed the threshold
        self._cases = np.zeros((2, len(_CENTRES)))  # of each bin all, and those that came true
        self._fitted = _odds(_CENTRES)

    def apply(self, logit: F64) -> F64:
        """Probabilities of log odds; outside the bins, and where nothing is known, what is stated."""
        stated = _odds(logit)
        inside = (logit >= _CENTRES[0]) & (logit <= _CENTRES[-1])
        return np.where(inside, np.interp(logit, _CENTRES, self._fitted), stated)

    def keep(self, names: Sequence[str], logit: F64) -> None:
        for row in np.flatnonzero(logit >= self.threshold).tolist():
            if len(self._said) < self._capacity:
                self._said.setdefault(names[row], float(logit[row]))

    def learn(self, names: Sequence[str], came_true: Sequence[bool]) -> None:
        for name, true in zip(names, came_true, strict=True):
            said = self._said.pop(name, None)
            if said is not None and LOW <= said < HIGH:
                place = int((said - LOW) / STEP)
                self._cases[:, place] += (1.0, float(true))

    def pass_time(self, days: float) -> None:
        """Fade, and fit anew: what is stated changes once a day, not with every case."""
        self._cases *= 0.5 ** (days / HALF_LIFE_DAYS)
        weight = self._cases[0] + TRUST
        self._fitted = _rising((self._cases[1] + TRUST * _odds(_CENTRES)) / weight, weight)

    def state(self) -> dict[str, Any]:
        return {"said": self._said, "cases": pack(self._cases), "fitted": pack(self._fitted)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._said = {str(name): float(said) for name, said in state["said"].items()}
        self._cases, self._fitted = unpack(state["cases"]), unpack(state["fitted"])


def _odds(logit: F64) -> F64:
    return 1.0 / (1.0 + np.exp(-np.asarray(logit, np.float64)))


def _rising(value: F64, weight: F64) -> F64:
    """The nearest values that never fall (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for each, heavy in zip(value.tolist(), weight.tolist(), strict=True):
        mean, total, count = each, heavy, 1
        while blocks and blocks[-1][0] >= mean:
            before, more, many = blocks.pop()
            mean = (mean * total + before * more) / (total + more)
            total, count = total + more, count + many
        blocks.append((mean, total, count))
    return np.repeat([block[0] for block in blocks], [block[2] for block in blocks])
