"""What is needed only when acting: order, customer, amount, contact, open tickets. It lives in the store.

The parcel table knows no customer. Every write is idempotent and independent of order: a status keeps the time at
which it was reached, and the newest one counts, so late and repeated events change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from detectors.findings import Instant
from monitor import complaint_times, tickets
from monitor.columns import Batch
from monitor.events import Order
from notifier.sending import Contact
from notifier.store import Pipeline, Script, Store

KEPT_MS: Final = 400 * 86_400_000
# Since the order's last event: twice what a parcel is waited for without a scan.
CONTACT_MS: Final = 120 * 86_400_000
NEWEST: Final = 5  # live orders of a customer that are looked at for a contact
# In the order of their steps: of two at the same moment the later step is the status.
STEPS: Final = (
    *("placed", "paid", "shipped", "completed", "return_requested", "return_received"),
    *("refund_requested", "cancelled", "refunded"),
)
_TOLD: Final = Script.load(Path(__file__).with_name("order_told.lua"))
_TEXTS: Final = (
    "customer_id",
    "region",
    "origin_region",
    "carrier",
    "currency",
    "locale",
    "customer_tier",
    "category",
    "supplier",
)


@dataclass(frozen=True, slots=True)
class OrderEntry:
    """What the directory knows of one order; no contact data."""

    order_id: str
    customer_id: str | None = None
    status: str | None = None
    amount: int | None = None
    currency: str | None = None
    locale: str | None = None
    tier: str | None = None
    region: str | None = None
    promised_at: int | None = None
    has_contact: bool = False
    open_tickets: int = 0
    opted_out: bool = False
    contact_hashes: tuple[str, ...] = ()  # keyed: the same phone under many names is one person
    timezone: str | None = None  # where the contact names one
    statuses: Mapping[str, int] = field(default_factory=dict)


def no_hashes(_contact: Contact, _address: str | None) -> tuple[str, ...]:
    return ()


class Directory:
    def __init__(
        self, store: Store, hashes: Callable[[Contact, str | None], tuple[str, ...]] = no_hashes
    ) -> None:
        self._store = store
        self._hashes = hashes

    async def remember(self, batch: Batch) -> None:
        known = await self.orders_of([number for number, _ in batch.links])
        pipe = self._store.pipeline(atomic=False)
        for order in batch.orders:
            self._order(pipe, order)
        tickets.remember(self._store, pipe, batch.complaints)
        complaint_times.remember(self._store, pipe, batch.complaints)
        for tracking_number, order_id in batch.links:
            if (
                known.get(tracking_number) != order_id
            ):  # said with every scan, written once, and before the way back
                remember_parcel(self._store, pipe, order_id, tracking_number)
            self._link(pipe, tracking_number, order_id)
        for engagement in batch.engagements:
            if engagement.status == "opted_out":
                pipe.call("SADD", self._store.key("opted-out"), engagement.customer_id)
        await pipe.run()

    async def orders_of(self, tracking_numbers: Sequence[str]) -> dict[str, str]:
        """Tracking number to order id, where known."""
        if not tracking_numbers:
            return {}
        found = await self._store.call(
            "MGET", *[self._store.key("parcel", number) for number in tracking_numbers]
        )
        return {
            number: order.decode() for number, order in zip(tracking_numbers, found, strict=True) if order
        }

    async def parcels_of(self, order_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Order id to tracking numbers, sorted, where any are known."""
        commands = [("SMEMBERS", self._store.key("parcels", order_id)) for order_id in order_ids]
        found = await self._store.run(commands, atomic=False) if commands else []
        return {
            order_id: tuple(sorted(number.decode() for number in numbers))
            for order_id, numbers in zip(order_ids, found, strict=True)
            if numbers
        }

    async def orders(self, order_ids: Iterable[str], now: Instant) -> dict[str, OrderEntry]:
        """By order id, those that are known. Tickets of which nothing was heard for weeks before `now` are not open."""
        ids = list(dict.fromkeys(order_ids))
        if not ids:
            return {}
        pipe = self._store.pipeline(atomic=False)
        for order_id in ids:
            pipe.call("HGETALL", self._store.key("order", order_id))
            tickets.ask(self._store, pipe, "order", order_id, now)
        answers = iter(await pipe.run())
        entries = {}
        for order_id in ids:
            fields = {name.decode(): value for name, value in next(answers).items()}
            talking = tickets.count(islice(answers, tickets.READS))
            if fields:
                entry = _entry(order_id, fields, talking)
                entries[order_id] = self._with_contact(entry, fields.get("contact"))
        return await self._with_customers(entries, now)

    async def contact(self, customer_id: str | None, order_id: str | None) -> Contact | None:
        """Personal data: read at the moment of sending, never kept by the caller."""
        raw = None
        if order_id:
            raw = await self._store.hash_get(self._store.key("order", order_id), "contact")
        elif customer_id:
            raw = await self._newest_contact(customer_id)
        if not raw:
            return None
        return _contact(msgspec.json.decode(raw, type=dict[str, Any]))

    async def phone_of(self, tracking_number: str) -> str | None:
        """Of who ordered the parcel, while the order is live; as `contact`."""
        order_id = (await self.orders_of([tracking_number])).get(tracking_number)
        found = await self.contact(None, order_id) if order_id else None
        return found.phone if found else None

    async def _newest_contact(self, customer_id: str) -> bytes | None:
        """Of a customer's live orders; not every feed tells it with every order."""
        key = self._store.key("live-orders", customer_id)
        newest = await self._store.call("ZREVRANGE", key, 0, NEWEST - 1)
        commands = [("HGET", self._store.key("order", one.decode()), "contact") for one in newest]
        found = await self._store.run(commands, atomic=False) if commands else []
        return next((raw for raw in found if raw), None)

    def _with_contact(self, entry: OrderEntry, raw: bytes | None) -> OrderEntry:
        """What deciding may know of a contact: keyed hashes and a time zone, not the contact."""
        if not raw:
            return entry
        fields = msgspec.json.decode(raw, type=dict[str, Any])
        contact, zone, address = _contact(fields), fields.get("timezone"), fields.get("address")
        return replace(
            entry,
            contact_hashes=self._hashes(contact, address if isinstance(address, str) else None)
            if contact
            else (),
            timezone=zone if isinstance(zone, str) else None,
        )

    async def _with_customers(self, entries: dict[str, OrderEntry], now: Instant) -> dict[str, OrderEntry]:
        customers = sorted({entry.customer_id for entry in entries.values() if entry.customer_id})
        if not customers:
            return entries
        pipe = self._store.pipeline(atomic=False)
        for customer in customers:
            pipe.call("SISMEMBER", self._store.key("opted-out"), customer)
            tickets.ask(self._store, pipe, "customer", customer, now)
        answers = iter(await pipe.run())
        known = {
            one: (bool(next(answers)), tickets.count(islice(answers, tickets.READS))) for one in customers
        }
        return {order_id: _with_customer(entry, known) for order_id, entry in entries.items()}

    def _order(self, pipe: Pipeline, order: Order) -> None:
        fields: dict[str, str | bytes | int] = {}
        for name in _TEXTS:
            if (value := getattr(order, name)) is not None:
                fields[name] = value
        if order.amount is not None:
            fields["amount"] = order.amount
        if order.promised_at is not None:
            fields["promised_at"] = order.promised_at
        if order.contact:
            fields["contact"] = msgspec.json.encode(order.contact)
        keys = (self._store.key("order", order.order_id), self._store.key("live-orders", order.customer_id))
        told = (order.order_id, order.status, order.occurred_at, KEPT_MS, CONTACT_MS)
        pipe.digested(_TOLD, keys, *told, *[part for pair in fields.items() for part in pair])
        if order.tracking_number:
            self._link(pipe, order.tracking_number, order.order_id)
            remember_parcel(self._store, pipe, order.order_id, order.tracking_number)

    def _link(self, pipe: Pipeline, tracking_number: str, order_id: str) -> None:
        pipe.call("SET", self._store.key("parcel", tracking_number), order_id, "PX", KEPT_MS)


