"""The composition root: the only place that builds concrete objects, and the only one that reads the clock.

`build_core` makes what the daemon and `replay` have in common; `open_daemon` adds what lives only in the daemon: the
store's supervisor, intake, delivery, schedule and HTTP. Everything is undone in the opposite order of its making.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from config.loading import ConfigError, load
from config.settings import Settings
from detectors.findings import Instant, Kind
from monitor import __version__
from monitor.answers import Answers
from monitor.assembly import (
    acknowledging,
    approvers_of,
    channels,
    coupon_shops,
    delivery_rules,
    desk_of,
    gate_of,
    http_token,
    ledger_rules,
    links_of,
    messages_a_minute,
    pack_of,
    region_tables,
    templates_of,
    tenant_key,
)
from monitor.audience import check_audience, unheard
from monitor.averted import uplift
from monitor.charts import ChartPage, chart_address
from monitor.checkpoint import CheckpointFolder
from monitor.commands import Commands
from monitor.console import DaemonSource, console_routes
from monitor.daemon import Daemon
from monitor.deadletter import DeadLetters, Letter
from monitor.decisions import Decisions
from monitor.decode import Decoder, decode_lines
from monitor.directory import Directory
from monitor.embedded import EmbeddedStore
from monitor.engine import Engine
from monitor.engine.warming import warm_kernels
from monitor.facts import Facts
from monitor.feeds.station import open_station
from monitor.heartbeat import Heartbeat
from monitor.incidents import Incidents
from monitor.intake import Intake
from monitor.loop import Checkpoints, LargePart, Loop, Part
from monitor.metrics import Metrics
from monitor.names import Names
from monitor.notices import Notices
from monitor.notifications import Notifications
from monitor.ownership import sole_owner
from monitor.parts import LedgerHead, Plain
from monitor.patience import Patience
from monitor.pipeline import Pipeline, Sink
from monitor.recheck import Recheck, looked_up
from monitor.remembered import Remembered
from monitor.reports import Reports
from monitor.schedule import Schedule
from monitor.server import bind
from monitor.sinks import LiveSink, deliveries_to
from monitor.storage import OpenStore, open_store
from monitor.story import Story
from monitor.stream import EventStream, Reader
from monitor.unsubscribe import opt_out_url, unsubscribe_routes
from notifier.actions import Proposal
from notifier.audit import Audit
from notifier.charts import Charts
from notifier.delivery import Delivery, Sent
from notifier.http import Http
from notifier.identity import Identity
from notifier.ledger import Head, Ledger, Person
from notifier.outbox import Outbox
from notifier.posts import References
from notifier.reconcile import Reconciler
from notifier.retention import Retention
from notifier.store import Store

__all__ = ["Core", "Daemon", "build_core", "open_daemon", "run_daemon", "scratch_store"]

HOUR_MS = 3_600_000
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Core:
    """What decides: the same in the daemon and in `replay`."""

    names: Names
    decoder: Decoder
    directory: Directory
    engine: Engine
    incidents: Incidents
    notifications: Notifications
    ledger: Ledger
    pipeline: Pipeline
    notices: Notices

    def is_open(self, proposal: Proposal) -> bool | None:
        """Whether the episode behind a proposal still is; None where its subject is no parcel."""
        if proposal.tracking_number is None:
            return None
        if (
            proposal.evidence.get("kind") == Kind.SIGNATURE_SUSPECT
        ):  # kept beside the parcels, which are delivered
            return self.incidents.incident_of(proposal.finding_id) is not None
        view = self.engine.parcel(proposal.tracking_number)
        return view is not None and any(one.finding_id == proposal.finding_id for one in view.findings)

    def parts(self) -> Mapping[str, Part | LargePart]:
        """What a checkpoint holds, in the order in which it is loaded."""
        return {
            "engine": EnginePart(self.engine),
            "incidents": Plain(self.incidents.state, self.incidents.restore),
            "notifications": Plain(self.notifications.state, self.notifications.restore),
        }


def build_core(settings: Settings, store: Store, sink: Sink, key: bytes) -> Core:
    pack = pack_of(settings)
    names = Names()
    engine = Engine(
        settings.engine, settings.detection, names, timezone=settings.timezone, tables=region_tables()
    )
    identity = Identity(key)
    directory = Directory(store, identity.contact_hashes)
    incidents = Incidents(settings.incidents)
    notifications = Notifications(
        settings.notify, settings.incidents.escalation, messages_a_minute(settings), acknowledging(settings)
    )
    ledger = Ledger(store, identity, ledger_rules(settings, pack.currency))
    desk = desk_of(settings, pack.fingerprint)
    notices = Notices(
        incidents,
        notifications,
        desk,
        approvers_of(settings),
        settings.notify.locale,
        lambda: ledger.rules.two_above,
    )
    pipeline = Pipeline(directory, Facts(directory), engine, incidents, notices, pack, ledger, sink)
    decoder = Decoder(names, max_event_bytes=settings.intake.max_event_bytes)
    return Core(names, decoder, directory, engine, incidents, notifications, ledger, pipeline, notices)


@asynccontextmanager
async def scratch_store(folder: Path) -> AsyncIterator[Store]:
    """A real store that nobody needs afterwards: nothing is written to the disk."""
    embedded = EmbeddedStore(folder, allow_unsafe_folder=True)
    await embedded.start()
    try:
        async with Store(embedded.url) as store:
            await store.call("CONFIG", "SET", "appendonly", "no")
            yield store
    finally:
        await embedded.stop()


@dataclass(frozen=True, slots=True)
class EnginePart:
    engine: Engine

    def copying(self) -> Generator[None, None, Callable[[], bytes]]:
        return self.engine.copying()

    def load(self, data: bytes) -> None:
        self.engine.load(data)


@asynccontextmanager
async def open_daemon(
    settings: Settings, clock: Callable[[], Instant], *, config: Path | None = None, ticking: bool = True
) -> AsyncIterator[Daemon]:
    """`ticking` false: whoever opened it ticks (the demo, whose time is the world's)."""
    check_audience(settings)
    async with contextlib.AsyncExitStack() as stack:
        listening = bind(settings.http.host, settings.http.port)
        stack.callback(listening.close)
        opened = await stack.enter_async_context(open_store(settings, exclusive=True))
        stack.enter_context(sole_owner(settings.data_dir))
        http = await stack.enter_async_context(Http())
        metrics = Metrics()
        letters = DeadLetters(opened.store, metrics=metrics)
        stream = EventStream(opened.store, settings.store.shards)
        intake = await stack.enter_async_context(Intake(stream, letters, settings.intake))
        daemon = await _assemble(settings, clock, opened, http, metrics, stream, letters, intake)
        daemon.listening, daemon.config = listening, config
        daemon.beats(ticking=ticking)
        if ticking:  # before the first event: what is found in a stream that knows no time would be of 1970
            await daemon.tick(clock())
        yield daemon


async def _assemble(
    settings: Settings,
    clock: Callable[[], Instant],
    opened: OpenStore,
    http: Http,
    metrics: Metrics,
    stream: EventStream,
    letters: DeadLetters,
    intake: Intake,
) -> Daemon:
    metrics.info("build", {"version": __version__})
    story = Story(opened.store)
    decisions = Decisions(opened.store)
    sink = LiveSink(metrics, story)
    core = build_core(settings, opened.store, sink, tenant_key(settings))
    loop = Loop(stream, Reader(stream), core.decoder, core.pipeline, letters, metrics, core.names)
    head = LedgerHead()
    folder = CheckpointFolder(settings.data_dir / "checkpoints")
    station = open_station(settings, opened.store, intake, letters, metrics, http)
    parts = {**core.parts(), "ledger": head, "feeds": Plain(station.state, station.restore)}
    keep_ms = round(settings.store.keep_stream_hours * HOUR_MS)
    outbox = Outbox(opened.store, core.ledger)

    async def doubts() -> None:
        """At the start, when the store was away, and each few seconds: it may be an older copy by now. First of all,
        that it is still ours: a daemon that was replaced while it slept must neither hold the other's money nor trim
        its stream.
        """
        await outbox.check()
        head.saved = await _doubt(core.ledger, head.saved, opened, stream, loop, clock())

    remembered = Remembered(opened.store)
    core.pipeline.facts.memory = remembered
    checkpoints = Checkpoints(folder, loop, parts, remembered, metrics, time.monotonic, doubts, keep_ms)
    checkpoints.restore()
    await remembered.recall(core.pipeline.now)
    await doubts()
    core.pipeline.ask = Patience(doubts)
    core.incidents.expect(await decisions.since(core.pipeline.now))
    identity = Identity(tenant_key(settings))
    rooms, shops = channels(settings, http), coupon_shops(settings, http)
    templates = templates_of(settings, core.pipeline.pack)
    reconciler = Reconciler(
        opened.store, core.ledger, shops, rooms, looked_up(core.ledger, templates, core.directory)
    )
    count = deliveries_to(metrics)
    links = links_of(settings)
    charts = Charts(rooms, chart_address(lambda: daemon.settings, links))

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
        references=References(opened.store),
        unsubscribe=opt_out_url(base, identity) if (base := settings.delivery.unsubscribe_url) else None,
    )

    async def resubmit(letter: Letter) -> bool:
        """What is still unreadable must not be parked a second time."""
        if letter.feed:
            return await station.replay(letter)
        good, dead = decode_lines(letter.raw, settings.intake.max_event_bytes, None)
        if dead or not good.events:
            return False
        receipt = await intake.submit(letter.raw, clock())
        return receipt.accepted > 0

    daemon = Daemon(
        settings=settings,
        clock=clock,
        uptime=time.monotonic,
        opened=opened,
        stream=stream,
        loop=loop,
        checkpoints=checkpoints,
        delivery=delivery,
        intake=intake,
        station=station,
        ledger=core.ledger,
        incidents=core.incidents,
        notifications=core.notifications,
        notices=core.notices,
        engine=core.engine,
        commands=Commands(loop, core.ledger, reconciler, letters, opened, decisions, resubmit),
        reconciler=reconciler,
        schedule=Schedule(clock, time.monotonic, metrics),
        metrics=metrics,
        sink=sink,
        story=story,
        token=http_token(settings),
        doubts=doubts,
    )
    source = DaemonSource(
        daemon,
        core.incidents,
        core.notifications,
        Answers(opened.store, metrics),
        lambda: daemon.settings,
        lambda: core.pipeline.pack,
        clock,
    )
    daemon.heartbeat = Heartbeat(lambda: daemon.settings.notify, http, lambda: bool(daemon.health()["alive"]))
    daemon.reports = Reports(
        lambda: (daemon.settings.notify, daemon.settings.timezone, core.pipeline.pack.fingerprint),
        core.ledger,
        lambda now: uplift(core.ledger, opened.store, now),
        Answers(opened.store),
        core.incidents.history,
        core.incidents.firing,
        lambda: metrics.values("detector_calibration_error", "detector"),
        lambda: core.notices.desk,
        lambda: daemon.open_findings,
    )
    daemon.retention = Retention(opened.store, core.ledger, Audit(opened.store, core.ledger, identity))

    async def said(action_id: str) -> Mapping[str, Any] | None:
        claim = await core.ledger.get(action_id)
        return claim.proposal.variables if claim is not None else None

    daemon.console = [
        ChartPage(links, clock, said, charts.draw).route(),
        *console_routes(source, gate_of(lambda: daemon.settings, daemon.token), links),
        *unsubscribe_routes(core.ledger, identity, clock),
    ]
    return daemon


