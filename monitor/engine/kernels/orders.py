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
from monitor.engine.kernels.parcel import CLOCKS, new_slot, place_lane
from monitor.engine.kernels.repeats import repeated
from monitor.engine.kernels.state import Table, World
from monitor.engine.kernels.table import ABSENT, FULL, bucket_of, find, mix
from monitor.engine.kernels.told import ODDITIES, Told, next_row, write_mark
from monitor.engine.kernels.totals import count, count_region, finish, learn, region_pair
from monitor.engine.kernels.waiting import is_preorder, roomy, rouse
from monitor.engine.layout import (
    FAR,
    FINISHED,
    HISTORY,
    JOINED,
    LIFE,
    LIVE,
    ORDER,
    PROMISE_TOLD,
    Oddity,
    OrderStatus,
)
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
    if not is_preorder(world, slot):
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
def _apply_order(table: Table, world: World, order: Any, told: Told) -> int:
    """The order's own slot. Returns the moment the order was placed, 0 if that is not known."""
    status = whole(order.status)
    index = find(table, order.order0, order.order1)
    if index == ABSENT:
        if status in (SHIPPED, COMPLETED, CANCELLED, REFUNDED):
            world.outcomes[APPLIED] += 1
            if status == SHIPPED and not order.history and roomy(world):
                _remember_shipped(table, world, order)
            return whole(0)
        index = new_slot(table, world, order.order0, order.order1)
        if index == FULL:
            world.outcomes[TABLE_FULL] += 1
            return whole(0)
        slot = table.slots[index]
        slot.state = LIVE | ORDER
        slot.region = order.origin
        _count(world, slot, 1)
    slot, background = table.slots[index], table.background[index]
    live = slot.state & LIFE == LIVE
    if live:
        _count(world, slot, -1)
    _describe(slot, background, order)
    if live:
        _count(world, slot, 1)
    if _advance(world, slot, order, told):
        rouse(table, world, bucket_of(mix(order.order0, order.order1)), index)
    return whole(background.ordered)


@kernel
def _advance(world: World, slot: Any, order: Any, told: Told) -> bool:
    """What an order's event changes in its slot; whether the sweep may have to look at it earlier."""
    status, at, last = whole(order.status), whole(order.at), whole(slot.last_scan)
    live = slot.state & LIFE == LIVE
    ends = status in (SHIPPED, COMPLETED, CANCELLED, REFUNDED)
    if status in (SHIPPED, COMPLETED, CANCELLED) and (not live or slot.segment in (RETURN, REFUND)):
        world.outcomes[APPLIED] += 1  # a further parcel, or an end that a return outlives
        return False
    if at < last and not (ends and live):
        world.outcomes[OUT_OF_ORDER] += 1
        return True
    starts = opens(status, slot)
    if not live and starts in (NONE, FULFILMENT):
        world.outcomes[AFTER_END] += 1
        return False
    world.outcomes[APPLIED] += 1
    if ends:
        if slot.open:
            write_mark(told, slot, at, whole(slot.open), MOVED if status == SHIPPED else REASON_FINISHED, 0)
        if at >= last and status in (SHIPPED, REFUNDED):
            _learn(world, slot, at)
        finish(world, slot, at)
        slot.status = status
    elif starts != NONE and starts != slot.segment:  # noqa: PLR1714 - numba's tuples are of one type
        _begin(world, slot, starts, order, told)
    else:
        slot.last_scan = max(last, at)
        slot.status = max(whole(slot.status), status)
    slot.state = (slot.state | np.uint8(HISTORY)) if order.history else (slot.state & ~np.uint8(HISTORY))
    return True


@kernel
def _begin(world: World, slot: Any, segment: int, order: Any, told: Told) -> None:
    """Of a segment of the order's own."""
    at = whole(order.at)
    if slot.state & LIFE == LIVE:
        if slot.segment != NONE:
            _learn(world, slot, at)
        if slot.open:
            write_mark(told, slot, at, whole(slot.open), MOVED, 0)
        _count(world, slot, -1)
    else:
        world.counts[s.LIVE_PARCELS] += 1
        slot.due = FAR
    slot.state = (slot.state & ~np.uint8(LIFE)) | np.uint8(LIVE)
    slot.open = 0
    slot.promised = slot.promised if segment == FULFILMENT else 0
    slot.segment = segment
    slot.segment_since = at
    slot.last_scan = at
    slot.status = order.status
    place_lane(world, slot, whole(slot.region))
    _count(world, slot, 1)


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
def _join(table: Table, world: World, order: Any, ordered: int, told: Told) -> None:
    """A shipped order's parcel: known already, or from now on."""
    index = find(table, order.parcel0, order.parcel1)
    fresh = index == ABSENT
    if fresh:
        index = new_slot(table, world, order.parcel0, order.parcel1)
        if index == FULL:
            world.outcomes[TABLE_FULL] += 1
            return
    slot, background = table.slots[index], table.background[index]
    live = slot.state & LIFE == LIVE
    if fresh:
        _await_pickup(slot, order)
    elif live:
        _count(world, slot, -1)
        count_region(world, slot, -1)
    before = whole(slot.destination)
    _tell_parcel(table, slot, background, order, ordered)
    if live or fresh:
        if before == 0 and slot.destination != 0:
            world.regions[region_pair(world, whole(slot.destination), whole(slot.carrier))].shipped += 1
        place_lane(world, slot, whole(order.origin) if slot.region == 0 else whole(slot.region))
        _count(world, slot, 1)
        count_region(world, slot, 1)
        rouse(table, world, bucket_of(mix(order.parcel0, order.parcel1)), index)
    if slot.accepted != 0 and ordered > whole(slot.accepted) + CLOCKS:
        odd = _oddity(told, slot, whole(slot.accepted), whole(order.at), ordered, BEFORE_ORDER)
        odd.courier = background.courier
        odd.carrier = slot.carrier
        odd.status = slot.status