def remember_parcel(store: Store, pipe: Pipeline, order_id: str, tracking_number: str) -> None:
    """From an order to its parcels; the way back is in `Directory.orders_of`."""
    key = store.key("parcels", order_id)
    pipe.call("SADD", key, tracking_number)
    pipe.call("PEXPIRE", key, KEPT_MS)


def _contact(fields: Mapping[str, Any]) -> Contact | None:
    texts = {name: str(fields[name]) for name in ("phone", "email", "openid") if fields.get(name)}
    return Contact(**texts) if texts else None


def _entry(order_id: str, fields: Mapping[str, bytes], talking: int) -> OrderEntry:
    texts = {name: fields[name].decode() for name in _TEXTS if name in fields}
    statuses = {name[3:]: int(value) for name, value in fields.items() if name.startswith("at:")}
    return OrderEntry(
        order_id=order_id,
        customer_id=texts.get("customer_id"),
        status=max(statuses, key=lambda name: (statuses[name], STEPS.index(name)), default=None),
        amount=int(fields["amount"]) if "amount" in fields else None,
        currency=texts.get("currency"),
        locale=texts.get("locale"),
        tier=texts.get("customer_tier"),
        region=texts.get("region"),
        promised_at=int(fields["promised_at"]) if "promised_at" in fields else None,
        has_contact="contact" in fields,
        open_tickets=talking,
        statuses=statuses,
    )


def _with_customer(entry: OrderEntry, known: Mapping[str, tuple[bool, int]]) -> OrderEntry:
    """`known`: by customer, whether they opted out, and their open tickets."""
    if entry.customer_id is None:
        return entry
    opted_out, talking = known[entry.customer_id]
    return replace(entry, opted_out=opted_out, open_tickets=max(entry.open_tickets, talking))
