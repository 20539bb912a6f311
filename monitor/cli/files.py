"""Verbs over files: ingest, replay, simulate, evaluate, tune."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.checks import MOST_DAYS, MOST_MONEY, MOST_SEED, exist, folder, new_file, number
from monitor.cli.ending import terminated_cleanly
from monitor.cli.output import USAGE, Failed, as_json, data, progress, say, settings, table
from monitor.cli.rows import summary_lines

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
    app.command()(tune)


def ingest(files: Files, config: Config = None) -> None:
    """Append the events of files to the stream of the store; the daemon takes them from there."""
    from monitor.failures import told_to_operator
    from monitor.files import total_bytes
    from monitor.ingest import ingest_files

    loaded = settings(config)
    exist(files)
    with told_to_operator(), terminated_cleanly(), progress("files", as_bytes=True) as bar:
        bar.expect(total_bytes(files))
        report = asyncio.run(ingest_files(files, loaded.settings, bar.advance))
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
    from monitor.replay import QUIET_DAYS, replay_files

    loaded = settings(config)
    exist(files)
    folder(out)
    moment = _moment(until) if until else None
    with told_to_operator(), terminated_cleanly(), progress("events") as bar:
        summary = asyncio.run(
            replay_files(files, out, loaded.settings, until=moment, expect=bar.expect, advance=bar.advance)
        )
    say(f"{summary['events']['taken']} events, {summary['findings']['total']} changes of findings: {out}")
    for reason, count in sorted(summary["events"]["dead"].items()):
        say(f"  {count} more could not be taken: {reason}")
    for gap in summary["gaps"]:
        say(f"  nothing from {gap['from']} to {gap['until']}: time went on there for {QUIET_DAYS} days only")


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the events and their truth.")],
    parcels: int = typer.Option(20_000, callback=number(100, 100_000_000)),
    days: int = typer.Option(30, callback=number(2, MOST_DAYS)),
    seed: int = typer.Option(1, callback=number(0, MOST_SEED)),
    scenario: str = typer.Option(
        "mixed", help="calm, sale_day, hub_jam, storm, feed_outage, false_signoffs, complaint_wave, mixed"
    ),
) -> None:
    """A synthetic world with its truth."""
    from monitor import simulate as world

    folder(out)
    try:
        with terminated_cleanly(), progress("world"):
            summary = world.simulate(out, parcels, days, seed, scenario)
    except ValueError as error:
        raise Failed(str(error), code=USAGE) from None
    for line in summary_lines(out, summary):
        say(line)


def evaluate(
    results: Annotated[Path, typer.Argument(metavar="FOLDER", help="What replay wrote.")],
    truth: Annotated[Path, typer.Option(help="What simulate wrote: truth.ndjson.")],
    curves: Annotated[Path | None, typer.Option(help="Folder for the curves, as PNG.")] = None,
    *,
    complaint: float = typer.Option(
        12.0, callback=number(0, MOST_MONEY), help="What a complaint costs, in major units."
    ),
    message: float = typer.Option(0.05, callback=number(0, MOST_MONEY), help="What a message costs."),
    alert: float = typer.Option(
        2.0, callback=number(0, MOST_MONEY), help="What it costs that a person looks at an alert."
    ),
    redeemed: float = typer.Option(0.35, callback=number(0, 1), help="The share of coupons that is used."),
    effect: float = typer.Option(
        0.25, callback=number(0, 1), help="The share of complaints that words in time avert."
    ),
    json: Json = False,
) -> None:
    """Precision, recall, lead time and cost per averted complaint, per detector."""
    from monitor import evaluate as judging

    exist([results / "findings.ndjson", truth])
    if curves:
        folder(curves)
    costs = judging.Costs(complaint, message, redeemed, alert, effect)
    try:
        report = judging.evaluate(results, truth, costs)
    except ValueError as error:
        raise Failed(str(error), code=USAGE) from None
    for path in judging.curves(report, curves) if curves else ():
        say(str(path))
    if json:
        data(as_json(report))
        return
    table(report.rows(), report.columns(), json=False)
    say(f"customers told of a silent feed, where nothing was wrong: {report.told_of_silent_feeds}")


def tune(
    results: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What replay wrote over the shop's own history.")
    ],
    false_alarms: Annotated[
        float, typer.Option(callback=number(0, 1e6), help="How many false alarms a day are bearable.")
    ],
    history: Annotated[
        list[Path] | None, typer.Option(help="The replayed events: their complaints teach.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Of a synthetic world, instead of outcomes.")] = None,
    config: Config = None,
    *,
    pack: Annotated[
        Path | None, typer.Option(help="Write the whole policy pack with the new thresholds there.")
    ] = None,
    json: Json = False,
) -> None:
    """The min_score of each policy rule that keeps to so many false alarms a day; on stdout what to change in the pack."""
    from config.policies import load_pack, pack_text
    from monitor import evaluate as judging
    from monitor.files import FileError

    files = list(history or ())
    exist([results / "findings.ndjson", *files, *([truth] if truth else [])])
    if pack:
        new_file(pack)
    now = settings(config).settings.policy.file
    try:
        tuned = judging.tune(results, false_alarms, history=files, truth=truth, pack=load_pack(now))
        whole = judging.with_thresholds(pack_text(now), tuned.min_scores()) if pack else ""
    except (ValueError, FileError) as error:
        raise Failed(str(error), code=USAGE) from None
    if pack:
        pack.write_text(whole, encoding="utf-8")
        say(
            f"{pack}: the pack with the new thresholds; `forestall policy check {pack}`, then name it in [policy] file"
        )
    if json:
        data(as_json(tuned))
        return
    table(tuned.rows(), tuned.columns(), json=False, aside=True)
    data("\n".join(tuned.lines))


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"--until: {text!r} is not a time like 2026-11-22T08:00:00+08:00", code=USAGE) from None
    if moment.tzinfo is None:
        whole = moment.isoformat()
        raise Failed(f"--until: {text!r} has no zone; write {whole}+08:00 or {whole}Z", code=USAGE)
    return int(moment.timestamp() * 1000)
