"""Whose ticket is open, in whatever order and however often it is told."""

from __future__ import annotations

from itertools import permutations

import pytest

from monitor.directory import Directory
from monitor.events import Complaint
from monitor.tickets import LASTS_MS, OLD_KEPT_MS, open_of
from notifier.store import Store
from tests.test_directory import batch, order

pytestmark = pytest.mark.anyio
DAY = 86_400_000


def word(status: str, at: int, **more: object) -> Complaint:
    fields = {
        "event_id": f"{status}-{at}",
        "source": "desk",
        "complaint_id": "K1",
        "order_id": "O1",
        "customer_id": "C1",
        "received_at": at,
    }
    return Complaint(**{**fields, "status": status, "occurred_at": at, **more})  # type: ignore[arg-type]


async def told(store: Store, *words: Complaint) -> Directory:
    """Each by itself, after an order of the customer."""
    await store.call("FLUSHALL")
    directory = Directory(store)
    await directory.remember(batch(orders=[order("placed", 1)]))
    for one in words:
        await directory.remember(batch(complaints=[one]))
    return directory


async def talking(directory: Directory, now: int = 0) -> int:
    return (await directory.orders(["O1"], now))["O1"].open_tickets


@pytest.mark.parametrize(
    ("words", "open_tickets"),
    [
        ([("opened", 2), ("responded", 3)], 1),
        ([("opened", 2), ("resolved", 3)], 0),
        ([("opened", 2), ("responded", 3), ("resolved", 3)], 0),  # one click of the agent
        ([("opened", 2), ("resolved", 3), ("responded", 4)], 0),  # the words of the end, told a moment later
        ([("opened", 2), ("resolved", 3), ("reopened", 4)], 1),
        ([("opened", 2), ("resolved", 3), ("reopened", 4), ("withdrawn", 5)], 0),
        ([("reopened", 3), ("resolved", 3)], 0),
        ([("responded", 3)], 1),  # its opening was before our time
    ],
)
async def test_the_newest_word_counts_whatever_comes_late_or_again(
    store: Store, words: list[tuple[str, int]], open_tickets: int
) -> None:
    for order_of_coming in permutations(words):
        events = [word(*one) for one in order_of_coming]
        directory = await told(store, *events, *events[:2])
        assert await talking(directory) == open_tickets, order_of_coming


@pytest.mark.parametrize("ends_first", [False, True])
async def test_an_end_that_names_nobody_ends_the_ticket_of_whom_it_was(
    store: Store, *, ends_first: bool
) -> None:
    opened, end = word("opened", 2), word("resolved", 3, order_id=None, customer_id=None)
    directory = await told(store, *([end, opened] if ends_first else [opened, end]))
    assert await talking(directory) == 0
    other_desk = word("resolved", 3, source="another", order_id=None, customer_id=None)
    directory = await told(store, opened, other_desk)
    assert await talking(directory) == 1, "two desks number their tickets alike"


async def test_a_ticket_that_goes_to_another_customer_is_no_longer_the_first_ones(store: Store) -> None:
    moved = word("responded", 5, customer_id="C2", order_id="O2")
    directory = await told(store, word("opened", 2), moved, word("opened", 2))
    await directory.remember(batch(orders=[order("placed", 1, order_id="O2", customer_id="C2")]))
    known = await directory.orders(["O1", "O2"], 0)
    assert [known[one].open_tickets for one in ("O1", "O2")] == [0, 1]


async def test_a_ticket_of_which_nothing_is_heard_lapses(store: Store) -> None:
    later = 2 + 20 * DAY
    directory = await told(store, word("opened", 2), word("responded", later))
    assert await talking(directory, later + LASTS_MS) == 1
    assert await talking(directory, later + LASTS_MS + 1) == 0
    await directory.remember(batch(complaints=[word("opened", later + LASTS_MS + 1, complaint_id="K2")]))
    assert await talking(directory, later + LASTS_MS + 1) == 1, "another ticket renews no old one"


async def test_a_time_to_come_keeps_no_ticket_open_for_ever(store: Store) -> None:
    directory = await told(store, word("opened", 900 * DAY, received_at=2))
    assert await talking(directory, 2 + LASTS_MS + 1) == 0


async def test_what_older_versions_wrote_counts_ends_and_lapses(store: Store) -> None:
    directory = await told(store)
    for kind, identity in (("order", "O1"), ("customer", "C1")):
        key = store.key("tickets", kind, identity)
        await store.call("SADD", key, "K1", "K2")
        await store.call("PEXPIRE", key, OLD_KEPT_MS)
    assert await talking(directory) == 2
    assert await open_of(store, "C1") == ["K1", "K2"]
    await directory.remember(batch(complaints=[word("resolved", 5)]))
    assert await talking(directory) == 1
    await directory.remember(batch(complaints=[word("responded", 6, complaint_id="K2")]))
    assert await talking(directory) == 1, "counted once, in whichever form"
    await directory.remember(batch(complaints=[word("resolved", 7, complaint_id="K2")]))
    assert await talking(directory) == 0
    for kind, identity in (("order", "O1"), ("customer", "C1")):
        key = store.key("tickets", kind, identity)
        await store.call("SADD", key, "K3")
        await store.call("PEXPIRE", key, OLD_KEPT_MS - LASTS_MS - DAY)
    assert await talking(directory) == 0
