"""The HTTP interface as its own description says it, and nothing that anybody sends brings a 5xx."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import schemathesis
from hypothesis import settings
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Route

from config.settings import IntakeSettings
from monitor.api import Actor, Json, Refused, create_app
from monitor.deadletter import DeadLetters
from monitor.embedded import EmbeddedStore
from monitor.feeds.classify import Classifier
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.registry import FEEDS
from monitor.http_feeds import feed_routes
from monitor.http_intake import EventsEndpoint
from monitor.intake import Intake
from monitor.metrics import Metrics
from monitor.openapi import DOCUMENT, openapi_route
from monitor.server import bind, serving
from monitor.stream import EventStream
from notifier.store import Store
from tests.feeds.cases import NOW, feed

TOKEN = "t0ken"
SCHEMA = schemathesis.openapi.from_dict(dict(DOCUMENT))


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in (value if isinstance(value, list) else [value]))


class Shop:
    """A daemon that knows nothing, behind the daemon's own HTTP."""

    def __init__(self, metrics: Metrics, letters: DeadLetters) -> None:
        self.registry: CollectorRegistry = metrics.registry
        self._letters = letters

    def refresh_metrics(self) -> None:
        return

    def health(self) -> Json:
        return {"alive": True}

    async def readiness(self) -> tuple[bool, Json]:
        return True, {"ready": True}

    async def status(self) -> Json:
        return {"mode": "shadow"}

    def parcel(self, tracking_number: str) -> Json | None:
        return None

    async def explain(self, subject: str) -> Json | None:
        return None

    def incidents_now(self, *, everything: bool) -> Sequence[Json]:
        return []

    async def outbox(self, state: str | None) -> Sequence[Json]:
        return []

    async def dead_letters(self, count: int) -> Sequence[Json]:
        return [{"reason": str(letter.reason)} for letter in await self._letters.list(count=count)]

    async def command(self, name: str, arguments: Json, actor: Actor) -> Json:
        raise Refused(f"{name}: nothing to do")


@asynccontextmanager
async def application(store: Store) -> AsyncIterator[Starlette]:
    metrics = Metrics(process=False)
    letters = DeadLetters(store, metrics=metrics)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        desk = Desk({kind: feed(kind) for kind in FEEDS}, intake, letters, StoreMemory(store), metrics)
        events = EventsEndpoint(
            intake, token=TOKEN, clock=lambda: NOW, max_body_bytes=100_000, metrics=metrics
        )
        more = [
            events.route(),
            openapi_route(),
            *feed_routes(desk, lambda: NOW, 100_000, token=TOKEN, classifier=Classifier()),
        ]
        yield create_app(Shop(metrics, letters), TOKEN, more)


@pytest.fixture(scope="module")
def url(valkey: EmbeddedStore) -> Iterator[str]:
    """The server has a thread and a loop of its own: its client blocks."""
    listening = bind("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    up, loop = threading.Event(), asyncio.new_event_loop()
    end = asyncio.Event()

    async def run() -> None:
        async with Store(valkey.url) as store, application(store) as app, serving(app, listening):
            up.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert up.wait(60)
    yield address
    loop.call_soon_threadsafe(end.set)
    thread.join(60)
    loop.close()


@pytest.mark.anyio
async def test_the_description_and_the_routes_say_the_same(store: Store) -> None:
    async with application(store) as app:
        routes = {
            (re.sub(r":path\}", "}", route.path), method.lower())
            for route in app.routes
            if isinstance(route, Route)
            for method in route.methods or ()
            if method != "HEAD"
        }
    described = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    assert routes == described


@SCHEMA.parametrize()
@settings(max_examples=20, deadline=None)
def test_nothing_that_anybody_sends_brings_a_server_error(case: Any, url: str) -> None:
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {TOKEN}"}
    if case.path_parameters and "feed" in case.path_parameters and len(str(case.path_parameters["feed"])) > 3:
        kinds = sorted(FEEDS)
        case.path_parameters["feed"] = kinds[len(str(case.path_parameters["feed"])) % len(kinds)]
    answer = case.call(base_url=url)
    assert answer.status_code < 500, answer.text
    described = case.operation.definition.raw["responses"]
    assert str(answer.status_code) in described or answer.status_code in {404, 405}
