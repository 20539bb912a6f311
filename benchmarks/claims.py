"""Claims a second at fsync always, beside redis-benchmark's SET on the same server in the same run.

    python -m benchmarks.claims [--claims 20000]

64 in flight both: redis-benchmark has 64 connections; the daemon sends its claims as pipelines of 64 (a batch of findings), and
`one by one` is 64 coroutines that each wait for their own.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from notifier.ledger import Ledger
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.shop import IDENTITY, NOW, OPEN, coupon

IN_FLIGHT = 64
RULES = replace(OPEN, budget_day=10**12, budget_tenant=10**12, budget_customer=10**6, burst=2, breaker=10**9)


async def claims(url: str, count: int) -> tuple[float, float, float, float]:
    """A second in pipelines and one by one; microseconds of CPU a claim in the server's script and in this process."""
    async with Store(url, "bench") as store:
        ledger = Ledger(store, IDENTITY, RULES)
        await ledger.open(None, NOW)
        wanted = [
            coupon(f"c{n}", str(n), incident_id="I1", evidence={"carrier": "SF"}) for n in range(2 * count)
        ]
        began, burnt = time.perf_counter(), time.process_time()
        for start in range(0, count, IN_FLIGHT):
            await ledger.claim_all(wanted[start : min(start + IN_FLIGHT, count)], NOW)
        pipelined = count / (time.perf_counter() - began)
        client = (time.process_time() - burnt) / count * 1e6
        script = float(
            (await store.info("commandstats"))["cmdstat_evalsha"].split("usec_per_call=")[1].split(",")[0]
        )
        rest = iter(wanted[count:])

        async def one_by_one() -> None:
            for proposal in rest:
                await ledger.claim(proposal, NOW)

        began = time.perf_counter()
        await asyncio.gather(*(one_by_one() for _ in range(IN_FLIGHT)))
        return pipelined, count / (time.perf_counter() - began), script, client


def sets(socket: Path, count: int) -> float | None:
    tool = shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
    if tool is None:
        return None
    command = [
        tool,
        "-s",
        str(socket),
        "-t",
        "set",
        "-c",
        str(IN_FLIGHT),
        "-n",
        str(count),
        "-r",
        str(count),
        "--csv",
    ]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(lines[-1].split(",")[1].strip('"'))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--claims", type=int, default=20_000)
    count = parser.parse_args().claims
    with tempfile.TemporaryDirectory(prefix="fb") as folder, Valkey(Path(folder)) as server:
        plain = sets(server.socket, count)
        pipelined, single, script, client = asyncio.run(claims(server.url, count))
    print("| fsync always, 64 in flight | a second |\n|---|---|")
    print(f"| redis-benchmark SET | {f'{plain:,.0f}' if plain else 'redis-benchmark is not installed'} |")
    print(f"| claims, pipelines of 64 | {pipelined:,.0f} |\n| claims, one by one | {single:,.0f} |")
    print(f"\nCPU a claim: {script:.0f} us in the server's script, {client:.0f} us in the client")


if __name__ == "__main__":
    main()
