"""Order events as rows for the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from detectors.clock import kept_until
from monitor.engine.complaints import event_hash
from monitor.engine.layout import DAY, ORDER_ROW, OrderStatus, Records
from monitor.events import Order
from monitor.names import NO_KEY, Names
from monitor.vocabulary import Nameless

_STATUS: Final = {status.name.lower(): int(status) for status in OrderStatus}


_COMPLETED: Final = OrderStatus.COMPLETED.name.lower()


def completed_without_parcel(orders: Sequence[Order]) -> list[str]:
    """Ids of the orders whose customers confirmed receipt in an event that names no parcel."""
    return [one.order_id for one in orders if one.status == _COMPLETED and not one.tracking_number]


def order_rows(
    orders: Sequence[Order],
    names: Names,
    now: int,
    history_days: int,
    timezone: str,
    parcels: Mapping[str, Sequence[str]],
) -> Records:
    """In the order given. A status of the future (clock skew) is taken as of now; `now` is the last tick, in ms.
    `parcels`: of orders that are completed, by order id; each gets a row without an order after its order's.
    """
    rows: list[tuple[Any, ...]] = []
    for order in orders:
        rows.append(_row(order, names, now, history_days, timezone))
        rows += _of_parcels(order, names, rows[-1], parcels)
    return np.array(rows, ORDER_ROW)


def _of_parcels(
    order: Order, names: Names, row: tuple[Any, ...], parcels: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Any, ...]]:
    if order.status != _COMPLETED or order.tracking_number:
        return
    for number in parcels.get(order.order_id, ()):
        event = event_hash(order.source, f"{order.event_id} {number}")
        yield (event, *NO_KEY, *names.pack(number), *row[5:])


def _row(order: Order, names: Names, now: int, history_days: int, timezone: str) -> tuple[Any, ...]:
    horizon = max(order.received_at, now)
    occurred = min(order.occurred_at, horizon)
    parcel = names.pack(order.tracking_number) if order.tracking_number else NO_KEY
    return (
        event_hash(order.source, order.event_id),
        *names.pack(order.order_id, order=True),
        *parcel,
        occurred // 1000,
        kept_until(order.promised_at, timezone) // 1000 if order.promised_at else 0,
        names.regions.code(order.origin_region),
        names.regions.code(order.region),
        names.facilities.code(order.warehouse),
        names.carriers.code(order.carrier),
        names.sources.code(order.source or Nameless.ORDER),
        _STATUS.get(order.status, 0),
        horizon - occurred > history_days * DAY * 1000,
        order.latitude or 0.0,
        order.longitude or 0.0,
    )
