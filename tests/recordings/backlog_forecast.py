"""Three hubs for seventeen days, three hours a window; then one of them sends on a third of what comes for three days."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.clock import DAY, HOUR
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

HUBS = ("H-1", "H-2", "H-3")
DAYS = 19
EVERY = 3 * HOUR


def world(
    seed: int = 3, days: int = DAYS, jam: tuple[float, float] = (14.3, 17.0), left: float = 0.3
) -> list[Window]:
    rng = np.random.default_rng(seed)
    stock = dict.fromkeys(HUBS, 150.0)
    came, gone = dict.fromkeys(HUBS, 0), dict.fromkeys(HUBS, 0)
    out = []
    for until in range(MONDAY + HOUR, MONDAY + days * DAY, HOUR):
        at = (until - MONDAY) / DAY
        curve = 1.0 + 0.6 * np.sin(2 * np.pi * at)
        for hub in HUBS:
            arrived = int(rng.poisson(30 * curve))
            jammed = hub == HUBS[0] and jam[0] <= at < jam[1]
            room = 60 if at >= jam[1] else 40
            goes = min(stock[hub], rng.poisson(min(0.2 * stock[hub], room)) * (left if jammed else 1.0))
            stock[hub] = max(0.0, stock[hub] + arrived - int(goes))
            came[hub] += arrived
            gone[hub] += int(goes)
        if until % EVERY == 0:
            seen = [_row(hub, came[hub], gone[hub], int(stock[hub])) for hub in HUBS]
            out.append(window(until - EVERY, until, facilities=rows("facilities", seen)))
            came, gone = dict.fromkeys(HUBS, 0), dict.fromkeys(HUBS, 0)
    return out


def _row(hub: str, arrived: int, departed: int, stock: int) -> dict[str, Any]:
    return {
        "facility": hub,
        "region": "420100",
        "carrier": "SF",
        "arrived": arrived,
        "departed": departed,
        "delivered": 0,
        "stock": stock,
        "stalled": 0,
    }


WINDOWS = world()
