"""Whether anybody is told: what is wrong with who is to hear of incidents, and what nobody will hear of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.loading import ConfigError
from config.settings import Settings
from monitor.incidents.matchers import parse_all

RESOLVE_SECONDS = 3_600  # where the channel sets none


def check_audience(settings: Settings) -> None:
    """Raises ConfigError for receivers that are no channels and matchers that cannot be."""
    if problems := list(_wrong(settings)):
        raise ConfigError(problems)


def _wrong(settings: Settings) -> Iterator[str]:
    notify, channels = settings.notify, settings.channels
    named = [
        (f"notify.routes.{route.name}.receivers", receiver)
        for route in notify.routes
        for receiver in route.receivers
    ]
    named += [
        (f"incidents.escalation.{level}.receivers", receiver)
        for level, step in enumerate(settings.incidents.escalation, 1)
        for receiver in step.receivers
    ]
    named += [("notify.digest_receivers", receiver) for receiver in notify.digest_receivers]
    named += [("notify.approval_receivers", receiver) for receiver in notify.approval_receivers]
    there = ", ".join(sorted(channels)) or "none"
    for where, receiver in named:
        if receiver not in channels:
            yield f"{where}: no channel is called {receiver!r}; there are: {there}"
    for where, matchers in _matchers(settings):
        try:
            parse_all(matchers)
        except ValueError as error:
            yield f"{where}: {error}"


def _matchers(settings: Settings) -> Iterator[tuple[str, Sequence[str]]]:
    for route in settings.notify.routes:
        yield f"notify.routes.{route.name}.match", route.match
    for number, rule in enumerate(settings.incidents.inhibit, 1):
        yield f"incidents.inhibit.{number}.source", rule.source
        yield f"incidents.inhibit.{number}.target", rule.target
    for window in settings.incidents.maintenance:
        yield f"incidents.maintenance.{window.name}.match", window.match


def unheard(settings: Settings) -> list[str]:
    """What nobody will be told of, the worst first, each with the setting that mends it."""
    notify = settings.notify
    found = []
    if not any(route.receivers for route in notify.routes):
        found.append("no route: nobody is told of any incident until [[notify.routes]] names a receiver")
    elif not any(route.receivers and not route.match for route in notify.routes):
        found.append("every route has a match: an incident that none of them matches is told to nobody")
    found += _ending_by_themselves(settings)
    if not notify.digest_receivers:
        found.append("nobody gets the daily digest: notify.digest_receivers")
    if settings.money.approval_above and not notify.approval_receivers:
        found.append("nobody is reminded of approvals that wait: notify.approval_receivers")
    if not settings.http.public_url:
        found.append("alerts have no links, buttons or linked charts: http.public_url")
    if notify.heartbeat_url is None:
        found.append("nobody notices when the daemon itself falls silent: notify.heartbeat_url")
    return found


def _ending_by_themselves(settings: Settings) -> Iterator[str]:
    """Alertmanager ends what is not sent again in time: routes to it must repeat within half of that."""
    for route in settings.notify.routes:
        for receiver in route.receivers:
            channel = settings.channels.get(receiver)
            if channel is None or channel.type != "alertmanager":
                continue
            ends = int(channel.options.get("resolve_seconds", RESOLVE_SECONDS))
            if (route.repeat_interval_seconds or ends) * 2 > ends:
                yield (
                    f"{receiver} ends alerts by itself after {ends} seconds: "
                    f"set notify.routes.{route.name}.repeat_interval_seconds to at most {ends // 2}"
                )
