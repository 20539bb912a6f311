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
ENOUGH: Final = 50.0  # cases before a gap is more than chance
TRUST: Final = 12.0  # imagined cases of each bin that came out as said


class Calibration:
    def __init__(self, threshold: float, capacity: int = 200_000) -> None:
        """`threshold`: the stated probability from which on a case counts; kept as log odds."""
        self.threshold = float(np.log(threshold / (1.0 - threshold)))
        self._capacity = capacity
        # log odds when they first passed the threshold, and the probability that was stated then
        self._said: dict[str, tuple[float, float]] = {}
        # of each bin all, those that came true, and what was stated of them in sum
        self._cases = np.zeros((3, len(_CENTRES)))
        self._fitted = _odds(_CENTRES)
        self._ever = 0  # cases, faded or not

    @property
    def ready(self) -> bool:
        """It has been held to enough cases."""
        return self._ever >= ENOUGH

    def __contains__(self, name: str) -> bool:
        return name in self._said

    def apply(self, logit: F64) -> F64:
        """Probabilities of log odds; outside the bins, and where nothing is known, what is stated."""
        stated = _odds(logit)
        inside = (logit >= _CENTRES[0]) & (logit <= _CENTRES[-1])
        return np.where(inside, np.interp(logit, _CENTRES, self._fitted), stated)

    def keep(self, names: Sequence[str], logit: F64) -> None:
        rows = np.flatnonzero(logit >= self.threshold)
        for row, stated in zip(rows.tolist(), self.apply(logit[rows]).tolist(), strict=True):
            if names[row] not in self._said:
                self._make_room()
                self._said[names[row]] = float(logit[row]), stated

    def _make_room(self) -> None:
        """The older half goes: of some, as of parcels that came back, no outcome is ever told."""
        if len(self._said) >= self._capacity:
            for name in list(self._said)[: max(self._capacity // 2, 1)]:
                del self._said[name]

    def learn(self, names: Sequence[str], came_true: Sequence[bool]) -> None:
        for name, true in zip(names, came_true, strict=True):
            said, stated = self._said.pop(name, (HIGH, 1.0))
            if LOW <= said < HIGH:
                place = int((said - LOW) / STEP)
                self._cases[:, place] += (1.0, float(true), stated)
                self._ever += 1

    def error(self) -> float | None:
        """The mean gap between what was stated and what came true in the last weeks; None with few cases.

        Neighbouring bins are taken together until they hold enough, and what chance alone makes of so many is taken off:
        a gap in three cases says nothing.
        """
        cases = self._cases[:, self._cases[0] > 0]
        if cases[0].sum() < ENOUGH:
            return None
        enough = np.diff(np.cumsum(cases[0]) // ENOUGH, prepend=0) > 0
        first = np.flatnonzero(np.concatenate([[True], enough[:-1]]))
        if cases[0, first[-1] :].sum() < ENOUGH:
            first = first[:-1]
        count, true, stated = np.add.reduceat(cases, first, axis=1)
        by_chance = stated * (1.0 - stated / count)
        gaps = np.sqrt(np.maximum((stated - true) ** 2 - by_chance, 0.0))
        return float(gaps.sum() / count.sum())

    def pass_time(self, days: float) -> None:
        """Fade, and fit anew: what is stated changes once a day, not with every case."""
        self._cases *= 0.5 ** (days / HALF_LIFE_DAYS)
        weight = self._cases[0] + TRUST
        self._fitted = _rising((self._cases[1] + TRUST * _odds(_CENTRES)) / weight, weight)

    def state(self) -> dict[str, Any]:
        return {
            "said": self._said,
            "cases": pack(self._cases),
            "fitted": pack(self._fitted),
            "ever": self._ever,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._cases, self._fitted = _with_stated(unpack(state["cases"])), unpack(state["fitted"])
        self._ever = int(state.get("ever", self._cases[0].sum()))  # younger than the format
        said = {str(name): np.atleast_1d(one) for name, one in state["said"].items()}
        self._said = {
            name: (float(one[0]), float(one[-1] if len(one) > 1 else self.apply(one)[0]))
            for name, one in said.items()
        }


def _with_stated(cases: F64) -> F64:
    """Of a checkpoint that did not know what was stated: as if it had been the odds."""
    return cases if len(cases) > 2 else np.concatenate([cases, cases[:1] * _odds(_CENTRES)])


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
