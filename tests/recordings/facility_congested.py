"""Six hubs with a daily curve for ten days; then one of them stops sending on for six hours."""

from __future__ import annotations

import numpy as np

from detectors.clock import DAY, HOUR
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

STEP = HOUR
STUCK = (10 * DAY + 8 * HOUR, 10 * DAY + 14 * HOUR)


def recorded() -> list[Window]:
    rng = np.random.default_rng(11)
    windows = []
    for at in range(0, 11 * DAY, STEP):
        curve = 1 + 0.5 * np.sin(2 * np.pi * at / DAY)
        hubs = []
        for number in range(6):
            jammed = number == 2 and STUCK[0] <= at < STUCK[1]
            level = 60.0 * (number + 1) * curve
            hubs.append(
                {
                    "facility": f"H-{number}",
                    "region": "440000",
                    "carrier": "SF",
                    "arrived": int(rng.poisson(level / 5)),
                    "departed": 0 if jammed else int(rng.poisson(level / 5)),
                    "delivered": 0,
                    "stock": int(rng.poisson(level * (5 if jammed else 1))),
                    "stalled": int(rng.poisson(level * (0.5 if jammed else 0.01))),
                }
            )
        windows.append(window(MONDAY + at, MONDAY + at + STEP, facilities=rows("facilities", hubs)))
    return windows


WINDOWS = recorded()
