"""Whether most of what a sender sends is invalid: then something is wrong with the sender, not with events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

HOUR: Final = 3_600_000
SAMPLE: Final = 100  # letters an hour


@dataclass(slots=True)
class PoisonLimit:
    """Over the last `window` events of one sender."""

    window: int = 1000
    share: float = 0.5
    _recent: deque[tuple[int, int]] = field(default_factory=deque)
    _good: int = 0
    _bad: int = 0
    _hour: int = -1
    _sampled: int = 0

    def observe(self, good: int, bad: int) -> None:
        if not good + bad:  # nothing would ever push it out
            return
        self._recent.append((good, bad))
        self._good += good
        self._bad += bad
        while self._recent and self._good + self._bad - sum(self._recent[0]) >= self.window:
            old_good, old_bad = self._recent.popleft()
            self._good -= old_good
            self._bad -= old_bad

    @property
    def poisoned(self) -> bool:
        total = self._good + self._bad
        return total >= self.window and self._bad > self.share * total

    def sample(self, wanted: int, now: int) -> int:
        """How many of `wanted` letters are kept of a poisoned sender: `SAMPLE` an hour."""
        if now // HOUR != self._hour:
            self._hour, self._sampled = now // HOUR, 0
        kept = min(wanted, SAMPLE - self._sampled)
        self._sampled += kept
        return kept

    def __str__(self) -> str:
        return f"{self._bad} of the last {self._good + self._bad} events are invalid"
