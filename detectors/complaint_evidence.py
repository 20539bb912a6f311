"""What a zone's finding is about, and the numbers behind it that a person can check."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from detectors.clock import HOUR, stamp
from detectors.complaint_cells import HOURS, Cells, Key
from detectors.complaint_exposure import FACILITY
from detectors.complaint_words import sentences
from detectors.complaint_zones import Reading, Zone
from detectors.counts import upper_tail
from detectors.findings import Subject, SubjectType
from detectors.regions_tree import RegionTree

MOST_TIMES: Final = 99.0  # a ratio beyond it says nothing more
NAMED: Final = 3  # reasons and carriers named in a finding


def subject_of(zone: Zone, cells: Cells) -> Subject:
    lead = zone.lead
    if lead.dimension == FACILITY:
        return Subject(SubjectType.FACILITY, lead.value)
    if lead.dimension == "carrier" and not cells.parent(lead):
        return Subject(SubjectType.CARRIER, lead.value)
    return Subject(SubjectType.REGION, lead.region)


def evidence_of(
    zone: Zone, reading: Reading, cells: Cells, tree: RegionTree, since: int, offset: int, timezone: str
) -> dict[str, Any]:
    """`since` is a local hour, `offset` what local time is ahead of UTC in milliseconds."""
    running = max(cells.hour - since + 1, 1)
    hours = min(running, 24 * reading.days.counts.shape[1])  # what is older is kept no more
    leads = (
        [zone.lead._replace(region=region) for region in zone.regions] if zone.lead.region else [zone.lead]
    )
    seen, usual = _tally(leads, reading, cells, hours)
    row = cells.rows[zone.lead]
    dispersion = reading.days.dispersion[reading.place[row]]
    chance = float(upper_tail(np.array([seen]), np.array([usual]), np.array([dispersion]))[0])
    reasons, carriers, categories = (
        _behind(dimension, zone, reading, cells, hours) for dimension in ("reason", "carrier", "category")
    )
    evidence: dict[str, Any] = {
        "region": zone.regions[0] if zone.regions else None,
        "regions": zone.regions,
        "since": since * HOUR - offset,
        "since_local": stamp(since * HOUR - offset, timezone),
        "hours": hours,
        "running_hours": running,
        "seen": seen,
        "expected": round(usual, 1),
        "ratio": round(min(seen / max(usual, 0.1), MOST_TIMES), 1),
        "chance": float(f"{chance:.3g}"),
        "cases": seen,
        "parcels_a_day": round(float(cells.exposure_now()[row])),
        "reasons": reasons,
        "carriers": carriers,
        "reason": _first(zone.lead, "reason", reasons),
        "carrier": _first(zone.lead, "carrier", carriers),
        "category": _first(zone.lead, "category", categories),
        "facility": zone.lead.value if zone.lead.dimension == FACILITY else None,
    }
    about = zone.lead.value if zone.lead.dimension in {"category", "reason"} else None
    return evidence | sentences(_place(zone, cells, tree), about, evidence)


def _place(zone: Zone, cells: Cells, tree: RegionTree) -> tuple[str, str]:
    if subject_of(zone, cells).type is not SubjectType.REGION:
        return zone.lead.value, zone.lead.value
    names = [tree.name(region) for region in zone.regions]
    return "、".join(zh for zh, _ in names), ", ".join(en for _, en in names)


def _behind(dimension: str, zone: Zone, reading: Reading, cells: Cells, hours: int) -> list[dict[str, Any]]:
    """The reasons or carriers with the most complaints over their usual, there and since then."""
    by_value: dict[str, list[Key]] = {}
    for row in reading.rows:
        key = cells.keys[row]
        if key.dimension == dimension and key.region in zone.regions:
            by_value.setdefault(key.value, []).append(key)
    tallies = [(value, *_tally(keys, reading, cells, hours)) for value, keys in by_value.items()]
    over = sorted((one for one in tallies if one[1] > one[2] + 1), key=lambda one: (one[2] - one[1], one[0]))
    return [{"name": value, "seen": seen, "expected": round(usual, 1)} for value, seen, usual in over[:NAMED]]


def beyond(
    zone: Zone, own: list[str], told: list[str], reading: Reading, cells: Cells, hours: int
) -> tuple[int, float]:
    """Seen and expected in the zone's `own` regions, without those in which it was `told` already."""
    if not own or not zone.lead.region:
        return _tally([zone.lead] if own else [], reading, cells, hours)
    seen, usual = _tally([zone.lead._replace(region=one) for one in own], reading, cells, hours)
    less, expected = _tally([zone.lead._replace(region=one) for one in told], reading, cells, hours)
    return seen - less, max(usual - expected, 0.0)


def _tally(keys: list[Key], reading: Reading, cells: Cells, hours: int) -> tuple[int, float]:
    """Seen and expected in the last `hours`; beyond two days, in whole days."""
    seen, usual = 0.0, 0.0
    for key in keys:
        row = cells.rows.get(key, -1)
        at = reading.place[row] if row >= 0 else -1
        if at < 0:
            continue
        if hours <= HOURS:
            seen += reading.hour_counts[at, -hours:].sum()
            usual += reading.hour_means[at, -hours:].sum()
        else:
            days = (hours + 23) // 24
            seen += reading.days.counts[at, -days:].sum()
            usual += reading.days.means[at, -days:].sum()
    return int(seen), float(usual)


def _first(lead: Key, dimension: str, named: list[dict[str, Any]]) -> str | None:
    if lead.dimension == dimension:
        return lead.value
    return str(named[0]["name"]) if named else None
