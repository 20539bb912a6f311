"""Kill -9 the daemon again and again while a shop lives through its days; then compare with a run nobody disturbed.

    python -m benchmarks.crash --kills 100

Events go in over HTTP, each again until it is answered 2xx; ticks are written to the stream by this program, so time is
the same for everybody. The undisturbed run takes the very entries of the stream. Compared are all claims of the ledger
(none missing, none more, the same decision and reason) and what the coupon shop holds (each coupon once).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.settings import Settings
from monitor.app import build_core, scratch_store
from monitor.embedded import EmbeddedStore
from monitor.engine.warming import warm_kernels
from monitor.server import bind, serving
from monitor.simulate import simulate
from monitor.sinks import FileSink
from monitor.standin import Faults, Standin
from monitor.stream import EventStream, Frame, Reader
from notifier.actions import Outcome
from notifier.http import Http, Reply
from notifier.ledger import Ledger
from notifier.store import Store

SECRET = "the-secret-of-the-benchmark"  # noqa: S105
KEY = "the-tenant-key-of-the-benchmark"
STEP_MS = 1_800_000
POST = 1000


@dataclass(slots=True)
class Outcomes:
    events: int = 0
    kills: int = 0
    claims: int = 0
    missing: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    coupons: int = 0
    coupons_wrong: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.missing or self.surplus or self.different or self.coupons_wrong)


def settings(folder: Path, port: int, store: str, providers: str) -> dict[str, Any]:
    hook = {"type": "webhook", "url": f"{providers}/messages", "secret": SECRET}
    return {
        "data_dir": str(folder),
        "shadow": False,
        "store": {"url": store, "prefix": "crash", "keep_stream_hours": 24},
        "http": {"port": port, "token": "token-of-the-benchmark"},
        "engine": {
            "tick_seconds": STEP_MS // 1000,
            "sweep_seconds": STEP_MS // 1000,
            "checkpoint_seconds": 2,
        },
        "money": {"tenant_key": KEY},
        "detection": {"learning_hours": 0},
        "channels": {"customer": hook, "shop": hook},
        "coupons": {"coupons": {"type": "webhook", "url": f"{providers}/coupons", "secret": SECRET}},
    }


class Victim:
    """The daemon as a process of its own, started again after each kill."""

    def __init__(self, config: Path, port: int) -> None:
        self._config = config
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "benchmarks.crash", "--daemon", str(self._config)]
        self._process = subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"})

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None


async def run(kills: int, seed: int, parcels: int, days: int) -> Outcomes:
    warm_kernels(time.monotonic)  # or the first lives would be too short to compile them
    with tempfile.TemporaryDirectory(prefix="forestall-crash-") as name:
        folder = Path(name)
        simulate(folder / "world", parcels, days, seed, "mixed")
        lines = (folder / "world" / "events.ndjson").read_bytes().splitlines()
        async with _surroundings(folder, seed) as (store, victim, shop, http):
            outcomes = Outcomes(events=len(lines))
            frames = await _live(lines, kills, random.Random(seed), store, victim, http, outcomes)
            config = json.loads((folder / "forestall.json").read_text(encoding="utf-8"))
            ours = await _claims(store)
            expected = await _undisturbed(Settings.model_validate(config), frames, folder / "quiet")
            _compare(ours, expected, outcomes)
            _compare_coupons(ours, await _codes(shop, http), outcomes)
            return outcomes


@asynccontextmanager
async def _surroundings(folder: Path, seed: int) -> AsyncIterator[tuple[Store, Victim, str, Http]]:
    """What the kills do not touch: the store, the shop, and this program's own client."""
    async with contextlib.AsyncExitStack() as stack:
        embedded = EmbeddedStore(folder / "store", allow_unsafe_folder=True)
        await embedded.start()
        stack.push_async_callback(embedded.stop)
        store = await stack.enter_async_context(Store(embedded.url, "crash"))
        listening = bind("127.0.0.1", 0)
        shop = f"http://127.0.0.1:{listening.getsockname()[1]}"
        faults = Faults(refused=0.03, lost=0.05, limited=0.02)
        # The daemon's time is its stream's, which no other program sees.
        standin = Standin(SECRET, lambda: 0, faults, seed, tolerance_ms=1 << 62)
        await stack.enter_async_context(serving(standin.app, listening))
        http = await stack.enter_async_context(Http())
        port = _free_port()
        config = folder / "forestall.json"
        config.write_text(json.dumps(settings(folder / "data", port, embedded.url, shop)), encoding="utf-8")
        victim = Victim(config, port)
        stack.callback(victim.stop)
        yield store, victim, shop, http


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _live(
    lines: list[bytes],
    kills: int,
    chance: random.Random,
    store: Store,
    victim: Victim,
    http: Http,
    outcomes: Outcomes,
) -> list[Frame]:
    """The shop's days; the stream's entries, as nobody else has kept them."""
    stream, copied = EventStream(store), Reader(EventStream(store))
    frames: list[Frame] = []
    steps = list(_steps(lines))
    # Several kills can fall into one step: at any moment between a request and its answer, a batch and its claims.
    moments = sorted(chance.choices(range(len(steps)), k=kills))
    victim.start()
    for number, (tick, events) in enumerate(steps):
        killers = [asyncio.create_task(_kill_soon(victim, chance)) for _ in range(moments.count(number))]
        for start in range(0, len(events), POST):
            await _post(http, victim, b"\n".join(events[start : start + POST]))
        await stream.tick(tick)
        for killer in killers:
            await killer
            outcomes.kills += 1
        frames += await _copy(copied)
    await _quiet_end(http, victim, stream, steps[-1][0])
    return frames + await _copy(copied)


