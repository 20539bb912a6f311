"""The parcel table's shape, and what each status means for a parcel. Times in slots are seconds UTC; 0 is absent.

Seconds, not milliseconds: 32 bits reach to 2106 and keep a slot at one cache line. Two scans within one second are
taken in stream order.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.vocabulary import Segment, Status

# Arrays of records: numpy knows their fields, mypy does not.
Records: TypeAlias = npt.NDArray[Any]

BUCKETS: Final = 256
SEGMENTS: Final = len(Segment)
# Legs are learned apart: a segment, and within two of them where a parcel stands (see LEG below).
STATION, AGAIN, ORIGIN, CLEARED = SEGMENTS, SEGMENTS + 1, SEGMENTS + 2, SEGMENTS + 3
LEGS: Final = SEGMENTS + 4
FAR: Final = 0xFFFF_FFFF  # a due time that never comes
DAY: Final = 86_400
HOUR: Final = 3600

SLOT: Final = np.dtype(
    [
        ("key0", "u8"),
        ("key1", "u8"),
        ("last_scan", "u4"),
        ("segment_since", "u4"),
        ("due", "u4"),  # when the sweep has to look at this slot again; never later than needed
        ("promised", "u4"),
        ("accepted", "u4"),
        ("out_for_delivery", "u4"),
        ("destination", "u4"),  # region code of the order
        ("region", "u4"),  # of the last scan that had one
        ("facility", "u4"),  # likewise
        ("lane", "u4"),
        ("carrier", "u2"),
        ("source", "u2"),
        ("status", "u1"),  # a tracking status, or an order status in slots of orders
        ("segment", "u1"),
        ("state", "u1"),  # LIFE and flags
        ("open", "u1"),  # episodes: STALL, PROMISE, LOST, then one bit a parcel detector
    ]
)
# What is needed only at the join with the order, at the sign-off and for a person: touched seldom, so not hot.
BACKGROUND: Final = np.dtype(
    [("ordered", "u4"), ("estimated", "u4"), ("courier", "u4"), ("latitude", "f4"), ("longitude", "f4")]
)


class SlotRow(NamedTuple):
    """A slot as plain integers."""

    key0: int
    key1: int
    last_scan: int
    segment_since: int
    due: int
    promised: int
    accepted: int
    out_for_delivery: int
    destination: int
    region: int
    facility: int
    lane: int
    carrier: int
    source: int
    status: int
    segment: int
    state: int
    open: int

    @property
    def key(self) -> tuple[int, int]:
        return self.key0, self.key1


class BackgroundRow(NamedTuple):
    ordered: int
    estimated: int
    courier: int
    latitude: float
    longitude: float


# slot.state
LIFE: Final = 3  # mask: FREE, LIVE or FINISHED
FREE: Final = 0
LIVE: Final = 1
FINISHED: Final = 2
ORDER: Final = 4  # the slot is an order's, not a parcel's
HISTORY: Final = 8  # its last scan was old news when it came
PROMISE_TOLD: Final = 16  # the promise's passing was told
IN_PLACE: Final = 32  # it is in `facility`
ABROAD: Final = 64  # customs have seen it, or its ends lie in different countries
JOINED: Final = 128  # its order is known


class Open(IntFlag):
    """Bits of slot.open. Bits above are the parcel detectors', in the order of the registry."""

    STALL = 1
    PROMISE = 2
    LOST = 4


DETECTOR_BIT: Final = 8


class OrderStatus(IntEnum):
    """Of an order event, in slots of orders. Part of the checkpoint format: append only."""

    NONE = 0
    PLACED = 1
    PAID = 2
    SHIPPED = 3
    COMPLETED = 4
    CANCELLED = 5
    RETURN_REQUESTED = 6
    RETURN_RECEIVED = 7
    REFUND_REQUESTED = 8
    REFUNDED = 9


