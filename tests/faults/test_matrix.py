"""The fault matrix of the money path, one row a test: real processes, a real store, real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from notifier.actions import Outcome, Proposal, Reason
from notifier.audit import Audit
from notifier.channels.webhook import WebhookChannel, WebhookOptions
from notifier.coupons.webhook import WebhookCouponOptions, WebhookCoupons
from notifier.http import Http
from notifier.ledger import Head, Ledger, Rules
from notifier.outbox import Entry
from notifier.reconcile import Reconciler
from notifier.sending import Capabilities, Contact, Instant
from notifier.store import Store, StoreError, StoreFullError
from tests.fakes.server import FakeServer, Fault, Response
from tests.fakes.valkey import Valkey
from tests.faults.gateway import SECRET, Gateway
from tests.faults.process import FENCED
from tests.faults.proxy import LosingProxy
from tests.faults.shop import AMOUNT
from tests.faults.torture import Outcome as Counted
from tests.faults.torture import Plan, Torture
from tests.money.sending import LATER, World, run_dry, turn
from tests.money.shop import ANNA, DAY, HOUR, IDENTITY, NOW, OPEN, coupon, message
from tests.money.test_delivery import WORDS, gifts


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: a unix socket's address has 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="fx") as path:
        yield Path(path)


@asynccontextmanager
async def shop(server: Valkey, prefix: str = "t", rules: Rules = OPEN) -> AsyncIterator[World]:
    async with Store(server.url, prefix) as store:
        ledger = Ledger(store, IDENTITY, rules)
        await ledger.open(None, NOW)
        yield World(store, ledger)


async def books_hold(world: World) -> None:
    assert await Audit(world.store, world.ledger, IDENTITY).verify() == []


def torture(plan: Plan, folder: Path) -> Counted:
    outcome = asyncio.run(Torture(plan, folder).run())
    assert outcome.problems == []
    assert outcome.leaks == []
    assert (outcome.orders_twice, outcome.orders_without) == (0, 0)
    assert (outcome.messages_twice, outcome.messages_without) == (0, 0)
    assert outcome.budget == plan.findings * AMOUNT
    assert outcome.last_code == 0
    return outcome


STEPS = ("after_judged", "after_claim", "after_begin", "after_reply")


@pytest.mark.slow
def test_f1_a_daemon_killed_at_every_step_pays_once_and_forgets_nobody(folder: Path) -> None:
    plan = Plan(20, len(STEPS), 0, faults=False, points=STEPS, only_named=True, hurry=True)
    assert torture(plan, folder).kills == len(STEPS)


@pytest.mark.slow
def test_f2_a_store_killed_under_a_failing_provider_loses_nothing(folder: Path) -> None:
    """Also F8 in the large, and F17: all that the daemon says is searched for personal data and secrets."""
    plan = Plan(20, 2, 1, seed=2, points=("before_finish",), hurry=True)
    outcome = torture(plan, folder)
    assert (outcome.kills, outcome.store_kills) == (2, 1)


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void record(int fd) {
  char link[64], path[4096], line[32]; struct stat st;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0 || fstat(fd, &st)) return;
  path[n] = 0;
  if (!strstr(path, ".incr.aof")) return;
  int out = open(getenv("SYNCED"), O_WRONLY | O_CREAT, 0600);
  int length = snprintf(line, sizeof line, "%020lld", (long long)st.st_size);
  if (pwrite(out, line, length, 0) < 0) abort();
  close(out);
}
int fdatasync(int fd) {
  struct stat st; (void)st;
  int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
  int answer = real(fd);
  if (!answer) record(fd);
  return answer;
}
"""


