"""Which parcels may be asked about, without a network or a clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SLOWEST_MS: Final = 24 * 3_600_000
MOST_REFUSALS: Final = 2  # of one parcel in a row: a provider that knows it no better by then never will


@dataclass(slots=True)
class Asked:
    """Of one parcel: when it may be asked about again. Each answer without news doubles the wait."""

    next_at: int
    wait_ms: int
    refused: int = 0  # in a row


@dataclass(slots=True)
class Plan:
    each_ms: int
    asked: dict[str, Asked] = field(default_factory=dict)

    def opens_at(self, number: str, now: int) -> int | None:
        """None: now."""
        known = self.asked.get(number)
        if known is None or not 0 < known.next_at - now <= known.wait_ms:  # more: the clock was set back
            return None
        return known.next_at

    def note(self, numbers: Sequence[str], now: int, refused: Sequence[str] = ()) -> list[str]:
        """These were asked about, or should have been. Which of them were refused for good, and are known no longer."""
        for number in numbers:
            known = self.asked.pop(number, None)
            wait = min(known.wait_ms * 2, SLOWEST_MS) if known else self.each_ms
            again = known.refused if known else 0
            self.asked[number] = Asked(now + wait, wait, again + 1 if number in refused else 0)
        gone = [one for one in refused if one in self.asked and self.asked[one].refused >= MOST_REFUSALS]
        for number in gone:
            del self.asked[number]
        return gone

    def forget(self, now: int) -> None:
        """Parcels that were not asked about for two days moved, or are over."""
        for number in [name for name, one in self.asked.items() if now > one.next_at + 2 * SLOWEST_MS]:
            del self.asked[number]


def allowance(per_second: float, since_ms: int) -> int:
    """How many requests the time since the last run pays for: at least one, at most a minute's."""
    return max(1, int(per_second * min(max(since_ms, 0), 60_000) / 1000))
