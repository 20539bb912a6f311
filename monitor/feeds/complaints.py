"""What help desks share: tags of the shop to category, reason and severity; order and tracking numbers out of the text.

Where the tags say nothing, category, reason and severity stay open: the classifier (`classify.py`) fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from monitor.feeds.canonical import LONGEST_TEXT, Drafts, digest, list_of, text_of
from monitor.feeds.options import ZonedOptions
from monitor.vocabulary import DeadReason

Category = Literal["product", "logistics", "service", "order", "unknown"]
Severity = Literal["general", "important", "major"]
_ORDERS = {"general": 0, "important": 1, "major": 2}


class TagMeaning(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Category | None = None
    reason: str | None = None
    severity: Severity | None = None
    demand: str | None = None


class ComplaintOptions(ZonedOptions):
    tags: Mapping[str, TagMeaning] = Field(
        default_factory=dict,
        description="what a tag of the help desk says: category, reason, severity, demand",
    )
    order_pattern: str | None = Field(
        None, description="a regular expression with one group, to find the order's number in subject or text"
    )
    only_tagged: bool = Field(False, description="tickets without any of `tags` are no complaints")

    @field_validator("order_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            groups = re.compile(pattern or "()").groups
        except re.error as error:
            raise ValueError(f"is no regular expression: {error.msg}") from None
        if not groups:
            raise ValueError("needs a group around the order's number: (...)")
        return pattern


class Ticket(NamedTuple):
    id: str | None
    event: str | None  # the provider's own id of this change, where it has one
    status: str | None  # of the contract; None: not in the feed's table
    status_raw: str
    at: Any
    customer: str | None = None
    channel: str | None = None
    tags: Any = None
    priority: str | None = None
    texts: tuple[Any, ...] = ()
    reference: str | None = None  # the order
    tracking_number: str | None = None


def ticket_event(ticket: Ticket, body: Any, drafts: Drafts, options: ComplaintOptions, zone: tzinfo) -> None:
    tags = _tags(ticket.tags)
    meanings = [options.tags[tag] for tag in tags if tag in options.tags]
    if options.only_tagged and not meanings:
        return
    if ticket.id is None:
        drafts.dead(DeadReason.MISSING_FIELD, "complaint_id", body)
        return
    if ticket.status is None:
        drafts.foreign_status(ticket.status_raw, body)
        return
    text = "\n".join(part for part in (text_of(one, LONGEST_TEXT) for one in ticket.texts) if part)
    severities = [one.severity for one in meanings if one.severity]
    if ticket.priority and ticket.priority != "general":
        severities.append(ticket.priority)  # type: ignore[arg-type]  # a value of the same three
    event_id = ticket.event or digest([ticket.id, ticket.status, str(ticket.at)])
    drafts.record(
        body,
        "complaint",
        f"{ticket.id}.{event_id}",
        ticket.at,
        zone,
        complaint_id=ticket.id,
        status=ticket.status,
        customer_id=ticket.customer,
        order_id=ticket.reference or _order(text, options.order_pattern),
        tracking_number=ticket.tracking_number,
        category=next((one.category for one in meanings if one.category), None),
        reason=next((one.reason for one in meanings if one.reason), None),
        demand=next((one.demand for one in meanings if one.demand), None),
        severity=max(severities, key=_ORDERS.__getitem__, default=None),
        channel=ticket.channel,
        text=text[:LONGEST_TEXT] or None,
    )


def _tags(value: Any) -> list[str]:
    """A list of names, of objects with a name, or one text with blanks or commas between."""
    if isinstance(value, str):
        return [part for part in re.split(r"[,\s]+", value) if part]
    found = [text_of(one.get("name") if isinstance(one, dict) else one) for one in list_of(value)]
    return [tag for tag in found if tag]


def _order(text: str, pattern: str | None) -> str | None:
    if pattern is None:
        return None
    match = re.search(pattern, text[:LONGEST_TEXT])
    return text_of(match[1]) if match and match.groups() else None
