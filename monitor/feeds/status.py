"""How each feed is doing, for `forestall feeds`: since the daemon's start, and for the last hour."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from monitor.feeds.base import Parsed, Refusal
from monitor.feeds.pollers.backoff import Backoff
from monitor.feeds.zones import from_millis

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
MOST_CODES: Final = 100  # distinct ones; a feed that sends noise as codes must not grow this


@dataclass(slots=True)
class Polling:
    """How asking goes. `trouble`: of the last answer; `refused`: questions about parcels that the provider turned down;
    `unasked`: that could not be put for want of a phone number; `without`: carriers about which nothing is asked.
    """

    trouble: str | None = None
    backoff: Backoff = field(default_factory=Backoff)
    refused: int = 0
    dropped: int = 0  # parcels that were refused twice
    unasked: int = 0
    without: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        until = self.backoff.until
        return {
            "trouble": self.trouble,
            "failures": self.backoff.failures,
            "retry_at": from_millis(until) if until else None,
            "refused": self.refused,
            "dropped": self.dropped,
            "unasked": self.unasked,
            "without": list(self.without),
        }


@dataclass(slots=True)
class FeedStatus:
    name: str
    kind: str
    pushes: int = 0
    events: int = 0
    dead: int = 0
    unplaced: int = 0
    waiting: int = 0  # events that came before the push that explains them
    rejected: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    last_push_at: int | None = None
    last_event_at: int | None = None
    unwatched: int = 0
    left_out: Counter[str] = field(default_factory=Counter)  # optional fields, out of their range
    skipped: Counter[str] = field(default_factory=Counter)  # pushes that became no event, by reason
    pollers: dict[str, Polling] = field(default_factory=dict)  # those that ask for it, by name
    _minutes: deque[tuple[int, int]] = field(default_factory=deque)  # minute, events

    def refuse(self, reason: Refusal) -> None:
        self.rejected[reason.value] += 1

    def push(self, now: int) -> None:
        self.pushes += 1
        self.last_push_at = now

    def take(self, parsed: Parsed, taken: int, now: int) -> None:
        self.left_out.update(parsed.left_out)
        self.skipped.update(reason.value for reason in parsed.skipped)
        self.lines(taken, len(parsed.dead), now)
        self.unplaced += parsed.unplaced
        self.unwatched += len(parsed.unwatched)
        for code, _event in parsed.unknown:
            self.unknown[code if code in self.unknown or len(self.unknown) < MOST_CODES else "others"] += 1

    def lines(self, taken: int, dead: int, now: int) -> None:
        self.events += taken
        self.dead += dead
        if taken:
            self.last_event_at = now
            minute = now // MINUTE
            if self._minutes and self._minutes[-1][0] == minute:
                taken += self._minutes.pop()[1]
            self._minutes.append((minute, taken))

    def report(self, now: int) -> dict[str, Any]:
        while self._minutes and self._minutes[0][0] < (now - HOUR) // MINUTE:
            self._minutes.popleft()
        return {
            "feed": self.name,
            "type": self.kind,
            "pushes": self.pushes,
            "events": self.events,
            "events_last_hour": sum(count for _, count in self._minutes),
            "last_push_at": from_millis(self.last_push_at) if self.last_push_at else None,
            "last_event_at": from_millis(self.last_event_at) if self.last_event_at else None,
            "seconds_since_event": (now - self.last_event_at) // 1000 if self.last_event_at else None,
            "unknown_codes": dict(self.unknown.most_common()),
            "rejected_signatures": dict(self.rejected),
            "dead_letters": self.dead,
            "unplaced": self.unplaced,
            "fields_left_out": dict(self.left_out),
            "skipped": dict(self.skipped),
            "waiting": self.waiting,
            "unwatched": self.unwatched,
            "pollers": {name: one.report() for name, one in self.pollers.items()},
        }
