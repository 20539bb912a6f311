"""Four carriers on two lanes for a month, six hours a window; one carrier takes one and a half times as long from the
twentieth day to the twenty-sixth, and a holiday slows all of them for two days before that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.clock import DAY, HOUR
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

CARRIERS = ("sf", "zto", "yto", "sto")
SLOW = "zto"
LANES = (("440000", "420000"), ("330000", "110000"))
LINEHAUL = 4


def world(
    seed: int = 2, days: int = 30, slow: tuple[int, int] = (20, 26), factor: float = 1.5
) -> list[Window]:
    rng = np.random.default_rng(seed)
    out = []
    for until in range(MONDAY + 6 * HOUR, MONDAY + days * DAY, 6 * HOUR):
        at = (until - MONDAY) // DAY
        frame: list[dict[str, Any]] = []
        for carrier in CARRIERS:
            for origin, destination in LANES:
                legs = int(rng.poisson(15))
                level = np.log(factor) if carrier == SLOW and slow[0] <= at < slow[1] else 0.0
                level += 0.4 if 12 <= at < 14 else 0.0
                logs = rng.normal(level, 0.4, legs)
                frame.append(
                    {
                        "carrier": carrier,
                        "origin": origin,
                        "destination": destination,
                        "segment": LINEHAUL,
                        "finished": legs,
                        "residual": float(logs.sum()),
                        "residual_squared": float((logs**2).sum()),
                        "open": 40,
                        "stalled": 2,
                    }
                )
        out.append(window(until - 6 * HOUR, until, lanes=rows("lanes", frame)))
    return out


WINDOWS = world()