class Outcome(IntEnum):
    """What became of an event: the closed list, a metric label."""

    APPLIED = 0
    DUPLICATE = 1  # its id, or its very scan, was seen before
    OUT_OF_ORDER = 2  # older than the last scan: fills gaps, never moves a parcel back
    AFTER_END = 3  # the parcel was over
    FIRST_SEEN_ENDED = 4  # first heard of when already delivered
    TABLE_FULL = 5
    NO_KEY = 6  # a tracking number that could not be remembered
    CLAMPED = 7  # counted besides: from the future, taken as now
    HISTORY = 8  # counted besides: older than history_days
    UNKNOWN_STATUS = 9  # counted besides


class Ended(IntEnum):
    """Reasons in `MARK.reason`."""

    MOVED = 0
    DELIVERED = 1
    FINISHED = 2


# Where a status puts a parcel; KEEP leaves the segment alone, END ends the parcel.
KEEP: Final = 100
END: Final = 101
SENDS: Final[dict[Status, int]] = {
    Status.UNKNOWN: KEEP,
    Status.CREATED: Segment.PICKUP,
    Status.ACCEPTED: Segment.FACILITY,
    Status.DEPARTED: Segment.LINEHAUL,
    Status.ARRIVED: Segment.FACILITY,  # DELIVERY where the scan is in the destination region
    Status.IN_TRANSIT: Segment.LINEHAUL,
    Status.CUSTOMS_ENTERED: Segment.CUSTOMS,
    Status.CUSTOMS_HELD: Segment.CUSTOMS,
    Status.CUSTOMS_CLEARED: Segment.FACILITY,
    Status.OUT_FOR_DELIVERY: Segment.DELIVERY,
    Status.ATTEMPT_FAILED: Segment.DELIVERY,
    Status.HELD_FOR_PICKUP: Segment.COLLECTION,
    Status.COLLECTED: END,
    Status.DELIVERED: END,
    Status.REFUSED: Segment.RETURN,
    Status.DAMAGED: KEEP,
    Status.LOST: Segment.NONE,  # the carrier's own word: presumed_lost opens at once
    Status.EXCEPTION: KEEP,
    Status.RETURNING: Segment.RETURN,
    Status.RETURNED: END,
    Status.CANCELLED: END,
}
GOES: Final = np.array([SENDS[status] for status in Status], np.uint8)
PLACED: Final = np.array(
    [
        status
        in {
            Status.ACCEPTED,
            Status.ARRIVED,
            Status.CUSTOMS_ENTERED,
            Status.CUSTOMS_HELD,
            Status.CUSTOMS_CLEARED,
            Status.HELD_FOR_PICKUP,
        }
        for status in Status
    ],
    np.uint8,
)


def _leg(segment: Segment, status: Status) -> int:
    """The leg of a parcel by its segment and last status; orders have their segments' legs, whatever their status."""
    if segment is Segment.DELIVERY and status is Status.ATTEMPT_FAILED:
        return AGAIN
    if segment is Segment.DELIVERY and status is Status.ARRIVED:
        return STATION  # at the destination, not out yet
    if segment is Segment.FACILITY and status in (Status.CREATED, Status.ACCEPTED):
        return ORIGIN
    if segment is Segment.FACILITY and status is Status.CUSTOMS_CLEARED:
        return CLEARED  # of the border, not of a hub: what follows is the road
    return int(segment)


LEG: Final = np.array([[_leg(segment, status) for status in Status] for segment in Segment], np.uint8)

