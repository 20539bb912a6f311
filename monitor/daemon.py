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

from config.settings import Settings
from detectors.findings import Instant
from monitor import __version__
from monitor.api import Actor, Json, create_app
from monitor.commands import Commands
from monitor.engine import Engine
from monitor.feeds.station import POLL_SECONDS, Station
from monitor.forwarded import Forwarded, origin
from monitor.gauges import Gauges
from monitor.heartbeat import SECONDS as HEARTBEAT_SECONDS
from monitor.heartbeat import Heartbeat
from monitor.http_intake import EventsEndpoint
from monitor.incidents import Incidents, View
from monitor.intake import FULL_SHARE, Intake
from monitor.leaps import BACK_MS, LEAP_MS, Leaps
from monitor.loop import Checkpoints, Loop
from monitor.metrics import Metrics
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
from monitor.story import Record, Story
from monitor.stream import EventStream, Frame
from monitor.subjects import CUSTOMER, INCIDENT, kind_and_id
from monitor.views import budget_text, claim_record, incident_record, parcel_record, story_lines
from notifier.delivery import Delivery
from notifier.ledger import Ledger, Person
from notifier.outbox import FencedError
from notifier.reconcile import Reconciler
from notifier.retention import Retention
from notifier.sending import CouponsUnavailableError
from notifier.store import StoreError
from notifier.templates import Templates

log = structlog.get_logger(__name__)

