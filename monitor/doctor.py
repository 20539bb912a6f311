"""What is wrong with this machine, this config or this store, and what each finding means."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from config.loading import ConfigError
from config.settings import Settings
from detectors.findings import Instant
from monitor import store_doctor
from monitor.assembly import ledger_rules, pack_of, tenant_key
from monitor.audience import check_audience, unheard
from monitor.checkpoint import CheckpointError, CheckpointFolder
from monitor.embedded import EmbeddedStoreError
from monitor.records import when
from monitor.rewind import VERB, ahead, way_back
from monitor.storage import OpenStore, open_store
from notifier.audit import Audit
from notifier.identity import Identity
from notifier.ledger import Ledger
from notifier.store import Store, StoreError

LEAST_DISK = 1 << 30


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    verdict: Verdict
    detail: str


async def examine(settings: Settings) -> AsyncIterator[Check]:
    yield _config(settings)
    for check in (*_alerts(settings), *_senders(settings)):
        yield check
    yield _disk(settings)
    yield _checkpoints(settings)
    for check in _time(settings, time.time_ns() // 1_000_000):
        yield check
    try:
        async with open_store(settings) as opened:
            for check in await _store(opened):
                yield check
            yield await _ledger(settings, opened.store)
    except (StoreError, EmbeddedStoreError) as error:
        yield Check("store", Verdict.WRONG, str(error))


async def _store(opened: OpenStore) -> list[Check]:
    report = await store_doctor.examine(opened)
    kind = "embedded" if report.embedded else "external"
    checks = [
        Check("store", Verdict.OK, f"{report.server} ({kind}) at {report.url}"),
        Check("window of loss", Verdict((report.window_severity or Verdict.OK).value), report.window),
    ]
    return checks + [
        Check("store", Verdict(problem.severity.value), problem.text) for problem in report.problems
    ]


async def _ledger(settings: Settings, store: Store) -> Check:
    identity = Identity(tenant_key(settings))
    ledger = Ledger(store, identity, ledger_rules(settings, pack_of(settings).currency))
    problems = await Audit(store, ledger, identity).verify()
    if problems:
        return Check("ledger", Verdict.WRONG, "; ".join(problems))
    return Check("ledger", Verdict.OK, "the chain, every claim's checksum and the budgets hold")


def _config(settings: Settings) -> Check:
    try:
        pack = pack_of(settings)
    except ConfigError as error:
        return Check("config", Verdict.WRONG, "; ".join(error.problems))
    mode = "shadow: nothing leaves" if settings.shadow else "live"
    return Check("config", Verdict.OK, f"policy {pack.name} {pack.version}, {mode}")


def _alerts(settings: Settings) -> list[Check]:
    """Who hears of incidents, and what nobody will hear of."""
    try:
        check_audience(settings)
    except ConfigError as error:
        return [Check("alerts", Verdict.WRONG, problem) for problem in error.problems]
    routes = settings.notify.routes
    told = ", ".join(sorted({receiver for route in routes for receiver in route.receivers})) or "nobody"
    checks = [Check("alerts", Verdict.OK, f"{len(routes)} routes to {told}")] if routes else []
    return checks + [Check("alerts", Verdict.WARNING, gap) for gap in unheard(settings)]


def _senders(settings: Settings) -> list[Check]:
    """Whom the policy speaks through, and whether there is such a channel."""
    try:
        pack = pack_of(settings)
    except ConfigError:
        return []  # said already
    names = {
        name: action.kind
        for rule in pack.rules
        for action in rule.actions
        for name in action.names
        if action.kind != "ops_alert"  # ops are told by incidents, along the routes
    }
    missing = sorted(
        f"[{'coupons' if kind == 'coupon' else 'channels'}.{name}]"
        for name, kind in names.items()
        if name not in (settings.coupons if kind == "coupon" else settings.channels)
    )
    checks = [Check("channels", Verdict.OK, f"policy speaks through {', '.join(sorted(names))}")]
    if missing:
        text = f"policy speaks through what is not there, its actions are given up: {', '.join(missing)}"
        checks = [Check("channels", Verdict.WARNING, text)]
    mails = sorted(
        name
        for name, kind in names.items()
        if kind == "message" and name in settings.channels and settings.channels[name].type == "smtp"
    )
    if mails and settings.delivery.unsubscribe_url is None:
        text = f"{', '.join(mails)}: mails to customers without a one-click opt-out; set delivery.unsubscribe_url"
        checks.append(Check("mail", Verdict.WARNING, text))
    return checks


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir if settings.data_dir.exists() else settings.data_dir.absolute().parent
    free = shutil.disk_usage(folder if folder.exists() else "/").free
    verdict = Verdict.OK if free >= LEAST_DISK else Verdict.WARNING
    return Check("disk", verdict, f"{free / (1 << 30):.1f} GiB free for {settings.data_dir}")


def _checkpoints(settings: Settings) -> Check:
    try:
        newest, problems = CheckpointFolder(settings.data_dir / "checkpoints").newest()
    except CheckpointError as error:
        return Check("checkpoint", Verdict.WRONG, str(error))
    if problems:
        return Check("checkpoint", Verdict.WARNING, "; ".join(problems))
    return Check("checkpoint", Verdict.OK, "none yet" if newest is None else "the newest is whole")


def _time(settings: Settings, now: Instant) -> list[Check]:
    """Whether the engine stands in a time that a wrong clock told it."""
    folder = CheckpointFolder(settings.data_dir / "checkpoints")
    try:
        found = ahead(folder, now)
    except CheckpointError:
        return []  # said already
    if found is None:
        return []
    stands = f"the engine's time is {when(found)} and stands until this clock is there"
    kept = way_back(folder, now)
    if kept is None:
        mend = (
            f"no checkpoint from before is kept; to start anew from what the stream holds, move {folder} away"
        )
    else:
        mend = f"if this clock is right, {VERB}, goes back to {when(kept.written_at)}"
    return [Check("time", Verdict.WRONG, f"{stands}: {mend}")]
