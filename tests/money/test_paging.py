"""The ledger read page by page while claims come and go at both ends: nothing that stays is passed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifier.audit import Audit
from notifier.ledger import Claim, Ledger, Rules
from notifier.paging import pages
from notifier.retention import KEEP_DAYS, Retention
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.shop import DAY, IDENTITY, NOW, OPEN, coupon, message

LATER = NOW + KEEP_DAYS * DAY


def play(valkey: Valkey, prefix: str, story: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            await story(store)

    asyncio.run(run())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scores=st.lists(st.integers(0, 3), min_size=1, max_size=24),
    moves=st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 3)), max_size=12),
)
def test_what_stays_is_read_once_and_in_order(
    valkey: Valkey, prefix: str, scores: list[int], moves: list[tuple[bool, int, int]]
) -> None:
    """Between two pages of three members, others go and come: at any score, also among equals."""
    first = {f"m{number:02}": score for number, score in enumerate(scores)}

    async def story(store: Store) -> None:
        key = store.key("read")
        await store.delete(key)
        await store.sorted_add(key, first)
        read: list[str] = []
        gone: set[str] = set()
        left = list(moves)
        async for page in pages(store, key, 0, size=3):
            read += page
            for adds, number, score in left[:3]:
                if adds:
                    await store.call("ZADD", key, "NX", score, f"m{number:02}x")
                else:
                    gone.add(f"m{number:02}")
                    await store.call("ZREM", key, f"m{number:02}")
            del left[:3]
        stayed = [name for name in first if name not in gone]
        assert len(read) == len(set(read))
        assert [name for name in read if name in stayed] == sorted(stayed, key=lambda one: (first[one], one))

    play(valkey, prefix, story)


def test_the_end_is_inclusive_and_no_end_is_the_newest(valkey: Valkey, prefix: str) -> None:
    async def story(store: Store) -> None:
        key = store.key("read")
        await store.sorted_add(key, {"a": 1, "b": 2, "c": 2, "d": 3})
        assert [one async for page in pages(store, key, 2, 2, size=1) for one in page] == ["b", "c"]
        assert [one async for page in pages(store, key, 2, size=1) for one in page] == ["b", "c", "d"]
        assert [page async for page in pages(store, key, 4)] == []

    play(valkey, prefix, story)


class Busy(Ledger):
    """One that lives while it is read: `meanwhile` runs after the first claim of every reading."""

    meanwhile: Callable[[int], Awaitable[object]]
    readings = 0

    async def all(self, since: int = 0, until: int | None = None) -> AsyncIterator[Claim]:
        self.readings += 1
        first = True
        async for claim in super().all(since, until):
            yield claim
            if first:
                await self.meanwhile(self.readings)
            first = False


def live(
    valkey: Valkey, prefix: str, rules: Rules, story: Callable[[Busy, Audit, Retention], Awaitable[None]]
) -> None:
    async def run(store: Store) -> None:
        ledger = Busy(store, IDENTITY, rules)
        await ledger.open(None, NOW)
        audit = Audit(store, ledger, IDENTITY)
        await story(ledger, audit, Retention(store, ledger, audit, 2 * DAY))

    play(valkey, prefix, run)


def test_what_is_retired_while_the_ledger_is_read_hides_nothing_and_raises_no_alarm(
    valkey: Valkey, prefix: str
) -> None:
    async def story(ledger: Busy, audit: Audit, retention: Retention) -> None:
        await ledger.claim_all([message(f"c-{number}", str(number)) for number in range(20)], NOW)
        young = [message(f"d-{number}", str(number)) for number in range(600)]
        await ledger.claim_all(young, NOW + 10 * DAY)
        await retention.run(LATER)

        async def retire(reading: int) -> None:
            assert (await retention.run(LATER + DAY)).claims == (20 if reading == 1 else 0)

        ledger.meanwhile = retire
        assert await audit.verify() == []
        seen = [claim.action_id async for claim in ledger.all()]
        assert sorted(seen) == sorted(one.action_id for one in young)

    live(valkey, prefix, replace(OPEN, shadow=True), story)


@pytest.mark.parametrize("harmed", [False, True])
def test_a_ledger_at_work_raises_no_alarm_and_hides_none(
    valkey: Valkey, prefix: str, *, harmed: bool
) -> None:
    async def story(ledger: Busy, audit: Audit, _retention: Retention) -> None:
        old = await ledger.claim(coupon("c-0", "0"), NOW - DAY)

        async def another(reading: int) -> None:
            await ledger.claim(coupon(f"c-{reading}", str(reading)), NOW)

        ledger.meanwhile = another
        if harmed:
            key = ledger.key("action", old.proposal.action_id)
            await audit._store.hash_set(key, {"outcome": "suppressed"})
        problems = await audit.verify()
        assert ledger.readings >= 2
        assert problems == (
            [f"{old.proposal.action_id}: the log says send, the claim suppressed"] if harmed else []
        )

    live(valkey, prefix, OPEN, story)