@kernel
def _await_pickup(slot: Any, order: Any) -> None:
    slot.state = LIVE
    slot.last_scan = order.at
    slot.segment = PICKUP
    slot.segment_since = order.at
    slot.source = order.source
    slot.carrier = order.carrier
    if order.history:
        slot.state |= np.uint8(HISTORY)


@kernel
def _tell_parcel(table: Table, slot: Any, background: Any, order: Any, ordered: int) -> None:
    """What the order knows of its parcel: from this event, or else from those before it."""
    slot.state |= np.uint8(JOINED)
    if slot.carrier == 0:
        slot.carrier = order.carrier
    own = find(table, order.order0, order.order1)
    destination, promised = order.destination, order.promised
    if own != ABSENT and destination == 0:
        destination = table.slots[own].destination
    if own != ABSENT and promised == 0:
        promised = table.slots[own].promised
        slot.state |= table.slots[own].state & np.uint8(PROMISE_TOLD)
    if destination != 0:
        slot.destination = destination
    if promised != 0:
        slot.promised = promised
        table.promises[bucket_of(mix(order.parcel0, order.parcel1))] = 1
    if ordered != 0:
        background.ordered = ordered
    if order.latitude != 0.0 or order.longitude != 0.0:
        background.latitude = order.latitude
        background.longitude = order.longitude
    elif own != ABSENT:
        background.latitude = table.background[own].latitude
        background.longitude = table.background[own].longitude


@kernel
def _oddity(told: Told, slot: Any, at: int, received: int, before: int, oddity: int) -> Any:
    """A row that an order gave rise to; times in seconds, `before` of what should have been later."""
    odd = told.oddities[next_row(told, ODDITIES)]
    odd.key0 = slot.key0
    odd.key1 = slot.key1
    odd.occurred = at * 1000
    odd.received = received * 1000
    odd.previous_occurred = before
    odd.region = slot.region
    odd.previous_region = 0
    odd.facility = slot.facility
    odd.courier = 0
    odd.carrier = 0
    odd.source = slot.source
    odd.status = 0
    odd.previous_status = UNKNOWN
    odd.oddity = oddity
    return odd


@kernel
def _paid_late(table: Table, order: Any, told: Told) -> None:
    """Placed or paid after it was shipped: the row names the order, as its parcels are not known from here."""
    index = find(table, order.order0, order.order1)
    if index == ABSENT:
        return
    slot = table.slots[index]
    shipped, at = whole(slot.last_scan), whole(order.at)
    if slot.status == SHIPPED and at > shipped + CLOCKS:
        _oddity(told, slot, shipped, at, at, PAID_LATE)


@kernel
def _complete(table: Table, world: World, order: Any, told: Told) -> None:
    """The customer confirmed receipt: the parcel is over, whatever its scans say. One on its way back is still awaited.

    So are all parcels of an order, as rows without an order say one by one where its own event names none.
    """
    index = find(table, order.parcel0, order.parcel1)
    if index == ABSENT:
        return
    slot = table.slots[index]
    if slot.state & LIFE != LIVE or slot.segment == RETURN:
        return
    if slot.open:
        write_mark(told, slot, whole(order.at), whole(slot.open), REASON_DELIVERED, 0)
    finish(world, slot, whole(order.at))
    rouse(table, world, bucket_of(mix(order.parcel0, order.parcel1)), index)


@kernel
def apply_orders(table: Table, world: World, orders: Any, told: Told) -> None:
    """Rows of ORDER_ROW in stream order. `told` has room for two marks and an oddity a row."""
    told.written[:] = 0
    for row in range(len(orders)):
        order = orders[row]
        alone = order.order0 == 0 and order.status == COMPLETED
        key = mix(order.parcel0, order.parcel1) if alone else mix(order.order0, order.order1)
        if repeated(table, bucket_of(key), order.event, world.rules[s.SEEN_LIMIT]):
            world.outcomes[DUPLICATE] += not alone
            continue
        if alone:
            if order.parcel0 != 0:
                _complete(table, world, order, told)
            continue
        if order.history:
            world.outcomes[OLD] += 1
        ordered = _apply_order(table, world, order, told)
        if order.parcel0 != 0 and order.status == SHIPPED:
            _join(table, world, order, ordered, told)
        elif order.status <= PAID:
            _paid_late(table, order, told)
        elif order.parcel0 != 0 and order.status == COMPLETED:
            _complete(table, world, order, told)
