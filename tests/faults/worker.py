"""A daemon's money path as a process of its own, made to be killed: findings in, claims, delivery over real HTTP.

    python -m tests.faults.worker '{"store": URL, "shop": URL, "die_at": "after_begin", "die_after": 3, ...}'

Failpoints are passed in here, by subclassing the real parts: the product has no switch for them. The input is a stream
of orders; the position is written after the claims, as a checkpoint is, so what came after it is claimed again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from config.policies import load_pack
from detectors.findings import Finding, Kind, State, Subject, SubjectType
from monitor.policy import OrderFacts, decide
from notifier.actions import Decided, Proposal, Reason
from notifier.channels.webhook import WebhookChannel, WebhookOptions
from notifier.coupons.webhook import WebhookCouponOptions, WebhookCoupons
from notifier.delivery import Delivery, DeliveryRules
from notifier.http import Http, Reply
from notifier.identity import Identity
from notifier.ledger import Ledger, Rules
from notifier.outbox import Entry, FencedError, Outbox, Verdict
from notifier.pacing import Backoff, QuietHours
from notifier.sending import Capabilities, Contact, Instant, SendResult
from notifier.store import Store, StoreError
from notifier.templates import Templates

POINTS = (
    "before_claim",
    "after_claim",
    "before_position",
    "before_begin",
    "after_begin",
    "after_reply",
    "before_finish",
    "after_finish",
)
KEY = b"the tenant key of torture, 32 bytes"
SECRET = "whsec_dG9ydHVyZSB0b3J0dXJlIHRvcnR1cmUh"
FENCED = 3


@dataclass
class Failpoint:
    """Dies without a word at the n-th passing of a named point."""

    name: str | None
    after: int

    def passing(self, name: str) -> None:
        if name == self.name:
            self.after -= 1
            if self.after <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FailingHttp(Http):
    failpoint: Failpoint

    async def request(self, *arguments: Any, **named: Any) -> Reply | SendResult:
        reply = await super().request(*arguments, **named)
        self.failpoint.passing("after_reply")
        return reply


class FailingOutbox(Outbox):
    failpoint: Failpoint

    async def begin(self, entry: Entry, now: Instant) -> bool:
        self.failpoint.passing("before_begin")
        begun = await super().begin(entry, now)
        self.failpoint.passing("after_begin")
        return begun

    async def finish(self, entry: Entry, verdict: Verdict, now: Instant) -> bool:
        self.failpoint.passing("before_finish")
        finished = await super().finish(entry, verdict, now)
        self.failpoint.passing("after_finish")
        return finished


def clock() -> Instant:
    return time.time_ns() // 1_000_000


def finding_of(number: int, at: Instant) -> tuple[Finding, OrderFacts]:
    """The order's promise is broken; the same every time it is asked."""
    subject = Subject(SubjectType.PARCEL, f"SF{number:08}")
    finding = Finding(
        "stall", Kind.PROMISE_BROKEN, subject, at, at, at, State.OPENED, 0.95, {"carrier": "SF"}
    )
    facts = OrderFacts(
        customer_id=f"c-{number}",
        order_id=f"o-{number}",
        tracking_number=subject.id,
        amount=12_900,
        currency="CNY",
        has_contact=True,
        promised_at=at,
    )
    return finding, facts


class Worker:
    def __init__(self, options: dict[str, Any], store: Store, http: FailingHttp) -> None:
        self.failpoint = Failpoint(options.get("die_at"), int(options.get("die_after", 1)))
        http.failpoint = self.failpoint
        self.store = store
        self.started = False
        self.pack = load_pack()
        rules = Rules(
            shadow=False,
            holdout=0,
            budget_day=int(options["budget"]),
            burst=0,
            breaker=0,
            approval_above=0,
            cap_days=90,
        )
        self.ledger = Ledger(store, Identity(KEY), rules)
        outbox = FailingOutbox(store, self.ledger)
        outbox.failpoint = self.failpoint
        shop = str(options["shop"])
        signed = {"secret": SECRET}
        channel = WebhookChannel(WebhookOptions.model_validate({"url": f"{shop}/messages", **signed}), http)
        if options.get("keyless"):
            channel.capabilities = Capabilities()
        coupons = WebhookCoupons(
            WebhookCouponOptions.model_validate({"url": f"{shop}/coupons", **signed}), http
        )
        self.delivery = Delivery(
            outbox,
            self.ledger,
            Templates(),
            {"customer": channel, "shop": channel},
            {"coupons": coupons},
            recheck=self.recheck,
            contacts=self.contacts,
            rules=DeliveryRules(
                quiet=QuietHours(QuietHours().end, QuietHours().end),
                backoff=Backoff(0.1, 1.0),
                lease_ms=2_500,
                resend_unknown=options.get("keyless") == "resend",
            ),
        )

    @staticmethod
    async def recheck(_entry: Entry, _now: Instant) -> Reason | None:
        return None

    @staticmethod
    async def contacts(customer_id: str | None, _order_id: str | None) -> Contact | None:
        return Contact(phone="+8613912345678", email=f"{customer_id}@example.com")

    async def claim(self) -> None:
        position = (await self.store.get(self.store.key("torture", "position")) or b"0").decode()
        while True:
            found = await self.store.stream_read(
                {self.store.key("torture", "in"): position}, count=20, seconds=1
            )
            for entries in found.values():
                proposals: list[Proposal] = []
                for entry in entries:
                    event = json.loads(entry.get(b"e") or b"{}")
                    proposals += decide(*finding_of(event["number"], event["at"]), self.pack, event["at"])
                self.failpoint.passing("before_claim")
                decided: list[Decided] = await self.ledger.claim_all(proposals, clock())
                assert len(decided) == len(proposals)
                self.failpoint.passing("after_claim")
                position = entries[-1].id
                self.failpoint.passing("before_position")
                await self.store.put(self.store.key("torture", "position"), position)

    async def deliver(self) -> None:
        if not self.started:  # once a life: who only lost the store for a moment takes nothing over
            await self.delivery.start()
            self.started = True
        while True:
            try:
                started = await self.delivery.run_once(clock())
            except FencedError:
                print("fenced: another worker has taken over", flush=True)  # noqa: T201
                os._exit(FENCED)
            if not started:
                await asyncio.sleep(0.02)

    async def run(self) -> None:
        await self.ledger.open(None, clock())
        async with asyncio.TaskGroup() as group:
            group.create_task(self.claim())
            group.create_task(self.deliver())


async def main(options: dict[str, Any]) -> None:
    async with (
        Store(options["store"], "torture", timeout=2.0) as store,
        FailingHttp(connect=1.0, deadline=0.5) as http,
    ):
        worker = Worker(options, store, http)
        while True:
            try:
                await worker.run()
            except BaseExceptionGroup as group:
                lost, other = group.split(StoreError)
                if other is not None or lost is None:
                    raise
                print("store:", lost.exceptions[0], flush=True)  # noqa: T201
            except StoreError as error:
                print("store:", error, flush=True)  # noqa: T201
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
