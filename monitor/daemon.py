"""The running daemon: its tasks, what it answers, what people tell it to do."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from config.policies import PolicyPack
from config.settings import Settings
from detectors.findings import Instant
from monitor import __version__
from monitor.api import Actor, Json, create_app
from monitor.assembly import approvers_of, desk_of
from monitor.commands import Commands
from monitor.engine import Engine
from monitor.feeds.station import POLL_SECONDS, Station
from monitor.forwarded import Forwarded, origin
from monitor.heartbeat import SECONDS as HEARTBEAT_SECONDS
from monitor.heartbeat import Heartbeat
from monitor.http_intake import EventsEndpoint
from monitor.incidents import Incidents
from monitor.intake import Intake
from monitor.loop import Checkpoints, Loop
from monitor.metrics import Metrics
from monitor.minor import to_major
from monitor.notices import Notices
from monitor.notifications import Notifications
from monitor.openapi import openapi_route
from monitor.patience import Patience
from monitor.records import when
from monitor.reports import Reports
from monitor.schedule import Schedule
from monitor.server import serving
from monitor.sinks import LiveSink
from monitor.storage import OpenStore
from monitor.story import Story
from monitor.stream import EventStream, Frame
from monitor.views import budget_text, claim_record, incident_record, parcel_record, story_lines
from notifier.delivery import Delivery
from notifier.ledger import Ledger, Person, Rules
from notifier.outbox import FencedError
from notifier.reconcile import Reconciler
from notifier.retention import Retention
from notifier.sending import CouponsUnavailableError
from notifier.store import StoreError

log = structlog.get_logger(__name__)

DRAIN_SECONDS: Final = 20.0
REPORT_SECONDS: Final = 60.0
DELIVERY_PAUSE: Final = 0.05
OBSERVE_SECONDS: Final = 5.0
ALIVE_SECONDS: Final = 30.0
RECONCILE_SECONDS: Final = 60.0
BOOKS_SECONDS: Final = 86_400.0
RETENTION_SECONDS: Final = 3_600.0
PLACES: Final = frozenset(
    {"facility_congested", "feed_silent", "complaint_spike", "carrier_degraded", "backlog_forecast"}
)
RELOADED: Final = frozenset({"shadow", "money", "policy", "incidents", "notify", "console"})


@dataclass(slots=True)
class Daemon:
    """Built by `monitor.app.open_daemon`; `run` until `stop`, then everything in hand is finished and written."""

    settings: Settings
    clock: Callable[[], Instant]
    uptime: Callable[[], float]
    opened: OpenStore
    stream: EventStream
    loop: Loop
    checkpoints: Checkpoints
    delivery: Delivery
    intake: Intake
    station: Station
    ledger: Ledger
    incidents: Incidents
    notifications: Notifications
    notices: Notices
    engine: Engine
    commands: Commands
    reconciler: Reconciler
    schedule: Schedule
    metrics: Metrics
    sink: LiveSink
    story: Story
    token: str
    console: Sequence[BaseRoute] = ()
    reports: Reports | None = None
    heartbeat: Heartbeat | None = None
    doubts: Callable[[], Awaitable[None]] | None = (
        None  # holds the ledger where the store knows less than we do
    )
    retention: Retention | None = None
    listening: socket.socket | None = None
    config: Path | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    beat: float = 0.0
    totals: dict[str, dict[str, int]] = field(default_factory=dict)  # as metrics have them
    unread: int = 0  # likewise

    @property
    def registry(self) -> CollectorRegistry:
        return self.metrics.registry

    @property
    def live_parcels(self) -> int:
        return self.engine.live_parcels

    @property
    def open_findings(self) -> Mapping[str, int]:
        """Episodes that are open, by kind: those of parcels, and places as far as they are incidents."""
        counts = {str(kind): count for kind, count in self.engine.episodes.counts().items()}
        for (family, _phase), count in self.incidents.counts().items():
            if family in PLACES:
                counts[family] = counts.get(family, 0) + count
        return counts

    # its life

    def stop(self) -> None:
        self.stopping.set()

    async def run(self) -> None:
        await self.delivery.start()
        if self.listening is None:
            raise ValueError("a daemon needs a socket to listen on")
        async with serving(self._app(), self.listening) as http:
            self.schedule.start()
            tasks = [
                http,
                asyncio.create_task(self.loop.run(), name="engine"),
                asyncio.create_task(self._deliver(), name="delivery"),
                asyncio.create_task(self.opened.watch(), name="store"),
                asyncio.create_task(self.stopping.wait(), name="stop"),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.schedule.stop()
            log.info("daemon.stopping", because=sorted(task.get_name() for task in done))
        await self._end(tasks[1:])
        for task in done:
            task.result()  # a dead part ends the daemon, with its own error

    async def _end(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loop.finish(DRAIN_SECONDS)
        left = await self.delivery.drain(DRAIN_SECONDS)
        if left:
            log.warning("delivery.undrained", entries=left)
        self.station.close()
        try:
            await self.checkpoints.write(self.clock())
        except (
            StoreError,
            FencedError,
        ) as error:  # the next start takes more of the stream again, that is all
            log.warning("checkpoint.skipped", why=str(error))

    async def _deliver(self) -> None:
        """Not before the engine knows what it knew when it was stopped: what is sent is held against its state, and
        an episode that a restart has yet to find again would look like one that is over.
        """
        await self.loop.caught_up.wait()
        for claim in await self.loop.pipeline.ask(self.ledger.untold):  # given up since the checkpoint
            self.notifications.failed(claim.proposal.cause, self.clock())
        while True:
            # What was under way when the store went away is due again when its lease ends.
            started = await self.loop.pipeline.ask(lambda: self.delivery.run_once(self.clock()))
            self.beat = self.uptime()
            if not started:
                await asyncio.sleep(DELIVERY_PAUSE)

    def _app(self) -> ASGIApp:
        http = self.settings.http
        events = EventsEndpoint(
            self.intake,
            token=self.token,
            clock=self.clock,
            max_body_bytes=http.max_body_bytes,
            metrics=self.metrics,
        )

        def proxies() -> Collection[str]:
            return self.settings.console.proxies  # as of the last reload

        def asked_from(request: Request) -> str:
            return origin(request, proxies())

        stations = self.station.routes(self.clock, self.token, self.audit, asked_from)
        app = create_app(
            self,
            self.token,
            [events.route(), openapi_route(), *stations, *self.console],
            asked_from,
            http.max_body_bytes,
        )
        return Forwarded(app, proxies)

    def beats(self, *, ticking: bool) -> None:
        """What is done regularly. Each job can do in its next run what it did not do in a missed one."""
        engine, every = self.settings.engine, self.schedule.every
        if ticking:
            every(engine.tick_seconds, "tick", self.tick)
        every(engine.checkpoint_seconds, "checkpoint", self.checkpoints.write, jitter=0.1)
        every(OBSERVE_SECONDS, "observe", self.observe)
        every(POLL_SECONDS, "poll", self.station.poll, jitter=0.5)
        every(RECONCILE_SECONDS, "reconcile", self.reconciler.unknowns, jitter=0.2)
        every(BOOKS_SECONDS, "books", self._compare_books, jitter=0.2)
        if self.retention is not None:
            every(RETENTION_SECONDS, "retention", self.retention.run, jitter=0.2)
        if self.reports is not None:
            every(REPORT_SECONDS, "reports", self.reports.run)
        if self.heartbeat is not None:
            every(HEARTBEAT_SECONDS, "heartbeat", self.heartbeat.beat)

    async def _compare_books(self, now: Instant) -> None:
        try:
            books = await self.reconciler.shop(now)
        except CouponsUnavailableError as error:
            log.warning("books.unavailable", why=str(error))
            return
        if books.missing or books.unpaid:
            log.error("books.differ", missing=list(books.missing), unpaid=list(books.unpaid))

    def reload(self, settings: Settings, pack: PolicyPack, rules: Rules) -> None:
        """Policy, limits, incident rules, routes, links, heartbeat and who may come in at once; the rest needs a
        restart, and is said to.
        """
        self.loop.pipeline.pack = pack
        self.ledger.reload(rules)
        self.incidents.reload(settings.incidents)
        self.notifications.reload(settings.notify, settings.incidents.escalation)
        http = self.settings.http.model_copy(update={"public_url": settings.http.public_url})
        self.settings = self.settings.model_copy(update={"http": http})
        kept = [
            name
            for name in type(settings).model_fields
            if name not in RELOADED and getattr(settings, name) != getattr(self.settings, name)
        ]
        self.settings = self.settings.model_copy(update={name: getattr(settings, name) for name in RELOADED})
        self.notices.reload(
            desk_of(self.settings, pack.fingerprint), approvers_of(self.settings), self.settings.notify.locale
        )
        self.metrics.gauge("config_reload_success").set(1)
        self.metrics.gauge("config_reload_timestamp_seconds").set(self.clock() / 1000)
        log.info("config.reloaded", needs_restart=kept)

    # time

    async def tick(self, now: Instant) -> None:
        await self.stream.tick(now)

    async def learn(self, lines: Sequence[bytes], now: Instant) -> None:
        """History: the engine learns from it, nothing is decided."""
        for decoded in self.loop.decoder.decode([Frame("batch", b"\n".join(lines))] if lines else []):
            await self.loop.pipeline.learn(decoded.batch)
        self.loop.pipeline.learn_tick(now)

    # what it answers

    def refresh_metrics(self) -> None:
        gauge = self.metrics.gauge
        now = self.clock()
        gauge("live_parcels").set(self.live_parcels)
        gauge("stream_lag_seconds").set(
            max(0.0, (now - self.loop.pipeline.now) / 1000) if self.loop.pipeline.now else 0
        )
        if self.checkpoints.written is not None:
            gauge("checkpoint_age_seconds").set(self.uptime() - self.checkpoints.written)
        gauge("table_load").set(self.engine.table_load)
        gauge("open_findings").clear()
        for kind, count in self.open_findings.items():
            gauge("open_findings").labels(kind=kind).set(count)
        for feed, known in self.engine.feeds().items():
            gauge("feed_age_seconds").labels(feed=feed).set(
                max(0.0, (self.loop.pipeline.now - known["newest_received"]) / 1000)
            )
        states: dict[str, int] = {"pending": 0, "firing": 0}
        for (_, phase), count in self.incidents.counts().items():
            states[phase] = states.get(phase, 0) + count
        for state, count in states.items():
            gauge("open_incidents").labels(state=state).set(count)
        gauge("shadow").set(self.settings.shadow)
        held = {reason.value: count for reason, count in self.notifications.held_counts.items()}
        self._run_on("notifications_held", "reason", held)
        for detector, error in self.engine.calibration().items():
            gauge("detector_calibration_error").labels(detector=detector).set(error)
        self._run_on("event_outcomes", "outcome", self.engine.outcomes())
        self.metrics.counter("unread_rows").inc(self.engine.place.dropped_rows - self.unread)
        self.unread = self.engine.place.dropped_rows

    def _run_on(self, name: str, label: str, totals: Mapping[str, int]) -> None:
        """A counter by what was added to totals that others keep."""
        counter, before = self.metrics.counter(name), self.totals.get(name, {})
        for value, total in totals.items():  # also 0: what begins at its first number has not grown
            counter.labels(**{label: value}).inc(total - before.get(value, 0))
        self.totals[name] = dict(totals)

    async def observe(self, now: Instant) -> None:
        """Each few seconds: what only the store knows, and whether it is still the one that we know."""
        if self.doubts is not None:
            await self.doubts()
        gauge = self.metrics.gauge
        lag = await self.stream.lag_ms(self.loop.taken)
        gauge("stream_lag_entries").set(await self.stream.length())
        for state, count in (await self.ledger.counts()).items():
            gauge("outbox_entries").labels(state=state).set(count)
        oldest = await self.ledger.oldest_due()
        gauge("outbox_oldest_seconds").set(max(0.0, (now - oldest) / 1000) if oldest is not None else 0)
        switches = await self.ledger.switches()
        gauge("ledger_hold").set("hold" in switches)
        currency = self.loop.pipeline.pack.currency
        for scope, (_spent, left) in (await self.ledger.budgets(currency, now)).items():
            gauge("budget_left_minor_units").labels(scope=scope, currency=currency).set(left)
            gauge("budget_left").labels(scope=scope, currency=currency).set(to_major(left, currency))
        gauge("ready").set(lag <= self.settings.http.ready_lag_seconds * 1000)

    def health(self) -> Json:
        asking = self.loop.pipeline.ask
        waits = (
            isinstance(asking, Patience) and asking.waiting > 0
        )  # for the store: not ready, and well alive
        alive = waits or not self.beat or self.uptime() - self.beat < ALIVE_SECONDS
        return {"alive": alive and not self.stopping.is_set(), "version": __version__}

    async def readiness(self) -> tuple[bool, Json]:
        try:
            lag = await self.stream.lag_ms(self.loop.taken)
        except StoreError as error:
            return False, {"ready": False, "why": str(error)}
        late = lag > self.settings.http.ready_lag_seconds * 1000
        return not late, {
            "ready": not late,
            "lag_seconds": lag / 1000,
            "why": "the engine is behind" if late else None,
        }

    async def status(self) -> Json:
        now, currency = self.clock(), self.loop.pipeline.pack.currency
        budgets = await self.ledger.budgets(currency, now)
        return {
            "version": __version__,
            "mode": "shadow: nothing leaves" if self.settings.shadow else "live",
            "engine_time": when(self.loop.pipeline.now) if self.loop.pipeline.now else None,
            "lag_seconds": await self.stream.lag_ms(self.loop.taken) / 1000,
            "live_parcels": self.live_parcels,
            "open_findings": dict(sorted(self.open_findings.items())),
            "incidents": len(self.incidents.firing()),
            "outbox": await self.ledger.counts(),
            "switches": sorted(await self.ledger.switches()),
            "budgets": {
                scope: budget_text(spent, left, currency) for scope, (spent, left) in budgets.items()
            },
            "budget": {
                scope: {"spent": spent, "left": int(left) if isfinite(left) else None, "currency": currency}
                for scope, (spent, left) in budgets.items()
            },
            "store": self.opened.store.url,
            "doubt": self.opened.doubt,
        }

    def parcel(self, tracking_number: str) -> Json | None:
        view = self.engine.parcel(tracking_number)
        return parcel_record(view) if view is not None else None

    async def explain(self, subject: str) -> Json | None:
        story = await self.story.of(subject)
        number = subject.partition(":")[2] or subject
        parcel = self.parcel(number)
        if story is None and parcel is None:
            return None
        name, records = story or (f"parcel:{number}", [])
        actions = [str(one["action_id"]) for one in records if one["what"] == "action"]
        claims = {claim.action_id: claim for claim in await self.ledger.claims(actions)}
        return {
            "subject": name,
            "parcel": parcel,
            "records": records,
            "lines": story_lines(name, parcel, records, claims),
        }

    def incidents_now(self, *, everything: bool) -> Sequence[Json]:
        views = [*self.incidents.views(), *(self.incidents.history() if everything else [])]
        return [incident_record(view) for view in views]

    async def outbox(self, state: str | None) -> Sequence[Json]:
        if state == "held":
            return [claim_record(claim) for claim in await self.ledger.held()]
        return [
            claim_record(claim)
            async for claim in self.ledger.all()
            if claim.state == state or (state is None and claim.state not in {"done", "none"})
        ]

    async def dead_letters(self, count: int) -> Sequence[Json]:
        return await self.commands.dead_letters(count)

    async def audit(self, event: str, about: str, why: str, actor: Actor) -> None:
        await self.ledger.note(event, about, Person(actor.name, why, actor.source), self.clock())

    async def command(self, name: str, arguments: Json, actor: Actor) -> Json:
        return await self.commands.run(name, arguments, actor, self.clock())
