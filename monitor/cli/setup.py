"""Before and beside a running daemon: config and doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.loading import shown, written
from monitor.cli.output import FAILED, USAGE, Failed, say, settings, table

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    group.command()(check)
    group.command()(show)
    app.add_typer(group, name="config", help="What is set, and whether it is right.")
    app.command()(doctor)
    app.command()(rewind)


def check(file: Annotated[Path, typer.Argument(help="The TOML file.")]) -> None:
    """Strict validation; every problem with its path."""
    from config.loading import ConfigError
    from monitor.audience import unheard
    from monitor.checking import check_config

    loaded = settings(file).settings
    try:
        check_config(loaded)
    except ConfigError as error:
        raise Failed(*error.problems, code=USAGE) from None
    say(f"{file}: all right")
    for gap in unheard(loaded):
        say(f"  note: {gap}")


def show(config: Config = None, *, json: Json = False) -> None:
    """Every key, its value and where it comes from; secrets stay hidden."""
    rows = [
        {"key": key, "value": value if json else written(value), "from": origin}
        for key, value, origin in shown(settings(config))
    ]
    table(rows, ("key", "from", "value"), json=json)


def doctor(
    config: Config = None,
    *,
    json: Json = False,
    warm: bool = typer.Option(False, "--warm", help="Only compile the kernels, for images and packages."),
) -> None:
    """What is wrong with this machine, config or store; and the exact window of loss of the store."""
    import asyncio
    import time

    from monitor import logs
    from monitor.doctor import Verdict, examine
    from monitor.engine.warming import warm_kernels
    from monitor.failures import told_to_operator

    if warm:
        logs.configure(json=False, level="warning")
        say(f"the kernels are compiled ({warm_kernels(time.monotonic):.1f} s)")
        return
    loaded = settings(config)

    async def collect() -> list[dict[str, str]]:
        return [
            {"check": check.name, "verdict": check.verdict, "detail": check.detail}
            async for check in examine(loaded.settings)
        ]

    with told_to_operator():
        rows = asyncio.run(collect())
    table(rows, ("check", "verdict", "detail"), json=json)
    if any(row["verdict"] == Verdict.WRONG for row in rows):
        raise typer.Exit(FAILED)


def rewind(
    config: Config = None,
    *,
    reason: str = typer.Option("", "--reason", "-m", help="For the audit log."),
) -> None:
    """After the clock stood ahead: back to what the engine knew before, and on from there. Stop the daemon and mend the
    clock first.
    """
    import asyncio
    import time

    from monitor.cli.client import user
    from monitor.failures import told_to_operator
    from monitor.records import when
    from monitor.rewind import RewindError, rewind
    from notifier.ledger import Person

    loaded = settings(config)
    with told_to_operator():
        try:
            done = asyncio.run(
                rewind(loaded.settings, Person(user(), reason, "cli"), time.time_ns() // 1_000_000)
            )
        except RewindError as error:
            raise Failed(str(error)) from None
    say(
        f"the engine goes on from {when(done.time)}: {done.ticks} ticks of the wrong time are out of the stream"
    )
    if done.decisions:
        say(
            f"{done.decisions} decisions about incidents were made in that time and are forgotten: make them again"
        )
    say("what was decided about money in that time stays: `forestall outbox list`; now start the daemon")
