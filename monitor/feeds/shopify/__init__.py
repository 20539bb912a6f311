"""Shopify's webhooks: orders/*, fulfillments/*, fulfillment_events/create, refunds/create.

An order tells its whole past in one push: placed, paid, each shipment, each refund, cancelled. Fulfilment events name
neither parcel nor customer, and refunds no customer: they wait for what an order or fulfilment taught (`Pending`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.feeds.base import Parsed, Pending, Push, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, number_of, text_of
from monitor.feeds.hmac_feed import HmacFeed
from monitor.feeds.orders import Buyer, address_region, address_text, contact
from monitor.feeds.shopify.codes import CODES, PAID
from monitor.feeds.zones import end_of_day

HEADER = "x-shopify-hmac-sha256"
TOPIC = "x-shopify-topic"


class Shopify(HmacFeed):
    kind = "shopify"
    header = HEADER

    def parse(self, push: Push) -> Parsed:
        body = decode_json(push.raw)
        drafts = Drafts(self.name, self.places, push)
        subject = push.headers.get(TOPIC, "").partition("/")[0]
        if subject == "fulfillments":
            self._fulfilment(body, drafts)
        elif subject == "fulfillment_events":
            self._fulfilment_event(body, drafts)
        elif subject == "refunds":
            self._refund(body, drafts, {"order_id": text_of(body.get("order_id"))})
        else:
            self._order(body, drafts)
        return drafts.parsed

    def _order(self, order: Mapping[str, Any], drafts: Drafts) -> None:
        order_id = text_of(order.get("id"))
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
        about: dict[str, Any] = {
            "order_id": order_id,
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
        if order_id and buyer.id:
            drafts.parsed.learned[f"order:{order_id}"] = {"customer_id": buyer.id}
        said = [("placed", order.get("created_at"))]
        if text_of(order.get("financial_status")) in PAID:
            said.append(("paid", order.get("processed_at") or order.get("created_at")))
        if order.get("cancelled_at"):
            said.append(("cancelled", order["cancelled_at"]))
        for status, at in said:
            self._say(order, drafts, status, f"order.{order_id}.{status}", at, about)
        for fulfilment in map(dict_of, list_of(order.get("fulfillments"))):
            self._shipped(fulfilment, drafts, about)
            self._fulfilment(fulfilment, drafts)
        for refund in list_of(order.get("refunds")):
            self._refund(dict_of(refund), drafts, about)

    def _say(
        self, line: Any, drafts: Drafts, status: str, event_id: str, at: Any, about: Mapping[str, Any]
    ) -> None:
        drafts.order(line, event_id=event_id, at=at, zone=self._zone, status=status, **about)

    def _shipped(self, fulfilment: Mapping[str, Any], drafts: Drafts, about: Mapping[str, Any]) -> None:
        carrier = text_of(fulfilment.get("tracking_company"))
        for number in _numbers(fulfilment):
            shipped = {
                **about,
                "tracking_number": number,
                "carrier": carrier.lower() if carrier else None,
                "warehouse": text_of(fulfilment.get("location_id")),
            }
            event_id = f"order.{about['order_id']}.shipped.{number}"
            self._say(fulfilment, drafts, "shipped", event_id, fulfilment.get("created_at"), shipped)

    def _fulfilment(self, fulfilment: Mapping[str, Any], drafts: Drafts) -> None:
        """The parcel comes into being; `shipment_status` is where it is by now."""
        carrier = text_of(fulfilment.get("tracking_company"))
        identity = text_of(fulfilment.get("id"))
        said = text_of(fulfilment.get("shipment_status"))
        for number in _numbers(fulfilment):
            if identity:
                drafts.parsed.learned.setdefault(
                    f"fulfillment:{identity}",
                    {"tracking_number": number, "carrier": (carrier or "unknown").lower()},
                )
            scans = [("label_purchased", fulfilment.get("created_at"))]
            if said and said not in {"label_purchased", "confirmed"}:
                scans.append((said, fulfilment.get("updated_at")))
            for code, at in scans:
                drafts.scan(
                    fulfilment,
                    number=number,
                    carrier=carrier.lower() if carrier else "unknown",
                    order_id=text_of(fulfilment.get("order_id")),
                    at=at,
                    zone=self._zone,
                    code=CODES.get(code),
                    raw_code=code,
                )

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

    def _refund(self, refund: Mapping[str, Any], drafts: Drafts, about: Mapping[str, Any]) -> None:
        order_id = about.get("order_id")
        said = {name: about[name] for name in ("customer_id", "region") if about.get(name)}
        paid_back = [
            dict_of(one)
            for one in list_of(refund.get("transactions"))
            if dict_of(one).get("kind") == "refund"
        ]
        amounts = [amount for one in paid_back if (amount := number_of(one.get("amount"))) is not None]
        said |= {
            "order_id": order_id,
            "amount": round(sum(amounts), 2) if amounts else None,
            "currency": text_of(paid_back[0].get("currency")) if paid_back else None,
        }
        at = refund.get("processed_at") or refund.get("created_at")
        event_id = f"order.{order_id}.refund.{text_of(refund.get('id'))}"
        if "customer_id" in said:
            self._say(refund, drafts, "refunded", event_id, at, said)
            return
        before = len(drafts.parsed.events)
        self._say(refund, drafts, "refunded", event_id, at, {**said, "customer_id": "pending"})
        for event in drafts.parsed.events[before:]:
            del event["customer_id"]
            drafts.parsed.pending.append(Pending(f"order:{order_id}", event))
        del drafts.parsed.events[before:]


def _numbers(fulfilment: Mapping[str, Any]) -> list[str]:
    several = [text_of(number) for number in list_of(fulfilment.get("tracking_numbers"))]
    numbers = [number for number in several if number]
    single = text_of(fulfilment.get("tracking_number"))
    return numbers or ([single] if single else [])
