"""What findings and decisions are about, as it is written: "parcel:SF1", "customer:C1"."""

from __future__ import annotations

from typing import Final

from detectors.findings import SubjectType

CUSTOMER: Final = f"{SubjectType.CUSTOMER}:"
INCIDENT: Final = "incident:"
KINDS: Final = frozenset({*SubjectType, "incident"})


def kind_and_id(given: str) -> tuple[str, str]:
    """The kind is empty where none is named: an id may have colons of its own (`gid://shopify/Order/1`)."""
    kind, _, identity = given.partition(":")
    return (kind, identity) if kind in KINDS and identity else ("", given)