# Rows that the kernels hand up. A mark: episodes of a parcel that ended by a scan, or the carrier's word "lost".
MARK: Final = np.dtype(
    [("key0", "u8"), ("key1", "u8"), ("at", "u4"), ("closed", "u1"), ("reason", "u1"), ("lost", "u1")]
)
# A parcel that ended, with what was known before its last scan. UNHEARD is a bit of `delivered_to`: dumps keep their shape.
UNHEARD: Final = 128  # its promise had passed, and nobody was told
ENDING: Final = np.dtype(
    [
        ("key0", "u8"),
        ("key1", "u8"),
        ("occurred", "i8"),
        ("received", "i8"),
        ("previous_occurred", "u4"),
        ("out_for_delivery", "u4"),
        ("accepted", "u4"),
        ("ordered", "u4"),
        ("promised", "u4"),
        ("destination", "u4"),
        ("region", "u4"),
        ("previous_region", "u4"),
        ("facility", "u4"),
        ("courier", "u4"),
        ("lane", "u4"),
        ("carrier", "u2"),
        ("source", "u2"),
        ("status", "u1"),
        ("previous_status", "u1"),
        ("delivered_to", "u1"),
        ("scan_latitude", "f4"),
        ("scan_longitude", "f4"),
        ("latitude", "f4"),
        ("longitude", "f4"),
    ]
)
ODDITY: Final = np.dtype(
    [
        ("key0", "u8"),
        ("key1", "u8"),
        ("occurred", "i8"),
        ("received", "i8"),
        ("previous_occurred", "u4"),
        ("region", "u4"),
        ("previous_region", "u4"),
        ("facility", "u4"),
        ("courier", "u4"),
        ("carrier", "u2"),
        ("source", "u2"),
        ("status", "u1"),
        ("previous_status", "u1"),
        ("oddity", "u1"),
    ]
)


class Oddity(IntEnum):
    """What cannot be; `name.lower()` is the word in the `oddities` frame."""

    BEFORE_ORDER = 0  # scanned before the order was placed
    EARLIER_STAGE = 1  # created or accepted after it had been on its way
    AFTER_END = 2  # scanned after the end
    TOO_FAST = 3  # in another province within minutes
    PAID_LATE = 4  # an order, not a parcel: paid, or placed, after it was shipped


# A slot that the sweep found due: the whole slot, and why.
# `way` and `leg`: where its stall was looked up (a lane's code, one of LEGS).
DUE: Final = np.dtype([("slot", SLOT), ("what", "u2"), ("age", "u4"), ("way", "u4"), ("leg", "u1")])


class What(IntFlag):
    """Of a due row. Several may be true at once."""

    STALL = 1
    PROMISE = 2
    LOST = 4
    LEAVE = 8  # it left the table
    LOOK = 16  # parcel detectors are to look at it


ORDER_ROW: Final = np.dtype(
    [
        ("event", "u8"),
        ("order0", "u8"),
        ("order1", "u8"),
        ("parcel0", "u8"),
        ("parcel1", "u8"),
        ("at", "u4"),
        ("promised", "u4"),
        ("origin", "u4"),
        ("destination", "u4"),
        ("warehouse", "u4"),
        ("carrier", "u2"),
        ("source", "u2"),
        ("status", "u1"),
        ("history", "u1"),
        ("latitude", "f4"),
        ("longitude", "f4"),
    ]
)
PLACE: Final = np.dtype([("prefix", "u8"), ("mask", "u8"), ("zone", "u2"), ("country", "u2")])
# Running totals; windows are differences of two readings.
LANE: Final = np.dtype([("carrier", "u2"), ("origin", "u2"), ("destination", "u2")])
PASSED: Final = np.dtype(
    [("finished", "i8"), ("residual", "f8"), ("squared", "f8"), ("open", "i8"), ("stalled", "i8")]
)
FACILITY: Final = np.dtype(
    [
        ("arrived", "i8"),
        ("departed", "i8"),
        ("delivered", "i8"),
        ("stock", "i8"),
        ("stalled", "i8"),
        ("region", "u4"),
        ("carrier", "u2"),
    ]
)
FEED: Final = np.dtype(
    [("events", "i8"), ("newest_occurred", "i8"), ("newest_received", "i8"), ("live", "i8"), ("first", "i8")]
)
REGION: Final = np.dtype(
    [("region", "u4"), ("carrier", "u2"), ("shipped", "i8"), ("delivered", "i8"), ("live", "i8")]
)
