"""A chat that does not answer: no other waits for it, and it is told once more, not again and again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count

from monitor.embedded import EmbeddedStore
from monitor.notifications.proposals import propose
from notifier import registry
from notifier.delivery import Delivery, DeliveryRules
from notifier.http import Http
from notifier.ledger import Ledger
from notifier.outbox import Outbox
from notifier.pacing import Backoff
from notifier.store import Store
from notifier.templates import Templates
from tests.channels import slack
from tests.fakes.server import FakeServer, Fault
from tests.incidents.story import SECOND
from tests.money.sending import turn
from tests.money.shop import IDENTITY, OPEN
from tests.notifications.alert_worker import no_change, nobody
from tests.notifications.test_messages import DESK, a_jam

_prefixes = count()


def test_timeout_a_chat_that_hangs_holds_up_no_other_and_is_told_once_more(valkey: EmbeddedStore) -> None:
    jam = a_jam()

    async def run() -> tuple[int, list[str], dict[str, int]]:
        async with (
            FakeServer(slack.Fake()) as hangs,
            FakeServer(slack.Fake()) as answers,
            Http(deadline=0.5) as http,
            Store(valkey.url, f"timeout{next(_prefixes)}") as store,
        ):
            hangs.trouble = lambda _: Fault.LOST_REPLY_HANG
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, jam.at)
            delivery = Delivery(
                Outbox(store, ledger),
                ledger,
                Templates(),
                {
                    "hangs": registry.channel("slack", slack.CASE.options(hangs.url), http),
                    "answers": registry.channel("slack", slack.CASE.options(answers.url), http),
                },
                {},
                recheck=no_change,
                contacts=nobody,
                rules=DeliveryRules(backoff=Backoff(1, 5)),
            )
            await delivery.start()
            told = [replace(propose(jam, DESK), channel=name, cause=name) for name in ("hangs", "answers")]
            await ledger.claim_all(told, jam.at)
            await turn(delivery, jam.at)
            first = len(answers.requests)
            for step in range(1, 60):
                await turn(delivery, jam.at + step * 5 * SECOND)
            states = [claim.state for claim in await ledger.claims([one.action_id for one in told])]
            return first, states, {"hangs": len(hangs.requests), "answers": len(answers.requests)}

    first, states, requests = asyncio.run(run())
    assert first == 1, "in the same round in which the other hung"
    assert states == ["unknown", "done"]
    assert requests == {"hangs": 2, "answers": 1}
