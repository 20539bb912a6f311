"""5,000 findings in a minute, from incidents to real HTTP: few messages a robot, and no fact lost."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from itertools import count

import pytest

from config.settings import IncidentRule, IncidentSettings
from monitor.embedded import EmbeddedStore
from monitor.notifications import Notification
from monitor.notifications.proposals import propose
from notifier import registry
from notifier.delivery import Delivery
from notifier.http import Http
from notifier.ledger import Ledger
from notifier.outbox import Outbox
from notifier.posts import References
from notifier.sending import Channel
from notifier.store import Store
from notifier.templates import Templates
from tests.fakes.server import FakeServer, Request, Response
from tests.incidents.story import MINUTE, SECOND, T0, stuck
from tests.money.sending import turn
from tests.money.shop import IDENTITY, OPEN
from tests.notifications.alert_worker import no_change, nobody
from tests.notifications.test_messages import DESK
from tests.notifications.test_notifications import World as Story

HUBS = 5_000
ROBOT_MINUTE = 20
_prefixes = count()


class Robot:
    """Blocks whoever sends more than twenty in any minute, or more bytes than fit; time is the story's."""

    def __init__(self, most_bytes: int) -> None:
        self.now = T0
        self.most_bytes = most_bytes
        self.times: deque[int] = deque()
        self.texts: list[str] = []
        self.busiest = 0

    def __call__(self, request: Request) -> Response:
        self.times.append(self.now)
        while self.times[0] <= self.now - MINUTE:
            self.times.popleft()
        self.busiest = max(self.busiest, len(self.times))
        value = request.json()
        text = value[value["msgtype"]].get("text") or value[value["msgtype"]].get("content")
        assert len(text.encode()) <= self.most_bytes
        self.texts.append(text)
        return Response.of({"errcode": 0})


@pytest.fixture(scope="module")
def burst() -> list[Notification]:
    """Each finding in a hub of its own, which is the worst for a chat."""
    story = Story(incidents_settings=IncidentSettings(rules={"parcels_stalled": IncidentRule()}))
    for second in range(60):
        story.now = T0 + second * SECOND
        first = second * 84
        story.tick(*(stuck(n, story.now, facility=f"H-{n:05}") for n in range(first, min(first + 84, HUBS))))
    story.wait(3 * MINUTE)
    return story.sent


@pytest.mark.parametrize(
    ("kind", "options", "most_bytes", "names_all"),
    [("dingtalk", {"access_token": "t"}, 20_000, True), ("wecom", {"key": "k"}, 4_096, False)],
)
def test_a_burst_keeps_a_robot_below_its_limit_and_loses_no_fact(
    valkey: EmbeddedStore,
    burst: list[Notification],
    kind: str,
    options: dict[str, str],
    most_bytes: int,
    names_all: bool,
) -> None:
    robot, sent = Robot(most_bytes), burst

    async def run() -> None:
        async with (
            FakeServer(robot) as server,
            Http() as http,
            Store(valkey.url, f"burst{next(_prefixes)}") as store,
        ):
            ledger = Ledger(store, IDENTITY, OPEN)
            await ledger.open(None, T0)
            channel: Channel = registry.channel(kind, {**options, "api_url": server.url}, http)
            delivery = Delivery(
                Outbox(store, ledger),
                ledger,
                Templates(),
                {"ops": channel},
                {},
                recheck=no_change,
                contacts=nobody,
                references=References(store),
            )
            await delivery.start()
            waiting = deque(sorted(sent, key=lambda one: one.at))
            for step in range(600):
                robot.now = T0 + step * SECOND
                while waiting and waiting[0].at <= robot.now:
                    await ledger.claim_all([propose(waiting.popleft(), DESK)], robot.now)
                await turn(delivery, robot.now)
            counts = await ledger.counts()
            assert (counts.get("done"), counts.get("pending", 0)) == (len(sent), 0)

    asyncio.run(run())
    assert robot.busiest <= ROBOT_MINUTE
    everything = "\n".join(robot.texts)
    totals = [int(number.replace(",", "")) for number in re.findall(r"预警摘要：([\d,]+) 个事件", everything)]
    singles = len([one for one in sent if not one.digest])
    if names_all:
        assert set(re.findall(r"H-\d{5}", everything)) == {f"H-{n:05}" for n in range(HUBS)}
    digests = {one.key: len(one.firing) for one in sent if one.digest}
    assert sum(digests.values()) + singles == HUBS
    assert set(totals) == set(digests.values()), "each digest says how many it speaks of"
