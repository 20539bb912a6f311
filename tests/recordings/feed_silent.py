"""Two feeds for ten days: one by the minute, which falls silent for five hours and comes back; one polled each six hours."""

from __future__ import annotations

from tests.recordings.windows import MONDAY, rows, window

HOUR = 3_600_000
STEP = HOUR // 4
OPTIONS = {"every": STEP}
SILENT = range(9 * 24 * 4 + 40, 9 * 24 * 4 + 60)


def _feed(name: str, events: int, at: int) -> dict[str, object]:
    return {"feed": name, "events": events, "newest_occurred": at, "newest_received": at, "live": 120}


def _events(step: int) -> tuple[int, int]:
    hour = step // 4 % 24
    busy = 0 if step in SILENT else (60 if 8 <= hour < 22 else 12)
    return busy, 900 if step % 24 == 0 else 0


WINDOWS = [
    window(
        MONDAY + step * STEP,
        MONDAY + (step + 1) * STEP,
        feeds=rows(
            "feeds",
            [
                _feed("push", _events(step)[0], MONDAY + step * STEP),
                _feed("polled", _events(step)[1], MONDAY + step * STEP),
            ],
        ),
    )
    for step in range(10 * 24 * 4)
]
