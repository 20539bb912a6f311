"""How feeds write canonical events: ids that repeat with the scan, times in UTC, nothing empty, nothing unbounded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any, NamedTuple, get_args

import msgspec

from config.regions import Regions
from monitor.feeds.base import Dead, Event, Parsed, Push, UnknownCode
from monitor.feeds.zones import from_millis, instant
from monitor.times import EARLIEST, LATEST, parse_time
from monitor.vocabulary import DeadReason
from monitor.wire import LONGEST_NAME, MOST_MONEY, CategoryWord, DeliveredWord, SeverityWord

LONGEST = LONGEST_NAME  # bytes of a name or an id; longer ones are cut, and are no ids
LONGEST_TEXT = 4000  # characters of what a customer wrote
_INT64 = 1 << 63
TIMES = frozenset({"promised_at", "estimated_at"})
WORDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("complaint", "category"): frozenset(get_args(CategoryWord)),
    ("complaint", "severity"): frozenset(get_args(SeverityWord)),
    ("tracking", "delivered_to"): frozenset(get_args(DeliveredWord)),
}
_CURRENCY = re.compile(r"[A-Z]{3}")


class Code(NamedTuple):
    """What a provider's code means: a status of the contract and, of a sign-off, to whom."""

    status: str
    to: str | None = None


def text_of(value: Any, longest: int | None = None) -> str | None:
    """Text, or a whole number as text (ids); None for everything else and for nothing.

    Cut to `longest` characters; without it to what a name may have of bytes: a Chinese character has three.
    """
    if isinstance(value, str):
        text = value.strip()
        return (_name(text) if longest is None else text[:longest]).strip() or None
    if isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64:
        return str(value)
    return None


def _name(text: str) -> str:
    if len(text) * 4 <= LONGEST or len(text.encode("utf-8", "replace")) <= LONGEST:
        return text
    return text.encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")


def number_of(value: Any) -> float | None:
    """A finite number, also where the provider writes it as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def dict_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def raw_of(value: Any) -> bytes:
    """The part of a push that a dead letter keeps."""
    return msgspec.json.encode(value)


def digest(parts: Iterable[str]) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def fits(kind: str, name: str, value: Any) -> bool:
    """Whether intake would take this value of an optional field: it refuses the whole event for one that is none."""
    if name in TIMES:
        moment = parse_time(value)
        return moment is not None and EARLIEST <= moment < LATEST
    if name == "amount":
        return isinstance(value, int | float) and abs(value) <= MOST_MONEY
    words = WORDS.get((kind, name))
    return words is None or value in words


class Drafts:
    """Collects what one push says. Lines said twice in one push become one event."""

    def __init__(self, source: str, places: Regions, push: Push) -> None:
        self.parsed = Parsed()
        self._source = source
        self._places = places
        self._received = from_millis(push.received_at)
        self._ids: set[str] = set()

    def dead(self, reason: DeadReason, detail: str, value: Any) -> None:
        self.parsed.dead.append(Dead(reason, detail, raw_of(value)))

    def place(self, code: str | None, named: Any) -> str | None:
        """Counts a place that was named and is in no region; passes the region on."""
        if code is None and named:
            self.parsed.unplaced += 1
        return code

    def find(self, *texts: str | None, country: str | None = None) -> str | None:
        """The region of the first of these texts that names one."""
        for text in texts:
            if text and (found := self._places.find(text, country)):
                return found
        return self.place(None, any(texts))

    def scan(
        self,
        line: Any,
        *,
        number: str | None,
        carrier: str | None,
        at: Any,
        zone: tzinfo,
        code: Code | None,
        raw_code: str,
        own_code: str | None = None,
        key: Iterable[str | None] = (),
        **fields: Any,
    ) -> None:
        """One tracking event. `code` None: the table has no entry for `raw_code`. `own_code` is the line's own code where
        `raw_code` is lent by the parcel's newest state. `key` is what tells this scan from another one of the same
        second and code; it must not change when the provider sends the scan again.
        """
        if not number or not carrier:
            return self.dead(DeadReason.MISSING_FIELD, "tracking_number" if not number else "carrier", line)
        occurred = instant(at, zone) if isinstance(at, str) else None
        if occurred is None:
            return self.dead(
                DeadReason.BAD_TIME if at else DeadReason.MISSING_FIELD, "time of the scan", line
            )
        status, to = code or Code("unknown")
        said = [number, occurred, status, raw_code if own_code is None else own_code]
        event_id = f"{number}.{digest([*said, *(part or '' for part in key)])}"
        event = self._event(
            "tracking",
            event_id,
            occurred,
            tracking_number=number,
            carrier=carrier,
            status=status,
            status_raw=raw_code or None,
            delivered_to=to,
            **fields,
        )
        if event is not None and code is None:
            self.parsed.unknown.append(UnknownCode(raw_code, event))
        return None

    def order(
        self,
        line: Any,
        *,
        event_id: str,
        at: Any,
        zone: tzinfo,
        order_id: str | None,
        customer_id: str | None,
        status: str,
        **fields: Any,
    ) -> None:
        if not order_id or not customer_id:
            return self.dead(DeadReason.MISSING_FIELD, "order_id" if not order_id else "customer_id", line)
        fields |= {"order_id": order_id, "customer_id": customer_id, "status": status}
        currency = fields.get("currency")
        if currency is not None and not _CURRENCY.fullmatch(currency):
            fields["currency"] = fields["amount"] = None
        if (fields.get("amount") or 0) < 0:
            return self.dead(DeadReason.BAD_NUMBER, "amount", line)
        return self.record(line, "order", event_id, at, zone, **fields)

    def foreign_status(self, status: str, line: Any) -> None:
        """A status of an order or a complaint that the feed's table does not have: no event can say it, so the whole
        line goes to the dead letters, and the code is counted.
        """
        self.dead(DeadReason.UNKNOWN_CODE, f"status {status[:40]!r}", line)

    def record(self, line: Any, kind: str, event_id: str, at: Any, zone: tzinfo, **fields: Any) -> None:
        """One order, complaint or engagement event; `fields` that are None are left out."""
        occurred = instant(at, zone) if isinstance(at, str) else None
        if occurred is None:
            return self.dead(
                DeadReason.BAD_TIME if at else DeadReason.MISSING_FIELD, "time of the event", line
            )
        self._event(kind, event_id, occurred, **fields)
        return None

    def _event(self, kind: str, event_id: str, occurred: str, **fields: Any) -> Event | None:
        if event_id in self._ids:
            return None
        self._ids.add(event_id)
        event = {
            "kind": kind,
            "event_id": event_id,
            "source": self._source,
            "occurred_at": occurred,
            "received_at": self._received,
        }
        for name, value in fields.items():
            if value is None:
                continue
            if fits(kind, name, value):
                event[name] = value
            else:  # the event says what it says without it
                self.parsed.left_out.append(name)
        self.parsed.events.append(event)
        return event
