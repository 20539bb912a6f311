"""Findings for tests that need one."""

from __future__ import annotations

from detectors.findings import Finding, Kind, State, Subject, SubjectType
from tests.money.shop import DAY, NOW


def late(number: str) -> Finding:
    subject = Subject(SubjectType.PARCEL, number)
    return Finding(
        "promise", Kind.PROMISE_BROKEN, subject, NOW - DAY, NOW, NOW, State.OPENED, 0.9, {"carrier": "SF"}
    )
