"""Order events, a batch at a time: the order's own segments, and what an order tells its parcels."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.engine.kernels import state as s
from monitor.engine.kernels.codes import (
    AFTER_END,
    APPLIED,
    BEFORE_ORDER,
    DUPLICATE,
    MOVED,
    NONE,
    OLD,
    OUT_OF_ORDER,
    PICKUP,
    REASON_DELIVERED,
    REASON_FINISHED,
    RETURN,
    TABLE_FULL,
    UNKNOWN,
)
from monitor.engine.kernels.compiled import kernel, whole
from monitor.engine.kernels.repeats import repeated
from monitor.engine.kernels.scans import CLOCKS, new_slot, place_lane
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import ABSENT, FULL, bucket_of, find, mix
from monitor.engine.kernels.told import write_mark
from monitor.engine.kernels.totals import count, count_region, finish, learn, region_pair
from monitor.engine.kernels.waiting import roomy, rouse
from monitor.engine.layout import FINISHED, HISTORY, JOINED, LIFE, LIVE, ORDER, Oddity, OrderStatus
from monitor.vocabulary import Segment

FULFILMENT, REFUND = int(Segment.FULFILMENT), int(Segment.REFUND)
PAID_LATE = int(Oddity.PAID_LATE)
PLACED, PAID, SHIPPED, COMPLETED, CANCELLED = (
    int(OrderStatus.PLACED),
    int(OrderStatus.PAID),
    int(OrderStatus.SHIPPED),
    int(OrderStatus.COMPLETED),
    int(OrderStatus.CANCELLED),
)
RETURN_REQUESTED, RETURN_RECEIVED, REFUND_REQUESTED, REFUNDED = (
    int(OrderStatus.RETURN_REQUESTED),
    int(OrderStatus.RETURN_RECEIVED),
    int(OrderStatus.REFUND_REQUESTED),
    int(OrderStatus.REFUNDED),
)


@kernel
def _learn(world: World, slot: Any, until: int) -> None:
    """As a call: orders are few, and each place it is inlined costs seconds of the first start."""
    learn(world, slot, until)


@kernel
def _count(world: World, slot: Any, sign: int) -> None:
    count(world, slot, sign)


@kernel
def opens(status: int, slot: Any) -> int:
    """The segment that an order status begins; NONE for none. A return waits for the goods, its refund after that."""
    if status == PAID:
        return FULFILMENT if slot.status <= PLACED else NONE
    if status == RETURN_REQUESTED:
        return RETURN
    if status == RETURN_RECEIVED:
        return REFUND
    if status == REFUND_REQUESTED:
        return NONE if slot.segment == RETURN else REFUND
    return NONE


@kernel
def _describe(slot: Any, background: Any, order: Any) -> None:
    """What any event of an order adds to it."""
    if order.destination != 0:
        slot.destination = order.destination
    if order.warehouse != 0:
        slot.facility = order.warehouse
    if order.source != 0:
        slot.source = order.source
    if order.latitude != 0.0 or order.longitude != 0.0:
        background.latitude = order.latitude
        background.longitude = order.longitude
    if order.status <= PAID and (background.ordered == 0 or order.at < background.ordered):
        background.ordered = order.at
    if order.promised != 0 and order.status <= PAID:
        slot.promised = order.promised


@kernel
def _apply_order(table: Table, world: World, order: Any, marks: Any, n_marks: int) -> Any:
    """The order's own slot. Returns marks written and the moment the order was placed, 0 if that is not known."""
    status = whole(order.status)
    at = whole(order.at)
    index = find(table, order.order0, order.order1)
    if index == ABSENT:
        if status in (SHIPPED, COMPLETED, CANCELLED, REFUNDED):
            world.outcomes[APPLIED] += 1
            if status == SHIPPED and not order.history and roomy(world):
                _remember_shipped(table, world, order)
            return n_marks, whole(0)
        index = new_slot(table, world, order.order0, order.order1)
        if index == FULL:
            world.outcomes[TABLE_FULL] += 1
            return n_marks, whole(0)
        slot = table.slots[index]
        slot.state = LIVE | ORDER
        slot.region = order.origin
        _count(world, slot, 1)
    bucket = bucket_of(mix(order.order0, order.order1))
    slot = table.slots[index]
    background = table.background[index]
    last = whole(slot.last_scan)
    live = slot.state & LIFE == LIVE
    ends = status in (SHIPPED, COMPLETED, CANCELLED, REFUNDED)
    starts = opens(status, slot)
    if live:
        _count(world, slot, -1)
    _describe(slot, background, order)
    if live:
        _count(world, slot, 1)
    if status in (SHIPPED, COMPLETED, CANCELLED) and (not live or slot.segment in (RETURN, REFUND)):
        world.outcomes[APPLIED] += 1  # a further parcel, or an end that a return outlives
        return n_marks, whole(background.ordered)
    if at < last and not (ends and live):
        world.outcomes[OUT_OF_ORDER] += 1
        rouse(table, world, bucket, index)
        return n_marks, whole(background.ordered)
    if not live and starts in (NONE, FULFILMENT):
        world.outcomes[AFTER_END] += 1
        return n_marks, whole(background.ordered)
    world.outcomes[APPLIED] += 1
    if ends:
        if slot.open:
            reason = MOVED if status == SHIPPED else REASON_FINISHED
            n_marks = write_mark(marks, n_marks, slot, at, whole(slot.open), reason, 0)
        if at >= last and status in (SHIPPED, REFUNDED):
            _learn(world, slot, at)
        finish(world, slot, at)
        slot.status = status
    elif starts != NONE and starts != slot.segment:  # noqa: PLR1714 - numba's tuples are of one type
        if live:
            if slot.segment != NONE:
                _learn(world, slot, at)
            if slot.open:
                n_marks = write_mark(marks, n_marks, slot, at, whole(slot.open), MOVED, 0)
            _count(world, slot, -1)
        else:
            world.counts[s.LIVE_PARCELS] += 1
        slot.state = (slot.state & ~np.uint8(LIFE)) | np.uint8(LIVE)
        slot.open = 0
        slot.promised = slot.promised if starts == FULFILMENT else 0
        slot.segment = starts
        slot.segment_since = at
        slot.last_scan = at
        slot.status = status
        place_lane(world, slot, whole(slot.region))
        _count(world, slot, 1)
    else:
        slot.last_scan = max(last, at)
        slot.status = max(whole(slot.status), status)
    slot.state = (slot.state | np.uint8(HISTORY)) if order.history else (slot.state & ~np.uint8(HISTORY))
    rouse(table, world, bucket, index)
    return n_marks, whole(background.ordered)


