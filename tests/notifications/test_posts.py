"""One message a problem: the first posts, what follows edits it, what must be noticed is said under it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import pytest

from config.settings import IncidentRule, IncidentSettings
from monitor.embedded import EmbeddedStore
from monitor.notifications import Notification
from monitor.notifications.proposals import propose
from notifier.actions import Proposal
from notifier.ledger import Ledger
from notifier.parts import MOST
from notifier.posts import Reference, References, plan
from notifier.sending import Capabilities, Instant, Message, SendResult
from notifier.store import Store
from tests.incidents.story import HOUR, MINUTE, T0, closed, jam, stuck
from tests.money.sending import LATER, NEVER, Room, World, turn
from tests.money.shop import IDENTITY, OPEN
from tests.notifications.test_messages import DESK
from tests.notifications.test_notifications import World as Story
from tests.notifications.test_notifications import route

EDITS = Capabilities(buttons=True, thread=True, update=True)
_prefixes = count()


@dataclass
class Chat(Room):
    """Posts have numbers; a post holds at most so many characters of a body."""

    capabilities: Capabilities = field(default_factory=lambda: EDITS)
    longest: int = 10_000
    posted: Iterator[int] = field(default_factory=lambda: count(1))

    def fits(self, message: Message) -> bool:
        return len(message.body) <= self.longest

    async def send(self, message: Message, now: Instant) -> SendResult:
        result = await super().send(message, now)
        if result.provider_id is None:
            return result
        number = message.update_of or f"p{next(self.posted)}"
        return SendResult(result.answer, provider_id=number)


def story() -> list[Notification]:
    """First, grew, repeat, all resolved."""
    world = Story((route(repeat_interval_seconds=1800),))
    found = [jam(), *(stuck(number) for number in range(6))]
    world.tick(*found)
    world.wait(MINUTE)
    more = [stuck(number, world.now) for number in range(6, 40)]
    world.tick(*more)
    world.wait(40 * MINUTE)
    world.tick(*(closed(one, world.now) for one in (*more, *found)))
    world.wait(10 * MINUTE)
    assert [one.reason.value for one in world.sent] == ["first", "grew", "repeat", "all_resolved"]
    return world.sent


def a_digest(hubs: int = 1_500) -> Notification:
    world = Story(incidents_settings=IncidentSettings(rules={"parcels_stalled": IncidentRule()}))
    world.tick(*(stuck(number, facility=f"上海分拨中心-{number}") for number in range(hubs)))
    world.wait(MINUTE)
    return next(one for one in world.sent if one.digest)


def play(valkey: EmbeddedStore, chat: Chat, act: Callable[[World, References], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Store(valkey.url, f"posts{next(_prefixes)}") as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, T0)
            await act(World(store, ledger, ops=chat), References(store))

    asyncio.run(run())


async def say(world: World, references: References, proposal: Proposal, at: Instant) -> None:
    """To its end, by a delivery that has just started: what it knows comes from the store."""
    await world.ledger.claim_all([proposal], at)
    delivery = await world.delivery(references=references)
    for step in range(40):
        await turn(delivery, at + 15_000 * step)


def seen(chat: Chat) -> list[tuple[str, str | None, str | None]]:
    return [(one.why, one.update_of, one.reply_to) for one in chat.read]


def test_an_incident_is_one_post_that_is_edited_and_a_thread_for_what_must_be_noticed(
    valkey: EmbeddedStore,
) -> None:
    chat = Chat("ops")

    async def act(world: World, references: References) -> None:
        for notification in story():
            await say(world, references, propose(notification, DESK), notification.at)

    play(valkey, chat, act)
    assert seen(chat) == [
        ("首次触发", None, None),
        ("数量已翻倍", "p1", None),
        ("仍未恢复，定时重复", "p1", None),
        ("仍未恢复，定时重复", None, "p1"),
        ("全部恢复", "p1", None),
        ("全部恢复", None, "p1"),
    ]
    assert chat.read[3].tell == "channel", "a reminder is of no use where nobody looks"
    assert chat.read[5].tell == "thread"
    assert chat.read[3].body == ""
    assert chat.read[4].severity == "resolved"
    assert len({one.key for one in chat.read}) == len(chat.read)


def test_a_chat_without_edits_gets_each_message_as_a_post(valkey: EmbeddedStore) -> None:
    chat = Chat("ops", capabilities=Capabilities(buttons=True))

    async def act(world: World, references: References) -> None:
        for notification in story():
            await say(world, references, propose(notification, DESK), notification.at)

    play(valkey, chat, act)
    assert [(one.update_of, one.reply_to) for one in chat.read] == [(None, None)] * 4


def test_a_long_message_is_numbered_posts_under_the_first_each_with_its_own_try(
    valkey: EmbeddedStore,
) -> None:
    chat, digest = Chat("ops", longest=9_000), a_digest()
    chat.answers = deque([LATER])

    async def act(world: World, references: References) -> None:
        proposal = propose(digest, DESK)
        await say(world, references, proposal, T0 + MINUTE)
        claim = await world.ledger.get(proposal.action_id)
        assert claim is not None
        assert (claim.state, claim.provider_id, claim.attempts) == ("done", "p1", len(chat.read) + 1)

    play(valkey, chat, act)
    total = len(chat.read)
    assert 3 <= total <= MOST
    assert [one.title.partition(" ")[0] for one in chat.read] == [
        f"({n}/{total})" for n in range(1, total + 1)
    ]
    assert [one.reply_to for one in chat.read] == [None] + ["p1"] * (total - 1)
    everything = "".join(one.body for one in chat.read)
    assert len(digest.firing) > 1_400
    assert all(view.place.id in everything for view in digest.firing), "no hub is left out"


def test_a_further_part_that_is_refused_does_not_bring_the_first_again(valkey: EmbeddedStore) -> None:
    chat = Chat("ops", longest=9_000)

    async def act(world: World, references: References) -> None:
        proposal = propose(a_digest(), DESK)
        await world.ledger.claim_all([proposal], T0 + MINUTE)
        delivery = await world.delivery(references=references)
        await turn(delivery, T0 + MINUTE)
        chat.answers = deque([NEVER])
        await turn(delivery, T0 + MINUTE)
        (step,) = [one for one in world.steps if one.verdict.state == "failed"]
        assert step.entry.part == 1, "so the daemon does not call the alert untold"
        assert await world.state(proposal.action_id) == "failed"

    play(valkey, chat, act)
    assert len(chat.read) == 1


def test_a_post_made_before_a_crash_is_not_made_again() -> None:
    chat, message = Chat("ops"), Message(key="A1", title="t", body="b", thread="I1")
    mine, other = Reference("A1", "p7"), Reference("A0", "p7")
    assert plan(message, chat, "A1", mine, None).done == 1
    (edit, notice) = plan(message, chat, "A1", other, None).posts
    assert (edit.update_of, notice.reply_to, notice.key) == ("p7", "p7", "A1.notice")


@pytest.mark.parametrize("known", [None, Reference("A1", "p7"), Reference("A0", "p7")])
def test_further_parts_are_the_same_before_and_after_the_first_is_sent(known: Reference | None) -> None:
    """Or a part would be left out, or said twice, when the plan is made again for the next one."""
    chat = Chat("ops", longest=100)
    message = Message(key="A1", title="t", body="\n".join(["x" * 60] * 4), thread="I1")
    before = plan(message, chat, "A1", known, None)
    after = plan(message, chat, "A1", known or Reference("A1", "p7"), "p7")
    assert [one.key for one in before.posts] == [one.key for one in after.posts]
    assert [one.body for one in before.posts] == [one.body for one in after.posts]


def test_references_are_kept_by_chat_and_incident(valkey: EmbeddedStore) -> None:
    async def act(_world: World, references: References) -> None:
        await references.put("ops", "I1", Reference("A1", "17.5"))
        assert await references.get("ops", "I1") == Reference("A1", "17.5")
        assert await references.get("ops", "I2") is None
        assert await references.get("boss", "I1") is None

    play(valkey, Chat("ops"), act)


def test_a_group_of_several_is_one_thread_from_its_first_message_to_its_last() -> None:
    world = Story((route(group_by=("kind",)),))
    hubs = [jam("A"), jam("B")]
    world.tick(hubs[0])
    world.wait(MINUTE)
    world.tick(hubs[1])
    world.wait(6 * MINUTE)
    world.tick(*(closed(hub, world.now) for hub in hubs))
    world.wait(10 * MINUTE)
    threads = {one.thread for one in world.sent}
    assert len(world.sent) == 3
    assert len(threads) == 1
    world.tick(jam("A", at=world.now))
    world.wait(HOUR)
    assert world.sent[-1].thread not in threads, "the next time is another story"
