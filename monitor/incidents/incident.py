"""One incident: its open findings, its counts, its timeline. Changed only by `Incidents`."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detectors.findings import Evidence, Finding, Instant, Subject, SubjectType
from monitor.incidents.grouping import ANCHORS, Member
from monitor.incidents.records import Entry, Group, Mute, Phase, View, Why

SAMPLE = 20
SERIES = 96
SERIES_STEP = 300_000
RECALL = 3 * 86_400_000
RECALL_POINTS = 24
RECALL_LEAST = 3
TIMELINE = 100
SINGLE_LABELS = ("carrier", "lane", "facility", "region", "feed")
LABELS = frozenset(  # what matchers may name: no incident is about one parcel, order or customer
    {"incident", "kind", "severity", "place_type", "place", "courier", "supplier", *SINGLE_LABELS}
)


@dataclass(slots=True)
class Anchor:
    """The open finding about the place itself."""

    score: float
    since: Instant
    evidence: Evidence
    as_of: Instant = 0  # of the evidence; 0 where a checkpoint of before knew none


@dataclass(slots=True)
class Incident:
    group: Group
    opened_at: Instant
    severity: str
    phase: Phase = Phase.PENDING
    members: dict[str, Member] = field(default_factory=dict)
    anchors: dict[str, Anchor] = field(default_factory=dict)
    untracked: int = 0  # open findings beyond the bound: counted, not known
    total: int = 0
    said: int = 0  # open findings when it last said that it grew
    money: dict[str, int] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(
        default_factory=lambda: {name: {} for name in ("kinds", *SINGLE_LABELS)}
    )
    since: Instant = 0
    strong_since: Instant | None = None  # enough members without a break
    weak_since: Instant | None = None  # too few members without a break
    fired_at: Instant | None = None
    resolved_at: Instant | None = None
    last: Anchor | None = None  # of the place, kept after its finding closed
    labels: dict[str, str] = field(default_factory=dict)
    mutes: tuple[tuple[Mute, str], ...] = ()
    acknowledged_by: str | None = None
    snoozed_until: Instant | None = None
    escalation: int = 0
    note: str = ""
    timeline: list[Entry] = field(default_factory=list)
    series: list[tuple[Instant, int]] = field(default_factory=list)
    dirty: bool = True
    wake: Instant | None = None

    @property
    def incident_id(self) -> str:
        text = f"{self.group.fingerprint}\0{self.opened_at}"
        return "I" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def open(self) -> int:
        return len(self.members) + self.untracked

    @property
    def anchored(self) -> bool:
        """Whether the incident stands on a finding about its place, not on the number of parcels."""
        return self.last is not None

    @property
    def began(self) -> Instant:
        """Of a place when the place went wrong, whatever its parcels had behind them; else the first of them."""
        if self.last is None:
            return self.since
        return min((anchor.since for anchor in self.anchors.values()), default=self.last.since)

    def add(self, finding_id: str, member: Member, *, new: bool) -> None:
        self.members[finding_id] = member
        self._count(member, 1)
        self.total += new
        self.since = min(self.since, member.since) if self.since else member.since
        self.dirty = True

    def remove(self, finding_id: str) -> Member | None:
        member = self.members.pop(finding_id, None)
        if member is not None:
            self._count(member, -1)
            self.dirty = True
        return member

    def add_anchor(self, finding: Finding) -> None:
        anchor = Anchor(finding.score, finding.started_at, dict(finding.evidence), finding.as_of)
        self.anchors[finding.finding_id] = self.last = anchor
        self.since = min(self.since, finding.started_at) if self.since else finding.started_at
        self.dirty = True

    def close_anchor(self, finding: Finding) -> bool:
        """False where it stands on no such finding. What the end says anew (all of a silence) is its last word."""
        anchor = self.anchors.pop(finding.finding_id, None)
        if anchor is None:
            return False
        evidence = dict(finding.evidence)
        if evidence != anchor.evidence:
            self.last = Anchor(finding.score, finding.started_at, evidence, finding.as_of)
        self.dirty = True
        return True

    def _count(self, member: Member, by: int) -> None:
        if member.amount:
            _add(self.money, member.currency, by * member.amount)
        counts = self.counts
        _add(counts["kinds"], member.kind.value, by)
        for name, value in (
            ("carrier", member.carrier),
            ("lane", member.lane),
            ("facility", member.facility),
            ("region", member.region),
            ("feed", member.feed),
        ):
            if value:
                _add(counts[name], value, by)

    def take_all(self, other: Incident) -> None:
        """All members of another incident at once: a hundred thousand one by one would stop the loop."""
        self.members.update(other.members)
        self.total += len(other.members)
        for name, counter in (*other.counts.items(), ("money", other.money)):
            mine = self.money if name == "money" else self.counts[name]
            for value, number in counter.items():
                _add(mine, value, number)
            counter.clear()
        self.since = min(self.since, other.since)
        other.members = {}
        self.dirty = other.dirty = True

    def weigh(self, min_members: int, now: Instant) -> None:
        """Since when it is strong enough to fire, and since when too weak to go on: half as many, so that an
        incident near its limit does not flap.
        """
        if self.anchored:
            strong, weak = bool(self.anchors), not self.anchors
        else:
            strong, weak = self.open >= min_members, self.open < max(1, (min_members + 1) // 2)
        if not strong:
            self.strong_since = None
        elif self.strong_since is None:
            self.strong_since = now
        if not weak:
            self.weak_since = None
        elif self.weak_since is None:
            self.weak_since = now

    def relabel(self) -> None:
        """Labels are what is the same for the place or for every open finding; matchers read them."""
        labels = {
            "incident": self.incident_id,
            "kind": self.group.family,
            "severity": self.severity,
            "place_type": self.group.place.type.value,
            "place": self.group.place.id,
        }
        evidence: Mapping[str, Any] = self.last.evidence if self.last else {}
        for name in SINGLE_LABELS:
            stated = evidence.get(name)
            if isinstance(stated, str) and stated:
                labels[name] = stated
            elif not self.anchored and len(self.counts[name]) == 1:
                labels[name] = next(iter(self.counts[name]))
        if self.group.place.id:
            labels[self.group.place.type.value] = self.group.place.id
        self.labels = labels

    def write(self, at: Instant, reason: Why, by: str = "", note: str = "") -> None:
        self.timeline.append(Entry(at, reason, by, note))
        if len(self.timeline) > TIMELINE:  # the beginning stays: it says how it began
            del self.timeline[TIMELINE // 4]

    def recall_series(self, now: Instant) -> None:
        """How it came to this, from when each open finding began: the first message has a story to show, too."""
        begun = sorted(min(max(member.since, now - RECALL), now) for member in self.members.values())
        if len(begun) < RECALL_LEAST or begun[0] >= now:
            return
        step = max(1, (now - begun[0]) // RECALL_POINTS)
        moments = range(begun[0], now, step)
        self.series = [(at, bisect_right(begun, at)) for at in moments]

    def sample_series(self, now: Instant) -> None:
        if self.series and now - self.series[-1][0] < SERIES_STEP:
            return
        self.series.append((now, self.open))
        if len(self.series) > SERIES:
            self.series = self.series[::2]

    def view(self) -> View:
        last = self.last
        counts = self.counts
        return View(
            incident_id=self.incident_id,
            fingerprint=self.group.fingerprint,
            family=self.group.family,
            place=self.group.place,
            phase=self.phase,
            severity=self.severity,
            since=self.began,
            opened_at=self.opened_at,
            fired_at=self.fired_at,
            resolved_at=self.resolved_at,
            open=self.open,
            total=self.total,
            money=dict(self.money),
            kinds=dict(counts["kinds"]),
            carriers=dict(counts["carrier"]),
            facilities=dict(counts["facility"]),
            regions=dict(counts["region"]),
            labels=dict(self.labels),
            score=last.score if last else 1.0,
            evidence=last.evidence if last else {},
            sample=tuple(
                f"{member.subject.type.value}:{member.subject.id}"
                for member, _ in zip(self.members.values(), range(SAMPLE), strict=False)
            ),
            series=tuple(self.series),
            timeline=tuple(self.timeline),
            mutes=self.mutes,
            acknowledged_by=self.acknowledged_by,
            snoozed_until=self.snoozed_until,
            escalation=self.escalation,
            note=self.note,
            lanes=dict(counts["lane"]),
            as_of=last.as_of if last else 0,
        )

    def plain(self) -> dict[str, Any]:
        return {
            "group": [self.group.family, self.group.place.type.value, self.group.place.id],
            "opened_at": self.opened_at,
            "severity": self.severity,
            "phase": self.phase.value,
            "members": [[key, *member.plain()] for key, member in self.members.items()],
            "anchors": [
                [key, a.score, a.since, dict(a.evidence), a.as_of] for key, a in self.anchors.items()
            ],
            "last": [self.last.score, self.last.since, dict(self.last.evidence), self.last.as_of]
            if self.last
            else None,
            "times": [
                self.since,
                self.strong_since,
                self.weak_since,
                self.fired_at,
                self.resolved_at,
                self.snoozed_until,
                self.wake,
            ],
            "numbers": [self.untracked, self.total, self.said, self.escalation, int(self.dirty)],
            "acknowledged_by": self.acknowledged_by,
            "note": self.note,
            "mutes": [[mute.value, by] for mute, by in self.mutes],
            "timeline": [[e.at, e.reason.value, e.by, e.note] for e in self.timeline],
            "series": [list(point) for point in self.series],
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Incident:
        family, place_type, place_id = plain["group"]
        self = cls(
            Group(family, Subject(SubjectType(place_type), place_id)), plain["opened_at"], plain["severity"]
        )
        self.phase = Phase(plain["phase"])
        for key, *row in plain["members"]:
            self.add(key, Member.of_plain(row), new=False)
        self.anchors = {key: Anchor(*row) for key, *row in plain["anchors"]}
        self.last = Anchor(*plain["last"]) if plain["last"] else None
        (
            self.since,
            self.strong_since,
            self.weak_since,
            self.fired_at,
            self.resolved_at,
            self.snoozed_until,
            self.wake,
        ) = plain["times"]
        self.untracked, self.total, self.said, self.escalation, dirty = plain["numbers"]
        self.dirty = bool(dirty)
        self.acknowledged_by, self.note = plain["acknowledged_by"], plain["note"]
        self.mutes = tuple((Mute(mute), by) for mute, by in plain["mutes"])
        self.timeline = [Entry(at, Why(reason), by, note) for at, reason, by, note in plain["timeline"]]
        self.series = [(at, count) for at, count in plain["series"]]
        self.relabel()
        return self


def _add(counter: dict[str, int], name: str, by: int) -> None:
    number = counter.get(name, 0) + by
    if number:
        counter[name] = number
    else:
        del counter[name]


def is_anchor(finding: Finding) -> bool:
    return finding.kind in ANCHORS
