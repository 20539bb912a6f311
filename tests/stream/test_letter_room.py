"""Dead letters never take the room that events and money need, and who sends most of them loses his first."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from monitor.deadletter import DeadLetters
from monitor.letter_room import SHARE, Held, Room, surplus
from monitor.letters import Letter
from monitor.metrics import Metrics
from monitor.vocabulary import DeadReason
from notifier.store import Store, StoreFullError

pytestmark = pytest.mark.anyio
SMALL = 64 << 20
LARGE = 60_000


@pytest.fixture
async def small(store: Store) -> AsyncIterator[Store]:
    """A store with a `maxmemory` of 64 MiB."""
    await store.call("CONFIG", "SET", "maxmemory", SMALL)
    yield store
    await store.call("CONFIG", "SET", "maxmemory", 512 << 20)


def letters(feed: str, count: int, size: int) -> list[Letter]:
    return [Letter(DeadReason.BAD_TIME, "at", os.urandom(size), feed, at) for at in range(count)]


async def used(store: Store, dead: DeadLetters) -> int:
    return int(await store.call("MEMORY", "USAGE", dead.key, "SAMPLES", 0))


async def kept(dead: DeadLetters) -> Counter[str]:
    return Counter([one.feed async for one in dead.all()])


async def test_a_flood_of_large_letters_stays_in_its_share_and_takes_nobody_elses(small: Store) -> None:
    metrics = Metrics(process=False)
    dead = DeadLetters(small, metrics=metrics)
    await dead.park(letters("erp", 8, 2000))
    for _ in range(10):
        await dead.park(letters("kuaidi100", 20, LARGE))
        assert await used(small, dead) <= SHARE * SMALL
    left = await kept(dead)
    assert left["erp"] == 8
    assert left["kuaidi100"] >= 20
    newest = [one.at for one in await dead.list(count=20)]
    assert newest == list(range(19, -1, -1))
    unkept = metrics.registry.get_sample_value("forestall_deadletter_unkept_total", {"why": "room"})
    assert unkept == dead.dropped == 200 - left["kuaidi100"]


async def test_letters_that_come_at_once_make_room_once(small: Store) -> None:
    metrics = Metrics(process=False)
    dead = DeadLetters(small, metrics=metrics)
    await asyncio.gather(*(dead.park(letters(f"feed{number}", 8, LARGE)) for number in range(12)))
    assert await used(small, dead) <= SHARE * SMALL
    assert dead.dropped == 12 * 8 - await dead.count()


async def test_a_flood_of_small_letters_stays_in_its_share_too(small: Store) -> None:
    """They share the store's nodes with letters of others: memory is free only when all of a node have gone."""
    dead = DeadLetters(small)
    for _ in range(12):
        mixed = zip(letters("a", 500, 300), letters("b", 500, 300), strict=True)
        await dead.park([one for pair in mixed for one in pair])
        assert await used(small, dead) <= SHARE * SMALL
    assert min((await kept(dead)).values()) > 500


async def test_letters_that_filled_the_store_before_there_was_a_bound_make_room_for_new_ones(
    store: Store,
) -> None:
    dead = DeadLetters(store)
    for one in letters("kuaidi100", 300, LARGE):
        await store.stream_add(
            dead.key,
            {"reason": one.reason, "detail": "", "feed": one.feed, "at": one.at, "cut": 0, "raw": one.raw},
        )
    taken = int((await store.info("memory"))["used_memory"])
    await store.call("CONFIG", "SET", "maxmemory", taken)
    try:
        with pytest.raises(StoreFullError):
            await store.put("claim", "x" * 100_000)
        await dead.park(letters("erp", 1, 100))
        assert (await kept(dead))["erp"] == 1
        await store.put("claim", "x" * 100_000)
    finally:
        await store.call("CONFIG", "SET", "maxmemory", 512 << 20)


async def test_where_the_store_does_not_say_what_a_key_takes_the_letters_are_counted(
    small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await small.call("ACL", "SETUSER", "default", "-memory")
    try:
        dead = DeadLetters(small)
        await dead.park(letters("kuaidi100", 100, LARGE))
    finally:
        await small.call("ACL", "SETUSER", "default", "+memory")
    assert await used(small, dead) <= 1.5 * SHARE * SMALL


async def test_no_letters_and_no_room_is_no_endless_search(small: Store) -> None:
    async with Room(small, small.key("dead")).made(1 << 30) as gone:
        assert gone == Counter()


def held(**sizes: list[int]) -> list[Held]:
    return [
        Held(f"{feed}{place}", feed, size) for feed, some in sizes.items() for place, size in enumerate(some)
    ]


def test_who_has_most_loses_the_oldest_first() -> None:
    gone = surplus(held(flood=[10] * 10, quiet=[10, 10]), 60)
    assert [one.id for one in gone] == [f"flood{place}" for place in range(6)]


def test_equals_lose_alike_and_who_is_below_nothing() -> None:
    gone = Counter(one.feed for one in surplus(held(a=[5] * 20, b=[5] * 20, c=[5]), 105))
    assert gone == {"a": 10, "b": 10}


def test_what_fits_stays_and_without_room_nothing_does() -> None:
    some = held(a=[10] * 3, b=[1])
    assert surplus(some, 31) == []
    assert surplus(some, 0) == some
    assert surplus([], 0) == []
