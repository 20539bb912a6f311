"""What a detector says. Times are integer milliseconds since 1970, UTC, everywhere inside the program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

Instant: TypeAlias = int
Evidence: TypeAlias = Mapping[str, Any]


class Kind(StrEnum):
    """The closed list of findings; others script against these names."""

    PICKUP_STALLED = "pickup_stalled"
    FACILITY_STALLED = "facility_stalled"
    LINEHAUL_STALLED = "linehaul_stalled"
    CUSTOMS_STALLED = "customs_stalled"
    DELIVERY_STALLED = "delivery_stalled"
    COLLECTION_STALLED = "collection_stalled"
    FULFILMENT_STALLED = "fulfilment_stalled"
    RETURN_STALLED = "return_stalled"
    REFUND_STALLED = "refund_stalled"
    LATE_PREDICTED = "late_predicted"
    PROMISE_BROKEN = "promise_broken"
    PRESUMED_LOST = "presumed_lost"
    SIGNATURE_SUSPECT = "signature_suspect"
    COMPLAINT_SPIKE = "complaint_spike"
    FACILITY_CONGESTED = "facility_congested"
    CARRIER_DEGRADED = "carrier_degraded"
    BACKLOG_FORECAST = "backlog_forecast"
    FEED_SILENT = "feed_silent"
    REPEAT_COMPLAINER = "repeat_complainer"


class SubjectType(StrEnum):
    PARCEL = "parcel"
    ORDER = "order"
    COURIER = "courier"
    FACILITY = "facility"
    CARRIER = "carrier"
    LANE = "lane"
    REGION = "region"
    CUSTOMER = "customer"
    SUPPLIER = "supplier"
    FEED = "feed"


class State(StrEnum):
    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"


class CloseReason(StrEnum):
    """Why an episode ended."""

    MOVED = "moved"  # the parcel was scanned again
    DELIVERED = "delivered"
    FINISHED = "finished"  # returned, refunded, cancelled, lost
    SUPERSEDED = "superseded"  # a stronger finding about the same subject took over
    EXPIRED = "expired"  # the subject left the table without an end
    RECOVERED = "recovered"  # a place, carrier or feed is back to its usual
    ANSWERED = "answered"  # the customer or a person answered


class Subject(msgspec.Struct, frozen=True, gc=False):
    type: SubjectType
    id: str


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One change of one episode. A structure, as a jam brings thousands: a frozen dataclass takes ten times as long to make.

    `started_at` is when the episode began in the world (the parcel's last scan, the spike's first hour);
    `opened_at` is when the daemon would have acted, on its own clock; `as_of` is the moment of this record.
    `score` is a calibrated probability in 0..1 that the finding is real. `evidence` holds JSON values a person
    can check; of parcel findings always, where known: carrier, lane, facility, region, feed, segment, since,
    age_hours, expected_hours, limit_hours, cases; and the sentence in both languages: zh, en.
    """

    detector: str
    kind: Kind
    subject: Subject
    started_at: Instant
    opened_at: Instant
    as_of: Instant
    state: State
    score: float
    evidence: Evidence = msgspec.field(default_factory=dict)
    close_reason: CloseReason | None = None

    @property
    def finding_id(self) -> str:
        return finding_id(self.detector, self.subject, self.started_at)


def finding_id(detector: str, subject: Subject, started_at: Instant) -> str:
    """The identity of an episode: never of the event or the batch that revealed it."""
    text = f"{detector}\0{subject.type}\0{subject.id}\0{started_at}"
    return "F" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
