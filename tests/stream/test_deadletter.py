"""Dead letters: kept with their reason, bounded, and tried again when a person says so."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from monitor.deadletter import DeadLetters
from monitor.letters import MOST_RAW_BYTES, Letter
from monitor.poison import PoisonLimit
from monitor.vocabulary import DeadReason
from notifier.store import Store

pytestmark = pytest.mark.anyio


def letter(number: int, reason: DeadReason = DeadReason.BAD_TIME) -> Letter:
    return Letter(reason, "occurred_at", b'{"phone": "%d"}' % number, feed="desk", at=number)


async def test_a_letter_keeps_everything_that_is_needed_to_understand_it(store: Store) -> None:
    dead = DeadLetters(store)
    await dead.park([letter(1), letter(2, DeadReason.WRONG_TYPE)])
    newest, oldest = await dead.list()
    assert (newest.reason, newest.at, newest.feed) == (DeadReason.WRONG_TYPE, 2, "desk")
    assert oldest.raw == b'{"phone": "1"}'
    assert [one.at for one in await dead.list(reason=DeadReason.BAD_TIME)] == [1]
    assert await dead.count() == 2


async def test_many_letters_are_listed_in_pages(store: Store) -> None:
    dead = DeadLetters(store)
    await dead.park([letter(number) for number in range(1234)])
    assert [one.at for one in await dead.list(count=1200)] == list(range(1233, 33, -1))
    assert [one.at async for one in dead.all()] == list(range(1234))


async def test_a_huge_payload_is_cut_and_says_so(store: Store) -> None:
    dead = DeadLetters(store)
    await dead.park([Letter(DeadReason.TOO_LARGE, "", b"x" * 10_000_000)])
    await dead.park([letter(1)])
    whole, found = await dead.list()
    assert (found.cut, len(found.raw), found.whole) == (True, MOST_RAW_BYTES, 10_000_000)
    assert (whole.cut, whole.whole) == (False, len(whole.raw))
    assert (await dead.cut(), await dead.cut({whole.id})) == (1, 0)


async def test_beyond_the_bound_the_oldest_go_and_it_is_said_without_their_content(
    store: Store,
) -> None:
    dead = DeadLetters(store, keep=10)
    with capture_logs() as said:
        await dead.park([letter(number) for number in range(15)])
    assert [one.at async for one in dead.all()] == list(range(5, 15))
    assert dead.dropped == 5
    assert [one["event"] for one in said] == ["dead_letters.dropped"]
    assert "phone" not in str(said)


async def test_replay_takes_away_what_is_taken_now(store: Store) -> None:
    dead = DeadLetters(store)
    await dead.park([letter(number) for number in range(6)])
    await dead.park([Letter(DeadReason.TOO_LARGE, "", b"x" * (MOST_RAW_BYTES + 1), at=6)])
    tried: list[int] = []

    async def submit(one: Letter) -> bool:
        tried.append(one.at)
        return one.at % 2 == 0

    assert await dead.replay(submit) == (3, 4)
    assert tried == [0, 1, 2, 3, 4, 5]
    assert [one.at async for one in dead.all()] == [1, 3, 5, 6]
    last = (await dead.list(count=1))[0].id
    assert await dead.replay(submit, ids={last}) == (0, 1)


def test_mostly_invalid_input_is_poison_until_it_gets_better() -> None:
    limit = PoisonLimit(window=100)
    states = []
    for good, bad in [(0, 5)] * 20 + [(5, 0)] * 20:
        limit.observe(good, bad)
        states.append(limit.poisoned)
    assert states == [False] * 19 + [True] * 10 + [False] * 11


def test_what_brings_no_events_is_not_remembered() -> None:
    limit = PoisonLimit(window=100)
    for _ in range(10_000):
        limit.observe(0, 0)
    assert not limit._recent


def test_poison_says_how_much() -> None:
    limit = PoisonLimit(window=100)
    limit.observe(1, 99)
    assert str(limit) == "99 of the last 100 events are invalid"


def test_some_invalid_input_is_no_poison() -> None:
    limit = PoisonLimit(window=100)
    for _ in range(100):
        limit.observe(60, 40)
    assert not limit.poisoned
