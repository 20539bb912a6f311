"""What the calendar of a step is, how far the usual looks back, and the patterns that were tuned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.counts import F64, harmonics
from detectors.rises import Rises, plateau, ramp

_HELD: Final = 1e4  # precision of a coefficient that may not leave its prior


@dataclass(frozen=True)
class Pattern:
    """A cell is judged once it knows `minimum` steps, and has a season of its own once it knows `season_after` years.

    `guard` newest steps are left out of fits, so that a rise does not teach itself. With `level_steps`, the mean
    follows slow waves: the ratio of seen to expected over that many steps, `level_guard` of them ago, believed as
    far as it goes beyond `level_cases` cases. `marked` are declared days (public holidays, sale days): one effect is
    learned for each name.
    """

    rises: Rises
    year: float
    week: int = 1
    history: int = 416
    minimum: int = 104
    guard: int = 26
    harmonics: int = 2
    season_after: float = 4.0
    week_after: int = 21  # steps
    refit_every: int = 1
    level_steps: int = 0
    level_guard: int = 7
    level_cases: float = 50.0
    marked: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def weekdays(self) -> int:
        return self.week if self.week > 1 else 0

    @property
    def columns(self) -> int:
        return 2 + self.weekdays + 2 * self.harmonics + len(self.marked)

    def calendar(self, steps: npt.NDArray[Any], origin: int) -> F64:
        """Constant, weekday, season, trend (a year, from `origin` on), declared days."""
        columns = [np.ones((len(steps), 1))]
        if self.weekdays:
            columns.append(np.eye(self.week)[steps % self.week])
        columns.append(harmonics(steps / self.year, self.harmonics))
        columns.append(((steps - origin) / self.year)[:, None])
        columns += [np.isin(steps, list(days)).astype(np.float64)[:, None] for days in self.marked.values()]
        return np.concatenate(columns, axis=1)

    def precision(self, known: npt.NDArray[Any], *, held: bool) -> F64:
        """How strongly coefficients are held to their prior, about in cases; `known` steps a cell.

        `held`: there is a larger cell to be held to; what a young cell cannot know it takes from there.
        """
        row = [2.0 if held else 1e-3, *[0.05] * self.weekdays, *[0.3] * (2 * self.harmonics), 1.0]
        precision = np.repeat(np.array([row + [0.1] * len(self.marked)]), len(known), axis=0)
        season = 1 + self.weekdays
        precision[known < self.week_after, 1:season] = 20.0
        precision[known < self.season_after * self.year, season : season + 2 * self.harmonics] = _HELD
        precision[known < self.year / 2, season + 2 * self.harmonics] = _HELD  # the trend
        return precision


# A year of weeks is 52.18 of them; sizes and limits are tuned on generated series (`benchmarks/detection`).
WEEKS: Final = Pattern(
    Rises((plateau(2), plateau(3), (1.0, 0.5, 0.25)), (1.0, 2.0, 4.0), fresh=4.0), year=365.25 / 7
)
WEEKS_ALARM: Final = 2.45
DAYS: Final = Pattern(
    Rises((plateau(7), plateau(14), ramp(12, 4)), (1.0, 2.0, 4.0, 8.0), fresh=3.0, step_limit=3.5),
    year=365.25,
    week=7,
    history=5 * 364,
    minimum=28,
    guard=10,
    harmonics=3,
    refit_every=7,
    level_steps=21,
)
DAYS_ALARM: Final = 2.35