DRAIN_SECONDS: Final = 20.0
REPORT_SECONDS: Final = 60.0
DELIVERY_PAUSE: Final = 0.05
OBSERVE_SECONDS: Final = 5.0
ALIVE_SECONDS: Final = 30.0
RECONCILE_SECONDS: Final = 60.0
BOOKS_SECONDS: Final = 3_600.0  # between two looks whether it is time
RETENTION_SECONDS: Final = 3_600.0
EXPIRY_SECONDS: Final = 600.0


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
    templates: Templates  # that delivery and look-ups hold
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
    gauges: Gauges
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
    leaps: Leaps | None = None  # where the clock is the wall's
    listening: socket.socket | None = None
    config: Path | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    beat: float = 0.0
    refused: str | None = None  # why the store did not take what was written to it last

    @property
    def registry(self) -> CollectorRegistry:
        return self.metrics.registry

    @property
    def live_parcels(self) -> int:
        return self.engine.live_parcels

    @property
    def open_findings(self) -> Mapping[str, int]:
        """Episodes that are open, by kind."""
        return self.gauges.open_findings

    # its life

    def stop(self) -> None:
        self.stopping.set()

    async def run(self) -> None:
        await self.delivery.start()
        if self.listening is None:
            raise ValueError("a daemon needs a socket to listen on")
        async with serving(self._app(), self.listening, proxies=self._proxies) as http:
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
        await self.station.close()
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
            started = 0
            if self._in_time(self.clock()):  # by a clock that is a year ahead all that waits has expired
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

        def asked_from(request: Request) -> str:
            return origin(request, self._proxies())

        stations = self.station.routes(self.clock, self.token, self.audit, asked_from)
        app = create_app(
            self,
            self.token,
            [events.route(), openapi_route(), *stations, *self.console],
            asked_from,
            http.max_body_bytes,
        )
        return Forwarded(app, self._proxies)

    def _proxies(self) -> Collection[str]:
        return self.settings.console.proxies  # as of the last reload

    def beats(self, *, ticking: bool) -> None:
        """What is done regularly. Each job can do in its next run what it did not do in a missed one."""
        engine, every = self.settings.engine, self.schedule.every
        if ticking:
            self.leaps = Leaps()
            every(engine.tick_seconds, "tick", self.keep_time)
        every(engine.checkpoint_seconds, "checkpoint", self.checkpoints.write, jitter=0.1)
        every(OBSERVE_SECONDS, "observe", self.observe)
        every(POLL_SECONDS, "poll", self.station.poll, jitter=0.5)
        every(RECONCILE_SECONDS, "reconcile", self.reconciler.unknowns, jitter=0.2)
        every(BOOKS_SECONDS, "books", self.compare_books, jitter=0.2)
        every(EXPIRY_SECONDS, "expiry", self.expire, jitter=0.2)
        if self.retention is not None:
            every(RETENTION_SECONDS, "retention", self.retention.run, jitter=0.2)
        every(RETENTION_SECONDS, "dead_letters", self.forget_letters, jitter=0.2)
        if self.reports is not None:
            every(REPORT_SECONDS, "reports", self.reports.run)
        if self.heartbeat is not None:
            every(HEARTBEAT_SECONDS, "heartbeat", self.heartbeat.beat)

    async def expire(self, now: Instant) -> None:
        """What waited for a person until nobody would welcome it: ended, counted and told."""
        if not self._in_time(now):
            return
        if ended := await self.ledger.expire(now):
            log.warning("approvals.expired", actions=[one.proposal.action_id for one in ended])
            await self.sink.decisions(ended)

    async def forget_letters(self, now: Instant) -> None:
        if self._in_time(now):
            await self.commands.letters.expire(now)

    async def compare_books(self, now: Instant) -> None:
        if not self._in_time(now):
            return
        try:
            books = await self.reconciler.daily(now)
        except CouponsUnavailableError as error:
            log.warning("books.unavailable", why=str(error))
            return
        if books is not None and (books.missing or books.unpaid):
            log.error("books.differ", missing=list(books.missing), unpaid=list(books.unpaid))

    # time

    async def tick(self, now: Instant) -> None:
        await self.stream.tick(now)

    async def keep_time(self, now: Instant) -> None:
        """A tick, unless the clock has just leapt ahead: then time stands until it is back or has stood for a while. What
        the engine knows is kept before it is told of a leap, which may be a mistake also then, or at a start.
        """
        if not self._in_time(now):
            return
        time = self.loop.pipeline.now
        if time and now - time > LEAP_MS:
            self.checkpoints.folder.leap(time, now)
        await self.tick(now)

    def _in_time(self, now: Instant) -> bool:
        return self.leaps is None or self.leaps.believed(now, self.uptime())

    async def learn(self, lines: Sequence[bytes], now: Instant) -> None:
        """History: the engine learns from it, nothing is decided."""
        for decoded in self.loop.decoder.decode([Frame("batch", b"\n".join(lines))] if lines else []):
            await self.loop.pipeline.learn(decoded.batch)
        self.loop.pipeline.learn_tick(now)

    # what it answers

    def refresh_metrics(self) -> None:
        now = self.clock()
        self.gauges.refresh(now, shadow=self.settings.shadow, down=self.delivery.down(now))

    async def observe(self, now: Instant) -> None:
        """Each few seconds: what only the store knows, whether it is still the one that we know, and whether it takes what
        is written, in this order: a full store answers, and is to be seen. Raises `StoreError` where it does not take it.
        """
        store = self.opened.store
        try:
            lag = await self.stream.lag_ms(self.loop.taken)
            await self.gauges.ask_store(now, lag)
            if self.doubts is not None:
                await self.doubts()
            await store.put(store.key("written-at"), now)
        except StoreError as error:
            self.refused = str(error)
            self.metrics.gauge("ready").set(0)
            raise
        self.refused = None
        self.metrics.gauge("ready").set(
            self._unready(lag, full=await self.stream.crowded(FULL_SHARE)) is None
        )

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
            full = await self.stream.crowded(FULL_SHARE)
        except StoreError as error:
            return False, {"ready": False, "why": str(error)}
        why = self._unready(lag, full=full)
        return why is None, {"ready": why is None, "lag_seconds": lag / 1000, "why": why}

    def _unready(self, lag: float, *, full: bool) -> str | None:
        """Why nothing is taken, found or done at present. `lag` in milliseconds."""
        asking = self.loop.pipeline.ask
        if self.refused is not None:
            return self.refused
        if isinstance(asking, Patience) and asking.waiting:
            return f"waiting for the store: {asking.why}"
        if lag > self.settings.http.ready_lag_seconds * 1000:
            return "the engine is behind"
        if full:
            return "the store is nearly full: no event is taken"
        behind = self.loop.pipeline.now - self.clock()
        if behind >= BACK_MS:
            return f"this machine's clock is {behind / 1000:.0f} seconds behind the newest tick: time stands until then"
        return None

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
            "incidents": len(firing := self.incidents.firing()),
            "incidents_pending": len(self.incidents.views()) - len(firing),
            "outbox": await self.ledger.counts(),
            "outbox_withdrawn": await self.ledger.withdrawn(),
            "switches": sorted(await self.ledger.switches()),
            "budgets": {
                scope: budget_text(spent, left, currency) for scope, (spent, left) in budgets.items()
            },
            "budget": {
                scope: {
                    "spent": spent,
                    "left": int(left) if isfinite(left) else None,
                    "currency": currency,
                    "unit": "minor",  # fen and cents; `budgets` says it in whole ones
                }
                for scope, (spent, left) in budgets.items()
            },
            "store": self.opened.store.url,
            "doubt": self.opened.doubt,
        }

    def parcel(self, tracking_number: str) -> Json | None:
        view = self.engine.parcel(tracking_number)
        return parcel_record(view) if view is not None else None

    async def explain(self, subject: str) -> Json | None:
        """Of a parcel, an order with its parcels, a customer with what was decided about them, a finding, an action, or an
        incident with what was sent about it.
        """
        stories = await self.story.of(subject)
        kind, bare = kind_and_id(subject)
        incident = self.incidents.get(bare) if kind in {"", "incident"} else None
        if incident is not None:
            name = f"{INCIDENT}{bare}"
            stories = stories or await self.story.of(name) or [(name, [])]
        elif not stories:
            stories = await self._known(kind, bare)
        if not stories:
            return None
        parcels = {name: self.parcel(name.removeprefix("parcel:")) for name, _ in stories}
        records = [record for _, one in stories for record in one]
        actions = [str(record["action_id"]) for record in records if record["what"] == "action"]
        claims = {claim.action_id: claim for claim in await self.ledger.claims(actions)}
        lines = [line for name, told in stories for line in story_lines(name, parcels[name], told, claims)]
        if incident is not None:
            lines[1:1] = self._incident_lines(incident)
        known = [parcel for parcel in parcels.values() if parcel is not None]
        return {
            "subject": stories[0][0],
            "subjects": [name for name, _ in stories],
            "parcel": known[0] if len(known) == 1 else None,
            "records": records,
            "lines": lines,
        }

    async def _known(self, kind: str, bare: str) -> list[tuple[str, list[Record]]]:
        """What has no story under its own name: a live parcel, an order without a finding, a customer by their actions."""
        if kind in {"", "parcel"} and self.parcel(bare) is not None:
            return [(f"parcel:{bare}", [])]
        if kind in {"", "order"} and await self.loop.pipeline.directory.orders([bare], 0):
            return [(f"order:{bare}", [])]
        if kind not in {"", "customer"} or not (claims := await self.ledger.of_customer(bare)):
            return []
        subjects = dict.fromkeys(claim.proposal.subject for claim in claims)
        told = [story for subject in subjects for story in await self.story.of(subject)]
        return [(f"{CUSTOMER}{bare}", []), *told]

    def _incident_lines(self, view: View) -> list[str]:
        record = incident_record(view, self.loop.pipeline.now)
        held = self.notifications.why_not(view.incident_id)
        lines = [f"  {record['opened_at']}  {record['kind']} {record['state']}: {record['summary']}"]
        return [*lines, f"      nobody is told since {when(held[0])}: {held[1]}"] if held else lines

    def incidents_now(self, *, everything: bool) -> Sequence[Json]:
        views = [*self.incidents.views(), *(self.incidents.history() if everything else [])]
        return [incident_record(view, self.loop.pipeline.now) for view in views]

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
