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
from notifier.http import Http
from notifier.ledger import Ledger
from notifier.outbox import Entry, Outbox
from notifier.pacing import Backoff
from notifier.posts import References
from notifier.sending import Contact, Instant
from notifier.store import Store
from notifier.templates import Templates
from tests.faults.victim import Failpoint
from tests.money.shop import IDENTITY, OPEN

STEP, PATIENCE = 1_000, 200


WAY = (
    (Outbox, "begin", "before_begin", "after_begin"),
    (Http, "request", "before_request", "after_reply"),
    (References, "put", "before_reference", "after_reference"),
    (Outbox, "finish", "before_finish", "after_finish"),
)


async def run(options: dict[str, Any]) -> None:
    if "die_at" in options:
        failpoint = Failpoint(options["die_at"], int(options.get("die_after", 1)))
        for part, method, before, after in WAY:
            failpoint.wrap(part, method, before, after)
    async with Store(options["store"], options["prefix"]) as store, Http(deadline=5) as http:
        ledger = Ledger(store, IDENTITY, OPEN)
        outbox, references = Outbox(store, ledger), References(store)
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
