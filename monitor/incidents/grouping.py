"""To which incident a finding belongs.

Findings about a place (a hub, a lane, a region, a feed) are incidents of their own and gather the findings of single
parcels there. Findings of single parcels that nothing explains become one incident a family and place, where a place
has enough of them; what is scattered over many places is one incident a carrier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from detectors.findings import Evidence, Finding, Instant, Kind, Subject, SubjectType
from monitor.incidents.records import Group

ANCHORS = frozenset(
    {
        Kind.FEED_SILENT,
        Kind.FACILITY_CONGESTED,
        Kind.CARRIER_DEGRADED,
        Kind.COMPLAINT_SPIKE,
        Kind.BACKLOG_FORECAST,
    }
)
FAMILIES: Mapping[Kind, str] = {
    Kind.PICKUP_STALLED: "parcels_stalled",
    Kind.FACILITY_STALLED: "parcels_stalled",
    Kind.LINEHAUL_STALLED: "parcels_stalled",
    Kind.CUSTOMS_STALLED: "parcels_stalled",
    Kind.DELIVERY_STALLED: "parcels_stalled",
    Kind.COLLECTION_STALLED: "parcels_stalled",
    Kind.PRESUMED_LOST: "parcels_stalled",
    Kind.FULFILMENT_STALLED: "orders_stalled",
    Kind.RETURN_STALLED: "orders_stalled",
    Kind.REFUND_STALLED: "orders_stalled",
    Kind.LATE_PREDICTED: "parcels_late",
    Kind.PROMISE_BROKEN: "parcels_late",
    Kind.SIGNATURE_SUSPECT: "signatures",
    Kind.REPEAT_COMPLAINER: "customers",
    **{kind: kind.value for kind in ANCHORS},
}
GATHERED = frozenset({"parcels_stalled", "parcels_late"})
SCATTERED = GATHERED | {"orders_stalled"}
NOWHERE = Subject(SubjectType.REGION, "")  # where nothing is known of the place, or places are too many
_NARROW = frozenset({SubjectType.FACILITY, SubjectType.LANE})
_IN_A_FACILITY = frozenset(
    {Kind.FACILITY_STALLED, Kind.COLLECTION_STALLED, Kind.CUSTOMS_STALLED, Kind.DELIVERY_STALLED}
)


class Member(NamedTuple):
    """What an incident keeps of one open finding; made by the ten thousand, hence a tuple."""

    kind: Kind
    subject: Subject
    since: Instant
    carrier: str = ""
    lane: str = ""
    facility: str = ""
    region: str = ""
    feed: str = ""
    courier: str = ""
    supplier: str = ""
    amount: int = 0
    currency: str = ""

    def plain(self) -> list[Any]:
        return [
            self.kind.value,
            self.subject.type.value,
            self.subject.id,
            self.since,
            self.carrier,
            self.lane,
            self.facility,
            self.region,
            self.feed,
            self.courier,
            self.supplier,
            self.amount,
            self.currency,
        ]

    @classmethod
    def of_plain(cls, row: list[Any]) -> Member:
        kind, subject_type, subject_id, *rest = row
        return cls(Kind(kind), Subject(SubjectType(subject_type), subject_id), *rest)


def _text(evidence: Evidence, name: str) -> str:
    value = evidence.get(name)
    return value if isinstance(value, str) else ""


def lane_id(carrier: str, lane: str) -> str:
    """Carrier, origin and destination as one name, as detectors of lanes name them: SF|330000|110000. Evidence of
    parcels writes the way alone, as 330000>110000 or 330000-110000.
    """
    if not lane or "|" in lane:
        return lane
    way = re.fullmatch(r"(\d+)-(\d+)", lane)
    origin, _, destination = lane.partition(">") if way is None else (way[1], "", way[2])
    return "|".join(part for part in (carrier, origin, destination) if part)


def member_of(finding: Finding, amount: int = 0, currency: str = "") -> Member:
    evidence, subject = finding.evidence, finding.subject
    own = {subject.type.value: subject.id}
    worth = evidence.get("amount")
    amount = amount or (worth if isinstance(worth, int) else 0)
    carrier = own.get("carrier") or _text(evidence, "carrier")
    return Member(
        kind=finding.kind,
        subject=subject,
        since=finding.started_at,
        carrier=carrier,
        lane=own.get("lane") or lane_id(carrier, _text(evidence, "lane")),
        facility=own.get("facility") or _text(evidence, "facility"),
        region=own.get("region") or _text(evidence, "region"),
        feed=own.get("feed") or _text(evidence, "feed"),
        courier=own.get("courier") or _text(evidence, "courier"),
        supplier=own.get("supplier") or _text(evidence, "supplier") or _text(evidence, "warehouse"),
        amount=amount,
        currency=currency or _text(evidence, "currency") or ("CNY" if amount else ""),
    )


@lru_cache(8192)
def group(family: str, place: SubjectType, name: str) -> Group:
    return Group(family, Subject(place, name))


def own_group(member: Member) -> Group:
    """Where the finding belongs while no incident of a place explains it."""
    family = FAMILIES[member.kind]
    if member.kind in ANCHORS:
        return Group(family, member.subject)
    if family == "customers":
        return Group(family, NOWHERE)
    if family == "orders_stalled" and member.supplier:
        return group(family, SubjectType.SUPPLIER, member.supplier)
    if family == "signatures" and member.courier:
        return group(family, SubjectType.COURIER, member.courier)
    if member.facility and (family == "signatures" or member.kind in _IN_A_FACILITY or not member.lane):
        return group(family, SubjectType.FACILITY, member.facility)
    if member.lane:
        return group(family, SubjectType.LANE, member.lane)
    if member.region:
        return group(family, SubjectType.REGION, member.region)
    if member.carrier:
        return group(family, SubjectType.CARRIER, member.carrier)
    return Group(family, NOWHERE)


def wider_group(member: Member, own: Group) -> Group:
    """Where it belongs while its own place has too few to speak of: the same carrier's, wherever they are."""
    if own.family in SCATTERED and member.carrier and own.place.type in _NARROW:
        return group(own.family, SubjectType.CARRIER, member.carrier)
    return own


def explanations(member: Member) -> Iterator[tuple[str, SubjectType, str]]:
    """The incidents of places that would explain a parcel's finding, the strongest first."""
    if FAMILIES[member.kind] not in GATHERED:
        return
    yield "feed_silent", SubjectType.FEED, member.feed
    yield "facility_congested", SubjectType.FACILITY, member.facility
    yield "carrier_degraded", SubjectType.LANE, member.lane
    if member.lane.count("|") == 2:  # the carrier's way to that destination, from anywhere
        yield "carrier_degraded", SubjectType.LANE, f"{member.carrier}|{member.lane.rpartition('|')[2]}"
    yield "carrier_degraded", SubjectType.CARRIER, member.carrier
    yield "backlog_forecast", SubjectType.FACILITY, member.facility
    yield "complaint_spike", SubjectType.REGION, member.region
