"""Shopify's webhooks: orders/*, fulfillments/*, fulfillment_events/create.

An order tells its whole past in one push: placed, each shipment, all its money back, cancelled; and that it is paid, while
it waits to be sent. Fulfilment events name no parcel: they wait for what an order or a fulfilment taught (`Pending`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.feeds.base import Parsed, Pending, Push, Skip, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, number_of, text_of
from monitor.feeds.hmac_feed import HmacFeed
from monitor.feeds.orders import Buyer, address_region, address_text, contact
from monitor.feeds.shopify import fulfilments
from monitor.feeds.shopify.codes import CODES, ORDERS, PAID
from monitor.feeds.shopify.refunds import refunded
from monitor.feeds.zones import end_of_day

HEADER = "x-shopify-hmac-sha256"
TOPIC = "x-shopify-topic"


class Shopify(HmacFeed):
    kind = "shopify"
    header = HEADER

    def parse(self, push: Push) -> Parsed:
        body = decode_json(push.raw)
        drafts = Drafts(self.name, self.places, push)
        topic = push.headers.get(TOPIC, "")
        if topic in ORDERS or not topic:
            self._order(body, drafts)
        elif topic.startswith("fulfillments/"):
            fulfilments.read(body, drafts, self._zone)
        elif topic == "fulfillment_events/create":
            self._fulfilment_event(body, drafts)
        else:
            refund = topic == "refunds/create"
            drafts.parsed.skipped.append(Skip.TOLD_BY_THE_ORDER if refund else Skip.TOPIC)
        return drafts.parsed

    def _order(self, order: Mapping[str, Any], drafts: Drafts) -> None:
        if order.get("test") is True:
            drafts.parsed.skipped.append(Skip.TEST)
            return
        about = self._about(order, drafts)
        parts = [dict_of(one) for one in list_of(order.get("fulfillments"))]
        sent = [one for one in parts if fulfilments.sent(one)]
        back = refunded(order, self._zone)
        said = [("placed", order.get("created_at"))]
        waits = not (sent or back or order.get("cancelled_at"))
        if waits and text_of(order.get("financial_status")) in PAID:
            # No field says when: `processed_at` is the checkout, days before a bank transfer. What is repeated until the
            # order is sent is dated later each time, and only the first of them counts.
            said.append(("paid", order.get("updated_at") or order.get("created_at")))
        if order.get("cancelled_at"):
            said.append(("cancelled", order["cancelled_at"]))
        for status, at in said:
            self._say(order, drafts, status, f"order.{about['order_id']}.{status}", at, about)
        numbers = {number for one in sent for number in fulfilments.numbers(one)}
        for one in sent:
            self._shipped(one, drafts, about)
        for one in parts:
            fulfilments.read(one, drafts, self._zone, elsewhere=numbers)
        if back:
            event_id = f"order.{about['order_id']}.refund.{back.refund or 'whole'}"
            told = {name: about[name] for name in ("order_id", "customer_id", "region", "currency")}
            self._say(order, drafts, "refunded", event_id, back.at, told | {"amount": back.amount})

    def _about(self, order: Mapping[str, Any], drafts: Drafts) -> dict[str, Any]:
        """What each event of the order says as well."""
        address = dict_of(order.get("shipping_address"))
        customer = dict_of(order.get("customer"))
        buyer = Buyer(
            text_of(customer.get("id")),
            contact(
                order.get("phone") or address.get("phone") or customer.get("phone"),
                order.get("email") or customer.get("email"),
                address_text(address, "address1", "address2", "city", "zip"),
            ),
            self._secret,
        )
        lines = list_of(order.get("shipping_lines"))
        return {
            "order_id": text_of(order.get("id")),
            "customer_id": buyer.id,
            "service_level": text_of(dict_of(lines[0]).get("title")) if lines else None,
            "region": address_region(
                self.places, drafts, address, "country_code", "province_code", "city", "zip"
            ),
            "latitude": number_of(address.get("latitude")),
            "longitude": number_of(address.get("longitude")),
            "amount": number_of(order.get("total_price")),
            "currency": text_of(order.get("currency")),
            "locale": text_of(order.get("customer_locale")),
            "contact": buyer.contact,
        }

    def _say(
        self, line: Any, drafts: Drafts, status: str, event_id: str, at: Any, about: Mapping[str, Any]
    ) -> None:
        drafts.order(line, event_id=event_id, at=at, zone=self._zone, status=status, **about)

    def _shipped(self, fulfilment: Mapping[str, Any], drafts: Drafts, about: Mapping[str, Any]) -> None:
        """Also without a number (by the shop's own van, or fetched): the order no longer waits to be sent."""
        without: list[str | None] = [None]
        for number in fulfilments.numbers(fulfilment) or without:
            shipped = {
                **about,
                "tracking_number": number,
                "carrier": fulfilments.carrier(fulfilment),
                "warehouse": text_of(fulfilment.get("location_id")),
            }
            event_id = f"order.{about['order_id']}.shipped.{number or text_of(fulfilment.get('id'))}"
            self._say(fulfilment, drafts, "shipped", event_id, fulfilment.get("created_at"), shipped)

    def _fulfilment_event(self, event: Mapping[str, Any], drafts: Drafts) -> None:
        raw = text_of(event.get("status")) or ""
        link = f"fulfillment:{text_of(event.get('fulfillment_id'))}"
        before = len(drafts.parsed.events)
        drafts.scan(
            event,
            number=link,
            carrier="unknown",
            order_id=text_of(event.get("order_id")),
            at=event.get("happened_at") or event.get("created_at"),
            zone=self._zone,
            code=CODES.get(raw),
            raw_code=raw,
            key=(text_of(event.get("id")),),
            facility=text_of(event.get("city")),
            region=address_region(self.places, drafts, event, "country", "province", "city", "zip"),
            latitude=number_of(event.get("latitude")),
            longitude=number_of(event.get("longitude")),
            estimated_at=end_of_day(event.get("estimated_delivery_at"), self._zone),
        )
        for scan in drafts.parsed.events[before:]:
            del scan["tracking_number"], scan["carrier"]
            drafts.parsed.pending.append(Pending(link, scan))
        del drafts.parsed.events[before:]
