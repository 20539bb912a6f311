"""The daemon itself, for real and as a demo."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli.checks import MOST_SEED, number
from monitor.cli.output import USAGE, Failed, settings

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(demo)


def run(
    config: Config = None,
    *,
    log: str = typer.Option("info", help="debug, info, warning or error."),
    plain: bool = typer.Option(
        False, "--plain-logs", help="Logs for people; without it one JSON object a line."
    ),
) -> None:
    """The daemon. No config: embedded store under the data folder, shadow mode."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while it is imported; then `monitor.signals` hears it
    from monitor import logs
    from monitor.failures import told_to_operator
    from monitor.running import run_daemon

    loaded = settings(config)
    if log not in ("debug", "info", "warning", "error"):
        raise Failed(f"--log: {log!r} is not debug, info, warning or error", code=USAGE)
    logs.configure(json=not plain, level=log)
    with told_to_operator():
        _loop(run_daemon(loaded.settings, config, _wall_clock))


def demo(
    *,
    speed: float = typer.Option(1200.0, callback=number(1, 7200), help="Simulated seconds a second."),
    seed: int = typer.Option(1, callback=number(0, MOST_SEED), help="Of the simulated world."),
    minutes: float | None = typer.Option(
        None, callback=number(0.1, 1e6), help="Stop by itself after so many minutes."
    ),
    port: int = typer.Option(
        8787, min=1, max=65534, help="Of the daemon; the stand-in shop takes the next one."
    ),
    data_dir: Path | None = typer.Option(
        None, help="Keep the data; without it a new folder that goes away again."
    ),
) -> None:
    """A simulated shop, the daemon, and a stand-in for the shop's providers, all on this machine."""
    from monitor import logs
    from monitor.demo import run_demo
    from monitor.failures import told_to_operator

    logs.configure(json=False, level="warning")
    with told_to_operator():
        _loop(
            run_demo(
                speed=speed, seed=seed, minutes=minutes, port=port, data_dir=data_dir, people=_wall_clock
            )
        )


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


def _loop(main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    from monitor import collector

    collector.look_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