@kernel
def _remember_shipped(table: Table, world: World, order: Any) -> None:
    """First heard of when it was shipped: the order or payment that comes later must not wait for a shipment."""
    index = new_slot(table, world, order.order0, order.order1)
    if index == FULL:
        return
    world.counts[s.LIVE_PARCELS] -= 1
    slot = table.slots[index]
    slot.state = FINISHED | ORDER
    slot.region = order.origin
    slot.status = SHIPPED
    slot.last_scan = order.at
    _describe(slot, table.background[index], order)
    rouse(table, world, bucket_of(mix(order.order0, order.order1)), index)


@kernel
def _join(table: Table, world: World, order: Any, ordered: int, oddities: Any, n_oddities: int) -> int:
    """A shipped order's parcel: known already, or from now on."""
    at = whole(order.at)
    index = find(table, order.parcel0, order.parcel1)
    fresh = index == ABSENT
    if fresh:
        index = new_slot(table, world, order.parcel0, order.parcel1)
        if index == FULL:
            world.outcomes[TABLE_FULL] += 1
            return n_oddities
    slot = table.slots[index]
    background = table.background[index]
    live = slot.state & LIFE == LIVE
    if fresh:
        slot.state = LIVE
        slot.last_scan = at
        slot.segment = PICKUP
        slot.segment_since = at
        slot.source = order.source
        slot.carrier = order.carrier
        if order.history:
            slot.state |= np.uint8(HISTORY)
    elif live:
        _count(world, slot, -1)
        count_region(world, slot, -1)
    shipped_now = order.destination != 0 and slot.destination == 0
    slot.state |= np.uint8(JOINED)
    if slot.carrier == 0:
        slot.carrier = order.carrier
    if order.destination != 0:
        slot.destination = order.destination
    if order.promised != 0:
        slot.promised = order.promised
        table.promises[bucket_of(mix(order.parcel0, order.parcel1))] = 1
    if ordered != 0:
        background.ordered = ordered
    own = find(table, order.order0, order.order1)
    if order.latitude != 0.0 or order.longitude != 0.0:
        background.latitude = order.latitude
        background.longitude = order.longitude
    elif own != ABSENT:
        background.latitude = table.background[own].latitude
        background.longitude = table.background[own].longitude
    if live or fresh:
        if shipped_now:
            world.regions[region_pair(world, whole(slot.destination), whole(slot.carrier))].shipped += 1
        place_lane(world, slot, whole(order.origin) if slot.region == 0 else whole(slot.region))
        _count(world, slot, 1)
        count_region(world, slot, 1)
        rouse(table, world, bucket_of(mix(order.parcel0, order.parcel1)), index)
    if slot.accepted != 0 and ordered > whole(slot.accepted) + CLOCKS:
        odd = oddities[n_oddities]
        odd.key0 = slot.key0
        odd.key1 = slot.key1
        odd.occurred = whole(slot.accepted) * 1000
        odd.received = at * 1000
        odd.previous_occurred = ordered
        odd.region = slot.region
        odd.previous_region = 0
        odd.facility = slot.facility
        odd.courier = background.courier
        odd.carrier = slot.carrier
        odd.source = slot.source
        odd.status = slot.status
        odd.previous_status = UNKNOWN
        odd.oddity = BEFORE_ORDER
        n_oddities += 1
    return n_oddities


