"""The notification log: what each receiver was last told of each group, and whether it must be told again.

The rules are Alertmanager's: a receiver hears of a group when something new fires, when something or all of it
resolves, and when the repeat interval is over; never of what began and ended unsaid.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from detectors.findings import Instant
from monitor.notifications.records import SendReason


@dataclass(frozen=True, slots=True)
class Told:
    """`sequence` counts what was said; `attempt` counts the tries to say it that failed for good."""

    firing: frozenset[str] = frozenset()
    resolved: frozenset[str] = frozenset()
    at: Instant = 0
    sequence: int = 0
    attempt: int = 0
    repeats: int = 0  # since something new was said

    def plain(self) -> list[Any]:
        return [
            sorted(self.firing),
            sorted(self.resolved),
            self.at,
            self.sequence,
            self.attempt,
            self.repeats,
        ]

    @classmethod
    def of_plain(cls, plain: list[Any]) -> Told:
        firing, resolved, *numbers = plain
        return cls(frozenset(firing), frozenset(resolved), *numbers)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a flush would say."""

    firing: AbstractSet[str]
    resolved: AbstractSet[str]
    grew: bool = False
    woke: bool = False
    acknowledged: bool = False  # all that fires
    taken: bool = False  # somebody acknowledged it just now
    send_resolved: bool = True


def needed(told: Told | None, wish: Wish, now: Instant, repeat_ms: int) -> SendReason | None:
    if not wish.firing and not wish.resolved:
        return None
    if told is None or not told.sequence:
        return SendReason.FIRST if wish.firing else None
    if not wish.firing <= told.firing:
        return SendReason.NEW_INCIDENTS if told.firing else SendReason.FIRST
    if not wish.firing:
        return SendReason.ALL_RESOLVED if told.firing and wish.send_resolved else None
    if wish.send_resolved and not wish.resolved <= told.resolved:
        return SendReason.RESOLVED
    if wish.grew:
        return SendReason.GREW
    if wish.woke:
        return SendReason.WOKE
    if wish.taken:
        return SendReason.ACKNOWLEDGED
    if not wish.acknowledged and now - told.at >= repeat_ms:
        return SendReason.REPEAT
    return None
