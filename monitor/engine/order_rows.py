"""Order events as rows for the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from monitor.engine.complaints import event_hash
from monitor.engine.layout import DAY, ORDER_ROW, OrderStatus, Records
from monitor.events import Order
from monitor.names import NO_KEY, Names
from monitor.vocabulary import Nameless

_STATUS: Final = {status.name.lower(): int(status) for status in OrderStatus}


def order_rows(orders: Sequence[Order], names: Names, now: int, history_days: int) -> Records:
    """In the order given. A status of the future (clock skew) is taken as of now; `now` is the last tick, in ms."""
    return np.array([_row(order, names, now, history_days) for order in orders], ORDER_ROW)


def _row(order: Order, names: Names, now: int, history_days: int) -> tuple[Any, ...]:
    horizon = max(order.received_at, now)
    occurred = min(order.occurred_at, horizon)
    parcel = names.pack(order.tracking_number) if order.tracking_number else NO_KEY
    return (
        event_hash(order.source, order.event_id),
        *names.pack(order.order_id, order=True),
        *parcel,
        occurred // 1000,
        (order.promised_at or 0) // 1000,
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
