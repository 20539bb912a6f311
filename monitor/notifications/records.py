"""A notification: what one receiver is told at one moment, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from detectors.findings import Instant
from monitor.incidents import View


class SendReason(StrEnum):
    """Why a message is sent: every message says it."""

    FIRST = "first"
    NEW_INCIDENTS = "new_incidents"
    GREW = "grew"
    RESOLVED = "resolved"  # some of them
    ALL_RESOLVED = "all_resolved"
    REPEAT = "repeat"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"  # for receivers that can be told quietly
    WOKE = "woke"  # a snooze or silence ended and it still fires


class Held(StrEnum):
    """Why a receiver is not told: the closed list behind "why was I not told?"."""

    INHIBITED = "inhibited"
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"  # no repeats
    WAITING = "waiting"  # for the group wait or interval
    ENDED_UNTOLD = "ended_untold"  # over before anybody was told
    NOT_RESOLVED_WANTED = "not_resolved_wanted"  # the route does not send endings
    RATE = "rate"  # waits for the receiver's next free minute
    NO_ROUTE = "no_route"
    KILL_SWITCH = "kill_switch"  # said once it is off
    SHADOW = "shadow"  # said once the shop goes live


@dataclass(frozen=True, slots=True)
class Notification:
    """`digest`: many groups in one message, because the receiver takes only so many a minute."""

    key: str
    receiver: str
    route: str
    group: str
    reason: SendReason
    at: Instant
    expires_at: Instant
    firing: tuple[View, ...]
    resolved: tuple[View, ...] = ()
    locale: str = "zh-CN"
    mention: tuple[str, ...] = ()
    digest: bool = False
    thread: str | None = (
        None  # of one group from its first message to its last; an incident's own id where it is one
    )

    @property
    def severity(self) -> str:
        return most_severe(self.firing)

    @property
    def incident_id(self) -> str | None:
        views = (*self.firing, *self.resolved)
        return views[0].incident_id if len(views) == 1 else None


def most_severe(firing: Iterable[View]) -> str:
    """`resolved` where nothing fires."""
    ranks = {"critical": 0, "warning": 1, "info": 2}
    return min((view.severity for view in firing), key=lambda name: ranks[name], default="resolved")


def key_of(*parts: object) -> str:
    text = "\0".join(map(str, parts))
    return "N" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
