"""What `make run` shows: a simulated shop, the daemon, and a stand-in for the shop's providers, all on this machine.

Everything but the world is real: the daemon with its embedded store, HTTP on loopback, signatures, coupons. Time is the
world's: each step first delivers what was received and then ticks, so speed changes nothing of what is found.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from config.settings import Settings
from monitor.app import Daemon, open_daemon
from monitor.cli.output import say
from monitor.collector import give_back
from monitor.engine.warming import completing, warmed
from monitor.server import bind, serving
from monitor.simulate import World
from monitor.standin import Faults, Standin
from notifier.http import Http, Reply

STEP_MS: Final = 300_000
TOLERANCE_MS: Final = 4 * 3_600_000  # the world's minutes are our milliseconds
BEHIND_MS: Final = 3 * STEP_MS
LEARN_STEP_MS: Final = 3_600_000
HISTORY_DAYS: Final = 10
PARCELS_A_DAY: Final = 500
POST_EVENTS: Final = 2_000
REPORT_SECONDS: Final = 10.0
LINK_HOURS: Final = 72
USUAL_PORT: Final = 8787
START: Final = datetime(2026, 3, 12, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


@dataclass(slots=True)
class WorldClock:
    """The daemon's clock in the demo: the world's last moment."""

    now: int

    def __call__(self) -> int:
        return self.now


async def run_demo(
    *,
    speed: float,
    seed: int,
    minutes: float | None,
    port: int,
    data_dir: Path | None,
    people: Callable[[], int],
) -> None:
    """Until interrupted, or for so many real minutes. `people` is the clock of those who look at it, in milliseconds."""
    secret = secrets.token_urlsafe(24)
    start = int(START.timestamp() * 1000)
    clock = WorldClock(start)
    shop = Standin(
        secret=secret,
        clock=clock,
        seed=seed,
        faults=Faults(refused=0.03, lost=0.03, limited=0.02),
        tolerance_ms=TOLERANCE_MS,
    )
    world = World(seed, start, speed, parcels_per_day=PARCELS_A_DAY, history_days=HISTORY_DAYS)
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(_folder(data_dir))
        await stack.enter_async_context(serving(shop.app, bind("127.0.0.1", port + 1)))
        daemon = await stack.enter_async_context(
            open_daemon(demo_settings(folder, port, secret, speed), clock, ticking=False, people=people)
        )
        http = await stack.enter_async_context(Http())
        await warmed(time.monotonic, arrow=False, compiling=_compiling)
        say(
            f"The simulated shop lives through {HISTORY_DAYS} days, so that Forestall knows what is usual ..."
        )
        await _learn(daemon, world, start)
        await asyncio.to_thread(give_back)
        service = asyncio.create_task(daemon.run())
        _greet(port, speed, folder)
        await stack.enter_async_context(completing(time.monotonic))
        stage = Stage(daemon, world, clock, shop, http, port, speed)
        watching = asyncio.create_task(_report(stage))
        living = asyncio.create_task(_live(stage))
        await asyncio.wait(
            {service, living}, timeout=minutes * 60 if minutes else None, return_when=asyncio.FIRST_COMPLETED
        )
        for task in (living, watching):
            task.cancel()
        ended = await asyncio.gather(living, watching, return_exceptions=True)
        daemon.stop()
        await service
        say(_summary(stage))
        failed = [one for one in ended if isinstance(one, Exception)]
        if failed:
            raise failed[0]


@dataclass(slots=True)
class Stage:
    daemon: Daemon
    world: World
    clock: WorldClock
    shop: Standin
    http: Http
    port: int
    speed: float


def _compiling() -> None:
    say("Two processes compile the kernels, once: the better part of a minute ...")


async def _learn(daemon: Daemon, world: World, start: int) -> None:
    """The days before the curtain: learned from, not acted on."""
    begin = world.begin
    for moment in range(begin, start + 1, LEARN_STEP_MS):
        lines = await asyncio.to_thread(world.until, moment)
        await daemon.learn(lines, moment)


async def _live(stage: Stage) -> None:
    said = iter(stage.world.announcements())
    news = next(said, None)
    loop = asyncio.get_running_loop()
    began, start = loop.time(), stage.clock.now
    while True:
        moment = stage.clock.now + STEP_MS
        lines = await asyncio.to_thread(stage.world.until, moment)
        await _post(stage, lines)
        await stage.daemon.tick(moment)
        stage.clock.now = moment
        # A slow machine slows the world, not its alerts.
        while stage.daemon.loop.pipeline.now < moment - BEHIND_MS:  # noqa: ASYNC110 - the engine sets no event
            await asyncio.sleep(0.02)
        while news is not None and news.at <= moment:
            stage.shop.narrate(news.at, news.zh, news.en)
            say(f"  {_local(news.at)}  in the world: {news.en}")
            news = next(said, None)
        await asyncio.sleep(max(0.0, began + (moment - start) / 1000 / stage.speed - loop.time()))


async def _post(stage: Stage, lines: list[bytes]) -> None:
    """As a shop would: over HTTP, with the token, again where the answer was a 503."""
    url = f"http://127.0.0.1:{stage.port}/v1/events"
    headers = {"authorization": f"Bearer {stage.daemon.token}", "content-type": "application/x-ndjson"}
    for first in range(0, len(lines), POST_EVENTS):
        body = b"\n".join(lines[first : first + POST_EVENTS])
        while True:
            reply = await stage.http.request("POST", url, headers=headers, body=body)
            if isinstance(reply, Reply) and reply.status < 500:
                break
            await asyncio.sleep(0.2)


async def _report(stage: Stage) -> None:
    told = False
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        say(_summary(stage))
        if not told and (parcel := await acted_on(stage.daemon, stage.shop)):
            told = True
            say(f"\n  why a customer was written to:  {command()} explain {parcel}\n")


async def acted_on(daemon: Daemon, shop: Standin) -> str | None:
    """A parcel about which a customer was written to; none until there is one."""
    for message in reversed(shop.shown.messages):
        for subject, _ in await daemon.story.of(f"order:{message['order']}"):
            kind, _, number = subject.partition(":")
            if kind == "parcel":
                return number
    return None


def _summary(stage: Stage) -> str:
    counts, daemon = stage.shop.counts, stage.daemon
    found = sum(daemon.open_findings.values())
    return (
        f"  {_local(stage.clock.now)}  {daemon.live_parcels:,} live parcels, {found:,} open findings; "
        f"{counts.messages} messages, {counts.tasks} desk tasks, {counts.coupons} coupons (CNY {counts.amount / 100:,.2f}), {counts.alerts} ops alerts"
    )


def _greet(port: int, speed: float, folder: Path) -> None:
    me, more = command(), "" if port == USUAL_PORT else f" FORESTALL_HTTP__PORT={port}"
    say(
        f"""
  Forestall is at work; the shop's time runs {speed:g} times as fast as ours. Ctrl-C ends it.

    http://127.0.0.1:{port}/            the console: incidents, parcels, budgets
    http://127.0.0.1:{port + 1}/            what customers and the ops team receive
    http://127.0.0.1:{port}/metrics     what Prometheus scrapes

  In another terminal, in this folder; a parcel to explain is named when there is one:

    export FORESTALL_DATA_DIR={folder.absolute()}{more}
    {me} status
    {me} incidents
    {me} uplift
    cat {folder.absolute() / "token"}    # to sign in to the console, and act
