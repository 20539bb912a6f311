"""Three hubs for seventeen days, an hour a window; then one of them sends on a third of what comes for three days."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.clock import DAY, HOUR
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

HUBS = ("H-1", "H-2", "H-3")
DAYS = 19


def world(
    seed: int = 3, days: int = DAYS, jam: tuple[float, float] = (14.3, 17.0), left: float = 0.3
) -> list[Window]:
    rng = np.random.default_rng(seed)
    stock = dict.fromkeys(HUBS, 150.0)
    out = []
    for until in range(MONDAY + HOUR, MONDAY + days * DAY, HOUR):
        at = (until - MONDAY) / DAY
        frame: list[dict[str, Any]] = []
        for hub in HUBS:
            curve = 1.0 + 0.6 * np.sin(2 * np.pi * at)
            arrived = int(rng.poisson(30 * curve))
            jammed = hub == HUBS[0] and jam[0] <= at < jam[1]
            room = 60 if at >= jam[1] else 40
            goes = min(stock[hub], rng.poisson(min(0.2 * stock[hub], room)) * (left if jammed else 1.0))
            stock[hub] = max(0.0, stock[hub] + arrived - int(goes))
            frame.append(
                {
                    "facility": hub,
                    "region": "420100",
                    "carrier": "SF",
                    "arrived": arrived,
                    "departed": int(goes),
                    "delivered": 0,
                    "stock": int(stock[hub]),
                    "stalled": 0,
                }
            )
        out.append(window(until - HOUR, until, facilities=rows("facilities", frame)))
    return out


WINDOWS = world()
