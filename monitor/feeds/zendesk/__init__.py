"""Zendesk: ticket events of a webhook (`zen:event-type:ticket.*`), or a trigger with the body of docs/feeds.md.

The signature is base64 of the HMAC-SHA256 of the timestamp header followed by the raw body.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from config.regions import Regions
from monitor.feeds.base import NOTHING, Base, Parsed, Push, Refusal, Rejected, decode_json
from monitor.feeds.canonical import Drafts, dict_of, text_of
from monitor.feeds.complaints import ComplaintOptions, Ticket, ticket_event
from monitor.feeds.signing import given, hmac_base64, same
from monitor.feeds.zones import from_millis, instant

SIGNATURE, STAMP = "x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp"

# Source: developer.zendesk.com, ticket statuses; a ticket that is neither new nor done has been answered.
STATUSES: Mapping[str, str] = {
    "new": "opened",
    "open": "opened",
    "pending": "responded",
    "hold": "responded",
    "solved": "resolved",
    "closed": "resolved",
    "deleted": "withdrawn",
}
PRIORITIES: Mapping[str, str] = {
    "low": "general",
    "normal": "general",
    "high": "important",
    "urgent": "major",
}
DONE = frozenset({"solved", "closed"})


class ZendeskOptions(ComplaintOptions):
    tolerance_seconds: int = Field(
        900, ge=1, description="how old a signature may be; retries are signed anew"
    )


class Zendesk(Base):
    kind = "zendesk"
    Options = ZendeskOptions

    def __init__(self, name: str, options: ZendeskOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._options = options
        self._secret = options.secret.get_secret_value().encode()

    def verify(self, push: Push) -> None:
        stamp = given(push.headers, STAMP)
        same(hmac_base64(self._secret, stamp.encode() + push.raw), given(push.headers, SIGNATURE))
        moment = instant(stamp, UTC)
        if moment is None:
            raise Rejected(Refusal.STALE)
        age = abs(datetime.fromisoformat(moment).timestamp() * 1000 - push.received_at)
        if age > self._options.tolerance_seconds * 1000:
            raise Rejected(Refusal.STALE)

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        stamp = from_millis(received_at)
        signature = hmac_base64(self._secret, stamp.encode() + body)
        return Push(body, {**headers, STAMP: stamp, SIGNATURE: signature}, query, received_at)

    def parse(self, push: Push) -> Parsed:
        body = decode_json(push.raw)
        drafts = Drafts(self.name, self.places, push)
        kind = text_of(body.get("type")) or ""
        if not kind.startswith("zen:"):
            self._trigger(body, drafts)
        else:
            self._event(kind.removeprefix("zen:event-type:"), body, drafts)
        return drafts.parsed

    def _event(self, kind: str, body: Mapping[str, Any], drafts: Drafts) -> None:
        detail, event = dict_of(body.get("detail")), dict_of(body.get("event"))
        raw = (text_of(detail.get("status")) or "").lower()
        customer = text_of(detail.get("requester_id"))
        status: str | None
        if kind == "ticket.created":
            status = "opened"
        elif kind == "ticket.status_changed":
            raw = (text_of(event.get("current")) or raw).lower()
            status = STATUSES.get(raw)
            if status == "opened":
                if (text_of(event.get("previous")) or "").lower() not in DONE:
                    return  # new to open: somebody took it, nobody answered
                status = "reopened"
        elif kind == "ticket.comment_added":
            comment = dict_of(event.get("comment"))
            author = text_of(dict_of(comment.get("author")).get("id"))
            if comment.get("is_public") is not True or author == customer:
                return
            status = "responded"
        else:
            return
        ticket = Ticket(
            id=text_of(detail.get("id")),
            event=text_of(body.get("id")),
            status=status,
            status_raw=raw,
            at=body.get("time") or detail.get("updated_at"),
            customer=customer,
            channel=text_of(dict_of(detail.get("via")).get("channel")),
            tags=detail.get("tags"),
            priority=PRIORITIES.get((text_of(detail.get("priority")) or "").lower()),
            texts=(detail.get("subject"), detail.get("description")),
            reference=text_of(detail.get("external_id")),
        )
        ticket_event(ticket, body, drafts, self._options, UTC)

    def _trigger(self, body: Mapping[str, Any], drafts: Drafts) -> None:
        status = (text_of(body.get("status")) or "").lower()
        ticket = Ticket(
            id=text_of(body.get("ticket_id")),
            event=None,
            status=STATUSES.get(status),
            status_raw=status,
            at=body.get("created_at" if STATUSES.get(status) == "opened" else "updated_at"),
            customer=text_of(body.get("customer_id")),
            channel=text_of(body.get("channel")),
            tags=body.get("tags"),
            priority=PRIORITIES.get((text_of(body.get("priority")) or "").lower()),
            texts=(body.get("subject"), body.get("description")),
            reference=text_of(body.get("order_id")),
            tracking_number=text_of(body.get("tracking_number")),
        )
        ticket_event(ticket, body, drafts, self._options, self._options.zone)
