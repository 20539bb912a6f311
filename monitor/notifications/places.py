"""What people call a place."""

from __future__ import annotations

from config.regions import regions
from detectors.findings import Subject, SubjectType


def named(place: Subject, locale: str) -> str:
    """Regions by their names, lanes by carrier and regions; other places are called what the carriers call them."""
    if place.type is SubjectType.REGION:
        return regions().name(place.id, locale)
    if place.type is SubjectType.LANE and "|" in place.id:
        carrier, *ways = place.id.split("|")
        return f"{carrier} {' → '.join(regions().name(way, locale) for way in ways)}"
    return place.id
