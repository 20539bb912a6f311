"""A customer's own data, out of every place that has them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from monitor.columns import Batch
from monitor.customer_data import erase, export
from monitor.directory import Directory
from monitor.events import Complaint, Engagement, Order
from monitor.facts import Facts
from monitor.names import Names
from monitor.remembered import Remembered
from monitor.scancolumns import NO_SCANS, to_scans
from monitor.story import Story
from notifier.actions import Reason
from notifier.audit import Audit
from notifier.ledger import Ledger
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.findings import late
from tests.money.sending import World, run_dry
from tests.money.shop import ANNA, DAY, IDENTITY, NOW, OPEN, message
from tests.money.test_delivery import gifts

WHO, PHONE = "li.lei@example.com", "+8613912345678"
META: dict[str, Any] = {"source": "shop", "occurred_at": NOW, "received_at": NOW}


def batch() -> Batch:
    """An order, a complaint and, later, a refusal of the customer; and a neighbour's order."""
    found = Batch(to_scans(NO_SCANS, Names()))
    for customer, order in ((WHO, "1001"), ("c-2", "1002")):
        found.orders.append(
            Order(
                event_id=order,
                order_id=order,
                customer_id=customer,
                status="shipped",
                tracking_number=f"SF{order}",
                contact={"phone": PHONE},
                **META,
            )
        )
    found.complaints.append(
        Complaint(event_id="t", complaint_id="T1", status="opened", order_id="1001", customer_id=WHO, **META)
    )
    return found


async def everything(store: Store) -> str:
    """Every key and value of the store, as text."""
    parts = []
    async for key in store.keys("*"):
        parts.append(key)
        parts.append(repr(await _value(store, key)))
    return "\n".join(parts)


async def _value(store: Store, key: str) -> object:
    kind = (await store.call("TYPE", key)).decode()
    reads = {
        "string": ("GET", key), "hash": ("HGETALL", key), "set": ("SMEMBERS", key),
        "zset": ("ZRANGE", key, 0, -1), "stream": ("XRANGE", key, "-", "+"),
    }  # fmt: skip
    return await store.call(*reads[kind])


def test_it_is_exported_whole_and_erased_from_every_key(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            audit = Audit(store, ledger, IDENTITY)
            directory, world = Directory(store, IDENTITY.contact_hashes), World(store, ledger)
            await directory.remember(batch())
            decided = await ledger.claim_all([*gifts(WHO, "1001"), *gifts("c-2", "1002")], NOW)
            await Story(store).findings([late("SF1001")])
            await Story(store).decisions(decided)
            await run_dry(await world.delivery(), NOW)
            judged = [late("SF1001"), late("SF1002")]
            known_then = await Facts(directory, Remembered(store)).of(judged, NOW)
            assert [one.customer_id for one in known_then.values()] == [WHO, "c-2"]
            refusal = Batch(to_scans(NO_SCANS, Names()))
            refusal.engagements.append(Engagement(event_id="e", customer_id=WHO, status="opted_out", **META))
            await directory.remember(refusal)

            known = await export(store, audit, WHO)
            assert known["orders"]["1001"]["contact"] == {"phone": PHONE}
            assert list(known["orders"]) == ["1001"]
            assert [one["kind"] for one in known["actions"]] == ["coupon", "message"]
            assert (known["opted_out"], known["open_tickets"]) == (True, ["T1"])
            assert json.loads(json.dumps(known)) == known

            assert await erase(store, ledger, audit, WHO, ANNA, NOW + DAY) == (2, [])
            left = await everything(store)
            assert WHO not in left
            assert left.count(PHONE) == 1, "the neighbour's"
            assert await Remembered(store).recall(0) == 2
            assert (await export(store, audit, "c-2"))["orders"]["1002"]["customer_id"] == "c-2"
            assert await audit.verify() == []
            assert (await ledger.budgets("CNY", NOW))["day"].spent == 1_000, (
                "what was paid stays in the books"
            )
            (again,) = await ledger.claim_all([message(WHO, "1003")], NOW + DAY)
            assert again.reason is Reason.OPTED_OUT, "a refusal outlives the name"

    asyncio.run(run())


def test_orders_that_nothing_was_decided_about_are_found_as_well(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            audit = Audit(store, ledger, IDENTITY)
            for order in ("old:1", "middle", "new"):
                one = batch()
                one.orders = [
                    msgspec.structs.replace(known, order_id=f"{order}-{known.customer_id}")
                    for known in one.orders
                ]
                await Directory(store, IDENTITY.contact_hashes).remember(one)
            known = await export(store, audit, WHO)
            assert list(known["orders"]) == [f"{order}-{WHO}" for order in ("middle", "new", "old:1")]
            assert await erase(store, ledger, audit, WHO, ANNA, NOW + DAY) == (0, [])
            assert (await everything(store)).count(PHONE) == 3, "the neighbour's"

    asyncio.run(run())
