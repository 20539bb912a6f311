"""The composition root: with `monitor.core` the only place that builds concrete objects; it hands out the clock.

    open_daemon: socket | store | http | intake | _assemble
    _assemble:   core | _remembering (checkpoint, doubts) | _sending (delivery, look-ups) | the daemon | what attends it

Everything is undone in the opposite order of its making.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr
from starlette.routing import BaseRoute

from config.settings import Settings
from detectors.findings import Instant
from monitor import __version__, store_doctor
from monitor.answers import Answers
from monitor.assembly import (
    channels,
    coupon_shops,
    delivery_rules,
    gate_of,
    http_token,
    links_of,
    outbound,
    templates_of,
    tenant_key,
)
from monitor.audience import check_audience
from monitor.averted import uplift
from monitor.charts import ChartPage, chart_address
from monitor.checkpoint import CheckpointFolder
from monitor.commands import Commands
from monitor.console import DaemonSource, console_routes
from monitor.core import Core, build_core, scratch_store
from monitor.daemon import Daemon
from monitor.deadletter import DeadLetters
from monitor.decisions import Decisions
from monitor.decode import decode_lines
from monitor.feeds.station import Station, open_station
from monitor.gauges import Gauges
from monitor.heartbeat import Heartbeat
from monitor.intake import Intake
from monitor.letters import Format, Letter
from monitor.loop import Checkpoints, Loop
from monitor.metrics import Metrics
from monitor.original import Original
from monitor.ownership import sole_owner
from monitor.parts import LedgerHead, Plain
from monitor.patience import Patience
from monitor.recheck import Recheck, looked_up
from monitor.remembered import Remembered
from monitor.reports import Reports
from monitor.schedule import Schedule
from monitor.server import bind
from monitor.sinks import LiveSink, deliveries_to
from monitor.storage import OpenStore, open_store
from monitor.story import Story
from monitor.stream import EventStream, Reader
from monitor.tenant import TenantPrint, is_kept, keyed
from monitor.unsubscribe import opt_out_url, unsubscribe_routes
from notifier.audit import Audit
from notifier.charts import Charts
from notifier.delivery import Delivery, Sent
from notifier.http import Http
from notifier.identity import Identity
from notifier.ledger import Head, Ledger, Person
from notifier.outbox import Outbox
from notifier.posts import References
from notifier.reconcile import Reconciler
from notifier.reminder import Reminder
from notifier.retention import Retention
from notifier.store import StoreFullError
from notifier.templates import Templates
from notifier.told import Told

__all__ = ["Core", "Daemon", "build_core", "open_daemon", "scratch_store"]

HOUR_MS = 3_600_000
LOST = "no checkpoint, and the stream no longer holds all events: what the engine knew of parcels is lost"
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all else stands on: open when `_assemble` begins, closed after the daemon has ended."""

    settings: Settings
    clock: Callable[[], Instant]
    people: Callable[[], Instant]
    opened: OpenStore
    http: Http
    metrics: Metrics
    stream: EventStream
    letters: DeadLetters
    intake: Intake
    tenant: TenantPrint
    key_made: bool  # at this start


@dataclass(frozen=True, slots=True)
class Sending:
    delivery: Delivery
    templates: Templates
    reconciler: Reconciler
    charts: Charts


@asynccontextmanager
async def open_daemon(
    settings: Settings,
    clock: Callable[[], Instant],
    *,
    config: Path | None = None,
    ticking: bool = True,
    people: Callable[[], Instant] | None = None,
) -> AsyncIterator[Daemon]:
    """`ticking` false: whoever opened it ticks (the demo, whose time is the world's; `people` is then the clock of those who
    look at it).
    """
    check_audience(settings)
    async with contextlib.AsyncExitStack() as stack:
        listening = bind(settings.http.host, settings.http.port)
        stack.callback(listening.close)
        opened = await stack.enter_async_context(open_store(settings, exclusive=True))
        stack.enter_context(sole_owner(settings.data_dir))
        for problem in (await store_doctor.examine(opened)).problems:
            log.warning("store.problem", severity=problem.severity.value, why=problem.text)
        key_made = not is_kept(settings)
        key = tenant_key(settings)
        settings = keyed(settings, SecretStr(key.decode()))
        http = await stack.enter_async_context(outbound(settings))
        metrics = Metrics()
        letters = DeadLetters(opened.store, metrics=metrics)
        stream = EventStream(opened.store, settings.store.shards)
        intake = await stack.enter_async_context(Intake(stream, letters, settings.intake))
        tenant = TenantPrint(opened.store, key)
        ground = Ground(
            settings, clock, people or clock, opened, http, metrics, stream, letters, intake, tenant, key_made
        )
        daemon = await _assemble(ground)
        daemon.listening, daemon.config = listening, config
        daemon.beats(ticking=ticking)
        if ticking:
            await _begin_time(daemon, clock())
        yield daemon


