"""Whether the wall clock may be believed. Ticks are in the stream, where time never goes back: one that came from a clock a
year ahead would stop the engine's time for a year.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from detectors.findings import Instant

LEAP_MS: Final = 3_600_000
BACK_MS: Final = 60_000
PATIENCE: Final = (
    300.0  # seconds: a machine that slept has had its backlog by then, and a bad time source its correction
)
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Leaps:
    """Asked with the wall clock (ms) and a clock that nobody sets (s), each time before something hangs on the former."""

    _wall: Instant | None = None  # when it was last believed, by both clocks
    _up: float = 0.0
    _doubted: float | None = None  # since when

    def believed(self, wall: Instant, up: float) -> bool:
        """False for the first minutes after it leapt ahead by more than an hour; a step back is believed, and told."""
        passed = 1000 * (up - self._up)
        ahead = 0.0 if self._wall is None else wall - self._wall - passed
        if ahead > LEAP_MS and not self._stands(ahead, up):
            return False
        if ahead < -BACK_MS:
            log.warning("clock.went_back", seconds=round(-ahead / 1000))
        if self._doubted is not None:
            log.warning("clock.believed", seconds_ahead=round(ahead / 1000))
        self._wall, self._up, self._doubted = wall, up, None
        return True

    def _stands(self, ahead: float, up: float) -> bool:
        if self._doubted is None:
            self._doubted = up
            log.error("clock.leapt", seconds_ahead=round(ahead / 1000), believed_in_seconds=PATIENCE)
        return up - self._doubted >= PATIENCE
