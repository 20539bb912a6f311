"""Whether next to nothing arrives anywhere: the empty hubs of a pause are not the usual of the time after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from detectors.clock import DAY
from detectors.findings import Instant

AT_REST: Final = 0.25  # of what usually arrives: less than that for a day teaches nothing
STOPPED: Final = 0.01  # likewise, however long
READY_DAYS: Final = 3.0  # before it is known what usually arrives
_HOURS: Final = 6.0  # over which it is averaged, so that a Monday ends a weekend's rest
_DAY: Final = 24.0  # hours likewise, so that a night is none
_WEEK: Final = 7.0  # days likewise: the usual


class Rest:
    """A network that has shrunk for good is believed after `accept_days`; one in which nothing at all arrives is not."""

    def __init__(self, accept_days: float = 10.0) -> None:
        self._accept = accept_days * DAY
        self._lately = 0.0  # parcels an hour
        self._of_day = 0.0  # likewise
        self._parcels = 0.0  # of the days that were learned; both fade
        self._days = 0.0
        self._since: Instant | None = None

    def rests(self, arrived: float, hours: float, now: Instant) -> bool:
        """`arrived`: parcels anywhere within the last `hours`."""
        rate = arrived / hours
        self._lately += (1.0 - math.exp(-hours / _HOURS)) * (rate - self._lately)
        self._of_day += (1.0 - math.exp(-hours / _DAY)) * (rate - self._of_day)
        usual = self._parcels / (24 * self._days) if self._days >= READY_DAYS else 0.0
        if max(self._lately, self._of_day) >= AT_REST * usual:
            self._since = None
        elif self._since is None:
            self._since = now
        believed = (
            self._of_day > STOPPED * usual and self._since is not None and now - self._since >= self._accept
        )
        if self._since is not None and not believed:
            return True
        days = min(hours, 6.0) / 24
        keep = math.exp(-days / _WEEK)
        self._parcels, self._days = self._parcels * keep + rate * 24 * days, self._days * keep + days
        return False

    def state(self) -> list[float | None]:
        return [self._lately, self._of_day, self._parcels, self._days, self._since]

    def restore(self, state: Sequence[float | None]) -> None:
        numbers = [float(one or 0.0) for one in state[:4]]
        self._lately, self._of_day, self._parcels, self._days = numbers
        self._since = None if state[4] is None else int(state[4])