@pytest.mark.system("gcc")
def test_f3_a_power_cut_loses_no_acknowledged_claim(folder: Path) -> None:
    """Everything the server had not yet synced is cut off its log, as a power cut would."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    (folder / "shim.c").write_text(SHIM)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", "shim.so", "shim.c", "-ldl"], cwd=folder, check=True
    )
    synced = folder / "synced"
    server = Valkey(folder, environment={"LD_PRELOAD": str(folder / "shim.so"), "SYNCED": str(synced)})
    acknowledged: list[str] = []

    async def before() -> Head:
        async with shop(server) as world:
            for number in range(60):
                decided = await world.ledger.claim_all(gifts(f"c-{number}", str(number)), NOW)
                acknowledged.extend(one.proposal.action_id for one in decided)
            return await world.ledger.head()

    async def after(head: Head) -> None:
        async with shop(server) as world:
            await world.ledger.open(head, NOW)
            assert await world.ledger.switches() == {}, "nothing acknowledged is missing: no reason to hold"
            assert len(await world.ledger.claims(acknowledged)) == len(acknowledged)
            await books_hold(world)

    with server:
        head = asyncio.run(before())
        server.kill()
        size = int(synced.read_text())
        assert size > 10_000
        with server.log.open("r+b") as log:
            log.truncate(size)
        server.start()
        asyncio.run(after(head))


@pytest.mark.parametrize("harm", ["torn", "flipped", "deleted", "older"])
def test_f4_a_damaged_log_is_refused_or_held_and_never_pays_twice(folder: Path, harm: str) -> None:
    async def before(world: World) -> Head:
        await world.ledger.claim_all(gifts("c-1", "1"), NOW)
        await run_dry(await world.delivery(), NOW)
        return await world.ledger.head()

    async def run() -> None:
        with Valkey(folder) as server:
            async with shop(server) as world:
                first = await before(world)
                made = world.shop
                if harm == "older":
                    shutil.copytree(folder / "appendonlydir", folder / "backup")
                await world.ledger.claim_all(gifts("c-2", "2"), NOW)
                await run_dry(await world.delivery(), NOW)
                head = await world.ledger.head()
                assert head.seq > first.seq
            server.kill()
            damage(server, harm)
            server.start()
            async with shop(server) as world:
                world.shop = made
                await world.ledger.open(head, NOW)
                held = "hold" in await world.ledger.switches()
                wrong = await Audit(world.store, world.ledger, IDENTITY).verify()
                # A log that lost something knows less than the checkpoint; one that only differs does not.
                assert (held, len(wrong)) == ((False, 1) if harm == "flipped" else (True, 0)), "it shows"
                if held:
                    await world.ledger.claim_all([*gifts("c-1", "1"), *gifts("c-2", "2")], NOW)
                await run_dry(await world.delivery(), NOW)
                assert len(made.made) == 2, "while it is held, nothing is paid"

    asyncio.run(run())


def damage(server: Valkey, harm: str) -> None:
    if harm == "deleted":
        shutil.rmtree(server.folder / "appendonlydir")
    elif harm == "older":
        shutil.rmtree(server.folder / "appendonlydir")
        shutil.move(server.folder / "backup", server.folder / "appendonlydir")
    elif harm == "torn":
        data = server.log.read_bytes()
        server.log.write_bytes(data[: data.rindex(b"audit") - 7])
    else:
        data = server.log.read_bytes()
        assert b'"amount":500,' in data
        server.log.write_bytes(data.replace(b'"amount":500,', b'"amount":900,', 1))


def test_f5_a_full_disk_stops_everything_and_leaves_no_half_decision(folder: Path) -> None:
    """The server's files may not grow beyond a limit; with fsync always it ends rather than lie."""

    async def fill(server: Valkey) -> list[str]:
        done: list[str] = []
        async with shop(server) as world:
            try:
                for number in range(5_000):
                    decided = await world.ledger.claim_all(gifts(f"c-{number}", str(number)), NOW)
                    done += [one.proposal.action_id for one in decided]
            except StoreError:
                return done
        raise AssertionError("the disk was never full")

    async def after(server: Valkey, done: list[str]) -> None:
        async with shop(server) as world:
            assert len(await world.ledger.claims(done)) == len(done)
            await books_hold(world)
            assert (await world.ledger.claim_all(gifts("c-new", "new"), NOW))[0].outcome is Outcome.SEND

    server = Valkey(folder, file_limit=400_000)
    server.start()
    done = asyncio.run(fill(server))
    assert len(done) > 20
    server.kill()
    server.file_limit = None
    with server:
        asyncio.run(after(server, done))


def test_f6_a_full_memory_refuses_new_claims_and_lets_what_is_claimed_leave(folder: Path) -> None:
    wanted: list[Proposal] = []

    async def fill(ledger: Ledger) -> None:
        for start in itertools.count(step=20):
            wanted[:] = [one for n in range(start, start + 20) for one in gifts(f"c-{n}", str(n))]
            await ledger.claim_all(wanted, NOW)

    async def run() -> None:
        with Valkey(folder, fsync="no", maxmemory="8mb") as server:
            async with shop(server) as world:
                delivery = await world.delivery()
                with pytest.raises(StoreFullError):
                    await fill(world.ledger)
                await world.store.call(
                    "CONFIG", "SET", "maxmemory", "6mb"
                )  # well over: nothing new is granted
                await turn(delivery, NOW)
                assert world.shop.made
                await world.store.call("CONFIG", "SET", "maxmemory", "0")
                await world.ledger.claim_all(wanted, NOW)  # as the engine does with what was refused
                await run_dry(delivery, NOW)
                assert len(world.shop.made) == len(world.customer.read)
                await books_hold(world)

    asyncio.run(run())


