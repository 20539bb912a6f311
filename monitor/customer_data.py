"""A customer's own data, wherever this program keeps it: exported as JSON, or taken out.

The ledger has decisions, coupons and consent; the directory has orders, contact and tickets; stories tell parcels, and what
policy refused; dead letters and events that wait are payloads as they came. What was decided and paid stays in the books
without the name, and a refusal stays under a keyed pseudonym, as it must.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from detectors.findings import Instant
from monitor import tickets
from monitor.customer_mail import drop, events_about, letters_about, shown
from monitor.mentions import mentions
from monitor.remembered import Remembered
from monitor.story import Record, Story
from monitor.subjects import CUSTOMER
from notifier.audit import Audit
from notifier.ledger import Ledger, Person
from notifier.store import Store

UNNAMED: Final = ("contact", "customer_id")
NAMES: Final = ("finding_id", "action_id")  # of a record in a story
PAGE: Final = 1000
# What nobody can take one customer out of, and how long it is there.
STAYS: Final = (
    "the event stream, until every kept checkpoint covers it and keep_stream_hours are over",
    "the checkpoints: who complained repeatedly, for 30 days after the last complaint",
    "what was said in the ops chat, in an alert's record for 400 days, at providers, and backups",
)


class Erased(NamedTuple):
    actions: int  # that lost the name
    left: list[str]  # those that could not, as they are being sent or wait to be resolved
    letters: int  # dead letters that spoke of the customer, and are gone
    events: int  # that waited for another push, and are gone


@dataclass(frozen=True, slots=True)
class _Known:
    """Under what a customer is known: their orders, the stories about them, and how they are spoken of."""

    orders: list[str]
    stories: dict[str, list[Record]]
    speaks: Callable[[bytes], bool]


async def export(store: Store, audit: Audit, customer_id: str) -> dict[str, Any]:
    """As JSON values. Contact data are in it: it is for the customer."""
    told = await audit.export(customer_id)
    known = await _known(store, customer_id, told["actions"])
    orders: dict[str, Any] = {}
    for order_id in known.orders:
        fields = await store.hash_all(store.key("order", order_id))
        if fields.get("customer_id") == customer_id.encode():
            orders[order_id] = {name: _plain(name, value) for name, value in sorted(fields.items())}
    return {
        **told,
        "orders": orders,
        "opted_out": bool(await store.call("SISMEMBER", store.key("opted-out"), customer_id)),
        "open_tickets": await tickets.open_of(store, customer_id),
        "stories": known.stories,
        "dead_letters": [shown(one) for one in await letters_about(store, known.speaks)],
        "waiting_events": [
            msgspec.json.decode(event) for _, _, event in await events_about(store, known.speaks)
        ],
    }


async def erase(
    store: Store, ledger: Ledger, audit: Audit, customer_id: str, person: Person, now: Instant
) -> Erased:
    """Not out of the event stream, nor out of checkpoints: `STAYS`."""
    known = await _known(store, customer_id, (await audit.export(customer_id))["actions"])
    letters, events = await drop(store, known.speaks)
    erased, left = await audit.erase(customer_id, person, now)
    for order_id in known.orders:
        await store.hash_delete(store.key("order", order_id), *UNNAMED)
    await tickets.forget(store, customer_id, known.orders)
    told = {
        str(one[name]) for story in known.stories.values() for one in story for name in NAMES if name in one
    }
    await store.delete(
        store.key("live-orders", customer_id),
        store.key("complained", "customer", customer_id),
        *(store.key("complained", "order", one) for one in known.orders),
        *(store.key("story", one) for one in sorted(known.stories)),
        *(store.key("subject", one) for one in sorted(told)),
    )
    await Remembered(store).unname(customer_id)
    if await store.set_remove(store.key("opted-out"), customer_id):
        said = {"source": "erasure", "text_version": "", "who": "customer"}
        await ledger.consent(customer_id, "all", allowed=False, now=now, **said)
    return Erased(erased, left, letters, events)


async def _known(store: Store, customer_id: str, actions: Sequence[Mapping[str, Any]]) -> _Known:
    orders = await _orders(store, customer_id, actions)
    found = [await store.set_members(store.key("parcels", one)) for one in orders]
    parcels = sorted({one.decode() for some in found for one in some})
    subjects = {f"{CUSTOMER}{customer_id}"} | {str(one["subject"]) for one in actions}
    subjects |= {f"order:{one}" for one in orders} | {f"parcel:{one}" for one in parcels}
    told = {one: await Story(store).records(one) for one in sorted(subjects)}
    contacts: set[str] = set()
    for order_id in orders:
        raw = await store.hash_get(store.key("order", order_id), "contact")
        fields = msgspec.json.decode(raw, type=dict[str, Any]) if raw else {}
        contacts |= {str(fields[name]) for name in ("phone", "email", "openid") if fields.get(name)}
    stories = {one: records for one, records in told.items() if records}
    return _Known(orders, stories, mentions(customer_id, contacts, [*orders, *parcels]))


async def _orders(store: Store, customer_id: str, actions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those that something was decided about, and all others that are kept: no index leads from a customer to them, so
    every order is looked at.
    """
    found = {str(one["order_id"]) for one in actions if one["order_id"]}
    page: list[str] = []
    async for key in store.keys("order", "*"):
        page.append(key)
        if len(page) == PAGE:
            found.update(await _of(store, customer_id, page))
            page = []
    return sorted(found.union(await _of(store, customer_id, page)))


async def _of(store: Store, customer_id: str, keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    owners = await store.run([("HGET", key, "customer_id") for key in keys], atomic=False)
    start = len(store.key("order", ""))
    return [key[start:] for key, owner in zip(keys, owners, strict=True) if owner == customer_id.encode()]


def _plain(name: str, value: bytes) -> Any:
    return msgspec.json.decode(value) if name == "contact" else value.decode()
