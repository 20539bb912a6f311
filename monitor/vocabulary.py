"""The words of the canonical events as small integers, in the order in which columns carry them."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Status(IntEnum):
    """Of a tracking event. The order is part of the checkpoint format: append only."""

    UNKNOWN = 0
    CREATED = 1
    ACCEPTED = 2
    DEPARTED = 3
    ARRIVED = 4
    IN_TRANSIT = 5
    CUSTOMS_ENTERED = 6
    CUSTOMS_HELD = 7
    CUSTOMS_CLEARED = 8
    OUT_FOR_DELIVERY = 9
    ATTEMPT_FAILED = 10
    HELD_FOR_PICKUP = 11
    COLLECTED = 12
    DELIVERED = 13
    REFUSED = 14
    DAMAGED = 15
    LOST = 16
    EXCEPTION = 17
    RETURNING = 18
    RETURNED = 19
    CANCELLED = 20


class Segment(IntEnum):
    """The leg of the way a parcel (or, for the first and the last, an order) is on."""

    NONE = 0
    FULFILMENT = 1  # paid, not shipped
    PICKUP = 2  # created, not accepted: 揽收
    FACILITY = 3  # arrived, not departed: 节点内
    LINEHAUL = 4  # departed, not arrived: 节点间
    CUSTOMS = 5
    DELIVERY = 6  # at the destination or out for delivery, not delivered: 派签
    COLLECTION = 7  # waiting in a locker or station
    RETURN = 8
    REFUND = 9


class DeliveredTo(IntEnum):
    UNKNOWN = 0
    RECIPIENT = 1
    PROXY = 2
    LOCKER = 3
    STATION = 4
    SAFE_PLACE = 5


class Nameless(StrEnum):
    """The feeds of events that name no source: by kind, as orders go on where a tracker falls silent."""

    TRACKING = "tracking"
    ORDER = "order"
    COMPLAINT = "complaint"


class DeadReason(StrEnum):
    """Why an event went to the dead-letter stream: the closed list, a metric label."""

    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_STATUS = "unknown_status"
    BAD_TIME = "bad_time"  # no zone, not RFC 3339
    TIME_OUT_OF_RANGE = "time_out_of_range"  # before 2000 or more than a day ahead of its receipt
    BAD_NUMBER = "bad_number"  # NaN, infinity, negative money
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    UNKNOWN_CODE = "unknown_code"  # a provider's code without an entry; the event itself is kept
    BAD_FRAME = "bad_frame"