@kernel
def _paid_late(table: Table, order: Any, oddities: Any, n_oddities: int) -> int:
    """Placed or paid after it was shipped: the row names the order, as its parcels are not known from here."""
    index = find(table, order.order0, order.order1)
    if index == ABSENT:
        return n_oddities
    slot = table.slots[index]
    if slot.status != SHIPPED or whole(order.at) <= whole(slot.last_scan) + CLOCKS:
        return n_oddities
    odd = oddities[n_oddities]
    odd.key0 = slot.key0
    odd.key1 = slot.key1
    odd.occurred = whole(slot.last_scan) * 1000
    odd.received = whole(order.at) * 1000
    odd.previous_occurred = whole(order.at)
    odd.region = slot.region
    odd.previous_region = 0
    odd.facility = slot.facility
    odd.courier = 0
    odd.carrier = 0
    odd.source = slot.source
    odd.status = 0
    odd.previous_status = 0
    odd.oddity = PAID_LATE
    return n_oddities + 1


@kernel
def _complete(table: Table, world: World, order: Any, marks: Any, n_marks: int) -> int:
    """The customer confirmed receipt: the parcel is over, whatever its scans say."""
    index = find(table, order.parcel0, order.parcel1)
    if index == ABSENT:
        return n_marks
    slot = table.slots[index]
    if slot.state & LIFE != LIVE:
        return n_marks
    if slot.open:
        n_marks = write_mark(marks, n_marks, slot, whole(order.at), whole(slot.open), REASON_DELIVERED, 0)
    finish(world, slot, whole(order.at))
    rouse(table, world, bucket_of(mix(order.parcel0, order.parcel1)), index)
    return n_marks


@kernel
def apply_orders(table: Table, world: World, orders: Any, marks: Any, oddities: Any) -> Any:
    """Rows of ORDER_ROW in stream order. Returns how many marks (at most two a row) and oddities (one) were written."""
    n_marks, n_oddities = whole(0), whole(0)  # a literal's type would have all that takes them compiled twice
    for row in range(len(orders)):
        order = orders[row]
        bucket = bucket_of(mix(order.order0, order.order1))
        if repeated(table, bucket, order.event, world.rules[s.SEEN_LIMIT]):
            world.outcomes[DUPLICATE] += 1
            continue
        if order.history:
            world.outcomes[OLD] += 1
        n_marks, ordered = _apply_order(table, world, order, marks, n_marks)
        if order.parcel0 != 0 and order.status == SHIPPED:
            n_oddities = _join(table, world, order, ordered, oddities, n_oddities)
        elif order.status <= PAID:
            n_oddities = _paid_late(table, order, oddities, n_oddities)
        elif order.parcel0 != 0 and order.status == COMPLETED:
            n_marks = _complete(table, world, order, marks, n_marks)
    return n_marks, n_oddities
