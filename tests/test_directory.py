"""What is known behind a parcel when something must be done about it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.columns import Batch, Scans
from monitor.directory import CONTACT_MS, Directory
from monitor.events import Complaint, Engagement, Order
from notifier.sending import Contact
from notifier.store import Store

pytestmark = pytest.mark.anyio
PHONE = "13800138000"


def order(status: str, at: int, **more: object) -> Order:
    fields = {
        "event_id": f"{status}-{at}",
        "source": "shop",
        "received_at": at,
        "order_id": "O1",
        "customer_id": "C1",
    }
    return Order(**{**fields, "status": status, "occurred_at": at, **more})  # type: ignore[arg-type]


def complaint(status: str, at: int, identity: str = "K1") -> Complaint:
    return Complaint(
        event_id=f"{identity}-{status}",
        source="desk",
        occurred_at=at,
        received_at=at,
        complaint_id=identity,
        status=status,
        order_id="O1",
        customer_id="C1",
    )


def batch(
    *,
    orders: list[Order] | None = None,
    complaints: list[Complaint] | None = None,
    engagements: list[Engagement] | None = None,
    links: list[tuple[str, str]] | None = None,
) -> Batch:
    none = [
        np.zeros(0, kind)
        for kind in ("u8", "u8", "u8", "i8", "i8", "u1", "u1", "u2", "u2", "u4", "u4", "u4", "i8", "f4", "f4")
    ]
    return Batch(Scans(*none), orders or [], complaints or [], engagements or [], links or [])


async def test_an_order_told_in_parts_is_known_whole(store: Store) -> None:
    directory = Directory(store)
    await directory.remember(
        batch(orders=[order("placed", 1, amount=19900, currency="CNY", contact={"phone": PHONE})])
    )
    await directory.remember(batch(orders=[order("shipped", 3, tracking_number="SF1", promised_at=99)]))
    assert await directory.orders_of(["SF1", "SF2"]) == {"SF1": "O1"}
    known = (await directory.orders(["O1"], 0))["O1"]
    assert (known.customer_id, known.amount, known.currency, known.promised_at) == ("C1", 19900, "CNY", 99)
    assert (known.status, known.has_contact) == ("shipped", True)


async def test_late_and_repeated_events_do_not_move_the_status_back(store: Store) -> None:
    directory = Directory(store)
    for one in (order("placed", 1), order("cancelled", 5), order("paid", 2), order("placed", 1)):
        await directory.remember(batch(orders=[one]))
    assert (await directory.orders(["O1"], 0))["O1"].status == "cancelled"


async def test_a_contact_is_forgotten_when_the_order_is_over(store: Store) -> None:
    directory = Directory(store)
    await directory.remember(
        batch(orders=[order("placed", 1, contact={"phone": PHONE, "email": "a@example.com"})])
    )
    assert await directory.contact("C1", "O1") == Contact(phone=PHONE, email="a@example.com")
    assert await directory.contact("C1", None) == Contact(phone=PHONE, email="a@example.com")
    await directory.remember(batch(orders=[order("completed", 9)]))
    assert await directory.contact("C1", "O1") is None


async def test_a_contact_of_an_order_that_nobody_ends_goes_before_the_order(store: Store) -> None:
    directory, key = Directory(store), store.key("order", "O1")

    async def left() -> int:
        """Milliseconds; -1: as long as the order."""
        (found,) = await store.call("HPTTL", key, "FIELDS", 1, "contact")
        return int(found)

    await directory.remember(batch(orders=[order("placed", 1, contact={"phone": PHONE})]))
    if b"hpexpire" not in await store.call("COMMAND", "LIST"):  # of an older server: as long as the order
        assert (await directory.orders(["O1"], 0))["O1"].has_contact
        return
    assert CONTACT_MS - 60_000 < await left() <= CONTACT_MS
    await store.call("HPEXPIRE", key, 60_000, "FIELDS", 1, "contact")
    await directory.remember(batch(orders=[order("shipped", 2)]))
    assert CONTACT_MS - 60_000 < await left() <= CONTACT_MS, "it goes on with the order"
    await store.call("HPEXPIRE", key, 0, "FIELDS", 1, "contact")
    assert await directory.contact("C1", "O1") is None
    known = (await directory.orders(["O1"], 0))["O1"]
    assert (known.status, known.has_contact) == ("shipped", False)


async def test_a_late_event_brings_no_contact_back_and_no_old_value(store: Store) -> None:
    """The order is over; what is told of it late fills gaps, and no more."""
    directory = Directory(store)
    placed = order("placed", 1, amount=100, promised_at=50, contact={"phone": PHONE})
    shipped = order("shipped", 3, promised_at=60, contact={"phone": PHONE})
    over = order("completed", 9)
    for events in ((placed, shipped, over), (over, shipped, placed), (shipped, over, placed, shipped)):
        await store.delete(*[key async for key in store.keys("*")])
        for one in events:
            await directory.remember(batch(orders=[one]))
        known = (await directory.orders(["O1"], 0))["O1"]
        assert (known.status, known.amount, known.promised_at, known.has_contact) == (
            "completed",
            100,
            60,
            False,
        )
        assert await directory.contact("C1", "O1") is None
        assert await directory.contact("C1", None) is None


async def test_who_returns_something_can_be_written_to_until_the_refund(store: Store) -> None:
    directory = Directory(store)
    await directory.remember(batch(orders=[order("placed", 1), order("completed", 9)]))
    await directory.remember(batch(orders=[order("return_requested", 12, contact={"phone": PHONE})]))
    assert await directory.contact("C1", "O1") == Contact(phone=PHONE)
    await directory.remember(batch(orders=[order("refunded", 20)]))
    assert await directory.contact("C1", "O1") is None


async def test_an_old_order_that_ends_hides_no_contact_of_a_newer_one(store: Store) -> None:
    """A word without an order goes to the customer's newest live order that has a contact."""
    directory = Directory(store)
    newer = order("placed", 5, order_id="O2", contact={"phone": PHONE})
    await directory.remember(batch(orders=[order("placed", 1, contact={"phone": "1"}), newer]))
    await directory.remember(batch(orders=[order("placed", 6, order_id="O3")]))
    await directory.remember(batch(orders=[order("completed", 9)]))
    assert await directory.contact("C1", None) == Contact(phone=PHONE)


