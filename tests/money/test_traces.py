"""SMS whose reply was lost: the provider is asked what became of it, over real HTTP, before anything is said again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from notifier import registry
from notifier.compose import Composer
from notifier.http import Http
from notifier.ledger import Claim, Ledger
from notifier.reconcile import ASKED_FOR_MS, Reconciler
from notifier.said import fingerprint
from notifier.sending import Contact, Message, Trace, Traceable
from notifier.store import Store
from notifier.templates import Templates
from tests.channels import aliyun_sms, twilio
from tests.channels.case import CUSTOMER, PHONE
from tests.fakes.server import FakeServer, Fault, Response
from tests.fakes.valkey import Valkey
from tests.money.sending import World, run_dry
from tests.money.shop import DAY, HOUR, IDENTITY, NOW, OPEN
from tests.money.test_delivery import gifts

SECOND, MINUTE = 1_000, 60_000
NAMES = ("aliyun_sms", "twilio")
CASES: dict[str, Any] = {"aliyun_sms": aliyun_sms, "twilio": twilio}
SETTLED = 11 * MINUTE


@dataclass
class Gateway:
    world: World
    reconciler: Reconciler
    fake: Any
    server: FakeServer
    words: str  # the message's action
    templates: Templates  # that a look-up composes with

    async def sent(self) -> int:
        return len(self.fake.sent)


@asynccontextmanager
async def gateway(valkey: Valkey, prefix: str, name: str) -> AsyncIterator[Gateway]:
    """An apology by that gateway, its coupon given, its message due."""
    fake = CASES[name].Fake()
    async with Store(valkey.url, prefix) as store, Http(deadline=2) as http, FakeServer(fake) as server:
        ledger = Ledger(store, IDENTITY, OPEN)
        await ledger.open(None, NOW)
        contact = Contact(phone=PHONE)
        world = World(store, ledger, contact=contact)
        channel = registry.channel(name, CASES[name].CASE.options(server.url), http)
        world.customer = channel  # type: ignore[assignment]

        async def sent_as(claim: Claim) -> Message | None:
            return await Composer(ledger, one.templates).sent_as(claim, contact)

        reconciler = Reconciler(store, ledger, {}, {"customer": channel}, sent_as)
        _, words = await ledger.claim_all(gifts(expires_at=NOW + 2 * DAY), NOW)
        one = Gateway(world, reconciler, fake, server, words.proposal.action_id, Templates())
        yield one


async def attempt(one: Gateway, fault: Fault, now: int = NOW) -> None:
    one.server.script.append(fault)
    await run_dry(await one.world.delivery(), now)
    assert await one.world.state(one.words) == "unknown"


def play(valkey: Valkey, prefix: str, name: str, story: Callable[[Gateway], Any]) -> None:
    async def run() -> None:
        async with gateway(valkey, prefix, name) as one:
            await story(one)

    asyncio.run(run())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.HALF_BODY])
def test_what_was_sent_is_found_and_not_said_twice(
    valkey: Valkey, prefix: str, name: str, fault: Fault
) -> None:
    async def story(one: Gateway) -> None:
        await attempt(one, fault)
        assert await one.reconciler.unknowns(NOW + MINUTE) == {
            "done": 1,
            "failed": 0,
            "retry": 0,
            "unknown": 0,
        }
        await run_dry(await one.world.delivery(), NOW + SETTLED)
        assert (await one.sent(), await one.world.state(one.words)) == (1, "done")

    play(valkey, prefix, name, story)


def test_a_template_that_changed_since_does_not_hide_what_was_said(
    valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    """Composed again it says something else; by that it would not be found, and be said once more."""

    async def story(one: Gateway) -> None:
        await attempt(one, Fault.LOST_REPLY)
        (tmp_path / "zh-CN").mkdir()
        for name in ("late", "late_coupon"):
            (tmp_path / "zh-CN" / f"{name}.j2").write_text(
                "题目\n\n另外的话 {{ order_id }}", encoding="utf-8"
            )
        one.templates = Templates(tmp_path)
        assert (await one.reconciler.unknowns(NOW + SETTLED))["done"] == 1
        await run_dry(await one.world.delivery(), NOW + SETTLED)
        assert (await one.sent(), await one.world.state(one.words)) == (1, "done")

    play(valkey, prefix, "twilio", story)


def test_a_trial_accounts_sentence_and_folded_signs_hide_nothing() -> None:
    fake = twilio.Fake()
    listed = {"to": PHONE, "status": "sent", "date_created": "Sun, 22 Nov 2026 08:00:01 +0000"}
    asked = replace(CUSTOMER, said=fingerprint("It’s late – order “O1”,  sorry"))
    fake.sent.append({**listed, "body": "It's late - order 'O1', sorry"})
    assert trace("twilio", fake, asked, NOW, NOW + SETTLED) is Trace.DONE
    fake.sent[:] = [{**listed, "body": "Sent from your Twilio trial account - It's late - order 'O1', sorry"}]
    assert trace("twilio", fake, asked, NOW, NOW + SETTLED) is Trace.DONE
    fake.sent[:] = [{**listed, "body": "It's late - order 'O2', sorry"}]
    assert trace("twilio", fake, asked, NOW, NOW + SETTLED) is Trace.ABSENT


@pytest.mark.parametrize("name", NAMES)
def test_what_never_arrived_is_said_once_the_list_has_settled(valkey: Valkey, prefix: str, name: str) -> None:
    async def story(one: Gateway) -> None:
        await attempt(one, Fault.RESET)
        early = await one.reconciler.unknowns(NOW + MINUTE)
        assert early["unknown"] == 1, "a list that may still grow proves nothing"
        assert (await one.reconciler.unknowns(NOW + SETTLED))["retry"] == 1
        await run_dry(await one.world.delivery(), NOW + SETTLED)
        assert (await one.sent(), await one.world.state(one.words)) == (1, "done")

    play(valkey, prefix, name, story)


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_that_does_not_answer_leaves_it_unknown(valkey: Valkey, prefix: str, name: str) -> None:
    async def story(one: Gateway) -> None:
        await attempt(one, Fault.RESET)
        for step in (Response(503), Response(200, b"{}"), Fault.RESET, Response(500)):
            one.server.script.extend([step] * 2)
            assert (await one.reconciler.unknowns(NOW + SETTLED))["unknown"] == 1
            one.server.script.clear()
        assert (await one.reconciler.unknowns(NOW + ASKED_FOR_MS + HOUR)) == {
            "done": 0,
            "failed": 0,
            "retry": 0,
            "unknown": 0,
        }, "after three days it is left to a person"
        assert await one.world.state(one.words) == "unknown"

    play(valkey, prefix, name, story)


@pytest.mark.parametrize(("name", "lost"), [("aliyun_sms", 2), ("twilio", "undelivered")])
def test_what_was_taken_and_not_delivered_is_failed_and_frees_the_cap(
    valkey: Valkey, prefix: str, name: str, lost: Any
) -> None:
    async def story(one: Gateway) -> None:
        one.fake.status = lost
        await attempt(one, Fault.LOST_REPLY)
        assert (await one.reconciler.unknowns(NOW + MINUTE))["failed"] == 1
        assert await one.world.state(one.words) == "failed"

    play(valkey, prefix, name, story)


@pytest.mark.parametrize("name", NAMES)
def test_a_look_up_gives_a_stale_apology_no_new_day(valkey: Valkey, prefix: str, name: str) -> None:
    async def story(one: Gateway) -> None:
        late = NOW + 2 * DAY - SECOND
        await attempt(one, Fault.RESET, late)
        assert (await one.reconciler.unknowns(late + SETTLED))["retry"] == 1
        await run_dry(await one.world.delivery(), late + SETTLED)
        claim = await one.world.ledger.get(one.words)
        assert claim is not None
        assert (claim.state, claim.why, await one.sent()) == ("failed", "expired", 0)

    play(valkey, prefix, name, story)


def trace(name: str, fake: Any, message: Message, began: int, now: int) -> Trace:
    async def run() -> Trace:
        async with Http(deadline=2) as http, FakeServer(fake) as server:
            channel: object = registry.channel(name, CASES[name].CASE.options(server.url), http)
            assert isinstance(channel, Traceable)
            return await channel.trace(message, began, now)

    return asyncio.run(run())


def test_aliyun_is_asked_for_the_beijing_day_and_the_next_around_midnight() -> None:
    fake = aliyun_sms.Fake()
    midnight = NOW + 8 * HOUR  # 16:00Z
    fake.sent.append({"PhoneNum": "13912345678", "OutId": CUSTOMER.key, "SendStatus": 1, "day": "20261123"})
    assert trace("aliyun_sms", fake, CUSTOMER, midnight - SECOND, midnight + SETTLED) is Trace.DONE
    assert trace("aliyun_sms", fake, CUSTOMER, midnight - HOUR, midnight + SETTLED) is Trace.ABSENT


def test_anothers_message_to_the_same_number_is_not_ours() -> None:
    fake = aliyun_sms.Fake()
    fake.sent.append({"PhoneNum": "13912345678", "OutId": "A-other", "SendStatus": 3, "day": "20261122"})
    assert trace("aliyun_sms", fake, CUSTOMER, NOW, NOW + SETTLED) is Trace.ABSENT
    other = twilio.Fake()
    other.sent.append({"to": PHONE, "body": "another text", "status": "sent", "date_created": None})
    assert trace("twilio", other, CUSTOMER, NOW, NOW + SETTLED) is Trace.ABSENT


def test_twilios_same_text_of_an_earlier_day_is_not_this_attempt() -> None:
    fake = twilio.Fake(now=NOW - DAY)
    old = {
        "to": PHONE,
        "body": CUSTOMER.body,
        "status": "sent",
        "date_created": "Sat, 21 Nov 2026 08:00:00 +0000",
    }
    fake.sent.append({**old})
    assert trace("twilio", fake, CUSTOMER, NOW, NOW + SETTLED) is Trace.ABSENT
    fake.sent.append({**old, "date_created": "Sun, 22 Nov 2026 08:00:01 +0000"})
    assert trace("twilio", fake, CUSTOMER, NOW, NOW + SETTLED) is Trace.DONE


@pytest.mark.parametrize("name", NAMES)
def test_a_full_page_without_ours_proves_nothing(name: str) -> None:
    fake = CASES[name].Fake()
    if name == "aliyun_sms":
        fake.sent = [
            {"PhoneNum": "13912345678", "OutId": f"A{n}", "SendStatus": 3, "day": "20261122"}
            for n in range(50)
        ]
    else:
        fake.sent = [
            {"to": PHONE, "body": f"{n}", "status": "sent", "date_created": "Sun, 22 Nov 2026 09:00:00 +0000"}
            for n in range(50)
        ]
    assert trace(name, fake, CUSTOMER, NOW, NOW + 2 * HOUR) is Trace.UNANSWERED
