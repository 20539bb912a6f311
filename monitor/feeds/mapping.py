"""Fields of a foreign record to those of the contract, by configuration: for webhooks, pollers and files alike.

A path is names with dots ("ticket.customer.id", "items.0.sku"); a file's column is a path of one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.zones import ZoneName
from monitor.feeds.canonical import LONGEST_TEXT, TIMES, Code, Drafts, digest, number_of, raw_of, text_of
from monitor.feeds.zones import end_of_day
from monitor.vocabulary import DeadReason, Status

TRACKING_STATUSES = frozenset(status.name.lower() for status in Status)
STATUSES: Mapping[str, frozenset[str]] = {
    "tracking": TRACKING_STATUSES,
    "order": frozenset(
        {
            "placed",
            "paid",
            "shipped",
            "completed",
            "cancelled",
            "return_requested",
            "return_received",
            "refund_requested",
            "refunded",
        }
    ),
    "complaint": frozenset({"opened", "responded", "resolved", "reopened", "withdrawn"}),
    "engagement": frozenset({"delivered", "bounced", "opened", "clicked", "redeemed", "opted_out"}),
}
NUMBERS = frozenset({"latitude", "longitude", "amount"})
PLACES = frozenset({"region", "origin_region"})
NEEDED: Mapping[str, tuple[str, ...]] = {
    "tracking": ("tracking_number", "carrier"),
    "order": ("order_id", "customer_id"),
    "complaint": ("complaint_id",),
    "engagement": ("customer_id",),
}
KNOWN: Mapping[str, frozenset[str]] = {
    "tracking": frozenset(
        [
            "tracking_number",
            "carrier",
            "order_id",
            "status",
            "facility",
            "region",
            "latitude",
            "longitude",
            "courier_id",
            "delivered_to",
            "signed_by",
            "estimated_at",
        ]
    ),
    "order": frozenset(
        [
            "order_id",
            "customer_id",
            "status",
            "tracking_number",
            "carrier",
            "service_level",
            "warehouse",
            "origin_region",
            "region",
            "latitude",
            "longitude",
            "promised_at",
            "amount",
            "currency",
            "category",
            "supplier",
            "locale",
            "customer_tier",
            "contact.phone",
            "contact.email",
            "contact.openid",
        ]
    ),
    "complaint": frozenset(
        [
            "complaint_id",
            "status",
            "order_id",
            "tracking_number",
            "customer_id",
            "region",
            "category",
            "reason",
            "severity",
            "demand",
            "channel",
            "text",
            "outcome",
            "satisfaction",
            "amount",
            "currency",
        ]
    ),
    "engagement": frozenset(["action_id", "customer_id", "status"]),
}


class MappingOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["tracking", "order", "complaint", "engagement"]
    records: str = Field("", description="path to the list of records; empty: the body itself, one or a list")
    occurred_at: str = Field(description="path of the time; RFC 3339, or local to `timezone`")
    event_id: str | None = Field(
        None, description="path of an id that repeats with the event; none: made from its fields"
    )
    fields: Mapping[str, str] = Field(description="field of the contract to the path it is read from")
    constants: Mapping[str, str] = Field(
        default_factory=dict, description="fields that the record does not have"
    )
    values: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict, description="per field, the record's words to the contract's"
    )
    timezone: ZoneName = Field("UTC", description="of times without an offset")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        written = set(self.fields) | set(self.constants)
        if foreign := written - KNOWN[self.event]:
            raise ValueError(f"{self.event} events have no field {', '.join(sorted(foreign))}")
        if missing := {*NEEDED[self.event], "status"} - written:
            raise ValueError(f"{self.event} events need {', '.join(sorted(missing))}: add a path to `fields`")
        wrong = {word for word in self.values.get("status", {}).values() if word not in STATUSES[self.event]}
        if wrong:
            raise ValueError(f"no status of {self.event} events: {', '.join(sorted(wrong))}")
        return self


def at_path(value: Any, path: str) -> Any:
    """None where the path leads nowhere."""
    for name in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def records(body: Any, options: MappingOptions) -> Iterator[Any]:
    found = at_path(body, options.records)
    if isinstance(found, list):
        yield from found
    elif found is not None:
        yield found


def read(record: Any, options: MappingOptions, zone: tzinfo, drafts: Drafts) -> None:
    """One record to at most one event; what is wrong with it goes to the dead letters."""
    if not isinstance(record, Mapping):
        return drafts.dead(DeadReason.NOT_AN_OBJECT, "record", record)
    fields: dict[str, Any] = {}
    for name in {**options.constants, **options.fields}:
        value = _value(record, name, options, zone, drafts)
        if value is None:
            continue
        head, _, tail = name.partition(".")
        if tail:
            fields.setdefault(head, {})[tail] = value
        else:
            fields[name] = value
    missing = next((name for name in NEEDED[options.event] if name not in fields), None)
    if missing:
        return drafts.dead(DeadReason.MISSING_FIELD, missing, record)
    return _write(record, options, zone, drafts, fields)


def _write(
    record: Mapping[str, Any], options: MappingOptions, zone: tzinfo, drafts: Drafts, fields: dict[str, Any]
) -> None:
    status = fields.pop("status", "")
    at = _moment(at_path(record, options.occurred_at))
    own = text_of(at_path(record, options.event_id)) if options.event_id else None
    if options.event == "tracking":
        code = Code(status) if status in TRACKING_STATUSES else None
        raw = text_of(at_path(record, options.fields.get("status", ""))) or status
        number, carrier = fields.pop("tracking_number"), fields.pop("carrier")
        key = (own or fields.get("facility"),)
        return drafts.scan(
            record,
            number=number,
            carrier=carrier,
            at=at,
            zone=zone,
            code=code,
            raw_code=raw,
            key=key,
            **fields,
        )
    if status not in STATUSES[options.event]:
        return drafts.foreign_status(status, record)
    event_id = own or digest([str(at), status, raw_of(fields).decode()])
    if options.event == "order":
        return drafts.order(record, event_id=event_id, at=at, zone=zone, status=status, **fields)
    return drafts.record(record, options.event, event_id, at, zone, status=status, **fields)


def _value(
    record: Mapping[str, Any], name: str, options: MappingOptions, zone: tzinfo, drafts: Drafts
) -> Any:
    path = options.fields.get(name)
    found = at_path(record, path) if path is not None else None
    if found is None:
        found = options.constants.get(name)
    if name in NUMBERS:
        return number_of(found)
    if name == "satisfaction":
        number = number_of(found)
        return int(number) if number is not None and number in {1, 2, 3, 4, 5} else None
    if name in TIMES:
        return end_of_day(_moment(found), zone)
    text = text_of(found, LONGEST_TEXT if name == "text" else None)
    if text is not None:
        text = options.values.get(name, {}).get(text, text)
    if name in PLACES:
        return drafts.find(text)
    return text


def _moment(value: Any) -> Any:
    """Text as it is; a number is Unix time, in milliseconds where it is too large for seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value.isoformat() if hasattr(value, "isoformat") else None
    if isinstance(value, str) and not value.strip().lstrip("-").isdecimal():
        return value
    number = number_of(value)
    if number is None:
        return None
    seconds = number / 1000 if abs(number) > 1e11 else number
    return _iso(seconds)


def _iso(seconds: float) -> str | None:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