"""
    )


def command() -> str:
    """What starts this program, as a person may type it again."""
    called = Path(sys.argv[0])
    if called.name != "forestall":
        return f"{sys.executable} -m monitor"
    found = shutil.which("forestall")
    return "forestall" if found and Path(found).resolve() == called.resolve() else str(called)


def _local(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, START.tzinfo).strftime("%a %H:%M")


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="forestall-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def demo_settings(folder: Path, port: int, secret: str, speed: float) -> Settings:
    """A shop that is live: real sending, to the stand-in; everything else as by default. Buttons end by the world's clock:
    their hours are as many more as its days are quicker than ours.
    """
    providers = f"http://127.0.0.1:{port + 1}"
    return Settings.model_validate(
        {
            "data_dir": folder,
            "shadow": False,
            # Ticks no further apart than three of these are no outage of the daemon: the hours of its history are none.
            "engine": {"tick_seconds": LEARN_STEP_MS // 3000, "sweep_seconds": STEP_MS // 1000},
            "http": {"port": port, "public_url": f"http://127.0.0.1:{port}"},
            "channels": {
                "customer": {"type": "webhook", "url": f"{providers}/messages", "secret": secret},
                "shop": {"type": "webhook", "url": f"{providers}/desk", "secret": secret},
                "ops": {"type": "slack", "url": f"{providers}/ops"},
            },
            "coupons": {"coupons": {"type": "webhook", "url": f"{providers}/coupons", "secret": secret}},
            "notify": {
                "link_hours": math.ceil(LINK_HOURS * speed),
                "routes": [{"name": "ops", "receivers": ["ops"]}],
                "digest_receivers": ["ops"],
                "approval_receivers": ["ops"],
            },
            "console": {"open_reading": True},  # whoever runs a demo may look without a token
        }
    )
