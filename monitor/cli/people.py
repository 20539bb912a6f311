"""What a person asks of and decides in the running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.cli.checks import number
from monitor.cli.client import Daemon
from monitor.cli.output import FAILED, USAGE, Failed, as_json, data, say, settings, table
from monitor.cli.rows import outbox_row, status_rows

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="FORESTALL_CONFIG", help="The config file.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
MOST_HOURS = 8_784  # a year
Reason = Annotated[str, typer.Option("--reason", "-m", help="Why; kept in the audit log.")]


def register(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(incidents)
    app.command()(explain)
    app.command()(ack)
    app.command()(silence)
    app.command()(unsilence)
    app.command()(approve)
    app.command()(reject)
    app.command()(hold)
    app.command()(release)
    app.command()(kill)
    app.command()(resume)
    app.add_typer(_outbox(), name="outbox", help="What waits to be sent.")
    app.add_typer(_dead_letters(), name="deadletter", help="What could not be read.")


def _daemon(config: Path | None) -> Daemon:
    return Daemon(settings(config).settings)


def status(
    config: Config = None,
    *,
    json: Json = False,
    health: bool = typer.Option(False, "--health", help="Only succeed or fail."),
) -> None:
    """What the daemon is doing."""
    daemon = _daemon(config)
    if health:
        if not daemon.get("/healthz")["alive"]:
            raise typer.Exit(FAILED)
        return
    answer = daemon.get("/v1/status")
    if json:
        data(as_json(answer))
        return
    table(status_rows(answer), ("what", "value"), json=False)


def incidents(
    config: Config = None,
    *,
    everything: bool = typer.Option(False, "--all", help="Resolved ones too."),
    json: Json = False,
) -> None:
    """What ops should know: what fires and what is not confirmed yet."""
    rows = _daemon(config).get(f"/v1/incidents?all={int(everything)}")
    table(rows, ("incident_id", "state", "kind", "subject", "opened_at", "parcels", "summary"), json=json)


def explain(subject: str, config: Config = None, *, json: Json = False) -> None:
    """Why a parcel, an order, a customer, a finding or an action was or was not acted on, step by step."""
    story = _daemon(config).get(f"/v1/explain/{subject}")
    if json:
        data(as_json(story))
        return
    for line in story["lines"]:
        data(line)


def ack(incident: str, config: Config = None, *, reason: Reason = "") -> None:
    """Stop the repeats of an incident; news of it still comes."""
    _say(_daemon(config).command("ack", incident=incident, reason=reason))


def silence(
    matcher: Annotated[
        list[str], typer.Argument(help="name=value, e.g. kind=facility_congested facility=H-420100")
    ],
    config: Config = None,
    *,
    hours: float = typer.Option(2.0, callback=number(0.01, MOST_HOURS), help="How long, at most a year."),
    reason: Reason = "",
    preview: bool = typer.Option(False, "--preview", help="Only show what it would hide."),
) -> None:
    """Keep alerts that match quiet for some hours."""
    if not preview and not reason.strip():
        raise Failed("say why with --reason (or -m): it is kept with the silence", code=USAGE)
    _say(_daemon(config).command("silence", matchers=matcher, hours=hours, reason=reason, preview=preview))


def unsilence(silence_id: str, config: Config = None, *, reason: Reason = "") -> None:
    """End a silence now."""
    _say(_daemon(config).command("unsilence", silence=silence_id, reason=reason))


def approve(action: str, config: Config = None, *, reason: Reason = "") -> None:
    """Let an action go out that waits for a person."""
    _say(_daemon(config).command("approve", action=action, reason=reason))


def reject(action: str, config: Config = None, *, reason: Reason = "") -> None:
    """Refuse an action that waits for a person; its money goes back to the budgets."""
    _say(_daemon(config).command("reject", action=action, reason=reason))


def hold(config: Config = None, *, reason: Reason = "") -> None:
    """Spend nothing until `release`: decisions are recorded as held."""
    _say(_daemon(config).command("hold", reason=reason))


def release(config: Config = None, *, reason: Reason = "") -> None:
    """End `hold`, after reconciling with the coupon shop."""
    _say(_daemon(config).command("release", reason=reason))


def kill(config: Config = None, *, reason: Reason = "") -> None:
    """The kill switch: no action is decided to be sent, and nothing in the outbox leaves."""
    _say(_daemon(config).command("kill", reason=reason))


def resume(config: Config = None, *, reason: Reason = "") -> None:
    """Turn the kill switch off again."""
    _say(_daemon(config).command("resume", reason=reason))


def _outbox() -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)

    @group.command("list")
    def list_(
        config: Config = None,
        *,
        state: str | None = typer.Option(
            None, help="pending, sending, waiting, held, unknown, failed, done or none."
        ),
        json: Json = False,
    ) -> None:
        """Entries that are not done."""
        suffix = f"?state={state}" if state else ""
        rows = _daemon(config).get(f"/v1/outbox{suffix}")
        if not json:
            rows = [outbox_row(row) for row in rows]
        table(rows, ("entry_id", "state", "kind", "channel", "attempts", "due_at", "cause"), json=json)

    @group.command()
    def retry(entry: str, config: Config = None, *, reason: Reason = "") -> None:
        """Send an entry again that was given up or is unknown."""
        _say(_daemon(config).command("outbox-retry", entry=entry, reason=reason))

    return group


def _dead_letters() -> typer.Typer:
    group = typer.Typer(no_args_is_help=True)

    @group.command("list")
    def list_(
        config: Config = None, *, count: int = typer.Option(100, min=1, max=10_000), json: Json = False
    ) -> None:
        """The newest events that could not be read, with the reason."""
        rows = _daemon(config).get(f"/v1/deadletters?count={count}")
        if not json:
            rows = [row | {"bytes": f"{row['bytes']} (cut)" if row["cut"] else row["bytes"]} for row in rows]
        table(rows, ("entry_id", "at", "feed", "reason", "detail", "bytes", "payload"), json=json)

    @group.command()
    def replay(
        config: Config = None,
        *,
        entry: str | None = typer.Option(None, help="One entry; without it, all."),
        reason: Reason = "",
    ) -> None:
        """Read them again, after the feed's table or the program was mended."""
        _say(_daemon(config).command("deadletter-replay", entry=entry, reason=reason))

    @group.command()
    def drop(
        config: Config = None,
        *,
        entry: str | None = typer.Option(None, help="One entry."),
        feed: str | None = typer.Option(None, help="All that this feed, poller or source sent."),
        reason: str | None = typer.Option(None, help="All with this reason."),
        every: bool = typer.Option(False, "--all", help="All of them."),
    ) -> None:
        """Let go of letters that nobody wants to read again."""
        arguments = {"entry": entry, "feed": feed, "reason": reason, "all": every}
        _say(_daemon(config).command("deadletter-drop", **arguments))

    return group


def _say(answer: dict[str, Any]) -> None:
    message = answer.pop("message", None)
    if message:
        say(str(message))
    if answer:
        data(as_json(answer))