async def test_of_two_steps_at_one_moment_the_later_is_the_status(store: Store) -> None:
    directory = Directory(store)
    for events in (("placed", "paid"), ("paid", "placed"), ("refunded", "paid")):
        await store.delete(*[key async for key in store.keys("*")])
        await directory.remember(batch(orders=[order(status, 7) for status in events]))
        known = (await directory.orders(["O1"], 0))["O1"]
        assert known.status == max(events, key=("placed", "paid", "refunded").index)


async def test_tickets_count_while_they_are_open(store: Store) -> None:
    directory = Directory(store)
    await directory.remember(
        batch(orders=[order("placed", 1)], complaints=[complaint("opened", 2), complaint("opened", 2, "K2")])
    )
    assert (await directory.orders(["O1"], 0))["O1"].open_tickets == 2
    await directory.remember(batch(complaints=[complaint("resolved", 3), complaint("withdrawn", 3, "K2")]))
    assert (await directory.orders(["O1"], 0))["O1"].open_tickets == 0


async def test_who_opted_out_is_known_with_every_order(store: Store) -> None:
    directory = Directory(store)
    out = Engagement(
        event_id="E1", source="gw", occurred_at=4, received_at=4, customer_id="C1", status="opted_out"
    )
    await directory.remember(batch(orders=[order("placed", 1)], engagements=[out]))
    assert (await directory.orders(["O1"], 0))["O1"].opted_out


async def test_a_scan_can_name_its_order_before_the_shop_does(store: Store) -> None:
    directory = Directory(store)
    await directory.remember(batch(links=[("SF7", "O7")]))
    assert await directory.orders_of(["SF7"]) == {"SF7": "O7"}
    assert await directory.orders(["O7"], 0) == {}


async def test_nothing_asked_is_nothing_asked(store: Store) -> None:
    assert await Directory(store).orders_of([]) == {}
    assert await Directory(store).orders([], 0) == {}
