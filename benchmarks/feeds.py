"""Webhooks a second, end to end: HTTP, signature, parsing, event stream, fsync, answer.

    python -m benchmarks.feeds [--rate 2000] [--seconds 10] [--scans 1]

The server (with its Valkey, appendfsync always) is a process of its own, held to one core; the load comes from the other,
at a fixed rate that does not wait for slow answers, so that a stall shows in the latencies. Every webhook is about another
parcel. At the end, the events in the stream are counted against the answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing as mp
import os
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from config.plugins import FeedSettings
from config.regions import regions
from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.embedded import EmbeddedStore
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.registry import build
from monitor.feeds.watch import Watch
from monitor.http_feeds import feed_routes
from monitor.intake import Intake
from monitor.metrics import Metrics
from monitor.server import bind, serving
from monitor.stream import EventStream
from notifier.store import Store

CONNECTIONS = 64
SECRET = "benchmark"  # noqa: S105
SECTIONS = {"kuaidi100": {}, "aftership": {}, "shopify": {}}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def the_feed(kind: str) -> Any:
    return build(
        kind, FeedSettings.model_validate({"secret": SECRET, **SECTIONS[kind], "type": kind}), regions()
    )


async def serve(port: int, folder: Path, ready: Any, stop: Any, out: Any) -> None:
    embedded = EmbeddedStore(folder, maxmemory_mb=1024, allow_unsafe_folder=True)
    await embedded.start()
    async with Store(embedded.url) as store:
        metrics, letters = Metrics(process=False), DeadLetters(store)
        async with Intake(EventStream(store), letters, IntakeSettings()) as intake:
            feeds = {kind: the_feed(kind) for kind in SECTIONS}
            desk = Desk(feeds, intake, letters, StoreMemory(store), metrics, watch=Watch())
            routes = feed_routes(desk, now_ms, 2_000_000)
            async with serving(Starlette(routes=routes), bind("127.0.0.1", port)):
                ready.set()
                before = (time.process_time(), await store_seconds(store))
                await asyncio.to_thread(stop.wait)
                spent = (time.process_time() - before[0], await store_seconds(store) - before[1])
        entries = events = 0
        start = "-"
        while page := await store.stream_range(EventStream(store).key(0), start, count=1000):
            for entry in page:
                entries += 1
                events += (entry.get(b"batch") or entry.get(b"e") or b"").count(b"\n") + 1
            start = f"({page[-1].id}"
        out.put((events, entries, spent))
    await embedded.stop()


async def store_seconds(store: Store) -> float:
    info = await store.info("cpu")
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


def server(port: int, folder: str, ready: Any, stop: Any, out: Any) -> None:
    os.sched_setaffinity(0, {0})
    try:
        import uvloop

        uvloop.run(serve(port, Path(folder), ready, stop, out))
    except ImportError:
        asyncio.run(serve(port, Path(folder), ready, stop, out))


def payload(kind: str, number: int, scans: int) -> dict[str, Any]:
    if kind == "kuaidi100":
        lines = [
            {
                "ftime": f"2026-11-20 {hour % 24:02d}:{number % 60:02d}:00",
                "context": "【苏州转运中心】 已发出 下一站 【无锡转运中心】",
                "areaCode": "CN320500000000",
                "areaName": "江苏,苏州市",
                "status": "干线",
                "statusCode": "1002",
            }
            for hour in range(scans)
        ]
        return {
            "status": "polling",
            "lastResult": {"nu": f"YT{number:012d}", "com": "yuantong", "data": lines},
        }
    lines = [
        {
            "checkpoint_time": f"2026-11-20T{hour % 24:02d}:00:00",
            "subtag": "InTransit_003",
            "country_iso3": "USA",
            "state": "CA",
            "city": "FRESNO",
            "zip": "93701",
            "message": "Arrived",
        }
        for hour in range(scans)
    ]
    return {"msg": {"tracking_number": f"94{number:018d}", "slug": "usps", "checkpoints": lines}}


def request(kind: str, number: int, scans: int) -> bytes:
    body = json.dumps(payload(kind, number, scans), ensure_ascii=False).encode()
    pushed = the_feed_of(kind).sign(body, now_ms())
    headers = "".join(f"{name}: {value}\r\n" for name, value in pushed.headers.items())
    head = f"POST /v1/feeds/{kind} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(pushed.raw)}\r\n{headers}\r\n"
    return head.encode() + pushed.raw


_FEEDS: dict[str, Any] = {}


def the_feed_of(kind: str) -> Any:
    if kind not in _FEEDS:
        _FEEDS[kind] = the_feed(kind)
    return _FEEDS[kind]


async def load(port: int, requests: list[bytes], rate: float) -> tuple[list[float], int]:
    """Latencies from the moment at which each should have been sent, and how many were not answered with 200."""
    waiting: deque[tuple[float, bytes]] = deque()
    wake = asyncio.Event()
    latencies: list[float] = []
    bad = 0
    done = False

    async def worker() -> None:
        nonlocal bad
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not done or waiting:
            if not waiting:
                wake.clear()
                await wake.wait()
                continue
            due, raw = waiting.popleft()
            writer.write(raw)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append(time.perf_counter() - due)
            bad += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    workers = [asyncio.create_task(worker()) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for number, raw in enumerate(requests):
        due = began + number / rate
        while (left := due - time.perf_counter()) > 0:  # noqa: ASYNC110 - load that does not wait for answers
            await asyncio.sleep(min(left, 0.001))
        waiting.append((due, raw))
        wake.set()
        if number % 64 == 0:
            await asyncio.sleep(0)
    done = True
    while len(latencies) < len(requests):
        wake.set()
        await asyncio.sleep(0.01)
    wake.set()
    await asyncio.gather(*workers)
    return latencies, bad


def measure(kind: str, rate: float, seconds: float, scans: int) -> str:
    context = mp.get_context("spawn")
    ready, stop, out = context.Event(), context.Event(), context.Queue()
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    listening.close()
    requests = [request(kind, number, scans) for number in range(int(rate * seconds))]
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=server, args=(port, folder, ready, stop, out))
        process.start()
        ready.wait(60)
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        asyncio.run(load(port, requests[: int(rate)], rate))  # warm
        began = time.perf_counter()
        latencies, bad = asyncio.run(load(port, requests, rate))
        took = time.perf_counter() - began
        stop.set()
        events, entries, (python, valkey) = out.get(timeout=120)
        process.join()
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1000 for share in (0.5, 0.99))
    sent = len(requests) + int(rate)
    expected = sent * scans
    lost = expected - events
    return (
        f"{kind:>10} {scans:>3} scans: {len(requests) / took:6.0f} webhooks/s, p50 {p50:6.1f} ms, p99 {p99:6.1f} ms, "
        f"{bad} not 200, {lost} events lost, {events / entries:.0f} events an entry; processor time a webhook: "
        f"{python / sent * 1e6:.0f} us here + {valkey / sent * 1e6:.0f} us in the store, "
        f"so {sent / (python + valkey):.0f}/s fill one core"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--scans", type=int, default=1)
    parser.add_argument("--feeds", nargs="*", default=["kuaidi100", "aftership"])
    args = parser.parse_args()
    for kind in args.feeds:
        sys.stdout.write(measure(kind, args.rate, args.seconds, args.scans) + "\n")


if __name__ == "__main__":
    main()
