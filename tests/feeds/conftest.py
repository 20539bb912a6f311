"""A desk of two feeds on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters
from monitor.feeds.desk import Desk
from monitor.feeds.memory import StoreMemory
from monitor.feeds.watch import Watch
from monitor.intake import Intake
from monitor.metrics import Metrics
from monitor.stream import EventStream
from notifier.store import Store
from tests.feeds.cases import feed


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    metrics, letters = Metrics(process=False), DeadLetters(store)
    async with Intake(EventStream(store), letters, IntakeSettings(linger_ms=0)) as intake:
        feeds = {"kuaidi100": feed("kuaidi100"), "17track": feed("17track")}
        yield Desk(feeds, intake, letters, StoreMemory(store), metrics, watch=Watch())
