"""The scans of a parcel's way, as columns of one matrix of times (NaN where a parcel has no such scan)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from monitor.simulate.rhythm import Activity
from monitor.vocabulary import Segment, Status


class Step(IntEnum):
    CREATED = 0
    ACCEPTED = 1
    AT_ORIGIN = 2
    LEFT_ORIGIN = 3
    CUSTOMS_IN = 4
    CUSTOMS_OUT = 5
    AT_TRANSIT = 6
    LEFT_TRANSIT = 7
    AT_HUB = 8
    LEFT_HUB = 9
    AT_STATION = 10
    OUT = 11
    FAILED = 12
    OUT_AGAIN = 13
    HELD = 14
    SIGNED = 15
    RESCANNED = 16
    SIGNED_AGAIN = 17
    RETURNING = 18
    RETURNED = 19


STATUS: Mapping[Step, Status] = {
    Step.CREATED: Status.CREATED,
    Step.ACCEPTED: Status.ACCEPTED,
    Step.AT_ORIGIN: Status.ARRIVED,
    Step.LEFT_ORIGIN: Status.DEPARTED,
    Step.CUSTOMS_IN: Status.CUSTOMS_ENTERED,
    Step.CUSTOMS_OUT: Status.CUSTOMS_CLEARED,
    Step.AT_TRANSIT: Status.ARRIVED,
    Step.LEFT_TRANSIT: Status.DEPARTED,
    Step.AT_HUB: Status.ARRIVED,
    Step.LEFT_HUB: Status.DEPARTED,
    Step.AT_STATION: Status.ARRIVED,
    Step.OUT: Status.OUT_FOR_DELIVERY,
    Step.FAILED: Status.ATTEMPT_FAILED,
    Step.OUT_AGAIN: Status.OUT_FOR_DELIVERY,
    Step.HELD: Status.HELD_FOR_PICKUP,
    Step.SIGNED: Status.DELIVERED,  # COLLECTED after HELD, REFUSED where the customer refused
    Step.RESCANNED: Status.OUT_FOR_DELIVERY,
    Step.SIGNED_AGAIN: Status.DELIVERED,
    Step.RETURNING: Status.RETURNING,
    Step.RETURNED: Status.RETURNED,
}
# the leg on which a parcel waits for the step
AWAITING: Mapping[Step, Segment] = {
    Step.CREATED: Segment.FULFILMENT,
    Step.ACCEPTED: Segment.PICKUP,
    Step.AT_ORIGIN: Segment.LINEHAUL,
    Step.LEFT_ORIGIN: Segment.FACILITY,
    Step.CUSTOMS_IN: Segment.LINEHAUL,
    Step.CUSTOMS_OUT: Segment.CUSTOMS,
    Step.AT_TRANSIT: Segment.LINEHAUL,
    Step.LEFT_TRANSIT: Segment.FACILITY,
    Step.AT_HUB: Segment.LINEHAUL,
    Step.LEFT_HUB: Segment.FACILITY,
    Step.AT_STATION: Segment.LINEHAUL,
    Step.OUT: Segment.FACILITY,
    Step.FAILED: Segment.DELIVERY,
    Step.OUT_AGAIN: Segment.DELIVERY,
    Step.HELD: Segment.DELIVERY,
    Step.SIGNED: Segment.DELIVERY,  # COLLECTION after HELD
    Step.RESCANNED: Segment.NONE,
    Step.SIGNED_AGAIN: Segment.DELIVERY,
    Step.RETURNING: Segment.DELIVERY,
    Step.RETURNED: Segment.RETURN,
}
ACTIVITY: Mapping[Step, Activity] = {
    Step.ACCEPTED: Activity.PICKUP,
    Step.AT_ORIGIN: Activity.DRIVING,
    Step.LEFT_ORIGIN: Activity.SORTING,
    Step.CUSTOMS_IN: Activity.DRIVING,
    Step.CUSTOMS_OUT: Activity.OFFICE,
    Step.AT_TRANSIT: Activity.DRIVING,
    Step.LEFT_TRANSIT: Activity.SORTING,
    Step.AT_HUB: Activity.DRIVING,
    Step.LEFT_HUB: Activity.SORTING,
    Step.AT_STATION: Activity.STATION,
    Step.OUT: Activity.DELIVERY,
    Step.FAILED: Activity.DELIVERY,
    Step.OUT_AGAIN: Activity.DELIVERY,
    Step.HELD: Activity.DELIVERY,
    Step.SIGNED: Activity.DELIVERY,
    Step.RETURNING: Activity.SORTING,
    Step.RETURNED: Activity.DRIVING,
}
# the scans that a carrier sometimes forgets, and how often
FORGOTTEN: Mapping[Step, float] = {
    Step.AT_ORIGIN: 0.02,
    Step.LEFT_ORIGIN: 0.03,
    Step.AT_TRANSIT: 0.03,
    Step.LEFT_TRANSIT: 0.03,
    Step.AT_HUB: 0.03,
    Step.LEFT_HUB: 0.03,
    Step.AT_STATION: 0.03,
    Step.OUT: 0.008,
}


class Cause(IntEnum):
    """Why a parcel waited longer than its carrier's usual work explains."""

    NONE = 0
    STUCK = 1
    LOST = 2
    QUEUE = 3
    STORM = 4
    SLOWDOWN = 5
    NOT_COLLECTED = 6
