"""Feeds: connect one, and see how each is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli.output import FAILED, USAGE, Failed, as_json, data, say, settings, table

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
COLUMNS = (
    "feed",
    "type",
    "fresh",
    "events_last_hour",
    "events",
    "unknown_codes",
    "rejected_signatures",
    "dead_letters",
    "fields_left_out",
    "skipped",
    "waiting",
    "unplaced",
    "polling",
)


def register(app: typer.Typer) -> None:
    app.command()(connect)
    app.command()(feeds)
    app.command()(correct)


def connect(
    feed: Annotated[str, typer.Argument(help="Its name in the config, or its type; `list` names all types.")],
    config: Config = None,
    *,
    json: Json = False,
) -> None:
    """What to paste where, what a signed sample becomes, and what is missing."""
    import time

    from config.regions import regions
    from monitor.feeds import connect as connecting
    from monitor.feeds.guides import GUIDES
    from monitor.feeds.registry import FeedConfigError

    if feed == "list":
        rows = [{"type": name, "title": one.title, "gives": one.gives} for name, one in GUIDES.items()]
        table(rows, ("type", "title", "gives"), json=json)
        return
    loaded = settings(config)
    try:
        found = connecting.connect(feed, loaded.settings, regions(), time.time_ns() // 1_000_000)
    except FeedConfigError as error:
        raise Failed(*error.problems, code=USAGE) from None
    if json:
        data(as_json(connecting.record(found)))
    else:
        _tell(found)
    if not found.ready:
        raise typer.Exit(FAILED)


def _tell(found: Any) -> None:
    say(f"{found.guide.title}\n")
    say("At the provider:")
    for number, step in enumerate(found.guide.steps, 1):
        say(f"  {number}. {step}")
    for note in found.guide.notes:
        say(f"     {note}")
    say("\nIn the config:\n")
    say("  " + found.config.replace("\n", "\n  "))
    if found.events:
        say(f"\nA signed sample went through the feed and became {len(found.events)} events:\n")
        for event in found.events:
            data(as_json(event))
    for problem in found.problems:
        say(f"\nnot ready: {problem}")
    for missing in found.missing:
        say(f"\nmissing: {missing}")
    if found.ready:
        say(f"\nready: the daemon takes {found.name} at {found.url}")


def feeds(config: Config = None, *, json: Json = False) -> None:
    """Freshness, rate, unknown codes, rejected signatures and dead letters of each feed."""
    from monitor.cli.client import Daemon

    rows = Daemon(settings(config).settings).get("/v1/feeds")
    if not json:
        rows = [short(row) for row in rows]
    table(rows, COLUMNS, json=json)
    if not rows:
        say("no feed is configured: `forestall connect list` names those there are")


def short(row: dict[str, Any]) -> dict[str, Any]:
    """A feed's report as one line of the table: counts, where the report has them by name."""
    age = row["seconds_since_event"]
    return {
        **row,
        "fresh": "never" if age is None else _age(age),
        "unknown_codes": ", ".join(f"{code} ×{count}" for code, count in row["unknown_codes"].items()) or 0,
        "fields_left_out": sum(row["fields_left_out"].values()),
        "skipped": sum(row["skipped"].values()),
        "polling": "; ".join(_polling(name, one) for name, one in row["pollers"].items()),
        "rejected_signatures": sum(row["rejected_signatures"].values()),
    }


def _polling(name: str, one: dict[str, Any]) -> str:
    said = [f"{one['trouble']}, {one['failures']} in a row" if one["trouble"] else "well"]
    if one["refused"]:
        said.append(f"{one['refused']} refused")
    if one["unasked"]:
        said.append(f"{one['unasked']} not asked")
    if one["without"]:
        said.append(f"not {', '.join(one['without'])}")
    return f"{name}: {', '.join(said)}"


def _age(seconds: int) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def correct(
    complaint: Annotated[str, typer.Argument(help="The complaint's id.")],
    config: Config = None,
    *,
    reason: Annotated[str | None, typer.Option(help="late, lost, damaged, ... or one of your own.")] = None,
    category: Annotated[
        str | None, typer.Option(help="product, logistics, service or order; for a reason of your own.")
    ] = None,
    severity: Annotated[str | None, typer.Option(help="general, important or major.")] = None,
) -> None:
    """Say what a complaint really was: the reader of texts learns from it."""
    from monitor.cli.client import Daemon

    if reason is None and severity is None:
        raise Failed("say at least one of --reason and --severity", code=USAGE)
    said = {"reason": reason, "category": category, "severity": severity}
    Daemon(settings(config).settings).post(f"/v1/complaints/{complaint}/correct", said)
    say(f"learned: {complaint}")
