"""Events that wait for the push that explains them: in the store, once, and for no longer than that push may take."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.feeds.base import NOTHING, Outcome, Pending, Push
from monitor.feeds.batch import Batches
from monitor.feeds.desk import Desk
from monitor.feeds.memory import KEEP_MS, StoreMemory
from monitor.intake import Intake, IntakeBusyError, Receipt
from monitor.letters import Format
from monitor.metrics import Metrics
from monitor.stream import EventStream
from monitor.vocabulary import DeadReason
from notifier.store import Store
from tests.feeds.cases import GOLDEN, NOW, feed, push
from tests.feeds.polling import taken

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    metrics = Metrics(process=False)
    letters = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        yield Desk({"shopify": feed("shopify")}, intake, letters, StoreMemory(store), metrics)


def golden(desk: Desk, case: str) -> Push:
    return push(desk.feeds["shopify"], GOLDEN / "shopify" / f"{case}.json")


async def receive(desk: Desk, pushed: Push) -> Outcome:
    one = desk.feeds["shopify"]
    answer = (await desk.receive(one, pushed))._replace(headers=NOTHING)  # busy says when to come again
    return next(outcome for outcome in Outcome if one.reply(outcome, pushed) == answer)


async def attempts(store: Store) -> int:
    """How often the event that waited was taken."""
    return [event["status"] for event in await taken(store)].count("attempt_failed")


async def test_what_was_explained_waits_no_more(store: Store, desk: Desk) -> None:
    await receive(desk, golden(desk, "fulfilment_event"))
    for _ in range(3):
        await receive(desk, golden(desk, "fulfilment"))
    assert await attempts(store) == 1


async def test_what_could_not_be_taken_when_it_was_explained_waits_on(store: Store, desk: Desk) -> None:
    class Away:
        async def submit(self, *_: Any, **__: Any) -> Receipt:
            raise IntakeBusyError("the store does not answer")

    await receive(desk, golden(desk, "fulfilment_event"))
    batches, desk._batches = desk._batches, Batches(Away())
    assert await receive(desk, golden(desk, "fulfilment")) is Outcome.BUSY
    desk._batches = batches
    assert await receive(desk, golden(desk, "fulfilment")) is Outcome.ACCEPTED
    assert await attempts(store) == 1


async def test_the_push_that_explains_may_come_between_the_look_and_the_wait(
    store: Store, desk: Desk
) -> None:
    class Meanwhile(StoreMemory):
        """Another request is handled while this one goes to the store."""

        async def wait(self, feed: str, pending: Iterable[Pending]) -> None:
            assert await receive(desk, golden(desk, "fulfilment")) is Outcome.ACCEPTED
            await super().wait(feed, pending)

    desk.memory = Meanwhile(store)
    await receive(desk, golden(desk, "fulfilment_event"))
    assert await attempts(store) == 1


async def test_what_intake_refuses_of_what_waited_is_a_dead_letter(store: Store, desk: Desk) -> None:
    """The push that brought it was answered long ago, and the one that explains it is not to blame."""
    body = json.loads((GOLDEN / "shopify" / "fulfilment_event.json").read_text(encoding="utf-8"))
    early = json.dumps({**body["body"], "happened_at": "2026-11-27T10:00:00Z"}).encode()
    await receive(desk, desk.feeds["shopify"].sign(early, NOW, body["headers"]))
    assert await receive(desk, golden(desk, "fulfilment")) is Outcome.ACCEPTED
    assert await attempts(store) == 0
    (letter,) = await desk.letters.list()
    assert (letter.reason, letter.feed, letter.format) == (
        DeadReason.TIME_OUT_OF_RANGE,
        "shopify",
        Format.EVENT,
    )
    assert json.loads(letter.raw)["tracking_number"] == "1Z0000000000000704"
    assert desk.status["shopify"].report(NOW)["dead_letters"] == 1


@pytest.mark.parametrize("case", ["fulfilment_event", "fulfilment"])
async def test_neither_side_is_kept_for_ever(store: Store, desk: Desk, case: str) -> None:
    await receive(desk, golden(desk, case))
    (kept,) = [await store.call("PTTL", key) async for key in store.keys("feed", "*")]
    assert 0 < kept <= KEEP_MS
