"""The torture itself: the real daemon and its store are killed, the provider fails, and the books are read at the end.

Used by `tests/faults` in small and by `benchmarks/torture.py` in large.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.engine.warming import warm_kernels
from notifier.audit import Audit
from notifier.http import Http
from notifier.identity import Identity
from notifier.ledger import Ledger, Rules
from notifier.store import Store
from tests.fakes.server import FakeServer
from tests.fakes.valkey import Valkey
from tests.faults.gateway import SECRET, Gateway, trouble
from tests.faults.process import TOKEN, Process, free_port
from tests.faults.shop import AMOUNT, MAIL, NAME, PHONES, STREET, bodies, shuffled
from tests.faults.victim import POINTS

KEY = "the tenant key of torture, 32 bytes"
PERSONAL = (str(PHONES)[:7], MAIL, NAME, STREET, SECRET, SECRET.removeprefix("whsec_"), KEY, TOKEN)
PATIENCE = 1000.0  # seconds without any news before we give up: more than the longest wait for another try


@dataclass
class Plan:
    findings: int
    kills: int
    store_kills: int
    seed: int = 1
    faults: bool = True
    keyless: str | None = None  # hold | resend: messages go through a gateway without keys
    points: Sequence[str] = POINTS
    only_named: bool = False  # no kills at random moments between
    hurry: bool = False  # short leases, retries and deadlines: what a test would wait for


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
    kills: int = 0
    store_kills: int = 0
    ended: int = 0  # lives that ended by themselves, as their store was gone
    last_code: int | None = None  # of the last life, which was told to stop
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


def config(folder: Path, name: str, port: int, store: str, shop: str, plan: Plan, **engine: Any) -> Path:
    """The configuration of a daemon with a data folder of its own."""
    hook = f'type = "webhook"\nsecret = "{SECRET}"\nurl = "{shop}'
    tables = {
        "store": f'url = "{store}"\nprefix = "torture"',
        "http": f'port = {port}\ntoken = "{TOKEN}"',
        "engine": "\n".join(
            f"{key} = {value}"
            for key, value in {
                "max_live_parcels": 20_000, "sweep_seconds": 1, "checkpoint_seconds": 2, **engine,
            }.items()
        ),
        "detection": "learning_hours = 0",
        "money": f'tenant_key = "{KEY}"\nbudget_day = "{plan.findings * AMOUNT // 100}.00"\nbudget_month = "0"\n'
        'budget_incident = "0"\nburst = 0\nholdout_percent = 0\nbreaker_a_minute = 0',
        "delivery": f'quiet_from = "04:00"\nquiet_until = "04:00"\nresend_unknown = {str(plan.keyless == "resend").lower()}',
        "channels.customer": hook + '/messages"',
        "channels.shop": hook + '/messages"',
        "coupons.coupons": hook + '/coupons"',
    }  # fmt: skip
    path = folder / f"{name}.toml"
    text = [f'data_dir = "{folder / name}"\nshadow = false']
    text += [f"[{table}]\n{lines}" for table, lines in tables.items()]
    path.write_text("\n\n".join(text) + "\n", encoding="utf-8")
    return path


class Torture:
    """`folder` must have a short path: the store's socket is in it."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self.plan, self.folder, self.tell = plan, folder, tell
        self.random = random.Random(plan.seed)
        self.valkey = Valkey(folder)
        self.gateway = Gateway(deduplicates=plan.keyless is None)
        self.server = FakeServer(self.gateway)
        if plan.faults:
            self.server.trouble = trouble(self.random)
        self.kills = Counter[str]()
        self.log = folder / "daemon.log"
        self.said: list[str] = []  # everything the daemon answered
        self.released = asyncio.Semaphore(0)  # requests that may be sent
        self.http = Http(deadline=5.0)

    def daemon(self, name: str = "a", **engine: Any) -> Process:
        port = free_port()
        path = config(self.folder, name, port, self.valkey.url, self.server.url, self.plan, **engine)
        return Process(path, self.log, port)

    @property
    def options(self) -> dict[str, Any]:
        """Of `tests.faults.victim`; empty: the program as it is."""
        options: dict[str, Any] = {"lease_ms": 2500, "deadline": 0.5} if self.plan.hurry else {}
        return options | ({"keyless": True} if self.plan.keyless else {})

    async def run(self) -> Outcome:
        warm_kernels(time.monotonic)  # or no life would be long enough to compile them
        began = time.monotonic()
        with self.valkey:
            async with self.server, self.http:
                daemon = self.daemon()
                feeding = asyncio.create_task(self.feed(daemon))
                try:
                    await self._drive(daemon, feeding)
                finally:
                    feeding.cancel()
                    daemon.kill()
                outcome = await self.count()
        outcome.seconds, outcome.last_code = time.monotonic() - began, daemon.code
        return outcome

    async def _drive(self, daemon: Process, feeding: asyncio.Task[None]) -> None:
        plan, number = self.plan, 0
        requests = len(list(self.requests()))
        stores = sorted(self.random.sample(range(plan.kills), k=min(plan.store_kills, plan.kills)))
        while self.kills["daemon"] < plan.kills:
            for _ in range(requests // max(1, plan.kills) + 1):
                self.released.release()
            with_store = bool(stores) and stores[0] <= self.kills["daemon"]
            await self._one_life(daemon, number, with_store=with_store)
            if with_store:
                stores.pop(0)
            number += 1
            if number % 10 == 0:
                self.tell(f"{dict(self.kills)} killed, {len(self.gateway.coupons)} coupons")
        for _ in range(requests):
            self.released.release()
        await self.last_life(daemon)
        assert feeding.done(), "everything was told"
        feeding.result()

    async def _one_life(self, daemon: Process, number: int, *, with_store: bool) -> None:
        """Dies at a named point, or at a random moment of its work, or of its start."""
        plan = self.plan
        if plan.only_named or number % 2 == 0:
            point = plan.points[(number if plan.only_named else number // 2) % len(plan.points)]
            rare = plan.only_named or "checkpoint" in point or "trim" in point
            after = 1 if rare else self.random.randint(1, 6)
            daemon.start({"die_at": point, "die_after": after, **self.options})
            if with_store:
                await self._kill_store()
            seen = len(self.server.requests)  # from its first request on, the point is near or not on its way
            await self.until(lambda: len(self.server.requests) > seen or not daemon.alive, 30)
            await self.until(lambda: not daemon.alive, 5)
        else:
            daemon.start(self.options)
            seen = len(self.server.requests)
            if number % 4 == 1:
                await self.until(lambda: len(self.server.requests) > seen or not daemon.alive, 15)
            if with_store:
                await self._kill_store()
            await asyncio.sleep(self.random.uniform(0, 1.5))
        daemon.kill()
        self.kills["daemon" if daemon.code == -signal.SIGKILL else "itself"] += 1

    async def last_life(self, daemon: Process) -> None:
        """Until all that was claimed has left; then it is told to stop."""
        seen, since = self._news(), time.monotonic()
        while not await self._all_left(daemon):
            if not daemon.alive:
                daemon.start(self.options)
            if self._news() != seen:
                seen, since = self._news(), time.monotonic()
            assert time.monotonic() - since < PATIENCE, f"nothing moves any more: {seen}"
            await asyncio.sleep(0.2)
        for path in ("/metrics", "/v1/status", "/v1/incidents", "/v1/explain/SF00000001"):
            reply = await daemon.ask(self.http, "GET", path)
            assert reply is not None, path
            self.said.append(reply.body.decode())
        daemon.send(signal.SIGTERM)
        await self.until(lambda: not daemon.alive, 60)

    def _news(self) -> tuple[int, int]:
        return len(self.gateway.coupons), len(self.server.requests)

    async def _all_left(self, daemon: Process) -> bool:
        if len(self.gateway.coupons) < self.plan.findings or not daemon.alive:
            return False
        reply = await daemon.ask(self.http, "GET", "/v1/status")
        outbox = reply.object().get("outbox", {"pending": 1}) if reply is not None else {"pending": 1}
        return not any(outbox.get(state) for state in ("pending", "waiting", "sending"))

    async def until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.02)

    async def _kill_store(self) -> None:
        await asyncio.sleep(self.random.uniform(0, 3))
        self.valkey.kill()
        self.kills["store"] += 1
        await asyncio.to_thread(self.valkey.start)

    def requests(self) -> Any:
        numbers = shuffled(self.plan.findings, random.Random(self.plan.seed))
        return bodies(numbers, time.time_ns() // 1_000_000)

    async def feed(self, daemon: Process) -> None:
        """Each request again until it is answered: what was answered is durable."""
        for body in self.requests():
            await self.released.acquire()
            while True:
                reply = await daemon.ask(self.http, "POST", "/v1/events", body)
                if reply is not None:
                    self.said.append(reply.body.decode())
                if reply is not None and reply.status in {200, 422}:
                    break
                await asyncio.sleep(0.1)

    async def count(self) -> Outcome:
        outcome = Outcome(self.plan.findings, requests=len(self.server.requests))
        outcome.kills, outcome.store_kills = self.kills["daemon"], self.kills["store"]
        outcome.ended = self.kills["itself"]
        orders = Counter(str(coupon["order_id"]) for coupon in self.gateway.coupons.values())
        wanted = {f"o-{number}" for number in range(self.plan.findings)}
        outcome.coupons = sum(orders.values())
        outcome.orders_twice = sum(count > 1 for count in orders.values())
        outcome.orders_without = len(wanted - orders.keys())
        words = self.gateway.of("late_coupon")
        outcome.messages_twice = sum(count > 1 for count in words.values())
        outcome.messages_without = self.plan.findings - len(words)
        async with Store(self.valkey.url, "torture") as store:
            ledger = Ledger(store, Identity(KEY.encode()), Rules(shadow=False))
            outcome.unknown = (await ledger.counts()).get("unknown", 0)
            days = [key async for key in store.keys("ledger", "live", "budget", "CNY", "day", "*")]
            outcome.budget = sum([int(await store.get(key) or 0) for key in days])  # a run may cross midnight
            outcome.problems = await Audit(store, ledger, Identity(KEY.encode())).verify()
        logs = [self.log, self.folder / "log"]
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in logs if path.exists()]
        outcome.leaks = [one for one in PERSONAL if any(one in text for text in (*texts, *self.said))]
        return outcome
