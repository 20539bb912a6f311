"""Short words for telling stories about incidents in tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from config.settings import IncidentRule, IncidentSettings
from detectors.findings import CloseReason, Finding, Kind, State, Subject, SubjectType
from monitor.incidents import Incidents, Transition, Why

T0 = 1_795_000_000_000
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


def finding(kind: Kind, subject_type: SubjectType, name: str, at: int = T0, **evidence: Any) -> Finding:
    return Finding(
        detector="test",
        kind=kind,
        subject=Subject(subject_type, name),
        started_at=at - HOUR,
        opened_at=at,
        as_of=at,
        state=State.OPENED,
        score=0.97,
        evidence=evidence,
    )


def stuck(number: int, at: int = T0, facility: str = "HUB-1", **evidence: Any) -> Finding:
    facts = {
        "facility": facility,
        "carrier": "SF",
        "lane": "330000>110000",
        "region": "11",
        "feed": "f1",
        **evidence,
    }
    return finding(Kind.FACILITY_STALLED, SubjectType.PARCEL, f"P{number}", at, **facts)


def jam(facility: str = "HUB-1", at: int = T0, **evidence: Any) -> Finding:
    facts = {"carrier": "SF", "region": "33", **evidence}
    return finding(Kind.FACILITY_CONGESTED, SubjectType.FACILITY, facility, at, **facts)


def silent(feed: str = "f1", at: int = T0) -> Finding:
    return finding(Kind.FEED_SILENT, SubjectType.FEED, feed, at)


def closed(finding: Finding, at: int, reason: CloseReason = CloseReason.MOVED) -> Finding:
    return replace(finding, state=State.CLOSED, as_of=at, close_reason=reason)


def incidents(**settings: Any) -> Incidents:
    defaults: dict[str, Any] = {
        "rules": {
            "parcels_stalled": IncidentRule(min_members=10, for_seconds=60, keep_firing_seconds=300),
            "facility_congested": IncidentRule(severity="critical", keep_firing_seconds=300),
        }
    }
    return Incidents(IncidentSettings(**{**defaults, **settings}))


def whys(transitions: Iterable[Transition]) -> list[Why]:
    return [change.reason for change in transitions]
