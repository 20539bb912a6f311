"""Codes that kernels compare with: numba freezes plain integers, not enumerations, into them."""

from __future__ import annotations

from monitor.engine.layout import Ended, Oddity, Open, OrderStatus, Outcome
from monitor.vocabulary import Segment, Status

# numba freezes plain integers, not enumerations, into kernels.
STALL, PROMISE, LOST = int(Open.STALL), int(Open.PROMISE), int(Open.LOST)


NONE, PICKUP, COLLECTION = int(Segment.NONE), int(Segment.PICKUP), int(Segment.COLLECTION)


FULFILMENT, REFUND = int(Segment.FULFILMENT), int(Segment.REFUND)


FACILITY, LINEHAUL, DELIVERY, RETURN, CUSTOMS = (
    int(Segment.FACILITY),
    int(Segment.LINEHAUL),
    int(Segment.DELIVERY),
    int(Segment.RETURN),
    int(Segment.CUSTOMS),
)


UNKNOWN, CREATED, ACCEPTED, ARRIVED = (
    int(Status.UNKNOWN),
    int(Status.CREATED),
    int(Status.ACCEPTED),
    int(Status.ARRIVED),
)


OUT_FOR_DELIVERY, DELIVERED, COLLECTED, LOST_STATUS, RETURNED, CANCELLED = (
    int(Status.OUT_FOR_DELIVERY),
    int(Status.DELIVERED),
    int(Status.COLLECTED),
    int(Status.LOST),
    int(Status.RETURNED),
    int(Status.CANCELLED),
)


HELD_FOR_PICKUP = int(Status.HELD_FOR_PICKUP)


ORDER_SHIPPED = int(OrderStatus.SHIPPED)


MOVED, REASON_DELIVERED, REASON_FINISHED = int(Ended.MOVED), int(Ended.DELIVERED), int(Ended.FINISHED)


BEFORE_ORDER, EARLIER_STAGE, SCAN_AFTER_END, TOO_FAST = (
    int(Oddity.BEFORE_ORDER),
    int(Oddity.EARLIER_STAGE),
    int(Oddity.AFTER_END),
    int(Oddity.TOO_FAST),
)


APPLIED, DUPLICATE, OUT_OF_ORDER, AFTER_END = (
    int(Outcome.APPLIED),
    int(Outcome.DUPLICATE),
    int(Outcome.OUT_OF_ORDER),
    int(Outcome.AFTER_END),
)


FIRST_SEEN_ENDED, TABLE_FULL, NO_KEY, CLAMPED, OLD, UNKNOWN_STATUS = (
    int(Outcome.FIRST_SEEN_ENDED),
    int(Outcome.TABLE_FULL),
    int(Outcome.NO_KEY),
    int(Outcome.CLAMPED),
    int(Outcome.HISTORY),
    int(Outcome.UNKNOWN_STATUS),
)


HOUR = 3600


WALL = -1  # in place of a calendar: every second counts
