"""All feeds of one daemon, put together: what `monitor/app.py` needs to know of them.

station = open_station(settings, store, intake, letters, metrics, http)     raises ConfigError
station.routes(clock, token)      for the HTTP server
station.poll                      for the schedule, every few seconds
station.replay                    for dead letters of feeds
station.state, station.restore    for the checkpoint
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.routing import BaseRoute

from config.loading import ConfigError
from config.regions import regions
from config.settings import Settings
from monitor.deadletter import DeadLetters
from monitor.feeds.classify import Classifier
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.pollers.base import PhoneOf, no_phone
from monitor.feeds.pollers.registry import build_pollers
from monitor.feeds.pollers.runner import Runner
from monitor.feeds.registry import FeedConfigError, build_all
from monitor.feeds.sources.base import Source
from monitor.feeds.sources.kafka import KafkaUnavailable
from monitor.feeds.sources.registry import build_sources
from monitor.feeds.watch import Watch
from monitor.forwarded import peer
from monitor.http_feeds import Audited, feed_routes
from monitor.intake import Intake, IntakeBusyError
from monitor.letters import Letter
from monitor.metrics import Metrics
from monitor.secret_files import kept_secret
from notifier.http import Http
from notifier.store import Store, StoreError

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 2.0
OF_COMPLAINTS: Final = frozenset({"zendesk", "gorgias", "generic"})


@dataclass(slots=True)
class Station:
    desk: Desk
    watch: Watch
    runner: Runner
    classifier: Classifier | None
    sources: list[Source]
    max_body_bytes: int

    def routes(
        self,
        clock: Callable[[], int],
        token: str,
        audit: Audited | None = None,
        origin: Callable[[Request], str] = peer,
    ) -> list[BaseRoute]:
        return feed_routes(
            self.desk,
            clock,
            self.max_body_bytes,
            token=token,
            classifier=self.classifier,
            audit=audit,
            origin=origin,
        )

    async def poll(self, now: int) -> None:
        await self.runner.run(now)
        for source in self.sources:
            try:
                await source.run(now)
            except (IntakeBusyError, StoreError, KafkaUnavailable, OSError) as error:
                log.warning("source.waits", source=source.name, error=str(error)[:200])

    async def replay(self, letter: Letter) -> bool:
        return await self.desk.replay(letter)

    def state(self) -> dict[str, Any]:
        return {
            "watch": self.watch.state(),
            "classifier": self.classifier.state() if self.classifier else None,
            "sources": {source.name: source.state() for source in self.sources},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.watch.restore(state["watch"])
        if self.classifier is not None and state["classifier"] is not None:
            self.classifier.restore(state["classifier"])
        for source in self.sources:
            if source.name in state.get("sources", {}):
                source.restore(state["sources"][source.name])

    async def close(self) -> None:
        for source in self.sources:
            source.close()
        try:
            await self.runner.close()
        except StoreError as error:
            log.warning("poller.locks_kept", why=str(error))


def check_feeds(settings: Settings) -> None:
    """Raises `ConfigError` with every problem of every feed, poller and source; opens nothing."""
    places = regions()
    problems: list[str] = []
    with _gathering(problems):
        feeds = build_all(settings.feeds, places)
        build_pollers(settings.pollers, feeds, places, None)
    with _gathering(problems):
        build_sources(settings.sources, places, None)
    if problems:
        raise ConfigError(problems)


@contextmanager
def _gathering(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except FeedConfigError as error:
        problems += error.problems


def open_station(
    settings: Settings,
    store: Store,
    intake: Intake,
    letters: DeadLetters,
    metrics: Metrics,
    http: Http,
    phone_of: PhoneOf = no_phone,
) -> Station:
    """`phone_of` is asked only where a poller's section allows it. Raises `ConfigError` with every problem of every feed,
    poller and source.
    """
    places = regions()
    check_feeds(settings)
    feeds = build_all(settings.feeds, places)
    pollers = build_pollers(settings.pollers, feeds, places, http, phone_of)
    watch = Watch()
    desk = Desk(feeds, intake, letters, StoreMemory(store), metrics, watch=watch)
    sources = build_sources(settings.sources, places, desk)
    of_complaints = [feed.kind in OF_COMPLAINTS for feed in feeds.values()]
    of_complaints += [source.of_complaints for source in sources]
    # Half a second of learning, for those who need it.
    desk.classifier = classifier = Classifier() if any(of_complaints) or pollers.lists else None
    # A data folder has one daemon, whatever the machine or the container around it is called.
    holder = kept_secret(settings.data_dir / "poller-id") if settings.pollers else ""
    runner = Runner(store, desk, watch, pollers.parcels, pollers.lists, holder=holder)
    return Station(desk, watch, runner, classifier, sources, settings.http.max_body_bytes)
