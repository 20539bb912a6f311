"""Whoever heard an apology has had it: the cap knows, however the sending came about."""

from __future__ import annotations

from notifier.actions import Reason
from notifier.compose import Composer
from notifier.outbox import Entry
from notifier.sending import Contact, Message
from notifier.templates import TemplateProblemError, Templates
from tests.fakes.valkey import Valkey
from tests.money.sending import LOST, NEVER, World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, NOW, coupon, message
from tests.money.test_delivery import WORDS, play


async def lives(world: World) -> list[int]:
    """How long the caps are kept, in milliseconds; -1 is for ever."""
    return [await world.store.call("PTTL", key) async for key in world.store.keys("ledger", "live", "*cap:*")]


class Broken(Composer):
    """As a template is that somebody has just spoilt."""

    async def message(self, entry: Entry, contact: Contact | None) -> Message:
        raise TemplateProblemError(entry.template)


async def is_capped(world: World, now: int) -> bool:
    (decided,) = await world.ledger.claim_all([coupon(order="2002", contact_hashes=HASHES)], now)
    return decided.reason in {Reason.CUSTOMER_CAP, Reason.CONTACT_CAP}


HASHES = ("p:1", "a:2")


def test_words_that_a_person_sends_after_all_take_their_cap_again(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        words = message(variables=WORDS, contact_hashes=HASHES)
        await world.ledger.claim_all([words], NOW)
        delivery = await world.delivery()
        for _ in range(2):  # given up, and tried again in vain: all of it goes back
            world.customer.answers.append(NEVER)
            await run_dry(delivery, NOW)
            assert await world.state(words.action_id) == "failed"
            assert await lives(world) == []
            assert await world.ledger.resolve(words.action_id, "retry", ANNA, NOW)
            assert [life > 399 * DAY for life in await lives(world)] == [True] * 3
        await run_dry(delivery, NOW)
        assert len(world.customer.read) == 1
        assert await is_capped(world, NOW + 1)
        (other,) = await world.ledger.claim_all([coupon("c-2", "3003", contact_hashes=HASHES[:1])], NOW + 1)
        assert other.reason is Reason.CONTACT_CAP, "the phone under another name"

    play(valkey, prefix, story)


def test_a_template_that_breaks_after_a_lost_reply_gives_no_cap_back(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        words = message(variables=WORDS, contact_hashes=HASHES)
        world.customer.answers.append(LOST)
        await world.ledger.claim_all([words], NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        assert (await world.state(words.action_id), len(world.customer.read)) == ("pending", 1)
        delivery._composer = Broken(world.ledger, Templates())
        await run_dry(delivery, NOW + HOUR)
        assert await world.state(words.action_id) == "unknown", "it may have been said"
        assert await is_capped(world, NOW + HOUR)

    play(valkey, prefix, story)


def test_a_template_that_breaks_before_anything_was_said_gives_it_back(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        words = message(variables=WORDS)
        await world.ledger.claim_all([words], NOW)
        delivery = await world.delivery()
        delivery._composer = Broken(world.ledger, Templates())
        await run_dry(delivery, NOW)
        assert await world.state(words.action_id) == "failed"
        assert not await is_capped(world, NOW)

    play(valkey, prefix, story)


def test_a_cap_is_forgotten_after_400_days_and_kept_until_then(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all([message(contact_hashes=HASHES)], NOW)
        assert [399 * DAY < life <= 400 * DAY for life in await lives(world)] == [True] * 3

    play(valkey, prefix, story)
