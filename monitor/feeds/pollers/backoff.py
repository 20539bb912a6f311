"""How long a provider in trouble is left alone."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Doubles from a minute to an hour while there is trouble; a good answer ends it."""

    until: int = 0
    failures: int = 0
    wait: int = 0  # how long until then, when it was said
    _first: int = field(default=60_000)
    _longest: int = field(default=3_600_000)

    def failed(self, now: int, again: float | None) -> None:
        own = min(self._first << min(self.failures, 10), self._longest)
        self.failures += 1
        self.wait = max(own, int((again or 0) * 1000))
        self.until = now + self.wait

    def worked(self) -> None:
        self.failures = 0
        self.until = 0

    def open(self, now: int) -> bool:
        """Also where it would be longer than was said: the clock was set back."""
        return not 0 < self.until - now <= self.wait
