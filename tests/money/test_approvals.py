"""What waits for a person is told in the chat, with links that carry the right to decide it, once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from config.settings import IncidentSettings
from monitor.approvals import ask
from monitor.directory import Directory
from monitor.links import Act, Links
from monitor.notifications.proposals import Desk
from notifier.actions import Decided, Outcome, Reason
from notifier.identity import ADDRESS
from notifier.ledger import Ledger
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.sending import World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN, apology

LINKS = Links(b"a link secret of tests, 32 bytes")
DESK = Desk(IncidentSettings(), "default-1", public_url="https://ops.example.com/", links=LINKS)


def test_a_large_compensation_asks_in_the_chat_and_the_link_names_the_act(
    valkey: Valkey, prefix: str
) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            world = World(store, Ledger(store, IDENTITY, replace(OPEN, approval_above=5_000)))
            await world.ledger.open(None, NOW)
            decided = await world.ledger.claim_all(apology(amount=8_000), NOW)
            for _ in range(2):  # asked again after a crash
                questions = ask(decided, DESK, ("ops",), "zh-CN", NOW)
                await world.ledger.claim_all(questions, NOW)
            delivery = await world.delivery()
            await run_dry(delivery, NOW)
            (read,) = world.ops.read
            assert read.title == "¥80.00 的补偿待批准"
            assert [button.label for button in read.buttons] == ["批准", "拒绝"]
            token = read.buttons[0].url.removeprefix("https://ops.example.com/a/")
            link = LINKS.verify(token, NOW)
            assert (link.act, link.subject) == (Act.APPROVE, decided[0].proposal.action_id)
            assert world.shop.made == {}
            await world.ledger.approve(link.subject, ANNA, NOW)
            await run_dry(delivery, NOW)
            assert len(world.shop.made) == 1

    asyncio.run(run())


def test_a_yes_before_its_time_is_kept_until_then(valkey: Valkey, prefix: str) -> None:
    """A promise is not late yet: what was approved in advance waits for it."""

    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            world = World(store, Ledger(store, IDENTITY, replace(OPEN, approval_above=5_000)))
            await world.ledger.open(None, NOW)
            later = NOW + HOUR
            gift, _ = await world.ledger.claim_all(apology(amount=8_000, not_before=later), NOW)
            assert await world.ledger.approve(gift.proposal.action_id, ANNA, NOW) == "done"
            delivery = await world.delivery()
            await run_dry(delivery, later - 1)
            assert world.shop.made == {}
            await run_dry(delivery, later)
            assert len(world.shop.made) == 1

    asyncio.run(run())


def test_where_it_takes_two_people_each_has_a_button() -> None:
    (gift, _) = apology(amount=80_000)
    held = [Decided(gift, Outcome.HELD, Reason.NEEDS_APPROVAL, NOW)]
    (alert,) = ask(held, DESK, ("ops",), "zh-CN", NOW, two_above=50_000)
    message = alert.variables["message"]
    assert "须由两人先后批准" in message["body"]
    assert [one["label"] for one in message["buttons"]] == ["批准", "第二人批准", "拒绝"]
    links = [LINKS.verify(one["url"].rpartition("/")[2], NOW) for one in message["buttons"]]
    assert [link.act for link in links] == [Act.APPROVE, Act.APPROVE, Act.REJECT]
    assert len({link.nonce for link in links}) == 3, "a link works once"
    (alone,) = ask(held, DESK, ("ops",), "zh-CN", NOW, two_above=80_000)
    assert len(alone.variables["message"]["buttons"]) == 2


def test_a_button_ends_with_its_offer() -> None:
    for left in (HOUR, 30 * DAY):
        (gift, _) = apology(amount=8_000, expires_at=NOW + left)
        held = Decided(gift, Outcome.HELD, Reason.NEEDS_APPROVAL, NOW)
        (alert,) = ask([held], DESK, ("ops",), "en", NOW)
        url = alert.variables["message"]["buttons"][0]["url"]
        link = LINKS.verify(url.rpartition("/")[2], NOW)
        assert link.expires_at == NOW + min(left, DESK.link_ms)


def test_an_order_number_writes_no_markup_into_the_question() -> None:
    (gift, _) = apology(order="1001\n<!channel> evil.example", amount=8_000)
    held = Decided(gift, Outcome.HELD, Reason.NEEDS_APPROVAL, NOW)
    (alert,) = ask([held], DESK, ("ops",), "en", NOW)
    message = alert.variables["message"]
    for said in (message["body"], dict(message["fields"])["order"]):
        assert "1001 ‹!channel› evil" in said
        assert "evil.example" not in said, "chats make a link of it"


def test_what_is_held_for_another_reason_asks_nobody() -> None:
    (gift, words) = apology(amount=8_000)
    held = Decided(gift, Outcome.HELD, Reason.HOLD, NOW)
    sent = Decided(gift, Outcome.SEND, Reason.OK, NOW)
    speech = Decided(words, Outcome.HELD, Reason.NEEDS_APPROVAL, NOW)
    assert ask([held, sent, speech], DESK, ("ops",), "en", NOW) == []


def test_without_a_public_address_the_question_has_no_links() -> None:
    (gift, _) = apology(amount=8_000)
    (alert,) = ask(
        [Decided(gift, Outcome.HELD, Reason.NEEDS_APPROVAL, NOW)],
        replace(DESK, public_url=None),
        ("ops",),
        "en",
        NOW,
    )
    assert alert.variables["message"]["buttons"] == []
    assert alert.variables["message"]["title"] == "A compensation of CN¥80.00 waits for approval"


def test_the_directory_knows_a_contact_by_keyed_hash_and_zone_only(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            contact = {
                "phone": "+86 139-1234-5678",
                "email": "Li.Lei@Example.com",
                "timezone": "Europe/London",
                "address": "88 Century Ave, Room 1203, Shanghai, 200120",
            }
            fields: dict[str, str | int] = {
                "customer_id": "c-1",
                "at:shipped": 1,
                "contact": json.dumps(contact),
            }
            other: dict[str, str | int] = {
                "customer_id": "c-2",
                "at:shipped": 1,
                "contact": json.dumps(
                    {"phone": "13912345678", "address": "88 century ave., room 1203 SHANGHAI 200120"}
                ),
            }
            await store.hash_set(store.key("order", "1"), fields)
            await store.hash_set(store.key("order", "2"), other)
            found = await Directory(store, IDENTITY.contact_hashes).orders(["1", "2"], 0)
            assert found["1"].timezone == "Europe/London"
            assert set(found["2"].contact_hashes) < set(found["1"].contact_hashes)
            assert any(one.startswith(ADDRESS) for one in found["2"].contact_hashes)
            assert "139" not in repr(found["2"])
            assert "Century" not in repr(found["1"])

    asyncio.run(run())
