"""Gorgias: an HTTP integration on ticket events, with the body of docs/feeds.md.

Gorgias signs nothing; it sends the headers that the integration is given, so the secret travels in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.regions import Regions
from monitor.feeds.base import NOTHING, Base, Parsed, Push, decode_json
from monitor.feeds.canonical import Drafts, dict_of, list_of, text_of
from monitor.feeds.complaints import ComplaintOptions, Ticket, ticket_event
from monitor.feeds.signing import given, same

HEADER = "x-forestall-secret"

# Source: developers.gorgias.com, the ticket object: a ticket is open or closed, and may be snoozed or spam.
STATUSES: Mapping[str, str] = {"open": "opened", "closed": "resolved"}
PRIORITIES: Mapping[str, str] = {
    "low": "general",
    "normal": "general",
    "high": "important",
    "critical": "major",
}


class Gorgias(Base):
    kind = "gorgias"
    Options = ComplaintOptions

    def __init__(self, name: str, options: ComplaintOptions, places: Regions) -> None:
        super().__init__(name, places)
        self._options = options
        self._secret = options.secret.get_secret_value()

    def verify(self, push: Push) -> None:
        same(self._secret, given(push.headers, HEADER))

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        return Push(body, {**headers, HEADER: self._secret}, query, received_at)

    def parse(self, push: Push) -> Parsed:
        body = decode_json(push.raw)
        ticket = dict_of(body.get("ticket")) or body
        drafts = Drafts(self.name, self.places, push)
        if ticket.get("spam") is True or dict_of(body.get("message")).get("from_agent") is True:
            if ticket.get("spam") is True:
                return drafts.parsed
            self._say(ticket, body, drafts, "responded")
            return drafts.parsed
        status = (text_of(ticket.get("status")) or "").lower()
        self._say(ticket, body, drafts, STATUSES.get(status))
        return drafts.parsed

    def _say(
        self, ticket: Mapping[str, Any], body: Mapping[str, Any], drafts: Drafts, status: str | None
    ) -> None:
        messages = [dict_of(one) for one in list_of(ticket.get("messages"))]
        message = dict_of(body.get("message")) or (messages[-1] if messages else {})
        said = message.get("body_text") or message.get("stripped_text") or ticket.get("excerpt")
        ticket_event(
            Ticket(
                id=text_of(ticket.get("id")),
                event=None,
                status=status,
                status_raw=text_of(ticket.get("status")) or "",
                at=_time(status, ticket, message),
                customer=text_of(dict_of(ticket.get("customer")).get("id")),
                channel=text_of(ticket.get("channel")),
                tags=ticket.get("tags"),
                priority=PRIORITIES.get((text_of(ticket.get("priority")) or "").lower()),
                texts=(ticket.get("subject"), None if message.get("from_agent") is True else said),
                reference=text_of(ticket.get("order_id")) or text_of(ticket.get("external_id")),
                tracking_number=text_of(ticket.get("tracking_number")),
            ),
            body,
            drafts,
            self._options,
            self._options.zone,
        )


def _time(status: str | None, ticket: Mapping[str, Any], message: Mapping[str, Any]) -> Any:
    """An open ticket opened when it was created, however often it is sent again."""
    if status == "opened":
        return ticket.get("created_datetime")
    return (status == "responded" and message.get("created_datetime")) or ticket.get("updated_datetime")
