"""Alerts to which the ledger says no: nobody was told, so the log must not say so, and they are told when they may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from detectors.findings import Finding
from monitor.app import Daemon
from monitor.notifications import Held, Notification, SendReason
from monitor.reloading import prepare, put_in_place
from monitor.standin import Standin
from notifier.ledger import Person
from tests.doomed import ONE_IS_ENOUGH, doomed, late, tick
from tests.incidents.story import DAY, HOUR, MINUTE, closed, jam
from tests.money.shop import ANNA
from tests.notifications.test_notifications import World, places, reasons, route
from tests.whole import Clock, late_parcel, running, until

AT_ONCE: Any = {
    **ONE_IS_ENOUGH,
    "notify": {"routes": [{"name": "ops", "receivers": ["ops"], "group_wait_seconds": 0}]},
}


@dataclass
class Switched(World):
    """`heard` is what left; the rest of `sent` was decided and did not."""

    killed: bool = False
    shadow: bool = False
    heard: list[Notification] = field(default_factory=list)

    def tick(self, *findings: Finding) -> list[Notification]:
        self.notify.observe(self.book.advance(findings, self.now))
        out = self.notify.due(self.now, self.book.get, shadow=self.shadow)
        self.sent += out
        for one in out:
            if self.shadow:
                self.notify.shadowed(one.key, Held.SHADOW, self.now)
            elif self.killed:
                self.notify.refused(one.key, Held.KILL_SWITCH, self.now)
            else:
                self.heard.append(one)
        return out

    def why_not(self) -> Held | None:
        (view,) = self.book.firing()
        held = self.notify.why_not(view.incident_id)
        return held[1] if held else None


@pytest.mark.parametrize("restart", [False, True])
def test_after_the_kill_switch_it_is_said_at_the_next_interval_as_what_it_is(restart: bool) -> None:
    world = Switched(killed=True)
    world.tick(jam())
    world.wait(HOUR)
    assert world.why_not() is Held.KILL_SWITCH
    assert len({one.key for one in world.sent}) == len(world.sent) == 12, "each is a claim of its own"
    if restart:
        world.restart()
        assert world.why_not() is Held.KILL_SWITCH, "a restart does not forget why nobody was told"
    world.killed = False
    world.wait(6 * MINUTE)
    assert reasons(world.heard) == [SendReason.FIRST]
    assert world.why_not() is None
    world.wait(3 * HOUR)
    assert len(world.heard) == 1


def test_an_end_under_the_kill_switch_is_said_after_it() -> None:
    world = Switched((route(group_by=("kind",)),))
    hub = jam("A")
    world.tick(hub)
    world.wait(MINUTE)
    world.killed = True
    world.tick(closed(hub, world.now))
    world.wait(HOUR)
    world.restart()
    world.killed = False
    world.wait(6 * MINUTE)
    assert reasons(world.heard) == [SendReason.FIRST, SendReason.ALL_RESOLVED]
    assert places(world.heard[1].resolved) == ["A"]
    assert world.notify.state()["groups"] == [], "and then it is over"


def test_what_began_and_ended_under_the_kill_switch_is_told_to_nobody_and_it_says_why() -> None:
    world = Switched(killed=True)
    hub = jam()
    world.tick(hub)
    (view,) = world.book.firing()
    world.wait(10 * MINUTE)
    world.tick(closed(hub, world.now))
    world.wait(10 * MINUTE)
    world.killed = False
    world.wait(HOUR)
    assert world.heard == []
    held = world.notify.why_not(view.incident_id)
    assert held is not None
    assert held[1] is Held.ENDED_UNTOLD


def test_a_digest_that_was_refused_is_made_anew() -> None:
    world = Switched(killed=True)
    world.tick(*(jam(f"HUB-{number}") for number in range(40)))
    world.wait(10 * MINUTE)
    assert any(one.digest for one in world.sent)
    world.killed = False
    world.wait(10 * MINUTE)
    assert {view.incident_id for one in world.heard for view in one.firing} == {
        view.incident_id for view in world.book.firing()
    }
    assert {one.reason for one in world.heard} == {SendReason.FIRST}


@pytest.mark.parametrize("restart", [False, True])
def test_the_shadow_shows_who_would_be_told_when_and_going_live_tells_it(restart: bool) -> None:
    light = World()
    world = Switched(shadow=True)
    for one in (light, world):
        one.tick(jam())
        one.wait(2 * DAY)
    assert [(one.key, one.reason, one.at) for one in world.sent] == [
        (one.key, one.reason, one.at) for one in light.sent
    ]
    assert world.why_not() is Held.SHADOW
    if restart:
        world.restart()
    world.shadow = False
    world.wait(6 * MINUTE)
    assert reasons(world.heard) == [SendReason.FIRST]
    assert world.heard[0].key not in {one.key for one in light.sent}


def test_what_was_heard_before_the_shadow_is_not_said_again_after_it() -> None:
    world = Switched((route(group_by=("kind",)),))
    world.tick(jam("A"))
    world.wait(MINUTE)
    world.shadow = True
    world.tick(jam("B"))
    world.wait(HOUR)
    world.shadow = False
    world.wait(6 * MINUTE)
    assert reasons(world.heard) == [SendReason.FIRST, SendReason.NEW_INCIDENTS]
    assert len({one.key for one in (*world.sent, *world.heard)}) == len(world.sent)


async def claimed_alerts(daemon: Daemon) -> list[str]:
    found = [claim async for claim in daemon.ledger.all() if claim.proposal.customer_id is None]
    return [str(claim.reason) for claim in found]


@pytest.mark.anyio
async def test_an_alert_of_the_killed_daemon_is_sent_after_resume(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock, **AT_ONCE) as shop:
        await shop.daemon.ledger.kill(ANNA, clock.now)
        await late_parcel(shop)
        await shop.pass_time(28)
        assert set(await claimed_alerts(shop.daemon)) == {"kill_switch"}
        (view,) = shop.daemon.incidents.firing()
        held = shop.daemon.notifications.why_not(view.incident_id)
        assert held is not None
        assert held[1] is Held.KILL_SWITCH
        await shop.daemon.ledger.revive(ANNA, clock.now)
        await shop.pass_time(0.5, step_minutes=10)
        await shop.pass_until(lambda: standin.counts.alerts == 1)
        await shop.pass_time(1, step_minutes=10)
        assert standin.counts.alerts == 1


@pytest.mark.anyio
async def test_an_alert_of_the_killed_daemon_that_crashed_is_sent_once_after_resume(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """The next life takes the same ticks and is given the same answers: the ledger kept them."""
    async with doomed(tmp_path, clock, **AT_ONCE) as daemon:
        await late(daemon, clock)
        await daemon.checkpoints.write(clock.now)
        await daemon.ledger.kill(ANNA, clock.now)
        await tick(daemon, clock, 28)
        before = await claimed_alerts(daemon)
        assert set(before) == {"kill_switch"}
        await daemon.ledger.revive(Person("li"), clock.now)
    async with running(tmp_path, standin, clock, **AT_ONCE) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        assert await claimed_alerts(shop.daemon) == before, "a replay claims nothing else"
        await shop.pass_time(0.5, step_minutes=10)
        await shop.pass_until(lambda: standin.counts.alerts == 1)
        await shop.pass_time(1, step_minutes=10)
        assert standin.counts.alerts == 1


@pytest.mark.anyio
async def test_an_alert_of_the_shadow_is_sent_when_the_shop_goes_live(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """By a reload: what fires then would otherwise be heard of first as a repeat, hours later."""
    async with running(tmp_path, standin, clock, **AT_ONCE, shadow=True) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        assert set(await claimed_alerts(shop.daemon)) == {"shadow"}
        assert await shop.value("notifications_held_total", reason="shadow") >= 1
        live = shop.daemon.settings.model_copy(update={"shadow": False})
        put_in_place(shop.daemon, prepare(shop.daemon, live))
        await shop.pass_time(0.5, step_minutes=10)
        await shop.pass_until(lambda: standin.counts.alerts == 1)
        await shop.pass_time(1, step_minutes=10)
        assert standin.counts.alerts == 1