def test_f7_a_lost_reply_of_the_store_counts_no_money_twice(folder: Path) -> None:
    async def run() -> None:
        with Valkey(folder) as server:
            proxy = LosingProxy(server.socket, folder / "p.sock", b"EVALSHA")
            async with proxy, Store(proxy.url, "t") as store:
                ledger = Ledger(store, IDENTITY, OPEN)
                await ledger.open(None, NOW)
                await ledger.claim_all([coupon("c-0", "0")], NOW)
                proxy.lose = 5
                for number in range(1, 6):
                    with pytest.raises(StoreError):
                        await ledger.claim_all([coupon(f"c-{number}", str(number))], NOW)
                again = await ledger.claim_all(
                    [coupon(f"c-{number}", str(number)) for number in range(6)], NOW
                )
                assert proxy.lost == 5
                assert {one.repeated for one in again} == {True}
                assert (await ledger.budgets("CNY", NOW))["day"].spent == 6 * 500

    asyncio.run(run())


class Real:
    """The webhook channel and coupon shop over real HTTP, against a gateway that fails as told."""

    def __init__(self, world: World, server: FakeServer, http: Http) -> None:
        signed = {"secret": SECRET}
        self.channel = WebhookChannel(
            WebhookOptions.model_validate({"url": f"{server.url}/messages", **signed}), http
        )
        self.coupons = WebhookCoupons(
            WebhookCouponOptions.model_validate({"url": f"{server.url}/coupons", **signed}), http
        )
        world.customer = self.channel  # type: ignore[assignment]
        world.shop = self.coupons  # type: ignore[assignment]


WRONG = Response(200, b"<html>maintenance</html>", {"content-type": "text/html"})
BUSY = Response(429, b"", {"retry-after": "30"})


