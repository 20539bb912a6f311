"""Ops alerts through the ledger: said once after a replay, and once more at most where nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from monitor.notifications.proposals import propose
from notifier.actions import Outcome, Proposal
from notifier.ledger import Ledger
from notifier.sending import Answer, Capabilities, Cause, Instant, Message, SendResult
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, Room, World, run_dry, turn
from tests.money.shop import HOUR, IDENTITY, OPEN
from tests.notifications.test_messages import DESK
from tests.notifications.test_messages import a_jam as jammed

WITHOUT_KEYS = Capabilities(buttons=True)
NOW = jammed().at


@dataclass
class Killed(Room):
    """The words are in the chat, and the daemon is killed before it hears so."""

    capabilities: Capabilities = field(default_factory=lambda: WITHOUT_KEYS)
    said: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message, now: Instant) -> SendResult:
        self.read.append(message)
        self.said.set()
        await asyncio.Event().wait()
        return SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY)


def alert() -> Proposal:
    return propose(jammed(), DESK)


def play(valkey: Valkey, prefix: str, room: Room, story: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, NOW)
            await story(World(store, ledger, ops=room))

    asyncio.run(run())


def test_the_alert_of_a_replay_is_the_alert_that_was_claimed(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        (first,) = await world.ledger.claim_all([alert()], NOW)
        assert first.outcome is Outcome.SEND, first.reason
        await run_dry(await world.delivery(), NOW)
        (again,) = await world.ledger.claim_all([alert()], NOW + HOUR)
        assert again.repeated
        await run_dry(await world.delivery(), NOW + HOUR)
        (read,) = world.ops.read
        assert "HUB-1" in read.title
        assert len(read.buttons) == 4

    play(valkey, prefix, Room("ops", capabilities=WITHOUT_KEYS), story)


def test_killed_between_sending_and_recording_it_is_said_once_more_and_never_a_third_time(
    valkey: Valkey, prefix: str
) -> None:
    room = Killed("ops")

    async def story(world: World) -> None:
        await world.ledger.claim_all([alert()], NOW)
        at = NOW
        for _ in range(6):
            delivery = await world.delivery()
            await delivery.run_once(at)
            await room.said.wait()
            await delivery.drain(0.05)
            at += 95_000
        assert len(world.ops.read) == 2

    play(valkey, prefix, room, story)


@pytest.mark.parametrize(("capabilities", "most"), [(WITHOUT_KEYS, 2), (Capabilities(idempotent=True), 6)])
def test_lost_replies_repeat_freely_only_where_the_channel_drops_repetitions(
    valkey: Valkey, prefix: str, capabilities: Capabilities, most: int
) -> None:
    room = Room("ops", capabilities=capabilities)
    room.answers.extend([LOST] * 5)

    async def story(world: World) -> None:
        await world.ledger.claim_all([alert()], NOW)
        delivery = await world.delivery()
        for step in range(40):
            await turn(delivery, NOW + step * 15_000)
        assert len(world.ops.read) == most
        assert len({message.key for message in world.ops.read}) == 1

    play(valkey, prefix, room, story)
