"""The daemon as a process: compiled, opened, run until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from config.settings import Settings
from detectors.findings import Instant
from monitor.app import open_daemon
from monitor.audience import unheard
from monitor.collector import give_back
from monitor.engine.warming import completing, warmed
from monitor.reloading import reload
from monitor.signals import Signals
from monitor.starting import answering

log = structlog.get_logger(__name__)


async def run_daemon(settings: Settings, config: Path | None, clock: Callable[[], Instant]) -> None:
    """Until SIGTERM or SIGINT, which end it in order at any time; SIGHUP reloads the config or says why not."""
    signals = Signals()
    with signals.heard():
        async with answering(settings.http.host, settings.http.port):
            warm = await _warmed_unless_stopped(signals.stopping)
        if not warm:
            return
        async with open_daemon(settings, clock, config=config) as daemon:
            daemon.stopping = signals.stopping
            signals.reload = partial(reload, daemon)
            give_back()
            gc.freeze()  # what a daemon starts with stays: to look through it for garbage stopped the loop for 0.2 s
            log.info(
                "daemon.started",
                url=f"http://{settings.http.host}:{settings.http.port}/",
                shadow=settings.shadow,
            )
            for gap in unheard(settings):
                log.warning("alerts.unheard", why=gap)
            async with completing(time.monotonic):
                await daemon.run()
            signals.reload = None


async def _warmed_unless_stopped(stopping: asyncio.Event) -> bool:
    """False where a signal came first: whoever compiled has ended, and nothing else had begun."""
    warming = asyncio.create_task(warmed(time.monotonic))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({warming, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        warming.cancel()  # nothing where it is done
    await asyncio.wait({warming})
    if warming.cancelled():
        log.info("daemon.stopped", note="while kernels were compiled")
        return False
    log.info("kernels.ready", seconds=round(warming.result(), 1))
    return True
