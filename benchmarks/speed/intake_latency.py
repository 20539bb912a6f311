"""`python -m benchmarks.speed.intake_latency`: from an event's submission to its being durable in the stream.

A real embedded Valkey with fsync always on this disk; one process submits single events at a steady rate, open loop:
an event that is late counts from when it should have been sent.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.embedded import EmbeddedStore
from monitor.intake import Intake
from monitor.stream import EventStream
from notifier.store import Store

START = 1_776_000_000_000


def event(number: int) -> bytes:
    return msgspec.json.encode(
        {
            "kind": "tracking",
            "event_id": f"e{number}",
            "source": "kd100",
            "occurred_at": "2026-04-12T13:20:00+08:00",
            "tracking_number": f"SF{number:013d}",
            "carrier": "sf",
            "status": "arrived",
            "facility": f"hub-{number % 4000}",
            "region": "440300",
        }
    )


async def measure(rate: int, seconds: int, linger_ms: int) -> tuple[list[float], int]:
    events = [event(number) for number in range(rate * seconds)]
    latencies: list[float] = []
    with tempfile.TemporaryDirectory(prefix="forestall-bench-") as folder:
        keeper = EmbeddedStore(Path(folder), allow_unsafe_folder=True)
        await keeper.start()
        async with Store(keeper.url) as store:
            stream = EventStream(store)
            settings = IntakeSettings(linger_ms=linger_ms)
            async with Intake(stream, DeadLetters(store), settings) as intake, asyncio.TaskGroup() as group:

                async def send(data: bytes, due: float) -> None:
                    await intake.submit(data, START)
                    latencies.append(time.perf_counter() - due)

                await intake.submit(event(0), START)
                begin = time.perf_counter()
                for number, data in enumerate(events):
                    due = begin + number / rate
                    while due > time.perf_counter():  # noqa: ASYNC110
                        await asyncio.sleep(min(0.001, max(0.0, due - time.perf_counter())))
                    group.create_task(send(data, due))
            entries = await stream.length()
        await keeper.stop()
    return latencies[len(latencies) // 10 :], entries


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5000, help="events a second")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--linger-ms", type=int, default=5)
    options = parser.parse_args()
    cpu = time.process_time()
    latencies, entries = asyncio.run(measure(options.rate, options.seconds, options.linger_ms))
    cpu = time.process_time() - cpu
    p50, p99, most = np.percentile(latencies, [50, 99, 100]) * 1000
    print(
        f"{options.rate}/s, linger {options.linger_ms} ms, fsync always: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"longest {most:.1f} ms; {options.rate * options.seconds / entries:.0f} events an entry, "
        f"{100 * cpu / options.seconds:.0f} % of one core"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
