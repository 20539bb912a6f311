"""Channels and a coupon shop as objects that answer what a test tells them to, and a delivery around them."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from notifier.actions import Reason
from notifier.delivery import Delivery, DeliveryRules, Sent
from notifier.ledger import Ledger
from notifier.outbox import Entry, Outbox
from notifier.pacing import QuietHours
from notifier.sending import (
    Answer,
    Capabilities,
    Cause,
    Contact,
    Coupon,
    Instant,
    Limits,
    Message,
    SendResult,
)
from notifier.store import Store
from notifier.templates import Templates

DONE = SendResult(Answer.DONE, provider_id="p1")
LATER = SendResult(Answer.RETRY, Cause.SERVER, detail="503")
NEVER = SendResult(Answer.PERMANENT, Cause.REJECTED, detail="400")
LOST = SendResult(Answer.AMBIGUOUS, Cause.LOST_REPLY)


@dataclass
class Room:
    """A channel: `answers` first, then DONE. `read` is what its people saw."""

    name: str = "room"
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(idempotent=True))
    limits: Limits = field(default_factory=Limits)
    answers: deque[SendResult | Exception] = field(default_factory=deque)
    read: list[Message] = field(default_factory=list)

    async def send(self, message: Message, now: Instant) -> SendResult:
        answer = self.answers.popleft() if self.answers else DONE
        if isinstance(answer, Exception):
            raise answer
        if answer.answer in {Answer.DONE, Answer.AMBIGUOUS}:
            self.read.append(message)
        return answer


@dataclass
class Shop:
    """A coupon shop with a unique index on codes. LOST makes the coupon and loses the reply."""

    name: str = "shop"
    limits: Limits = field(default_factory=Limits)
    answers: deque[SendResult] = field(default_factory=deque)
    made: dict[str, Coupon] = field(default_factory=dict)
    asked: int = 0
    finds: bool = True

    async def issue(self, coupon: Coupon, now: Instant) -> SendResult:
        self.asked += 1
        answer = self.answers.popleft() if self.answers else DONE
        if answer.answer in {Answer.DONE, Answer.AMBIGUOUS}:
            assert self.made.setdefault(coupon.code, coupon) == coupon, "a retry asked for another coupon"
        return answer

    async def find(self, code: str, now: Instant) -> bool | None:
        return code in self.made if self.finds else None

    async def codes(self, prefix: str, now: Instant) -> AsyncIterator[str]:
        for code in sorted(self.made):
            yield code


NO_QUIET = QuietHours(start=QuietHours().end)


@dataclass
class World:
    """A ledger and a delivery with one room for each kind of reader. `moved` holds orders that recovered."""

    store: Store
    ledger: Ledger
    customer: Room = field(default_factory=lambda: Room("customer"))
    ops: Room = field(default_factory=lambda: Room("ops"))
    staff: Room = field(default_factory=lambda: Room("shop"))
    shop: Shop = field(default_factory=Shop)
    rules: DeliveryRules = field(default_factory=lambda: DeliveryRules(quiet=NO_QUIET))
    contact: Contact | None = field(default_factory=lambda: Contact(phone="+8613912345678"))
    moved: dict[str, Reason] = field(default_factory=dict)
    steps: list[Sent] = field(default_factory=list)

    async def delivery(self, outbox: Outbox | None = None, **changes: Any) -> Delivery:
        async def recheck(entry: Entry, now: Instant) -> Reason | None:
            return self.moved.get(entry.proposal.order_id or "")

        async def contacts(customer_id: str | None, order_id: str | None) -> Contact | None:
            return self.contact

        given: Mapping[str, Any] = {
            "recheck": recheck,
            "contacts": contacts,
            "rules": self.rules,
            "observe": self.steps.append,
            **changes,
        }
        made = Delivery(
            outbox or Outbox(self.store, self.ledger),
            self.ledger,
            Templates(),
            {"customer": self.customer, "ops": self.ops, "shop": self.staff},
            {"coupons": self.shop},
            **given,
        )
        await made.start()
        return made

    async def state(self, action_id: str) -> str:
        claim = await self.ledger.get(action_id)
        assert claim is not None
        return claim.state


async def turn(delivery: Delivery, now: Instant) -> int:
    """One round and its end; how many were started."""
    started = await delivery.run_once(now)
    await delivery.idle()
    return started


async def run_dry(delivery: Delivery, now: Instant) -> None:
    while await turn(delivery, now):
        pass
