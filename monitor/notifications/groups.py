"""One group: incidents that one receiver is told of together, and what it was last told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import msgspec

from detectors.findings import Instant
from monitor.incidents import View
from monitor.notifications.log import Told
from monitor.notifications.records import Notification, key_of

GroupKey: TypeAlias = tuple[str, str, str]  # receiver, route, the labels that are the same
_RANKS = {"critical": 0, "warning": 1, "info": 2, "resolved": 3}


@dataclass(slots=True)
class Group:
    opened_at: Instant
    next_flush: Instant
    members: dict[str, None] = field(default_factory=dict)
    over: dict[str, View] = field(default_factory=dict)
    grew: bool = False
    woke: bool = False
    taken: bool = False
    told: Told | None = None
    before: Told | None = None  # to go back to when the message could not be delivered
    shadow: bool = False  # what was told since `heard` was told to nobody
    heard: Told | None = None

    def plain(self) -> dict[str, Any]:
        return {
            "times": [self.opened_at, self.next_flush],
            "members": list(self.members),
            "over": [msgspec.to_builtins(view) for view in self.over.values()],
            "flags": [self.grew, self.woke, self.taken],
            "told": [told.plain() if told else None for told in (self.told, self.before, self.heard)],
            "shadow": self.shadow,
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Group:
        over = [msgspec.convert(view, View) for view in plain["over"]]
        opened_at, next_flush = plain["times"]
        told, before, *heard = (Told.of_plain(entry) if entry else None for entry in plain["told"])
        return cls(
            opened_at,
            next_flush,
            members=dict.fromkeys(plain["members"]),
            over={view.incident_id: view for view in over},
            grew=plain["flags"][0],
            woke=plain["flags"][1],
            taken=any(plain["flags"][2:]),  # absent in checkpoints of before
            told=told,
            before=before,
            shadow=plain.get("shadow", False),  # absent likewise
            heard=heard[0] if heard else None,
        )

    def copy(self) -> Group:
        return replace(self, members=dict(self.members), over=dict(self.over))

    def surface(self) -> None:
        """Out of the shadow: what is known as told is what somebody heard. The number goes on, so no key comes twice."""
        if self.shadow and self.told is not None:
            heard = self.heard or Told()
            self.told = replace(heard, sequence=self.told.sequence, attempt=self.told.attempt + 1)
        self.shadow, self.heard = False, None


@dataclass(frozen=True, slots=True)
class Ready:
    """What a group has to say, and what it will have told once it is sent."""

    key: GroupKey
    group: Group
    notification: Notification
    told: Told


def urgency(ready: Ready) -> tuple[int, Instant]:
    return _RANKS[ready.notification.severity], ready.group.opened_at


def digest(ready: Sequence[Ready], now: Instant) -> Notification:
    """All of them in one message."""
    first = ready[0].notification
    firing: dict[str, View] = {}
    resolved: dict[str, View] = {}
    mention: dict[str, None] = {}
    for one in ready:
        firing.update((view.incident_id, view) for view in one.notification.firing)
        resolved.update((view.incident_id, view) for view in one.notification.resolved)
        mention.update(dict.fromkeys(one.notification.mention))
    return replace(
        first,
        key=key_of(first.receiver, "digest", now),
        group="digest",
        firing=tuple(firing.values()),
        resolved=tuple(resolved.values()),
        mention=tuple(mention),
        expires_at=max(one.notification.expires_at for one in ready),
        digest=True,
        thread=None,
    )
