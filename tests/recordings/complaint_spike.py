"""Two provinces for 20 days; then damaged goods in two neighbouring cities, and a sale that multiplies everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.clock import DAY, HOUR
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

STEP = 3 * HOUR
CITIES = ("440300", "441300", "440100", "320500", "320100")
CARRIERS = ("SF", "ZTO")
NEIGHBOURS = {"440300": ("441300",), "441300": ("440300",)}
OPTIONS: dict[str, Any] = {"neighbours": NEIGHBOURS, "names": {"440300": ("深圳市", "Shenzhen")}}
SPIKE = (15 * DAY, 16 * DAY)
SALE = (18 * DAY, 20 * DAY)


def recorded() -> list[Window]:
    rng = np.random.default_rng(5)
    windows = []
    number = 0
    for at in range(0, 20 * DAY, STEP):
        waking = 0.2 + np.sin(np.pi * (at % DAY) / DAY) ** 2
        sale = 10.0 if SALE[0] <= at < SALE[1] else 1.0
        traffic, told = [], []
        for city in CITIES:
            for carrier in CARRIERS:
                parcels = int(rng.poisson(30 * waking * sale))
                counts = {"shipped": parcels, "delivered": int(rng.poisson(30 * waking * sale)), "live": 500}
                traffic.append({"region": city, "carrier": carrier} | counts)
            complaints = [("late", int(rng.poisson(0.25 * waking * sale)))]
            if SPIKE[0] <= at < SPIKE[1] and city in NEIGHBOURS:
                complaints.append(("damaged", int(rng.poisson(2.0))))
            for reason, cases in complaints:
                for _ in range(cases):
                    number += 1
                    when = at + MONDAY + int(rng.integers(STEP))
                    told.append(
                        {
                            "complaint_id": f"K{number}",
                            "status": "opened",
                            "occurred": when,
                            "received": when,
                            "region": city,
                            "carrier": CARRIERS[number % 2],
                            "category": "product" if reason == "damaged" else "logistics",
                            "reason": reason,
                        }
                    )
        frames = {"regions": rows("regions", traffic), "complaints": rows("complaints", told)}
        windows.append(window(MONDAY + at, MONDAY + at + STEP, **frames))
    return windows


WINDOWS = recorded()
