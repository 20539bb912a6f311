"""The rules of the event contract that a synthetic event can break."""

from __future__ import annotations

import re
from typing import Any

from monitor.vocabulary import DeliveredTo, Status

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+08:00")
REQUIRED = {
    "order": ("order_id", "customer_id", "status"),
    "tracking": ("tracking_number", "carrier", "status"),
    "complaint": ("complaint_id", "status"),
}
STATUSES = {
    "order": {
        "placed", "paid", "shipped", "completed", "cancelled", "return_requested", "return_received",
        "refund_requested", "refunded",
    },
    "tracking": {status.name.lower() for status in Status},
    "complaint": {"opened", "responded", "resolved", "reopened", "withdrawn"},
}  # fmt: skip
NUMBERS = ("latitude", "longitude", "amount")
TIMES = ("occurred_at", "received_at", "promised_at")
KNOWN = {
    "kind", "event_id", "source", "occurred_at", "received_at", "extra", "order_id", "customer_id", "status",
    "tracking_number", "carrier", "service_level", "warehouse", "origin_region", "region", "latitude", "longitude",
    "promised_at", "amount", "currency", "category", "supplier", "locale", "customer_tier", "contact", "facility",
    "courier_id", "delivered_to", "complaint_id", "reason", "channel",
}  # fmt: skip


def broken(event: dict[str, Any]) -> list[str]:
    kind = event.get("kind", "")
    faults = [f"{name} is missing" for name in REQUIRED[kind] if not event.get(name)]
    faults += [f"{name} is unknown" for name in event if name not in KNOWN]
    if event["status"] not in STATUSES[kind]:
        faults.append(f"status {event['status']}")
    faults += [
        f"{name}: {event[name]}" for name in TIMES if name in event and not TIME.fullmatch(event[name])
    ]
    for name, value in event.items():
        wanted: type | tuple[type, ...] = (
            (int, float) if name in NUMBERS else dict if name in {"contact", "extra"} else str
        )
        if not isinstance(value, wanted):
            faults.append(f"{name} is {type(value).__name__}")
    if event.get("delivered_to", "recipient") not in {to.name.lower() for to in DeliveredTo}:
        faults.append("delivered_to")
    return faults
