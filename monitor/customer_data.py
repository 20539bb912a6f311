"""A customer's own data, wherever this program keeps it: exported as JSON, or taken out.

The ledger has decisions, coupons and consent; the directory has orders, contact and tickets; stories tell parcels. What was
decided and paid stays in the books without the name, and a refusal stays under a keyed pseudonym, as it must.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from detectors.findings import Instant
from monitor.remembered import Remembered
from monitor.subjects import CUSTOMER
from notifier.audit import Audit
from notifier.ledger import Ledger, Person
from notifier.store import Store

UNNAMED = ("contact", "customer_id")
PAGE = 1000


async def export(store: Store, audit: Audit, customer_id: str) -> dict[str, Any]:
    """As JSON values. Contact data are in it: it is for the customer."""
    known = await audit.export(customer_id)
    orders: dict[str, Any] = {}
    for order_id in await _orders(store, customer_id, known["actions"]):
        fields = await store.hash_all(store.key("order", order_id))
        if fields.get("customer_id") == customer_id.encode():
            orders[order_id] = {name: _plain(name, value) for name, value in sorted(fields.items())}
    opted = await store.call("SISMEMBER", store.key("opted-out"), customer_id)
    tickets = await store.set_members(store.key("tickets", "customer", customer_id))
    return {
        **known,
        "orders": orders,
        "opted_out": bool(opted),
        "open_tickets": sorted(one.decode() for one in tickets),
    }


async def erase(
    store: Store, ledger: Ledger, audit: Audit, customer_id: str, person: Person, now: Instant
) -> tuple[int, list[str]]:
    """How many actions lost the name, and which could not, as they are being sent or wait to be resolved."""
    actions = (await audit.export(customer_id))["actions"]
    orders = await _orders(store, customer_id, actions)
    erased, left = await audit.erase(customer_id, person, now)
    subjects = {f"{CUSTOMER}{customer_id}"} | {str(one["subject"]) for one in actions}
    subjects |= {f"order:{one}" for one in orders}
    for order_id in orders:
        await store.hash_delete(store.key("order", order_id), *UNNAMED)
    await store.delete(
        store.key("live-orders", customer_id),
        store.key("tickets", "customer", customer_id),
        store.key("complained", "customer", customer_id),
        *(store.key("complained", "order", one) for one in orders),
        *(store.key("story", one) for one in sorted(subjects)),
    )
    await Remembered(store).unname(customer_id)
    if await store.set_remove(store.key("opted-out"), customer_id):
        said = {"source": "erasure", "text_version": "", "who": "customer"}
        await ledger.consent(customer_id, "all", allowed=False, now=now, **said)
    return erased, left


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
