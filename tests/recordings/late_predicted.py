"""A shop of two lanes, one slow: sixteen parcels a day, promised in six days; open episodes are kept as the engine does."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from benchmarks.detection.waiting import waiting_in
from detectors.clock import DAY, HOUR
from detectors.interfaces import empty
from detectors.late import LatePredicted
from detectors.tables import table_of
from tests.recordings.windows import MONDAY, rows

OPTIONS = {"ready_cases": 150, "every_hours": 6.0}
DAYS = 30
LINEHAUL, DELIVERED = 4, 13


def parcels(seed: int = 5, days: int = DAYS, a_day: int = 16) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(days * a_day):
        slow = number % 4 == 0
        accepted = MONDAY + number // a_day * DAY + int(rng.integers(8, 20)) * HOUR
        took = int(rng.lognormal(np.log(7.5 if slow else 2.6), 0.35) * DAY)
        evening = (accepted + took - MONDAY) // DAY * DAY + MONDAY + int(rng.integers(9, 20)) * HOUR
        made.append(
            {
                "tracking_number": f"P{number}",
                "carrier": "SF",
                "origin": "440000",
                "destination": "650000" if slow else "440000",
                "feed": "sim",
                "ordered": accepted - 6 * HOUR,
                "accepted": accepted,
                "segment_since": accepted,
                "last_scan": accepted,
                "promised": accepted // DAY * DAY + 6 * DAY - 8 * HOUR,
                "ended": max(evening, accepted + 3 * HOUR),
            }
        )
    return made


def frames(made: list[dict[str, Any]], days: int = DAYS) -> list[tuple[pl.DataFrame, pl.DataFrame, int]]:
    """(finished, parcels, now), as the engine hands them: `open` follows what the detector says itself."""
    detector = LatePredicted(ready_cases=150, every_hours=6.0)
    opened: set[str] = set()
    out = []
    for now in range(MONDAY, MONDAY + days * DAY, 6 * HOUR):
        since = now - 6 * HOUR
        live = [one for one in made if one["accepted"] <= now < one["ended"]]
        shown = [
            {key: value for key, value in one.items() if key != "ended"}
            | {"segment": LINEHAUL, "status": LINEHAUL, "open": one["tracking_number"] in opened}
            for one in live
        ]
        table = rows("parcels", shown) if shown else empty("parcels")
        keys = ("tracking_number", "carrier", "origin", "destination", "ordered", "accepted", "promised")
        ends = [
            {key: one[key] for key in keys} | {"ended": one["ended"], "status": DELIVERED}
            for one in made
            if since < one["ended"] <= now
        ]
        ends += [
            {key: one[key] for key in keys} | {"status": LINEHAUL}
            for one in made
            if since < one["promised"] <= now < one["ended"]
        ]
        finished = rows("finished", ends) if ends else empty("finished")
        detector.waited(waiting_in(table_of(table), now, detector.every), now)
        for verdict in detector.look(table, now):
            name = shown[verdict.row]["tracking_number"]
            opened = opened | {name} if verdict.open else opened - {name}
        detector.learn(finished, now)
        out.append((finished, table, now))
    return out


FRAMES = frames(parcels())
