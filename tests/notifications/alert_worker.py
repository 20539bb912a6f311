"""Delivery of ops alerts as a process of its own, made to be killed: one store, one chat, a clock that is told.

    python -m tests.notifications.alert_worker '{"store": URL, "prefix": "t1", "type": "slack_bot", "options": {...},
                                                 "now": MS, "die_at": "after_reply", "die_after": 1}'

It ends by itself when nothing is due in the next minutes of its own clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from notifier import registry
from notifier.actions import Reason
from notifier.delivery import Delivery, DeliveryRules
from notifier.ledger import Ledger
from notifier.outbox import Entry
from notifier.pacing import Backoff
from notifier.posts import Reference, References
from notifier.sending import Contact, Instant
from notifier.store import Store
from notifier.templates import Templates
from tests.faults.worker import FailingHttp, FailingOutbox, Failpoint
from tests.money.shop import IDENTITY, OPEN

STEP, PATIENCE = 1_000, 200


class FailingReferences(References):
    failpoint: Failpoint

    async def put(self, channel: str, thread: str, reference: Reference) -> None:
        self.failpoint.passing("before_reference")
        await super().put(channel, thread, reference)
        self.failpoint.passing("after_reference")


async def run(options: dict[str, Any]) -> None:
    failpoint = Failpoint(options.get("die_at"), int(options.get("die_after", 1)))
    async with Store(options["store"], options["prefix"]) as store, FailingHttp(deadline=5) as http:
        ledger = Ledger(store, IDENTITY, OPEN)
        outbox, references = FailingOutbox(store, ledger), FailingReferences(store)
        http.failpoint = outbox.failpoint = references.failpoint = failpoint
        delivery = Delivery(
            outbox,
            ledger,
            Templates(),
            {"ops": registry.channel(options["type"], options["options"], http)},
            {},
            recheck=no_change,
            contacts=nobody,
            rules=DeliveryRules(backoff=Backoff(1, 5)),
            references=references,
        )
        await delivery.start()
        now, idle = int(options["now"]), 0
        while idle < PATIENCE:
            started = await delivery.run_once(now)
            await delivery.idle()
            idle, now = (0, now) if started else (idle + 1, now + STEP)


async def no_change(_entry: Entry, _now: Instant) -> Reason | None:
    return None


async def nobody(_customer: str | None, _order: str | None) -> Contact | None:
    return None


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.argv[1])))
