"""`python -m benchmarks.speed.claim_latency`: from an event's being accepted over HTTP to its claim's being in the store.

The daemon is `forestall run` with its embedded Valkey, fsync always, as a process of its own. Requests of 50 events come
at a fixed rate, open loop; among scans of parcels that move, the carrier says of some that they are lost. That is what
becomes a claim (a ticket and a word) at the moment of its event: stalls, broken promises and forecasts are found by time,
at ticks. A claim is seen in the ledger's audit stream, in which the claim's own script writes. Beside it, in the same
seconds: how long one XADD to the same store takes, fsync included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monitor.engine.warming import warm_kernels
from monitor.records import when
from notifier.http import Http
from notifier.identity import Identity
from notifier.ledger import Ledger, Rules
from notifier.store import Store, StoreError
from tests.faults.process import TOKEN, Process, free_port

POST = 50
KEY = "the tenant key of the benchmark"
HOUR = 3_600_000
NOTHING = "http://127.0.0.1:9"  # in shadow mode nothing is sent


@dataclass(slots=True)
class Seen:
    """Moments of this process's own clock, in seconds."""

    accepted: dict[str, float] = field(default_factory=dict)  # by parcel: its word "lost" was answered 2xx
    sent: dict[str, float] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)  # by action
    appended: list[float] = field(default_factory=list)
    refused: int = 0
    cpu: float = 0.0  # seconds of the daemon, without its store


def config(folder: Path, port: int, checkpoint_seconds: int) -> Path:
    path = folder / "forestall.toml"
    path.write_text(
        f'data_dir = "{folder / "d"}"\nshadow = true\n'
        f'[store]\nallow_unsafe_folder = true\n[http]\nport = {port}\ntoken = "{TOKEN}"\n'
        f"[engine]\nmax_live_parcels = 500000\ncheckpoint_seconds = {checkpoint_seconds}\n"
        f'[detection]\nlearning_hours = 0\n[money]\ntenant_key = "{KEY}"\n',
        encoding="utf-8",
    )
    return path


def parcel(number: int) -> str:
    return f"SF{number:09}"


def scan(number: int, status: str, at: int, turn: int) -> str:
    return json.dumps(
        {
            "kind": "tracking", "event_id": f"{number}-{turn}", "source": "feed", "occurred_at": when(at), "carrier": "sf",
            "tracking_number": parcel(number), "status": status, "facility": f"hub-{number % 400}", "region": "440300",
        }
    )  # fmt: skip


def orders(count: int, now: int) -> Iterator[bytes]:
    """Every parcel that will be lost has an order behind it, and a first scan."""
    for start in range(0, count, 200):
        lines: list[str] = []
        for number in range(start, min(start + 200, count)):
            shipped = {
                "kind": "order", "event_id": f"o{number}", "source": "shop", "occurred_at": when(now - 5 * HOUR),
                "order_id": f"o{number}", "customer_id": f"c{number}", "status": "shipped", "amount": 99.0, "currency": "CNY",
                "tracking_number": parcel(number), "contact": {"email": f"c{number}@customers.example"},
            }  # fmt: skip
            lines += [json.dumps(shipped), scan(number, "accepted", now - 4 * HOUR, 0)]
        yield "\n".join(lines).encode()


def load(requests: int, lost_each: int, now: int) -> list[tuple[list[int], bytes]]:
    """Per request: which parcels it calls lost, and its body."""
    found, fresh = [], 10_000_000
    for turn in range(requests):
        lost = list(range(turn * lost_each, (turn + 1) * lost_each))
        lines = [scan(number, "lost", now - 60_000, 1) for number in lost]
        lines += [
            scan(fresh + (turn * POST + place) % 200_000, "arrived", now - 120_000 + turn, turn)
            for place in range(POST - lost_each)
        ]
        found.append((lost, "\n".join(lines).encode()))
    return found


async def post(daemon: Process, http: Http, body: bytes) -> bool:
    reply = await daemon.ask(http, "POST", "/v1/events", body)
    return reply is not None and reply.status == 200


async def watch_claims(store: Store, seen: Seen) -> None:
    stream, position = store.key("ledger", "audit"), "0"
    while True:
        found = await store.stream_read({stream: position}, count=1000, seconds=1)
        moment = time.perf_counter()
        for entry in found.get(stream, []):
            body = json.loads(entry.get(b"body") or b"{}")
            if body.get("event") == "claimed":
                seen.claimed.setdefault(body["id"], moment)
            position = entry.id