def _steps(lines: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    from monitor.replay import received_of

    times = received_of(lines)
    tick = times[0] - times[0] % STEP_MS + STEP_MS
    group: list[bytes] = []
    for line, moment in zip(lines, times, strict=True):
        while moment > tick:
            yield tick, group
            tick, group = tick + STEP_MS, []
        group.append(line)
    yield tick, group


async def _kill_soon(victim: Victim, chance: random.Random) -> None:
    """At a random moment of the next second, wherever the daemon is; started again at once."""
    await asyncio.sleep(chance.random())
    victim.kill()
    victim.start()


async def _post(http: Http, victim: Victim, body: bytes) -> None:
    headers = {"authorization": "Bearer token-of-the-benchmark"}
    while True:
        reply = await http.request(
            "POST", f"http://127.0.0.1:{victim.port}/v1/events", headers=headers, body=body
        )
        if isinstance(reply, Reply) and reply.status == 200:
            return
        if isinstance(reply, Reply) and b"ahead of now" not in reply.body:
            assert reply.status >= 500, reply.body
        # Otherwise the victim is days behind us, and refuses what it takes for the future: it comes again.
        if not victim.alive:
            victim.start()
        await asyncio.sleep(0.1)


async def _copy(reader: Reader) -> list[Frame]:
    frames: list[Frame] = []
    while True:
        step = await reader.next()
        if not step.frames and step.tick is None:
            return frames
        frames += step.frames
        if step.tick is not None:
            frames.append(Frame("tick", b"%d" % step.tick))


async def _quiet_end(http: Http, victim: Victim, stream: EventStream, tick: int) -> None:
    """Time goes on until everything that was decided has been sent: nights end, and retries become due."""
    while True:
        reply = await http.request("GET", f"http://127.0.0.1:{victim.port}/v1/status", headers={}, body=b"")
        status = reply.object() if isinstance(reply, Reply) else {}
        outbox = status.get("outbox", {})
        if status.get("lag_seconds") == 0:
            if not any(outbox.get(name) for name in ("pending", "sending", "waiting")):
                break
            tick += STEP_MS
            await stream.tick(tick)
        await asyncio.sleep(0.2)
    victim.stop()


async def _claims(store: Store) -> dict[str, tuple[str, str, str | None, int]]:
    from notifier.identity import Identity
    from notifier.ledger import Rules

    found = {}
    async for claim in Ledger(store, Identity(KEY.encode()), Rules()).all():
        amount = claim.proposal.amount if claim.outcome is Outcome.SEND else 0
        found[claim.action_id] = (str(claim.outcome), str(claim.reason), claim.coupon_code, amount)
    return found


async def _undisturbed(settings: Settings, frames: list[Frame], folder: Path) -> dict[str, Any]:
    async with scratch_store(folder) as store:
        core = build_core(settings, store, FileSink(), KEY.encode())
        for frame in frames:
            if frame.kind == "tick":
                await core.pipeline.tick(int(frame.data))
                continue
            for decoded in core.decoder.decode([frame]):
                await core.pipeline.take(decoded.batch)
        found = {}
        async for claim in core.ledger.all():
            amount = claim.proposal.amount if claim.outcome is Outcome.SEND else 0
            found[claim.action_id] = (str(claim.outcome), str(claim.reason), claim.coupon_code, amount)
        return found


async def _codes(shop: str, http: Http) -> list[str]:
    reply = await http.request("GET", f"{shop}/state.json", headers={}, body=b"")
    assert isinstance(reply, Reply), reply
    return [str(one["code"]) for one in reply.object().get("coupons", [])]


def _compare(ours: dict[str, Any], expected: dict[str, Any], outcomes: Outcomes) -> None:
    outcomes.claims = len(expected)
    outcomes.missing = sorted(expected.keys() - ours.keys())
    outcomes.surplus = sorted(ours.keys() - expected.keys())
    outcomes.different = sorted(
        f"{key}: {ours[key]} instead of {expected[key]}"
        for key in expected.keys() & ours.keys()
        if ours[key] != expected[key]
    )


def _compare_coupons(ours: dict[str, Any], codes: list[str], outcomes: Outcomes) -> None:
    outcomes.coupons = len(codes)
    if len(set(codes)) != len(codes):
        outcomes.coupons_wrong.append("a code twice")
    strange = set(codes) - {code for _, _, code, _ in ours.values()}
    outcomes.coupons_wrong += sorted(strange)


async def serve(config: Path) -> None:
    """The victim: a daemon whose time is its stream's."""
    from monitor.app import open_daemon

    settings = Settings.model_validate_json(await asyncio.to_thread(config.read_bytes))
    taken = [0]
    started = time.time_ns() // 1_000_000  # until the stream has told a time: later than all of the world
    async with open_daemon(settings, lambda: taken[0] or started, ticking=False) as daemon:

        async def follow() -> None:
            while True:
                taken[0] = daemon.loop.pipeline.now
                await asyncio.sleep(0.01)

        following = asyncio.create_task(follow())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, daemon.stop)
        await daemon.run()
        following.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parcels", type=int, default=3000)
    parser.add_argument("--days", type=int, default=12)
    parser.add_argument("--daemon", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.daemon:
        asyncio.run(serve(options.daemon))
        return 0
    outcomes = asyncio.run(run(options.kills, options.seed, options.parcels, options.days))
    print(
        f"{outcomes.events} events, {outcomes.kills} kills, {outcomes.claims} claims: {len(outcomes.missing)} missing, "
        f"{len(outcomes.surplus)} surplus, {len(outcomes.different)} different; {outcomes.coupons} coupons, "
        f"{len(outcomes.coupons_wrong)} wrong"
    )
    for line in [
        *outcomes.missing[:5],
        *outcomes.surplus[:5],
        *outcomes.different[:5],
        *outcomes.coupons_wrong[:5],
    ]:
        print("  " + line)
    return 0 if outcomes.clean else 1


if __name__ == "__main__":
    sys.exit(main())
