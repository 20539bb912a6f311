"""A customer's own data, out of every place that has them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from detectors.findings import Finding, Kind, State, Subject, SubjectType
from monitor.columns import Batch
from monitor.customer_data import erase, export
from monitor.deadletter import DeadLetters
from monitor.directory import Directory
from monitor.events import Complaint, Engagement, Order
from monitor.facts import Facts
from monitor.feeds.base import Pending, Push
from monitor.feeds.desk_letters import letter_of
from monitor.feeds.memory import StoreMemory
from monitor.letters import Format, Letter
from monitor.mentions import mentions
from monitor.names import Names
from monitor.remembered import Remembered
from monitor.scancolumns import NO_SCANS, to_scans
from monitor.story import Story
from monitor.vocabulary import DeadReason
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

            assert await erase(store, ledger, audit, WHO, ANNA, NOW + DAY) == (2, [], 0, 0)
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
            assert await erase(store, ledger, audit, WHO, ANNA, NOW + DAY) == (0, [], 0, 0)
            assert (await everything(store)).count(PHONE) == 3, "the neighbour's"

    asyncio.run(run())


def test_what_policy_refused_is_in_no_ledger_and_goes_as_well(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            audit, story = Audit(store, ledger, IDENTITY), Story(store)
            await Directory(store, IDENTITY.contact_hashes).remember(batch())
            refused = [
                message(who, order, subject=f"parcel:SF{order}", suppressed=Reason.TICKET_OPEN)
                for who, order in ((WHO, "1001"), ("c-2", "1002"))
            ]
            await story.decisions(await ledger.claim_all(refused, NOW))
            evidence = {"en": f"customer {WHO} complained twice"}
            again = Subject(SubjectType.CUSTOMER, WHO)
            kind = Kind.REPEAT_COMPLAINER
            await story.findings([Finding(kind, kind, again, NOW, NOW, NOW, State.OPENED, 0.5, evidence)])

            known = await export(store, audit, WHO)
            assert known["actions"] == []
            assert list(known["stories"]) == [f"customer:{WHO}", "parcel:SF1001"]
            await erase(store, ledger, audit, WHO, ANNA, NOW + DAY)
            assert WHO not in await everything(store)
            assert (await story.of("parcel:SF1002"))[0][1][0]["customer_id"] == "c-2"

    asyncio.run(run())


def test_payloads_that_speak_of_a_customer_go_and_others_stay(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            audit, letters, memory = Audit(store, ledger, IDENTITY), DeadLetters(store), StoreMemory(store)
            await Directory(store).remember(batch())
            why = DeadReason.UNKNOWN_STATUS
            packed = Push(b"\xff" + WHO.encode(), {}, {}, NOW)
            await letters.park(
                [
                    Letter(why, "", b'{"kind":"complaint","customer_id":"%s"}' % WHO.encode()),
                    Letter(why, "", b'{"phone":"%s"}' % PHONE.encode()),
                    letter_of("shop", Format.PUSH, packed, why, ""),
                    Letter(why, "", b'{"order_id":"1001"}'),
                    Letter(
                        why, "", b'{"order_id":"1002","quantity":1001,"customer_id":"x%s"}' % WHO.encode()
                    ),
                ]
            )
            for order in ("1001", "1002"):
                event = {"kind": "tracking", "event_id": f"e{order}", "order_id": order, "status": "arrived"}
                await memory.wait("shop", [Pending(f"f{order}", event)])
            await store.hash_set(
                store.key("order", "1002"), {"contact": json.dumps({"phone": "+8613900000000"})}
            )

            known = await export(store, audit, WHO)
            assert len(known["dead_letters"]) == 4
            assert [one["order_id"] for one in known["waiting_events"]] == ["1001"]
            assert await erase(store, ledger, audit, WHO, ANNA, NOW + DAY) == (0, [], 4, 1)
            (left,) = await letters.list()
            assert b'"1002"' in left.raw
            assert [one.event["order_id"] for one in await memory.waiting("shop", ["f1001", "f1002"])] == [
                "1002"
            ]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("customer", "payload", "speaks"),
    [
        ("42", b'{"customer_id":42}', True),
        ("42", b'{"customer":{"id":"42"}}', True),
        ("42", b'{"body":"{\\"customer_id\\": \\"42\\"}"}', True),
        ("42", b"customer_id=42&order=7", True),
        ("42", b'{"quantity":42,"customer_id":421}', False),
        ("a.b@example.com", b"email=a.b%40example.com", True),
        ("a.b@example.com", b'{"email":"A.B@Example.com"}', True),
        ("a.b@example.com", b'{"email":"aab@example.com"}', False),
        ("\u674e\u96f7-2026-001", b'{"name":"\\u674e\\u96f7-2026-001"}', True),
        ("\u674e\u96f7-2026-001", "\u674e\u96f7-2026-001".encode(), True),
        ("\u674e\u96f7-2026-001", "\u674e\u96f7-2026-0012".encode(), False),
        ("u\U0001f600-2026-001", b'{"name":"u\\ud83d\\ude00-2026-001"}', True),
        ('\u674e"\u96f7-long-id', b'{"name":"\\u674e\\"\\u96f7-long-id"}', True),
    ],
)
def test_a_number_is_found_however_it_is_spelled_and_as_a_whole(
    customer: str, payload: bytes, *, speaks: bool
) -> None:
    assert mentions(customer, [], [])(payload) is speaks
