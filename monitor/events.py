"""Canonical events as they are decoded: the contract's four kinds.

Times arrive as RFC 3339 text and leave the decoder as integer milliseconds; these structs hold what came out of
validation, so `occurred_at` and the other times are integers here.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_id: str
    source: str
    occurred_at: int
    received_at: int
    order_id: str
    customer_id: str
    status: str
    tracking_number: str | None = None
    carrier: str | None = None
    service_level: str | None = None
    warehouse: str | None = None
    origin_region: str | None = None
    region: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    promised_at: int | None = None
    amount: int | None = None  # minor units
    currency: str | None = None
    category: str | None = None
    supplier: str | None = None
    locale: str | None = None
    customer_tier: str | None = None
    contact: dict[str, Any] | None = None


class Complaint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_id: str
    source: str
    occurred_at: int
    received_at: int
    complaint_id: str
    status: str
    order_id: str | None = None
    tracking_number: str | None = None
    customer_id: str | None = None
    region: str | None = None
    category: str | None = None
    reason: str | None = None
    severity: str | None = None
    demand: str | None = None
    channel: str | None = None
    text: str | None = None
    outcome: str | None = None
    satisfaction: int | None = None
    amount: int | None = None  # minor units
    currency: str | None = None


class Engagement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_id: str
    source: str
    occurred_at: int
    received_at: int
    customer_id: str
    status: str
    action_id: str | None = None
