"""Claims a second at fsync always, beside redis-benchmark's SET on the same server in the same run.

    python -m benchmarks.claims [--claims 20000] [--rounds 3]

64 in flight both: redis-benchmark has 64 connections; the daemon claims what a batch of findings leads to, 64 a script; and
`one by one` is 64 coroutines that each wait for their own. CPU is of the server's process, fsync included, and says more than
the rates where other programs run beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from notifier.ledger import Ledger
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.shop import IDENTITY, NOW, OPEN, coupon

IN_FLIGHT = 64
RULES = replace(OPEN, budget_day=10**12, budget_tenant=10**12, budget_customer=10**6, burst=2, breaker=10**9)


class Rate(NamedTuple):
    """Of one kind of request: how many a second, and what one costs the server, in microseconds of CPU."""

    a_second: float
    server: float
    client: float = 0.0


async def burnt(store: Store) -> float:
    """Seconds of CPU of the server's process, kernel included (fsync is there)."""
    info = await store.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def claims(url: str, count: int) -> tuple[Rate, Rate]:
    """In batches of 64, and by 64 coroutines that each wait for their own."""
    async with Store(url, "bench") as store:
        ledger = Ledger(store, IDENTITY, RULES)
        await ledger.open(None, NOW)
        wanted = [
            coupon(f"c{n}", str(n), incident_id="I1", evidence={"carrier": "SF"}) for n in range(2 * count)
        ]

        async def batches() -> None:
            for start in range(0, count, IN_FLIGHT):
                await ledger.claim_all(wanted[start : min(start + IN_FLIGHT, count)], NOW)

        rest = iter(wanted[count:])

        async def one_by_one() -> None:
            for proposal in rest:
                await ledger.claim(proposal, NOW)

        async def timed(work: Awaitable[Any]) -> Rate:
            server, client, began = await burnt(store), time.process_time(), time.perf_counter()
            await work
            seconds, own = time.perf_counter() - began, time.process_time() - client
            return Rate(count / seconds, (await burnt(store) - server) / count * 1e6, own / count * 1e6)

        batched = await timed(batches())
        alone = await timed(asyncio.gather(*(one_by_one() for _ in range(IN_FLIGHT))))
        held = await store.call("ZCARD", ledger.key("due", "customer:coupons"))
        if held != 2 * count:
            raise RuntimeError(f"{2 * count} claims were asked for, {held} wait to be sent")
        return batched, alone


async def sets(url: str, socket: Path, count: int) -> Rate | None:
    tool = shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
    if tool is None:
        return None
    options = {"-s": str(socket), "-t": "set", "-c": str(IN_FLIGHT), "-n": str(count), "-r": str(count)}
    command = [tool, *(part for pair in options.items() for part in pair), "--csv"]
    async with Store(url, "bench") as store:
        before = await burnt(store)
        done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
        rate = float(done.stdout.splitlines()[-1].split(",")[1].strip('"'))
        return Rate(rate, (await burnt(store) - before) / count * 1e6)


async def measure(server: Valkey, count: int, rounds: int) -> None:
    """SET and claims by turns, so that both see the same machine; the best of each, and the ratio of each round."""
    print(
        "| round | SET a second | claims, batches of 64 | ratio | claims, one by one | CPU us: SET | claim | alone | client |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for number in range(rounds):
        plain = await sets(server.url, server.socket, count)
        batched, alone = await claims(server.url, count)
        await flush(server.url)
        told = f"{plain.a_second:,.0f}" if plain else "not installed"
        ratio = f"1:{plain.a_second / batched.a_second:.1f}" if plain else ""
        cost = f"{plain.server:.0f}" if plain else ""
        print(
            f"| {number + 1} | {told} | {batched.a_second:,.0f} | {ratio} | {alone.a_second:,.0f} "
            f"| {cost} | {batched.server:.0f} | {alone.server:.0f} | {batched.client:.0f} |"
        )


async def flush(url: str) -> None:
    async with Store(url, "bench") as store:
        await store.call("FLUSHALL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fb") as folder, Valkey(Path(folder)) as server:
        asyncio.run(measure(server, given.claims, given.rounds))


if __name__ == "__main__":
    main()
