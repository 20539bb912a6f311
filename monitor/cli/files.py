"""Verbs over files: ingest, replay, simulate, evaluate, tune."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.output import USAGE, Failed, as_json, data, progress, say, settings, table

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Files = Annotated[list[Path], typer.Argument(help=".ndjson (also .gz, .zst), .csv or .parquet")]


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.command()(replay)
    app.command()(simulate)
    app.command()(evaluate)


def ingest(files: Files, config: Config = None) -> None:
    """Append the events of files to the stream of the store; the daemon takes them from there."""
    from monitor.failures import told_to_operator
    from monitor.ingest import ingest_files

    loaded = settings(config)
    _exist(files)
    with told_to_operator(), progress("events", None) as advance:
        report = asyncio.run(ingest_files(files, loaded.settings, advance))
    say(f"{report.accepted} events are in the stream, {report.refused} went to the dead letters")
    for reason, count in sorted(report.reasons.items()):
        say(f"  {count} {reason}")


def replay(
    files: Files,
    out: Annotated[Path, typer.Option(help="Folder for findings, actions, incidents and the summary.")],
    config: Config = None,
    *,
    until: str | None = typer.Option(None, help="Stop at this time, RFC 3339."),
) -> None:
    """The production engine over recorded events, in event time, as fast as it goes. Sends nothing."""
    from monitor.failures import told_to_operator
    from monitor.replay import replay_files

    loaded = settings(config)
    _exist(files)
    moment = _moment(until) if until else None
    with told_to_operator(), progress("events", None) as advance:
        summary = asyncio.run(replay_files(files, out, loaded.settings, until=moment, advance=advance))
    say(f"{summary['events']['taken']} events, {summary['findings']['total']} changes of findings: {out}")


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the events and their truth.")],
    parcels: int = typer.Option(20_000, min=100),
    days: int = typer.Option(30, min=2),
    seed: int = typer.Option(1),
    scenario: str = typer.Option(
        "mixed", help="calm, sale_day, hub_jam, storm, feed_outage, false_signoffs, complaint_wave, mixed"
    ),
) -> None:
    """A synthetic world with its truth."""
    from monitor import simulate as world

    try:
        with progress("world", None):
            summary = world.simulate(out, parcels, days, seed, scenario)
    except ValueError as error:
        raise Failed(str(error), code=USAGE) from None
    say(f"{out}: {summary}")


def evaluate(
    folder: Annotated[Path, typer.Argument(help="What replay wrote.")],
    truth: Annotated[Path, typer.Option(help="What simulate wrote: truth.ndjson.")],
    *,
    json: Json = False,
) -> None:
    """Precision, recall, lead time and cost per averted complaint, per detector."""
    from monitor.evaluate import evaluate as judge

    for path in (folder / "findings.ndjson", truth):
        if not path.exists():
            raise Failed(f"{path}: no such file", code=USAGE)
    report = judge(folder, truth)
    if json:
        data(as_json(report))
        return
    table(report.rows(), tuple(report.columns()), json=False)


def _exist(files: list[Path]) -> None:
    missing = [f"{path}: no such file" for path in files if not path.is_file()]
    if missing:
        raise Failed(*missing, code=USAGE)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"--until: {text!r} is not a time like 2026-11-22T08:00:00+08:00", code=USAGE) from None
    if moment.tzinfo is None:
        raise Failed(f"--until: {text!r} has no zone; write {text}+08:00 or {text}Z", code=USAGE)
    return int(moment.astimezone(UTC).timestamp() * 1000)
