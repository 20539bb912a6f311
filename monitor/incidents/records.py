"""What incidents say: their states, the closed list of reasons, and the frozen picture others read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from detectors.findings import Evidence, Instant, Subject
from monitor.records import money, when


class Phase(StrEnum):
    NONE = "none"  # before the first record
    PENDING = "pending"  # seen, not yet told: too short or too small
    FIRING = "firing"
    RESOLVED = "resolved"


class Why(StrEnum):
    """Why an incident changed: the closed list behind its timeline, its messages and `incidents.ndjson`."""

    OPENED = "opened"
    CONFIRMED = "confirmed"  # lasted long enough and is large enough: it fires
    PASSED = "passed"  # gone before it fired: nobody was told
    GREW = "grew"  # twice as many findings as when it was last said
    CAUSE_FOUND = "cause_found"  # an incident of a place took over its findings
    RECOVERED = "recovered"
    CLOSED_BY_PERSON = "closed_by_person"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    WOKE = "woke"  # the snooze ended
    ESCALATED = "escalated"
    INHIBITED = "inhibited"
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    HEARD_AGAIN = "heard_again"  # nothing mutes it any more
    NOTE = "note"


class Mute(StrEnum):
    INHIBITED = "inhibited"
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    SNOOZED = "snoozed"


@dataclass(frozen=True, slots=True)
class Group:
    """What findings of one incident have in common; `fingerprint` is stable over restarts and recurrences."""

    family: str
    place: Subject

    @property
    def fingerprint(self) -> str:
        text = f"{self.family}\0{self.place.type}\0{self.place.id}"
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an incident's timeline."""

    at: Instant
    reason: Why
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """An incident at one moment. `money` is minor units by currency of the orders behind the open findings."""

    incident_id: str
    fingerprint: str
    family: str
    place: Subject
    phase: Phase
    severity: str
    since: Instant
    opened_at: Instant
    fired_at: Instant | None
    resolved_at: Instant | None
    open: int
    total: int
    money: Mapping[str, int]
    kinds: Mapping[str, int]
    carriers: Mapping[str, int]
    facilities: Mapping[str, int]
    regions: Mapping[str, int]
    labels: Mapping[str, str]
    score: float
    evidence: Evidence
    sample: tuple[str, ...]  # a few subjects, oldest first: "parcel:SF123"
    series: tuple[tuple[Instant, int], ...]  # open findings over time
    timeline: tuple[Entry, ...]
    mutes: tuple[tuple[Mute, str], ...] = ()
    acknowledged_by: str | None = None
    snoozed_until: Instant | None = None
    escalation: int = 0
    note: str = ""
    lanes: Mapping[str, int] = field(default_factory=dict)
    as_of: Instant = 0  # when its evidence was true; 0: not known

    @property
    def muted(self) -> bool:
        return bool(self.mutes)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one incident; `old` equals `new` where only something about it changed."""

    incident_id: str
    fingerprint: str
    old: Phase
    new: Phase
    reason: Why
    at: Instant
    view: View
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What a person decided. `id` is unique: a command applied twice is applied once."""

    id: str
    at: Instant
    by: str
    verb: str  # acknowledge | snooze | resolve | note | silence | expire
    incident_id: str = ""
    note: str = ""
    until: Instant | None = None
    silence: Mapping[str, Any] = field(default_factory=dict)


def records(transitions: Iterable[Transition]) -> list[dict[str, Any]]:
    """The lines of `incidents.ndjson`: what people would have seen, so nothing that stayed pending."""
    lines = []
    for change in transitions:
        view = change.view
        if view.fired_at is None:
            continue
        opened = change.old is not Phase.FIRING and change.new is Phase.FIRING
        state = "opened" if opened else "resolved" if change.new is Phase.RESOLVED else "updated"
        line: dict[str, Any] = {
            "incident_id": change.incident_id,
            "fingerprint": change.fingerprint,
            "kind": view.family,
            "place": {"type": view.place.type.value, "id": view.place.id},
            "state": state,
            "reason": change.reason.value,
            "at": when(change.at),
            "since": when(view.since),
            "severity": view.severity,
            "open": view.open,
            "total": view.total,
            "money": {name: money(view.money[name], name) for name in sorted(view.money)},
            "kinds": dict(sorted(view.kinds.items())),
            "labels": dict(sorted(view.labels.items())),
            "muted": [[mute.value, by] for mute, by in view.mutes],
        }
        if change.by:
            line["by"] = change.by
        if change.note:
            line["note"] = change.note
        lines.append(line)
    return lines