async def watch_store(store: Store, seen: Seen) -> None:
    """The machine's own measure: a small write a tenth of a second."""
    while True:
        began = time.perf_counter()
        await store.stream_add(store.key("probe"), {"n": 1})
        seen.appended.append(time.perf_counter() - began)
        await asyncio.sleep(0.1)


async def feed(
    daemon: Process, http: Http, requests: list[tuple[list[int], bytes]], gap: float, seen: Seen
) -> None:
    async def one(lost: list[int], body: bytes, due: float) -> None:
        done = await post(daemon, http, body)
        seen.refused += not done
        for number in lost if done else ():
            seen.sent[parcel(number)], seen.accepted[parcel(number)] = due, time.perf_counter()

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for turn, (lost, body) in enumerate(requests):
            due = begin + turn * gap
            if (left := due - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            group.create_task(one(lost, body, due))


async def until_up(daemon: Process, http: Http) -> None:
    while True:
        reply = await daemon.ask(http, "GET", "/readyz")
        if reply is not None and reply.status == 200:
            return
        assert daemon.alive, daemon.log.read_text()[-2000:]
        await asyncio.sleep(0.1)


async def until_taken(daemon: Process, http: Http) -> None:
    """And then one tick more, so that what came last is claimed and seen."""
    while True:
        reply = await daemon.ask(http, "GET", "/v1/status")
        if reply is not None and reply.object().get("lag_seconds") == 0:
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)


def cpu_seconds(daemon: Process) -> float:
    assert daemon.running is not None
    fields = Path(f"/proc/{daemon.running.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    rate: int, seconds: int, lost_a_second: int, checkpoint_seconds: int
) -> tuple[Seen, dict[str, float]]:
    now, seen = time.time_ns() // 1_000_000, Seen()
    each = max(1, lost_a_second * POST // rate)
    requests = load(rate * seconds // POST, each, now)
    with tempfile.TemporaryDirectory(prefix="fl") as name:
        folder, port = Path(name), free_port()
        daemon = Process(config(folder, port, checkpoint_seconds), folder / "log", port)
        daemon.start()
        try:
            async with Http(deadline=30) as http, Store(f"unix://{folder}/d/store/valkey.sock") as store:
                await until_up(daemon, http)
                for body in orders(each * len(requests), now):
                    assert await post(daemon, http, body)
                before = cpu_seconds(daemon)
                watching = [asyncio.create_task(one(store, seen)) for one in (watch_claims, watch_store)]
                await feed(daemon, http, requests, POST / rate, seen)
                seen.cpu = cpu_seconds(daemon) - before
                await until_taken(daemon, http)
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)
                return seen, await claims_by_parcel(store, seen)
        finally:
            daemon.kill()


async def claims_by_parcel(store: Store, seen: Seen) -> dict[str, float]:
    """When the last claim about each parcel's loss was seen."""
    found: dict[str, float] = {}
    async for claim in Ledger(store, Identity(KEY.encode()), Rules()).all():
        if claim.proposal.rule == "lost" and claim.action_id in seen.claimed:
            number = claim.proposal.subject.partition(":")[2]
            found[number] = max(found.get(number, 0.0), seen.claimed[claim.action_id])
    return found


def quantiles(values: list[float]) -> str:
    p50, p99, most = np.percentile(values, [50, 99, 100]) * 1000
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {most:.0f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.speed.claim_latency", description=__doc__)
    parser.add_argument("--rate", type=int, default=5000, help="events a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--lost", type=int, default=100, help="parcels lost a second")
    parser.add_argument("--checkpoint-seconds", type=int, default=10)
    options = parser.parse_args()
    warm_kernels(time.monotonic)
    try:
        seen, claimed = asyncio.run(
            measure(options.rate, options.seconds, options.lost, options.checkpoint_seconds)
        )
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    known = [number for number in seen.accepted if number in claimed]
    after = [max(0.0, claimed[number] - seen.accepted[number]) for number in known]
    whole = [claimed[number] - seen.sent[number] for number in known]
    load_now = os.getloadavg()[0]
    print(
        f"{options.rate} events/s, fsync always, load {load_now:.1f}: {len(known)} of {len(seen.accepted)} lost parcels "
        f"claimed, {seen.refused} requests refused\n"
        f"  accepted to claimed: {quantiles(after)}\n  due to be sent, to claimed: {quantiles(whole)}\n"
        f"  one XADD beside it: {quantiles(seen.appended)}\n"
        f"  the daemon took {100 * seen.cpu / options.seconds:.0f} % of one core"
    )
    return 0 if len(known) == len(seen.accepted) else 1


if __name__ == "__main__":
    sys.exit(main())
