"""WooCommerce's order webhooks (order.created, order.updated), and the parcels that its shipment tracking extensions note.

Saving a webhook makes WooCommerce send an unsigned `webhook_id=1`; it holds nothing, and refusing it would show the
shop an error, so it alone is answered without a signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from monitor.feeds.base import Parsed, Push, Skip, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, number_of, text_of
from monitor.feeds.hmac_feed import HmacFeed
from monitor.feeds.orders import Buyer, address_region, address_text, contact

HEADER = "x-wc-webhook-signature"
PING = re.compile(rb"webhook_id=\d{1,18}")
TRACKING = frozenset({"_wc_shipment_tracking_items", "_wc_ast_shipment_tracking_items"})

# Source: the statuses of WooCommerce's REST interface (v3, orders). What is not here is no step of the contract.
STATUSES: Mapping[str, tuple[str, str]] = {  # to the event, and the field that has its time
    "completed": ("shipped", "date_completed_gmt"),  # shops set it when they send; nothing says that it came
    "cancelled": ("cancelled", "date_modified_gmt"),
    "refunded": ("refunded", "date_modified_gmt"),
}
NO_STEP = frozenset({"pending", "processing", "on-hold", "failed", "trash", "checkout-draft", "auto-draft"})


class WooCommerce(HmacFeed):
    kind = "woocommerce"
    header = HEADER

    def verify(self, push: Push) -> None:
        if not PING.fullmatch(push.raw):
            super().verify(push)

    def parse(self, push: Push) -> Parsed:
        if PING.fullmatch(push.raw):
            return Parsed()
        order = decode_json(push.raw)
        drafts = Drafts(self.name, self.places, push)
        if not push.headers.get("x-wc-webhook-topic", "order.").startswith("order."):
            drafts.parsed.skipped.append(Skip.TOPIC)
            return drafts.parsed
        self._order(order, drafts)
        return drafts.parsed

    def _order(self, order: Mapping[str, Any], drafts: Drafts) -> None:
        order_id = text_of(order.get("id"))
        billing, shipping = dict_of(order.get("billing")), dict_of(order.get("shipping"))
        address = shipping if text_of(shipping.get("country")) else billing
        known = text_of(order.get("customer_id"))
        buyer = Buyer(
            known if known != "0" else None,
            contact(
                billing.get("phone") or shipping.get("phone"),
                billing.get("email"),
                address_text(address, "address_1", "address_2", "city", "postcode"),
            ),
            self._secret,
        )
        lines = list_of(order.get("shipping_lines"))
        about: dict[str, Any] = {
            "order_id": order_id,
            "customer_id": buyer.id,
            "service_level": text_of(dict_of(lines[0]).get("method_title")) if lines else None,
            "region": address_region(self.places, drafts, address, "country", "state", "city", "postcode"),
            "amount": number_of(order.get("total")),
            "currency": text_of(order.get("currency")),
            "contact": buyer.contact,
        }
        status = text_of(order.get("status")) or ""
        steps = [("placed", "date_created_gmt")]
        if order.get("date_paid_gmt"):
            steps.append(("paid", "date_paid_gmt"))
        if status in STATUSES:
            steps.append(STATUSES[status])
        for step, field in steps:
            drafts.order(
                order,
                event_id=f"order.{order_id}.{step}",
                at=order.get(field),
                zone=UTC,
                status=step,
                **about,
            )
        if status not in STATUSES and status not in NO_STEP:
            drafts.foreign_status(status, order)
        for meta in map(dict_of, list_of(order.get("meta_data"))):
            if text_of(meta.get("key")) in TRACKING:
                self._shipped(list_of(meta.get("value")), drafts, about, order)

    def _shipped(
        self, items: list[Any], drafts: Drafts, about: Mapping[str, Any], order: Mapping[str, Any]
    ) -> None:
        for item in map(dict_of, items):
            carrier = text_of(item.get("tracking_provider")) or text_of(item.get("custom_tracking_provider"))
            number = text_of(item.get("tracking_number"))
            drafts.order(
                item,
                event_id=f"order.{about['order_id']}.shipped.{number}",
                at=_day(item.get("date_shipped")) or order.get("date_modified_gmt"),
                zone=self._zone,
                status="shipped",
                **{**about, "tracking_number": number, "carrier": carrier.lower() if carrier else None},
            )


def _day(stamp: Any) -> str | None:
    """The extension notes Unix seconds, as a number or as text."""
    seconds = number_of(stamp)
    if seconds is None or not 0 < seconds < 1e11:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat()
