"""Has the kernels compiled that only speak after hours or days of a stream: a cold start says what it waits for."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from detectors.backlog import BacklogForecast, BacklogLimits
from detectors.clock import DAY, HOUR
from detectors.complaint_exposure import Exposures
from detectors.interfaces import SCHEMAS, Window, empty
from detectors.late import LatePredicted
from detectors.logistic import Logistic
from detectors.rhythm_kernels import median
from detectors.rises import Rises, plateau
from detectors.signoff_kernels import SLOTS, by_the_clock
from detectors.tables import table_of

_MOMENT: Final = 1_767_571_200_000


def warm() -> None:
    facility = {"facility": "H", "arrived": 1, "departed": 1, "delivered": 0, "stock": 1, "stalled": 0}
    window = Window(_MOMENT - HOUR, _MOMENT, facilities=_frame("facilities", facility))
    BacklogForecast(limits=BacklogLimits(ready_days=0.0)).run(window)
    late = LatePredicted(ready_cases=0)
    known = {"tracking_number": "W", "carrier": "w", "accepted": _MOMENT - 2 * DAY, "promised": _MOMENT + DAY}
    late.look(_frame("parcels", known | {"segment": 4, "open": False}), _MOMENT)
    late.learn(_frame("finished", known | {"ended": _MOMENT, "status": 13}), _MOMENT)
    late.look(empty("parcels"), _MOMENT + 3 * DAY)  # the day of the promise is over
    exposures = Exposures(1.0, lambda region: (region,))
    exposures.add_regions(table_of(_frame("regions", {"region": "w", "delivered": 1, "shipped": 1})), 1.0, 0)
    exposures.a_day(exposures.known([("w", "")]))  # which the first complaint asks
    none = np.zeros(0, np.int64)
    by_the_clock(np.zeros((1, SLOTS)), np.zeros(1, np.bool_), none, none)
    median(np.ones(5))
    cell = np.ones((1, 1))
    Rises((plateau(1),), (1.0,)).judge(cell, cell, np.ones(1), cell, np.zeros((1, 1), np.bool_))
    model = Logistic({"a": 0.0}, 0.0)
    model.logits(np.zeros((1, 1)))
    model.learn_silence(np.zeros((1, 1)), np.zeros(1), np.ones(1), 0.5)


def _frame(name: str, row: dict[str, object]) -> pl.DataFrame:
    blank: dict[str, object] = dict.fromkeys(SCHEMAS[name])
    return pl.DataFrame([blank | row], schema=dict(SCHEMAS[name]))
