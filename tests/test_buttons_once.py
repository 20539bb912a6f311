"""A button works once; where what it asked for could not be done, it works again after a minute. On a real store."""

from __future__ import annotations

import pytest

from monitor.answers import TAKEN_MS, Answers
from notifier.store import Store

pytestmark = pytest.mark.anyio
NOW, HOUR = 1_795_000_000_000, 3_600_000


async def life(store: Store) -> int:
    return int(await store.call("PTTL", store.key("link", "n1")))


async def test_it_is_taken_by_one_for_a_minute_and_used_until_it_expires(store: Store) -> None:
    answers = Answers(store)
    assert await answers.take("n1", NOW)
    assert not await answers.take("n1", NOW)
    assert 0 < await life(store) <= TAKEN_MS
    await answers.use("n1", NOW + HOUR, NOW)
    assert TAKEN_MS < await life(store) <= HOUR
    assert not await answers.take("n1", NOW)


async def test_one_that_was_not_used_works_again(store: Store) -> None:
    answers = Answers(store)
    assert await answers.take("n1", NOW)
    await store.call("PEXPIRE", store.key("link", "n1"), 0)  # the minute is over
    assert await answers.take("n1", NOW)
