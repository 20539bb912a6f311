"""Six couriers for ten days, two hours a window; one of them signs whole bags, some parcels are impossible,
one is scanned again after it was signed, and some of the customers cheated write that nothing came.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.clock import DAY, HOUR, MINUTE
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

COURIERS = 6
BAD = "K0"
DAYS = 10
DELIVERED, OUT = 13, 9


def signoff(number: int, courier: str, signed: int, out: int | None, **more: Any) -> dict[str, Any]:
    return {
        "tracking_number": f"P{number}",
        "occurred": signed,
        "received": signed + MINUTE,
        "carrier": "SF",
        "origin": "330000",
        "destination": "440305",
        "region": "440305",
        "facility": "S-1",
        "courier": courier,
        "feed": "sim",
        "delivered_to": 1,
        "status": DELIVERED,
        "previous_status": OUT,
        "out_for_delivery": out,
        "accepted": signed - 2 * DAY,
        "ordered": signed - 3 * DAY,
    } | more


def world(seed: int = 4) -> list[tuple[int, str, dict[str, Any]]]:
    """(received, frame, row)"""
    rng = np.random.default_rng(seed)
    made: list[tuple[int, str, dict[str, Any]]] = []
    number = 0
    for day in range(DAYS):
        for courier in range(COURIERS):
            name, morning = f"K{courier}", MONDAY + day * DAY + 8 * HOUR
            bag = name == BAD and day >= 4 and day % 2 == 0
            for stop in range(12):
                signed = morning + int((1.0 + stop * 0.8 + rng.random() * 0.4) * HOUR)
                more: dict[str, Any] = {}
                if bag:
                    signed = morning + 9 * HOUR + int(rng.integers(1000, 40_000))
                elif number % 97 == 50:
                    more = {"region": "110105"}
                elif number % 131 == 60:
                    more = {"accepted": signed - 5 * DAY}  # before it was ordered
                row = signoff(number, name, signed, morning, **more)
                made.append((row["received"], "signoffs", row))
                if (bag and rng.random() < 0.5) or number % 181 == 90:
                    made.append((signed + 9 * HOUR, "complaints", complaint(number, name, signed)))
                number += 1
    again = MONDAY + 6 * DAY + 20 * HOUR
    made.append((again, "oddities", scan_again("P200", again)))
    return made


def complaint(number: int, courier: str, signed: int) -> dict[str, Any]:
    at = signed + 9 * HOUR
    return {
        "complaint_id": f"C{number}",
        "status": "opened",
        "occurred": at,
        "received": at,
        "customer_id": f"B{number}",
        "tracking_number": f"P{number}",
        "carrier": "SF",
        "region": "440305",
        "facility": "S-1",
        "courier": courier,
        "category": "logistics",
        "reason": "false_delivery",
        "feed": "desk",
        "delivered_at": signed,
    }


def scan_again(name: str, at: int) -> dict[str, Any]:
    return {
        "tracking_number": name,
        "occurred": at,
        "received": at,
        "carrier": "SF",
        "status": 4,
        "previous_status": DELIVERED,
        "previous_occurred": at - 2 * DAY,
        "region": "440300",
        "facility": "H-1",
        "feed": "sim",
        "oddity": "after_end",
    }


def windows(made: list[tuple[int, str, dict[str, Any]]], step: int = 2 * HOUR) -> list[Window]:
    ordered = sorted(made, key=lambda one: one[0])
    out, at = [], 0
    for until in range(MONDAY + 6 * HOUR, MONDAY + (DAYS + 3) * DAY, step):
        frames: dict[str, list[dict[str, Any]]] = {}
        while at < len(ordered) and ordered[at][0] <= until:
            frames.setdefault(ordered[at][1], []).append(ordered[at][2])
            at += 1
        if frames or until % DAY == 0:
            out.append(
                window(until - step, until, **{name: rows(name, some) for name, some in frames.items()})
            )
    return out


SPEAKS_COLD = True  # an impossible order is one on the first day too
WINDOWS = windows(world())