async def _doubt(
    ledger: Ledger, head: Head | None, opened: OpenStore, stream: EventStream, loop: Loop, now: Instant
) -> Head:
    """A store that is not the one we knew, or that knows less: nothing is spent until a person has reconciled."""
    doubt = opened.doubt or await stream.damage(loop.taken)
    known = await ledger.open(head, now)
    if doubt is not None and await ledger.hold(Person("forestall", doubt, "start"), now):
        log.error("store.doubtful", why=doubt)
    return known


async def run_daemon(settings: Settings, config: Path | None, clock: Callable[[], Instant]) -> None:
    """Until SIGTERM or SIGINT; SIGHUP reloads the config or says why not."""
    log.info("kernels.compiling", note="the first start takes half a minute, later ones a second")
    log.info("kernels.ready", seconds=round(warm_kernels(time.monotonic), 1))
    async with open_daemon(settings, clock, config=config) as daemon:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, daemon.stop)
        loop.add_signal_handler(signal.SIGHUP, reload, daemon)
        log.info(
            "daemon.started", url=f"http://{settings.http.host}:{settings.http.port}/", shadow=settings.shadow
        )
        for gap in unheard(settings):
            log.warning("alerts.unheard", why=gap)
        await daemon.run()


def reload(daemon: Daemon) -> None:
    try:
        settings = load(daemon.config).settings
        check_audience(settings)
        pack = pack_of(settings)
        templates_of(settings, pack)
        daemon.reload(settings, pack, ledger_rules(settings, pack.currency))
    except ConfigError as error:
        daemon.metrics.gauge("config_reload_success").set(0)
        log.error("config.not_reloaded", problems=error.problems)  # noqa: TRY400 - the lines say it all