@pytest.mark.parametrize(
    "trouble",
    [*Fault, Response(503), Response(500), BUSY, WRONG, Response.of({"error": "internal"}, 200)],
    ids=str,
)
def test_f8_whatever_the_provider_does_the_customer_gets_one_coupon_and_one_message(
    folder: Path, trouble: Fault | Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway()
    monkeypatch.setattr(
        "tests.faults.gateway.refuse_unsigned", lambda *_: None
    )  # story time is not wall time

    async def run() -> None:
        with Valkey(folder, fsync="no") as server:
            async with shop(server) as world, FakeServer(gateway) as fake, Http(deadline=0.3) as http:
                Real(world, fake, http)
                gift, words = await world.ledger.claim_all(gifts(), NOW)
                fake.script.extend([trouble, trouble])
                delivery = await world.delivery()
                for hour in range(8):
                    await run_dry(delivery, NOW + hour * HOUR)
                assert list(gateway.coupons) == [gift.coupon_code]
                if not (isinstance(trouble, Response) and trouble.status == 200):  # a 200 is a message's yes
                    assert gateway.messages == {words.proposal.action_id: 1}
                assert await world.state(gift.proposal.action_id) == "done"
                assert (await world.ledger.budgets("CNY", NOW))["day"].spent == 500

    asyncio.run(run())


def test_f9_repeated_shuffled_late_and_early_events_are_one_decision_each(folder: Path) -> None:
    async def run() -> None:
        dice = random.Random(9)
        with Valkey(folder, fsync="no") as server:
            async with shop(server) as world:
                wanted = [gifts(f"c-{number}", str(number)) for number in range(20)] * 5
                dice.shuffle(wanted)
                for pair in wanted:
                    await world.ledger.claim_all(pair, NOW + dice.randint(-DAY, 30 * DAY))
                assert (await world.ledger.counts())["pending"] == 20
                assert sum(1 for _ in [one async for one in world.ledger.all(0)]) == 40
                await books_hold(world)

    asyncio.run(run())


@pytest.mark.slow
def test_f10_a_daemon_that_was_paused_stops_when_it_comes_back(folder: Path) -> None:
    """Another has taken over in the meantime: the first says so and ends, and nothing was done twice."""

    async def run() -> None:
        play = Torture(Plan(20, 0, 0, faults=False, hurry=True), folder)
        with play.valkey:
            async with play.server, play.http:
                paused, other = play.daemon("a", checkpoint_seconds=600), play.daemon("b")
                feeding = asyncio.create_task(play.feed(paused))
                try:
                    paused.start(play.options)
                    for _ in play.requests():
                        play.released.release()
                    await feeding
                    await play.until(lambda: len(play.gateway.coupons) >= 3, 60)
                    paused.send(signal.SIGSTOP)
                    await play.last_life(other)
                    paused.send(signal.SIGCONT)
                    await play.until(lambda: not paused.alive, 60)
                    assert paused.code == 1
                    assert FENCED in play.log.read_text().splitlines()[-1]
                finally:
                    paused.kill()
                    other.kill()
                outcome = await play.count()
        assert other.code == 0
        assert (outcome.orders_twice, outcome.orders_without) == (0, 0)
        assert (outcome.messages_twice, outcome.messages_without) == (0, 0)
        assert outcome.budget == 20 * AMOUNT
        assert outcome.problems == []
        assert outcome.leaks == []

    asyncio.run(run())


@pytest.mark.parametrize(
    "moment",
    [
        1_767_225_599_000,  # the last second of 2025
        1_772_956_800_000,  # 2026-03-08T08:00Z, the night in which New York loses an hour
        1_793_509_200_000,  # 2026-11-01T05:00Z, and the one in which it wins one
        1_835_395_200_000,  # 2028-02-29
    ],
)
@pytest.mark.parametrize("step", [-HOUR, HOUR, -DAY, DAY])
def test_f11_a_clock_that_jumps_breaks_no_cap_and_pays_nobody_twice(
    folder: Path, moment: int, step: int
) -> None:
    async def run() -> None:
        zone = replace(OPEN, timezone="America/New_York", budget_day=1_000)
        with Valkey(folder, fsync="no") as server:
            async with shop(server, rules=zone) as world:
                first = await world.ledger.claim_all(gifts("c-1", "1", expires_at=moment + 10 * DAY), moment)
                again = await world.ledger.claim_all(gifts("c-1", "1"), moment + step)
                other = await world.ledger.claim_all(gifts("c-1", "2"), moment + step)
                assert [one.outcome for one in first] == [Outcome.SEND] * 2
                assert all(one.repeated for one in again)
                assert {one.reason for one in other} == {Reason.CUSTOMER_CAP}
                delivery = await world.delivery()
                for now in (moment, moment + step, moment, moment + 2 * DAY):
                    await run_dry(delivery, now)
                assert (len(world.shop.made), len(world.customer.read)) == (1, 1)

    asyncio.run(run())


def test_f12_a_poisonous_entry_ends_and_all_others_flow(folder: Path) -> None:
    async def run() -> None:
        with Valkey(folder, fsync="no") as server:
            async with shop(server) as world:
                world.rules = replace(world.rules, poison_after=3)

                async def recheck(entry: Entry, now: Instant) -> Reason | None:
                    if entry.proposal.order_id == "bad":
                        raise ZeroDivisionError
                    return None

                bad = message("c-bad", "bad", variables=WORDS)
                await world.ledger.claim_all([bad, *gifts("c-1", "1"), *gifts("c-2", "2")], NOW)
                delivery = await world.delivery(recheck=recheck)
                for hour in range(10):
                    await run_dry(delivery, NOW + hour * HOUR)
                assert await world.state(bad.action_id) == "failed"
                assert len(world.customer.read) == 2

    asyncio.run(run())


def test_f13_sixty_four_claimers_and_a_budget_for_k_make_exactly_k(folder: Path) -> None:
    """64 connections of four processes' worth of ledgers, each after every coupon."""

    async def run() -> None:
        rules = replace(OPEN, budget_day=17 * 500)
        with Valkey(folder) as server:
            stores = [Store(server.url, "t") for _ in range(64)]
            ledgers = [Ledger(store, IDENTITY, rules) for store in stores]
            proposals = [coupon(f"c-{number}", str(number)) for number in range(100)]

            async def grab(ledger: Ledger, seed: int) -> None:
                mine = list(proposals)
                random.Random(seed).shuffle(mine)
                for start in range(0, 100, 10):
                    await ledger.claim_all(mine[start : start + 10], NOW)

            await asyncio.gather(*(grab(ledger, seed) for seed, ledger in enumerate(ledgers)))
            sent = [claim async for claim in ledgers[0].all() if claim.outcome is Outcome.SEND]
            assert len(sent) == 17
            assert (await ledgers[0].budgets("CNY", NOW))["day"] == (17 * 500, 0)
            assert await Audit(stores[0], ledgers[0], IDENTITY).verify() == []
            await asyncio.gather(*(store.close() for store in stores))

    asyncio.run(run())


def test_f14_a_failover_to_an_empty_store_spends_nothing_until_a_person_says_so(folder: Path) -> None:
    async def run() -> None:
        for name in ("a", "b"):
            (folder / name).mkdir()
        with Valkey(folder / "a") as old, Valkey(folder / "b") as empty:
            async with shop(old) as world:
                await world.ledger.claim_all(gifts(), NOW)
                await run_dry(await world.delivery(), NOW)
                head, made = await world.ledger.head(), world.shop
            async with shop(empty) as world:
                world.shop = made
                await world.ledger.open(head, NOW)
                await world.ledger.claim_all([*gifts(), *gifts("c-2", "2")], NOW)
                delivery = await world.delivery()
                await run_dry(delivery, NOW)
                assert len(made.made) == 1
                assert world.customer.read == []
                await Reconciler(world.store, world.ledger, {"coupons": made}, {}).shop(NOW)
                await world.ledger.release(ANNA, NOW)
                await run_dry(delivery, NOW)
                assert len(made.made) == 2
                assert [read.customer_id for read in world.customer.read] == ["c-2"], "c-1 has heard it"

    asyncio.run(run())


def test_f15_a_new_policy_changes_no_decision_that_was_made(folder: Path) -> None:
    async def run() -> None:
        with Valkey(folder, fsync="no") as server:
            async with shop(server) as world:
                old = gifts(policy_version="default-1", amount=500)
                await world.ledger.claim_all(old, NOW)
            async with shop(server, rules=replace(OPEN, holdout=10_000, approval_above=1)) as world:
                new = gifts(policy_version="default-2", amount=2_000)
                decided = await world.ledger.claim_all(new, NOW + HOUR)
                assert {(one.outcome, one.repeated) for one in decided} == {(Outcome.SEND, True)}
                await run_dry(await world.delivery(), NOW + HOUR)
                (paid,) = world.shop.made.values()
                assert paid.amount == 500
                claim = await world.ledger.get(old[0].action_id)
                assert claim is not None
                assert claim.proposal.policy_version == "default-1"

    asyncio.run(run())


def test_f16_after_six_hours_of_outage_the_fresh_is_sent_slowly_and_the_stale_dropped(folder: Path) -> None:
    async def run() -> None:
        with Valkey(folder, fsync="no") as server:
            async with shop(server) as world:
                stale = [
                    message(f"s-{n}", str(n), variables=WORDS, expires_at=NOW + 5 * HOUR) for n in range(5)
                ]
                fresh = [
                    message(f"f-{n}", str(n), variables=WORDS, expires_at=NOW + 20 * HOUR) for n in range(5)
                ]
                await world.ledger.claim_all([*stale, *fresh], NOW)
                world.customer.answers.extend([LATER] * 10_000)
                delivery = await world.delivery()
                for minute in range(0, 360, 10):
                    await run_dry(delivery, NOW + minute * 60_000)
                world.customer.answers.clear()
                for minute in range(360, 420, 5):
                    await run_dry(delivery, NOW + minute * 60_000)
                assert sorted(str(read.customer_id)[0] for read in world.customer.read) == ["f"] * 5
                assert [await world.state(one.action_id) for one in stale] == ["failed"] * 5

    asyncio.run(run())


def test_f17_no_error_and_no_record_of_delivery_shows_a_person_or_a_secret(folder: Path) -> None:
    phone, secret = "+8613912345678", SECRET

    async def run() -> str:
        gateway = Gateway()
        with Valkey(folder, fsync="no") as server:
            async with shop(server) as world, FakeServer(gateway) as fake, Http(deadline=0.3) as http:
                real = Real(world, fake, http)
                real.channel.capabilities = Capabilities()
                world.contact = Contact(phone=phone)
                echo = Response(400, json.dumps({"error": f"bad number {phone}", "key": secret}).encode())
                fake.script.extend(
                    [Response(500, phone.encode()), echo, Fault.RESET, Fault.GARBAGE, echo, echo]
                )
                await world.ledger.claim_all([*gifts(), *gifts("c-2", "2"), *gifts("c-3", "3")], NOW)
                delivery = await world.delivery()
                for hour in range(4):
                    await run_dry(delivery, NOW + hour * HOUR)
                claims: list[Any] = [claim async for claim in world.ledger.all()]
                log = [record.raw async for record in Audit(world.store, world.ledger, IDENTITY).records()]
                return repr(claims) + repr(log) + repr(world.steps) + repr(world.ledger) + repr(delivery)

    text = asyncio.run(run())
    for private in (phone, phone[3:], secret, secret.removeprefix("whsec_")):
        assert private not in text