async def _begin_time(daemon: Daemon, now: Instant) -> None:
    """Before the first event: what is found in a stream that knows no time would be of 1970. One that knows a time goes on
    without, where the store is full: nothing is found by time until it has room, but what is claimed leaves.
    """
    try:
        await daemon.keep_time(now)
    except StoreFullError as error:
        if not daemon.loop.pipeline.now:
            raise
        log.warning("tick.waits", why=str(error))


async def _assemble(on: Ground) -> Daemon:
    settings, opened, metrics = on.settings, on.opened, on.metrics
    metrics.info("build", {"version": __version__})
    story, decisions = Story(opened.store), Decisions(opened.store)
    sink = LiveSink(metrics, story)
    core = build_core(settings, opened.store, sink, tenant_key(settings))
    loop = Loop(on.stream, Reader(on.stream), core.decoder, core.pipeline, on.letters, metrics, core.names)
    on.intake.time = lambda: core.pipeline.now
    station = open_station(
        settings, opened.store, on.intake, on.letters, metrics, on.http, core.directory.phone_of
    )
    outbox = Outbox(opened.store, core.ledger)
    told = Told(settings.data_dir / "told")
    reminder = Reminder(opened.store, core.ledger, told)
    checkpoints, doubts = await _remembering(on, core, loop, station, outbox, reminder)
    core.incidents.expect(await decisions.since(core.pipeline.now))
    sending = _sending(on, core, outbox, told, lambda: daemon.settings)
    resubmit = _resubmitting(on, station)

    async def trust() -> None:
        await on.tenant.trust()
        Original(settings.data_dir).trust()
        await opened.trust()

    daemon = Daemon(
        settings=settings,
        clock=on.clock,
        uptime=time.monotonic,
        opened=opened,
        stream=on.stream,
        loop=loop,
        checkpoints=checkpoints,
        delivery=sending.delivery,
        templates=sending.templates,
        intake=on.intake,
        station=station,
        ledger=core.ledger,
        incidents=core.incidents,
        notifications=core.notifications,
        notices=core.notices,
        engine=core.engine,
        commands=Commands(
            loop,
            core.ledger,
            sending.reconciler,
            reminder,
            on.letters,
            decisions,
            resubmit,
            trust,
        ),
        reconciler=sending.reconciler,
        schedule=Schedule(on.clock, time.monotonic, metrics),
        metrics=metrics,
        gauges=_gauges(metrics, core, loop, checkpoints),
        sink=sink,
        story=story,
        token=http_token(settings),
        doubts=doubts,
    )
    identity = Identity(tenant_key(settings))
    daemon.heartbeat = Heartbeat(
        lambda: daemon.settings.notify, on.http, lambda: bool(daemon.health()["alive"])
    )
    daemon.reports = _reports(on, core, daemon)
    daemon.retention = Retention(opened.store, core.ledger, Audit(opened.store, core.ledger, identity))
    daemon.console = _pages(on, core, daemon, sending.charts, identity)
    return daemon


def _gauges(metrics: Metrics, core: Core, loop: Loop, checkpoints: Checkpoints) -> Gauges:
    return Gauges(
        metrics,
        core.engine,
        core.incidents,
        core.notifications,
        loop,
        checkpoints,
        core.ledger,
        time.monotonic,
    )


async def _remembering(
    on: Ground, core: Core, loop: Loop, station: Station, outbox: Outbox, reminder: Reminder
) -> tuple[Checkpoints, Callable[[], Awaitable[None]]]:
    """Restores the last checkpoint, and asks whether the store is still the one that it was written beside."""
    head, remembered = LedgerHead(), Remembered(on.opened.store)

    async def doubts() -> None:
        """At the start, when the store was away, and each few seconds: it may be an older copy by now. First of all,
        that it is still ours: a daemon that was replaced while it slept must neither hold the other's money nor trim
        its stream.
        """
        now = on.clock()
        on.opened.doubt = await outbox.check(now) or on.opened.doubt
        doubt = on.opened.doubt or await on.stream.damage(loop.taken)
        if doubt is None and await reminder.forgets(now):
            doubt = "the store does not know of the words that left last"
        head.saved = await _doubt(core.ledger, head.saved, doubt, now)

    checkpoints = Checkpoints(
        CheckpointFolder(on.settings.data_dir / "checkpoints"),
        loop,
        {**core.parts(), "ledger": head, "feeds": Plain(station.state, station.restore)},
        remembered,
        on.metrics,
        time.monotonic,
        doubts,
        round(on.settings.store.keep_stream_hours * HOUR_MS),
    )
    core.pipeline.facts.memory = remembered
    core.pipeline.recovering = True
    restored = checkpoints.restore()
    await remembered.recall(core.pipeline.now)
    decided = (await core.ledger.head()).seq > 0
    if restored is None:
        trimmed = await on.stream.trimmed()
        if trimmed or (trimmed is None and decided):
            core.since = on.clock()
            _suspect(on.opened, "checkpoint.lost", LOST)
    if (stranger := await on.tenant.doubt(made=on.key_made, decided=decided)) is not None:
        _suspect(on.opened, "tenant_key.differs", stranger)
    if (copied := Original(on.settings.data_dir).doubt()) is not None:
        _suspect(on.opened, "folder.copied", copied)
    await doubts()
    core.pipeline.ask = Patience(doubts)
    return checkpoints, doubts


