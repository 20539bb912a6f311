"""The event contract (`contracts/event.schema.json`) as types, and the whole check of one event with its reason.

`examine` is the slow and exact way: one line in, the event or `DeadEventError` out. `monitor.decode` decodes by the
thousand with the same types and comes here only for a frame in which something is wrong.

Beyond the contract's types, decided here: ids are not empty; names and ids have a length; times lie in 2000..2099 and
no event happened more than a day after it was received. An empty optional text is an absent one. Properties that the contract does not know never fail an
event; they stay in the stream's text.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final, Literal, TypeAlias, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from monitor.times import DAY, EARLIEST, LATEST, parse_time
from monitor.vocabulary import DeadReason

StatusWord: TypeAlias = Literal[
    "created", "accepted", "departed", "arrived", "in_transit", "customs_entered", "customs_held",
    "customs_cleared", "out_for_delivery", "attempt_failed", "held_for_pickup", "collected", "delivered", "refused",
    "damaged", "lost", "exception", "returning", "returned", "cancelled", "unknown",
]  # fmt: skip
DeliveredWord: TypeAlias = Literal["recipient", "proxy", "locker", "station", "safe_place", "unknown"]
OrderWord: TypeAlias = Literal[
    "placed", "paid", "shipped", "completed", "cancelled", "return_requested", "return_received",
    "refund_requested", "refunded",
]  # fmt: skip
ComplaintWord: TypeAlias = Literal["opened", "responded", "resolved", "reopened", "withdrawn"]
CategoryWord: TypeAlias = Literal["product", "logistics", "service", "order", "unknown"]
SeverityWord: TypeAlias = Literal["general", "important", "major"]
EngagementWord: TypeAlias = Literal["delivered", "bounced", "opened", "clicked", "redeemed", "opted_out"]
Currency: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Extra: TypeAlias = dict[str, Raw] | UnsetType

MOST_MONEY: Final = 1e12  # in major units: beyond it a float no longer holds the cents
LONGEST: Final = {"event_id": 512, "tracking_number": 100}  # bytes
LONGEST_NAME: Final = 200


class WireScan(msgspec.Struct, tag_field="kind", tag="tracking", gc=False):
    event_id: str
    occurred_at: str
    tracking_number: str
    carrier: str
    status: StatusWord
    source: str = ""
    received_at: str = ""
    facility: str = ""
    region: str = ""
    courier_id: str = ""
    delivered_to: DeliveredWord = "unknown"
    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET
    estimated_at: str = ""
    order_id: str = ""
    status_raw: str = ""
    signed_by: str = ""
    extra: Extra = UNSET


class WireOrder(msgspec.Struct, tag_field="kind", tag="order", gc=False):
    event_id: str
    occurred_at: str
    order_id: str
    customer_id: str
    status: OrderWord
    source: str = ""
    received_at: str = ""
    tracking_number: str = ""
    carrier: str = ""
    service_level: str = ""
    warehouse: str = ""
    origin_region: str = ""
    region: str = ""
    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET
    promised_at: str = ""
    amount: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    currency: Currency = ""
    category: str = ""
    supplier: str = ""
    locale: str = ""
    customer_tier: str = ""
    contact: dict[str, Any] | UnsetType = UNSET
    extra: Extra = UNSET


class WireComplaint(msgspec.Struct, tag_field="kind", tag="complaint", gc=False):
    event_id: str
    occurred_at: str
    complaint_id: str
    status: ComplaintWord
    source: str = ""
    received_at: str = ""
    order_id: str = ""
    tracking_number: str = ""
    customer_id: str = ""
    region: str = ""
    category: CategoryWord | UnsetType = UNSET
    reason: str = ""
    severity: SeverityWord | UnsetType = UNSET
    demand: str = ""
    channel: str = ""
    text: str = ""
    outcome: str = ""
    satisfaction: Annotated[float, Meta(ge=1, le=5)] | UnsetType = UNSET
    amount: float | UnsetType = UNSET
    currency: str = ""
    extra: Extra = UNSET


class WireEngagement(msgspec.Struct, tag_field="kind", tag="engagement", gc=False):
    event_id: str
    occurred_at: str
    customer_id: str
    status: EngagementWord
    source: str = ""
    received_at: str = ""
    action_id: str = ""
    extra: Extra = UNSET


class SkimmedScan(msgspec.Struct, tag_field="kind", tag="tracking", gc=False):
    """A tracking event of which only the numbers are wanted: its texts are taken from the line itself."""

    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET


Wire: TypeAlias = WireScan | WireOrder | WireComplaint | WireEngagement
Skimmed: TypeAlias = SkimmedScan | WireOrder | WireComplaint | WireEngagement


def _bounded(kind: type[Wire], free: set[str]) -> list[tuple[str, int, bool]]:
    """Name, most bytes, whether it may not be empty: of the texts that are kept; a carrier may be empty."""
    required = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    return [
        (name, LONGEST.get(name, LONGEST_NAME), place < required and name.endswith(("_id", "_number")))
        for place, name in enumerate(kind.__struct_fields__)
        if name not in free | {"status", "extra", "contact"}
        and not name.endswith("_at")
        and get_type_hints(kind)[name] in {str, Currency}
    ]


# What is free is bounded by the size of the whole event.
BOUNDED: Final = {
    WireScan: _bounded(WireScan, {"order_id", "status_raw", "signed_by"}),
    WireOrder: _bounded(WireOrder, set()),
    WireComplaint: _bounded(WireComplaint, {"demand", "text", "outcome"}),
    WireEngagement: _bounded(WireEngagement, set()),
}
DECODER: Final[msgspec.json.Decoder[Wire]] = msgspec.json.Decoder(Wire)
SKIMMER: Final[msgspec.json.Decoder[Skimmed]] = msgspec.json.Decoder(Skimmed)
NOT_DECODED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class DeadEventError(Exception):
    """An event that cannot be taken. `detail` names the field and the rule, never the value."""

    def __init__(self, reason: DeadReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


def examine(line: bytes, *, max_bytes: int, latest: int | None = None) -> Wire:
    """The event of one line. `latest`: no time may lie after it (a receiver knows what time it is)."""
    if len(line) > max_bytes:
        raise DeadEventError(DeadReason.TOO_LARGE, f"{len(line)} bytes; {max_bytes} are taken")
    try:
        event: Wire = DECODER.decode(line)
    except NOT_DECODED as error:
        raise _undecoded(line, error) from None
    check_texts(event)
    _check_times(event, latest)
    check_numbers(event)
    return event


def check_texts(event: Wire) -> None:
    for name, longest, required in BOUNDED[type(event)]:
        text: str = getattr(event, name)
        if not text and required:
            raise DeadEventError(DeadReason.MISSING_FIELD, f"{name} is empty")
        if len(text) > longest or (not text.isascii() and len(text.encode()) > longest):
            raise DeadEventError(DeadReason.TOO_LONG, f"{name} has more than {longest} bytes")


def check_numbers(event: Wire) -> None:
    if not isinstance(event, WireOrder | WireComplaint):
        return
    amount = event.amount
    if amount is not UNSET and abs(amount) > MOST_MONEY:
        raise DeadEventError(DeadReason.BAD_NUMBER, "amount is beyond all reason")
    if isinstance(event, WireOrder) or event.satisfaction is UNSET:
        return
    if not event.satisfaction.is_integer():
        raise DeadEventError(DeadReason.WRONG_TYPE, "satisfaction must be a whole number")


def _check_times(event: Wire, latest: int | None) -> None:
    occurred = _time(event, "occurred_at")
    received = _time(event, "received_at") or occurred
    _time(event, "promised_at")
    _time(event, "estimated_at")
    if occurred > received + DAY:
        raise DeadEventError(DeadReason.TIME_OUT_OF_RANGE, "occurred_at is more than a day after received_at")
    if latest is not None and max(occurred, received) > latest:
        raise DeadEventError(DeadReason.TIME_OUT_OF_RANGE, "more than a day ahead of now")


def _time(event: Wire, name: str) -> int:
    text = getattr(event, name, "")
    if not text:
        if name == "occurred_at":
            raise DeadEventError(DeadReason.BAD_TIME, "occurred_at is empty")
        return 0
    moment = parse_time(text)
    if moment is None:
        raise DeadEventError(DeadReason.BAD_TIME, f"{name} must be an RFC 3339 time with an offset")
    if not EARLIEST <= moment < LATEST:
        raise DeadEventError(DeadReason.TIME_OUT_OF_RANGE, f"{name} must lie in 2000..2099")
    return moment


_AT: Final = re.compile(r" - at `\$\.?(.*)`$")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_WRITTEN: Final = {"currency": "three capital letters, as CNY"}  # patterns, in words
_EXPECTED: Final = re.compile(r"^(Expected `[^`]+`(?: [<>]= [\d.]+)?)")


def _undecoded(line: bytes, error: Exception) -> DeadEventError:
    """Our own words for the decoder's error: its text may quote a value."""
    text = str(error)
    if isinstance(error, RecursionError):
        return DeadEventError(DeadReason.MALFORMED_JSON, "nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return DeadEventError(DeadReason.MALFORMED_JSON, "not UTF-8")
    if not isinstance(error, msgspec.ValidationError):
        return _malformed(line, text)
    found = _AT.search(text)
    field = re.sub(r"[^\w.\[\]]", "", found[1])[:60] if found else ""
    if missing := _MISSING.search(text):
        return DeadEventError(DeadReason.MISSING_FIELD, missing[1])
    if not field:
        return DeadEventError(DeadReason.NOT_AN_OBJECT, "an event is a JSON object")
    if text.startswith("Number out of range") or (field == "amount" and ">=" in text):
        return DeadEventError(DeadReason.BAD_NUMBER, field)
    if text.startswith("Invalid"):
        if field == "kind":
            return DeadEventError(
                DeadReason.UNKNOWN_KIND, "kind must be order, tracking, complaint or engagement"
            )
        if field == "status":
            return DeadEventError(DeadReason.UNKNOWN_STATUS, "status is no word of the contract")
        return DeadEventError(DeadReason.WRONG_TYPE, f"{field} is no word of the contract")
    if "matching regex" in text and field in _WRITTEN:
        return DeadEventError(DeadReason.WRONG_TYPE, f"{field}: {_WRITTEN[field]}")
    expected = _EXPECTED.match(text)
    return DeadEventError(
        DeadReason.WRONG_TYPE, f"{field}: {expected[1].lower() if expected else 'wrong type'}"
    )


def _malformed(line: bytes, text: str) -> DeadEventError:
    constants: list[str] = []
    try:
        json.loads(line, parse_constant=constants.append)
    except (ValueError, RecursionError):
        constants = []
    if constants:
        return DeadEventError(DeadReason.BAD_NUMBER, "NaN and infinity are no JSON")
    place = re.search(r"\(byte \d+\)", text)
    return DeadEventError(DeadReason.MALFORMED_JSON, place[0] if place else "the text ends too early")
