"""Decoded events after the checks that go by columns: scans as columns, the rest as the structs of `monitor.events`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from msgspec import UNSET

from monitor.columns import I64, Batch
from monitor.events import Complaint, Engagement, Order
from monitor.minor import to_minor
from monitor.names import Names
from monitor.scancolumns import NO_SCANS, fits, moments_fit, texts_of, times
from monitor.wire import (
    DeadEventError,
    Wire,
    WireComplaint,
    WireEngagement,
    WireOrder,
    WireScan,
    check_numbers,
    check_texts,
)

_NO_TIMES: Final = np.zeros(0, np.int64)


class CheckedScans(Protocol):
    """Tracking events of which each passed every check."""

    @property
    def occurred(self) -> I64: ...

    def __len__(self) -> int: ...

    def batch(self, names: Names) -> Batch:
        """Their columns; `names` learns what is new."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """Events that passed every check. The times are of `others`, row by row; 0 is absent."""

    scans: CheckedScans
    others: Sequence[Wire]
    occurred: I64
    received: I64
    promised: I64

    @property
    def events(self) -> int:
        return len(self.scans) + len(self.others)

    def batch(self, names: Names) -> Batch:
        batch = self.scans.batch(names)
        times = zip(self.occurred.tolist(), self.received.tolist(), self.promised.tolist(), strict=True)
        for event, (occurred, received, promised) in zip(self.others, times, strict=True):
            if type(event) is WireOrder:
                batch.orders.append(_order(event, occurred, received, promised))
            elif type(event) is WireComplaint:
                batch.complaints.append(_complaint(event, occurred, received))
            elif type(event) is WireEngagement:
                batch.engagements.append(_engagement(event, occurred, received))
        return batch


def check_all(events: Sequence[Wire], latest: int | None) -> Checked | None:
    """None where any event fails any check of `monitor.wire.examine`."""
    scans = [event for event in events if type(event) is WireScan]
    texts = texts_of(scans) if scans else NO_SCANS
    if texts is None or not fits(texts, latest):
        return None
    others = [event for event in events if type(event) is not WireScan] if len(scans) < len(events) else []
    return with_others(texts, others, latest)


def with_others(scans: CheckedScans, others: Sequence[Wire], latest: int | None) -> Checked | None:
    """Tracking events that passed every check, and the rest that has yet to; None where any of these fails."""
    if not others:
        return Checked(scans, others, _NO_TIMES, _NO_TIMES, _NO_TIMES)
    occurred = times([event.occurred_at for event in others])
    received = times([event.received_at for event in others])
    promised = times([event.promised_at if type(event) is WireOrder else "" for event in others])
    if occurred is None or received is None or promised is None:
        return None
    received = np.where(received == 0, occurred, received)
    if not moments_fit(occurred, received, latest):
        return None
    try:
        for event in others:
            check_texts(event)
            check_numbers(event)
    except DeadEventError:
        return None
    return Checked(scans, others, occurred, received, promised)


def _given(value: Any) -> Any:
    return None if value is UNSET else value


def _minor(event: WireOrder | WireComplaint) -> int | None:
    return None if event.amount is UNSET else to_minor(event.amount, event.currency)


def _order(event: WireOrder, occurred: int, received: int, promised: int) -> Order:
    return Order(
        event_id=event.event_id,
        source=event.source,
        occurred_at=occurred,
        received_at=received,
        order_id=event.order_id,
        customer_id=event.customer_id,
        status=event.status,
        tracking_number=event.tracking_number or None,
        carrier=event.carrier or None,
        service_level=event.service_level or None,
        warehouse=event.warehouse or None,
        origin_region=event.origin_region or None,
        region=event.region or None,
        latitude=_given(event.latitude),
        longitude=_given(event.longitude),
        promised_at=promised or None,
        amount=_minor(event),
        currency=event.currency or None,
        category=event.category or None,
        supplier=event.supplier or None,
        locale=event.locale or None,
        customer_tier=event.customer_tier or None,
        contact=_given(event.contact),
    )


def _complaint(event: WireComplaint, occurred: int, received: int) -> Complaint:
    return Complaint(
        event_id=event.event_id,
        source=event.source,
        occurred_at=occurred,
        received_at=received,
        complaint_id=event.complaint_id,
        status=event.status,
        order_id=event.order_id or None,
        tracking_number=event.tracking_number or None,
        customer_id=event.customer_id or None,
        region=event.region or None,
        category=_given(event.category),
        reason=event.reason or None,
        severity=_given(event.severity),
        demand=event.demand or None,
        channel=event.channel or None,
        text=event.text or None,
        outcome=event.outcome or None,
        satisfaction=None if event.satisfaction is UNSET else int(event.satisfaction),
        amount=_minor(event),
        currency=event.currency or None,
    )


def _engagement(event: WireEngagement, occurred: int, received: int) -> Engagement:
    return Engagement(
        event_id=event.event_id,
        source=event.source,
        occurred_at=occurred,
        received_at=received,
        customer_id=event.customer_id,
        status=event.status,
        action_id=event.action_id or None,
    )