def _sending(on: Ground, core: Core, outbox: Outbox, told: Told, current: Callable[[], Settings]) -> Sending:
    settings, store = on.settings, on.opened.store
    rooms, shops = channels(settings, on.http), coupon_shops(settings, on.http)
    templates = templates_of(settings, core.pipeline.pack)
    identity = Identity(tenant_key(settings))
    count = deliveries_to(on.metrics)
    charts = Charts(rooms, chart_address(current, links_of(settings)))

    def observe(sent: Sent) -> None:
        """An alert that was given up counts as not told, and is said again."""
        count(sent)
        if sent.entry.ops and sent.verdict.state == "failed" and not sent.entry.part:
            core.notifications.failed(sent.entry.proposal.cause, sent.now)

    delivery = Delivery(
        outbox,
        core.ledger,
        templates,
        rooms,
        shops,
        recheck=Recheck(core.directory, core.is_open),
        contacts=core.directory.contact,
        rules=delivery_rules(settings),
        observe=observe,
        decorate=charts.decorate,
        references=References(store),
        told=told,
        unsubscribe=opt_out_url(base, identity) if (base := settings.delivery.unsubscribe_url) else None,
        clock=on.clock,
    )
    said = looked_up(core.ledger, templates, core.directory)
    return Sending(delivery, templates, Reconciler(store, core.ledger, shops, rooms, said), charts)


def _resubmitting(on: Ground, station: Station) -> Callable[[Letter], Awaitable[bool]]:
    async def resubmit(letter: Letter) -> bool:
        """What is still unreadable must not be parked a second time."""
        if letter.format is not Format.EVENT:
            return await station.replay(letter)
        good, dead = decode_lines(letter.raw, on.settings.intake.max_event_bytes, None)
        if dead or not good.events:
            return False
        receipt = await on.intake.submit(letter.raw, on.clock(), park=False)
        return receipt.accepted > 0

    return resubmit


def _reports(on: Ground, core: Core, daemon: Daemon) -> Reports:
    return Reports(
        lambda: (daemon.settings.notify, daemon.settings.timezone, core.pipeline.pack.fingerprint),
        core.ledger,
        lambda now: uplift(core.ledger, on.opened.store, now),
        Answers(on.opened.store),
        core.incidents.history,
        core.incidents.firing,
        lambda: on.metrics.values("detector_calibration_error", "detector"),
        lambda: core.notices.desk,
        lambda: daemon.open_findings,
    )


def _pages(on: Ground, core: Core, daemon: Daemon, charts: Charts, identity: Identity) -> Sequence[BaseRoute]:
    """What people open in a browser, and chats fetch."""
    links = links_of(on.settings)
    source = DaemonSource(
        daemon,
        core.incidents,
        core.notifications,
        Answers(on.opened.store, on.metrics),
        lambda: daemon.settings,
        lambda: core.pipeline.pack,
        on.clock,
        on.people,
    )

    async def said(action_id: str) -> Mapping[str, Any] | None:
        claim = await core.ledger.get(action_id)
        return claim.proposal.variables if claim is not None else None

    return [
        ChartPage(links, on.clock, said, charts.draw).route(),
        *console_routes(source, gate_of(lambda: daemon.settings, daemon.token), links),
        *unsubscribe_routes(core.ledger, identity, on.clock),
    ]


def _suspect(opened: OpenStore, event: str, why: str) -> None:
    """Until a person trusts the store again. Said at each start, though it was on hold already."""
    log.error(event, why=why)
    opened.doubt = opened.doubt or why


async def _doubt(ledger: Ledger, head: Head | None, doubt: str | None, now: Instant) -> Head:
    """A store that is not the one we knew, or that knows less: nothing is spent until a person has reconciled."""
    known = await ledger.open(head, now)
    if doubt is not None and await ledger.hold(Person("forestall", doubt, "start"), now):
        log.error("store.doubtful", why=doubt)
    return known
