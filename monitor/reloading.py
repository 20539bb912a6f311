"""SIGHUP: the config is read again. All that follows from it is built first and then put in its place, so a mistake, of
whatever kind, is said and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from config.loading import ConfigError, load
from config.policies import PolicyPack
from config.settings import Settings
from monitor.assembly import approvers_of, desk_of, ledger_rules, pack_of, templates_of
from monitor.audience import check_audience
from monitor.checking import check_config
from monitor.daemon import Daemon
from monitor.notifications.proposals import Desk
from monitor.tenant import keyed, same_key
from notifier.ledger import Rules
from notifier.mistakes import tell
from notifier.templates import Templates

RELOADED: Final = frozenset({"shadow", "money", "policy", "incidents", "notify", "console"})
KEY: Final = "money.tenant_key"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What takes the place of what runs; `needs_restart` are settings that changed and are not followed."""

    settings: Settings
    pack: PolicyPack
    rules: Rules
    templates: Templates
    desk: Desk
    needs_restart: tuple[str, ...]


def reload(daemon: Daemon) -> None:
    """Never raises: it is called by a signal, and what runs must go on."""
    try:
        prepared = prepare(daemon, load(daemon.config).settings)
        put_in_place(daemon, prepared)
    except ConfigError as error:
        _refuse(daemon, error.problems)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the config that runs is the one to keep
        tell("config.crashed", error)
        _refuse(daemon, [f"{type(error).__name__}: a mistake of the program, which read this config"])
    else:
        daemon.metrics.gauge("config_reload_success").set(1)
        daemon.metrics.gauge("config_reload_timestamp_seconds").set(daemon.clock() / 1000)
        log.info("config.reloaded", needs_restart=list(prepared.needs_restart))


def prepare(daemon: Daemon, given: Settings) -> Prepared:
    """Changes nothing. Raises `ConfigError`."""
    check_config(given)
    settings, needs_restart = _followed(daemon.settings, given)
    try:
        check_audience(settings)
    except ConfigError as error:
        raise ConfigError([f"{one} (a channel comes with a restart)" for one in error.problems]) from None
    pack = pack_of(settings)
    return Prepared(
        settings,
        pack,
        ledger_rules(settings, pack.currency),
        templates_of(settings, pack),
        desk_of(settings, pack.fingerprint),
        needs_restart,
    )


def _followed(current: Settings, given: Settings) -> tuple[Settings, tuple[str, ...]]:
    """What runs with all of `given` that a reload takes, and the names of the rest that differs."""
    http = current.http.model_copy(update={"public_url": given.http.public_url})
    settings = current.model_copy(update={"http": http, **{name: getattr(given, name) for name in RELOADED}})
    settings = keyed(settings, current.money.tenant_key)
    kept = [
        name
        for name in type(given).model_fields
        if name not in RELOADED and getattr(given, name) != getattr(settings, name)
    ]
    return settings, (*kept, *(() if same_key(given, current) else (KEY,)))


def put_in_place(daemon: Daemon, new: Prepared) -> None:
    """Policy with its templates, limits, incident rules, routes, links, heartbeat and who may come in. What could be
    refused comes first.
    """
    settings = new.settings
    daemon.incidents.reload(settings.incidents)
    daemon.notifications.reload(settings.notify, settings.incidents.escalation)
    daemon.ledger.reload(new.rules)
    daemon.loop.pipeline.pack = new.pack
    daemon.templates.become(new.templates)
    daemon.settings = settings
    daemon.notices.reload(new.desk, approvers_of(settings), settings.notify.locale)


def _refuse(daemon: Daemon, problems: list[str]) -> None:
    daemon.metrics.gauge("config_reload_success").set(0)
    log.error("config.not_reloaded", problems=problems)
