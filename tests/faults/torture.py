"""The torture itself: a worker and a store that are killed, a provider that fails, and the books at the end.

Used by `tests/faults` in small and by `benchmarks/torture.py` in large.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from notifier.audit import Audit
from notifier.identity import Identity
from notifier.ledger import Ledger, Rules
from notifier.store import Store, StoreError
from tests.fakes.server import FakeServer, Fault, Request, Response, Scripted
from tests.fakes.signed import refuse_unsigned
from tests.fakes.valkey import Valkey
from tests.faults.worker import KEY, POINTS, SECRET

ROOT = Path(__file__).parents[2]
PERSONAL = ("13912345678", "@example.com", SECRET, SECRET.removeprefix("whsec_"), KEY.decode())


class Gateway:
    """Coupon shop and message gateway in one. `deduplicates` off is an SMS gateway: every request is a message."""

    def __init__(self, *, deduplicates: bool = True) -> None:
        self.deduplicates = deduplicates
        self.coupons: dict[str, dict[str, Any]] = {}
        self.messages: Counter[str] = Counter()
        self.kinds: dict[str, str] = {}

    def __call__(self, request: Request) -> Response:
        if refused := refuse_unsigned(request, SECRET, time.time_ns() // 1_000_000):
            return refused
        if request.path == "/messages":
            return self._message(request)
        if request.method == "POST":
            asked = request.json()
            if asked["code"] in self.coupons:
                return Response.of({"error": "exists"}, 409)
            self.coupons[asked["code"]] = asked
            return Response.of({"code": asked["code"], "intent": asked["intent"]}, 201)
        found = self.coupons.get(request.path.removeprefix("/coupons/"))
        return Response.of(found) if found else Response.of({}, 404)

    def _message(self, request: Request) -> Response:
        key = request.headers["webhook-id"]
        self.kinds[key] = str(request.json()["data"].get("template"))
        if self.deduplicates:
            self.messages[key] = 1
        else:
            self.messages[key] += 1
        return Response.of({"id": key}, 202)


@dataclass
class Plan:
    findings: int
    worker_kills: int
    store_kills: int
    seed: int = 1
    faults: bool = True
    keyless: str | None = None  # hold | resend: messages go through a gateway without keys
    points: Sequence[str] = POINTS
    only_named: bool = False  # no kills at random moments between


@dataclass
class Outcome:
    """What the shop and the gateway saw, and what the books say."""

    findings: int
    coupons: int = 0
    orders_twice: int = 0
    orders_without: int = 0
    messages_twice: int = 0
    messages_without: int = 0
    unknown: int = 0
    budget: int = 0
    requests: int = 0
    worker_kills: int = 0
    store_kills: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


class Torture:
    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self.plan = plan
        self.folder = folder
        self.tell = tell
        self.random = random.Random(plan.seed)
        self.valkey = Valkey(folder)
        self.gateway = Gateway(deduplicates=plan.keyless is None)
        self.server = FakeServer(self.gateway)
        self.server.trouble = self._trouble
        self.kills = Counter[str]()
        self.log = folder / "worker.log"
        self.worker: subprocess.Popen[bytes] | None = None

    def _trouble(self, _request: Request) -> Scripted | None:
        """5 % 503, 8 % lost replies, 3 % hangs after the work was done."""
        if not self.plan.faults:
            return None
        dice = self.random.random()
        if dice < 0.05:
            return Response(503)
        if dice < 0.13:
            return Fault.LOST_REPLY
        return Fault.LOST_REPLY_HANG if dice < 0.16 else None

    def start_worker(self, **more: Any) -> None:
        options = {
            "store": self.valkey.url,
            "shop": self.server.url,
            "budget": self.plan.findings * 500,
            "keyless": self.plan.keyless,
            **more,
        }
        with self.log.open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.worker", json.dumps(options)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    async def run(self) -> Outcome:
        began = time.monotonic()
        with self.valkey:
            async with self.server:
                try:
                    await self._drive()
                finally:
                    if self.worker is not None and self.worker.poll() is None:
                        self.worker.kill()
                        self.worker.wait()
                outcome = await self._count()
        outcome.seconds = time.monotonic() - began
        return outcome

    async def _drive(self) -> None:
        await self._feed()
        store_kills = self.plan.store_kills
        every = max(1, self.plan.worker_kills // max(1, store_kills))
        for number in range(self.plan.worker_kills):
            await self._one_life(number)
            if store_kills and number % every == 0:
                await self._kill_store()
                store_kills -= 1
            assert self.worker is not None
            if self.worker.poll() is None:
                self.worker.kill()
            self.worker.wait()
            self.kills["worker"] += 1
            if number % 10 == 9:
                self.tell(
                    f"{number + 1} workers and {self.kills['store']} stores killed, {len(self.gateway.coupons)} coupons"
                )
        self.start_worker()
        while store_kills:
            await asyncio.sleep(0.5)
            await self._kill_store()
            store_kills -= 1
        await self._until_quiet()

    async def _one_life(self, number: int) -> None:
        """A worker that dies at a named point, or is left at work for a random while (and killed by the caller)."""
        named = self.plan.only_named or number % 2 == 0
        turn = number if self.plan.only_named else number // 2
        seen = len(self.server.requests)
        if named:
            point = self.plan.points[turn % len(self.plan.points)]
            self.start_worker(die_at=point, die_after=self.random.randint(1, 6))
            await self._until(self._dead, 5.0)
        else:
            self.start_worker()
            await self._until(lambda: len(self.server.requests) > seen, 5.0)
            await asyncio.sleep(self.random.uniform(0, 0.6))

    def _dead(self) -> bool:
        return self.worker is not None and self.worker.poll() is not None

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.02)

    async def _kill_store(self) -> None:
        self.valkey.kill()
        self.kills["store"] += 1
        await asyncio.to_thread(self.valkey.start)

    async def _feed(self) -> None:
        """One of seven events comes twice, and all are shuffled a little."""
        numbers = [number for number in range(self.plan.findings) for _ in range(2 if number % 7 == 0 else 1)]
        numbers.sort(key=lambda number: number + self.random.uniform(0, 30))
        at = time.time_ns() // 1_000_000
        async with Store(self.valkey.url, "torture") as store:
            for number in numbers:
                await store.stream_add(
                    store.key("torture", "in"), {"e": json.dumps({"number": number, "at": at})}
                )

    async def _until_quiet(self) -> None:
        """Everything claimed, nothing left to send; gives up when nothing moves for a minute."""
        before, since = (-1, -1), time.monotonic()
        async with Store(self.valkey.url, "torture") as store:
            ledger = self._ledger(store)
            while time.monotonic() - since < 60:
                assert not self._dead(), "the worker died of its own; see its log"
                counts = await _patiently(ledger.counts)
                open_entries = sum(counts.get(state, 0) for state in ("pending", "waiting", "sending"))
                claimed = sum(counts.values())
                if claimed >= 3 * self.plan.findings and not open_entries:
                    return
                if (claimed, open_entries) != before:
                    before, since = (claimed, open_entries), time.monotonic()
                await asyncio.sleep(0.1)

    def _ledger(self, store: Store) -> Ledger:
        return Ledger(store, Identity(KEY), Rules(shadow=False))

    async def _count(self) -> Outcome:
        outcome = Outcome(self.plan.findings, requests=len(self.server.requests))
        outcome.worker_kills, outcome.store_kills = self.kills["worker"], self.kills["store"]
        orders = Counter(str(coupon["order_id"]) for coupon in self.gateway.coupons.values())
        wanted = {f"o-{number}" for number in range(self.plan.findings)}
        outcome.coupons = sum(orders.values())
        outcome.orders_twice = sum(count > 1 for count in orders.values())
        outcome.orders_without = len(wanted - orders.keys())
        words = {
            key: count
            for key, count in self.gateway.messages.items()
            if self.gateway.kinds[key] == "late_coupon"
        }
        outcome.messages_twice = sum(count > 1 for count in words.values())
        outcome.messages_without = self.plan.findings - len(words)
        async with Store(self.valkey.url, "torture") as store:
            ledger = self._ledger(store)
            outcome.unknown = (await ledger.counts()).get("unknown", 0)
            outcome.budget = (await ledger.budgets("CNY", time.time_ns() // 1_000_000))["day"].spent
            outcome.problems = await Audit(store, ledger, Identity(KEY)).verify()
        text = self.log.read_text(encoding="utf-8", errors="replace")
        outcome.leaks = [secret for secret in PERSONAL if secret in text]
        return outcome


async def _patiently(question: Callable[[], Any]) -> Any:
    """The store may just be dead."""
    for _ in range(200):
        try:
            return await question()
        except StoreError:
            await asyncio.sleep(0.05)
    raise AssertionError("the store does not come back")
