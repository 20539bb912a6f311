"""Alertmanager's acceptance scenarios, told again of our incidents: who hears what, when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from config.settings import EscalationStep, IncidentRule, IncidentSettings, NotifySettings, Route
from detectors.findings import Finding, Kind, SubjectType
from monitor.incidents import Command, Incidents, View, Why
from monitor.notifications import Held, Notification, Notifications, SendReason
from tests.incidents.story import DAY, HOUR, MINUTE, SECOND, T0, closed, finding, jam, stuck


def route(**more: Any) -> Route:
    return Route(**{"name": "all", "receivers": ("ops",), **more})


@dataclass
class World:
    """Incidents and notifications as the daemon runs them, one tick a second."""

    routes: tuple[Route, ...] = (route(),)
    acknowledging: frozenset[str] = frozenset()
    incidents_settings: IncidentSettings = field(
        default_factory=lambda: IncidentSettings(
            rules={"facility_congested": IncidentRule(severity="critical", keep_firing_seconds=0)}
        )
    )
    now: int = T0
    sent: list[Notification] = field(default_factory=list)
    gone: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = Incidents(self.incidents_settings)
        self.notify = Notifications(
            NotifySettings(routes=self.routes),
            self.incidents_settings.escalation,
            acknowledging=self.acknowledging,
        )

    def tick(self, *findings: Finding) -> list[Notification]:
        self.notify.observe(self.book.advance(findings, self.now))
        self.gone = self.notify.reroute(self.book.firing, self.now) or self.gone
        out = self.notify.due(self.now, self.book.get)
        self.sent += out
        return out

    def wait(self, milliseconds: int) -> list[Notification]:
        """Ticks until then; what was sent on the way."""
        out: list[Notification] = []
        end = self.now + milliseconds
        while self.now < end:
            self.now = min(self.now + 5 * SECOND, end)
            out += self.tick()
        return out

    def decide(self, verb: str, **more: Any) -> None:
        plain = {"id": f"{verb}{self.now}", "at": self.now, "by": "li", "verb": verb, **more}
        self.notify.observe(self.book.apply(msgspec.convert(plain, Command)))

    def reload(self, *routes: Route) -> None:
        self.routes = routes
        self.notify.reload(NotifySettings(routes=routes), self.incidents_settings.escalation)

    def restart(self) -> None:
        state = msgspec.msgpack.decode(msgspec.msgpack.encode([self.book.state(), self.notify.state()]))
        self.__post_init__()
        self.book.restore(state[0])
        self.notify.restore(state[1])


def reasons(notifications: Sequence[Notification]) -> list[SendReason]:
    return [notification.reason for notification in notifications]


def places(views: Sequence[View]) -> list[str]:
    return [view.place.id for view in views]


def test_merge_what_fires_within_the_wait_is_one_message() -> None:
    world = World((route(group_by=("kind",)),))
    world.tick(jam("A"))
    world.wait(10 * SECOND)
    world.tick(jam("B"))
    (message,) = world.wait(2 * MINUTE)
    assert (message.reason, places(message.firing)) == (SendReason.FIRST, ["A", "B"])
    assert message.at == T0 + 30 * SECOND


def test_batching_what_comes_later_waits_for_the_interval() -> None:
    world = World((route(group_by=("kind",)),))
    world.tick(jam("A"))
    world.wait(MINUTE)
    world.tick(jam("B"))
    assert world.wait(4 * MINUTE) == []
    (message,) = world.wait(MINUTE)
    assert (message.reason, places(message.firing)) == (SendReason.NEW_INCIDENTS, ["A", "B"])


def test_repeat_only_after_the_repeat_interval_rounded_up_to_the_group_interval() -> None:
    world = World((route(group_interval_seconds=300, repeat_interval_seconds=3000),))
    world.tick(jam())
    assert reasons(world.wait(MINUTE)) == [SendReason.FIRST]
    first = world.sent[0].at
    (again,) = world.wait(51 * MINUTE)
    assert (again.reason, again.at - first) == (SendReason.REPEAT, 50 * MINUTE)


def test_without_an_interval_of_its_own_a_route_repeats_the_severe_sooner_and_all_less_and_less() -> None:
    rules = {
        "facility_congested": IncidentRule(severity="critical"),
        "backlog_forecast": IncidentRule(severity="warning"),
        "complaint_spike": IncidentRule(severity="info"),
    }
    world = World(incidents_settings=IncidentSettings(rules=rules))
    world.tick(
        jam("A"),
        finding(Kind.BACKLOG_FORECAST, SubjectType.FACILITY, "B"),
        finding(Kind.COMPLAINT_SPIKE, SubjectType.REGION, "330000"),
    )
    world.wait(49 * HOUR)
    repeats = [places(message.firing)[0] for message in world.sent if message.reason is SendReason.REPEAT]
    assert {place: repeats.count(place) for place in repeats} == {"A": 3, "B": 2, "330000": 2}


def test_resolved_says_so_once() -> None:
    world = World()
    hub = jam()
    world.tick(hub)
    world.wait(MINUTE)
    world.tick(closed(hub, world.now))
    (message,) = world.wait(DAY)
    assert (message.reason, message.firing, places(message.resolved)) == (
        SendReason.ALL_RESOLVED,
        (),
        ["HUB-1"],
    )
    assert message.severity == "resolved"


def test_over_before_the_wait_is_over_says_nothing_and_the_log_says_why() -> None:
    world = World()
    hub = jam()
    world.tick(hub)
    (view,) = world.book.firing()
    world.wait(10 * SECOND)
    world.tick(closed(hub, world.now))
    assert world.wait(HOUR) == []
    held = world.notify.why_not(view.incident_id)
    assert held is not None
    assert held[1] is Held.ENDED_UNTOLD


def test_resolved_filter_a_route_that_wants_no_endings_gets_none_and_hears_the_next_as_first() -> None:
    world = World((route(send_resolved=False, group_by=("kind",)),))
    hub = jam()
    world.tick(hub)
    world.wait(MINUTE)
    world.tick(closed(hub, world.now))
    assert world.wait(10 * MINUTE) == []
    world.tick(jam(at=world.now))
    assert reasons(world.wait(10 * MINUTE)) == [SendReason.FIRST]


def test_some_resolved_while_others_fire() -> None:
    world = World((route(group_by=("kind",)),))
    hub = jam("A")
    world.tick(hub, jam("B"))
    world.wait(MINUTE)
    world.tick(closed(hub, world.now))
    (message,) = world.wait(10 * MINUTE)
    assert (message.reason, places(message.firing), places(message.resolved)) == (
        SendReason.RESOLVED,
        ["B"],
        ["A"],
    )


def test_cold_start_a_restart_repeats_nothing_and_forgets_nothing() -> None:
    world = World()
    hub = jam()
    world.tick(hub)
    world.wait(MINUTE)
    world.restart()
    assert world.wait(HOUR) == []
    world.tick(closed(hub, world.now))
    world.restart()
    assert reasons(world.wait(10 * MINUTE)) == [SendReason.ALL_RESOLVED]


def test_after_kill_9_the_same_message_has_the_same_key() -> None:
    world = World()
    world.tick(jam())
    checkpoint = msgspec.msgpack.encode([world.book.state(), world.notify.state()])
    (before,) = world.wait(MINUTE)
    book, notify = msgspec.msgpack.decode(checkpoint)
    world.__post_init__()
    world.now = T0
    world.book.restore(book)
    world.notify.restore(notify)
    (after,) = world.wait(MINUTE)
    assert (before.key, before.at) == (after.key, after.at), "so the claim exists and nothing is sent twice"


def test_reload_keeps_the_log() -> None:
    world = World()
    world.tick(jam())
    world.wait(MINUTE)
    world.book.reload(world.incidents_settings)
    world.notify.reload(NotifySettings(routes=world.routes))
    assert world.wait(HOUR) == []


def test_a_first_route_tells_of_what_fires_already_and_of_its_end() -> None:
    world = World(routes=())
    world.tick(jam("H1"))
    assert world.wait(HOUR) == []
    world.reload(route(group_wait_seconds=0))
    assert reasons(world.tick()) == [SendReason.FIRST]
    assert world.wait(2 * HOUR) == []
    assert reasons([*world.tick(closed(jam("H1"), world.now)), *world.wait(10 * MINUTE)]) == [
        SendReason.ALL_RESOLVED
    ]


def test_a_receiver_that_was_renamed_is_told_under_its_new_name_and_the_old_one_never_again() -> None:
    world = World(routes=(route(receivers=("old",)),))
    world.tick(jam("H1"))
    assert [one.receiver for one in world.wait(MINUTE)] == ["old"]
    world.reload(route(receivers=("new",)))
    assert {one.receiver for one in world.wait(DAY)} == {"new"}
    assert [key[0] for key in world.gone] == ["old"]


def test_a_receiver_that_is_added_is_told_of_what_fires_and_the_others_are_not_told_again() -> None:
    world = World()
    world.tick(jam("H1"))
    world.wait(MINUTE)
    world.reload(route(receivers=("ops", "boss")))
    assert [(one.receiver, one.reason) for one in world.wait(HOUR)] == [("boss", SendReason.FIRST)]


def test_routes_that_changed_while_the_daemon_was_down_are_followed_and_the_same_ones_change_nothing() -> (
    None
):
    world = World(routes=(route(receivers=("old",)),))
    world.tick(jam("H1"))
    world.wait(MINUTE)
    world.restart()
    assert world.wait(HOUR) == []
    world.routes = (route(receivers=("new",)),)
    world.restart()
    assert [(one.receiver, one.reason) for one in world.wait(HOUR)] == [("new", SendReason.FIRST)]


def test_what_no_route_takes_any_more_is_known_to_be_unheard() -> None:
    world = World()
    world.tick(jam("H1"))
    world.wait(MINUTE)
    world.reload(route(match=('kind="complaint_spike"',)))
    assert world.wait(DAY) == []
    (view,) = world.book.firing()
    found = world.notify.why_not(view.incident_id)
    assert found is not None
    assert found[1] is Held.NO_ROUTE
    assert [view.phase for view in world.book.views()] == ["firing"]


def test_retry_what_could_not_be_delivered_is_said_again_at_the_next_interval() -> None:
    world = World()
    world.tick(jam())
    (lost,) = world.wait(MINUTE)
    assert world.notify.failed(lost.key, world.now)
    (again,) = world.wait(10 * MINUTE)
    assert again.reason is SendReason.FIRST
    assert again.key != lost.key, "a new claim, or the ledger would call it a repetition"
    assert not world.notify.failed(lost.key, world.now), "and only once"


def test_timeout_a_message_expires_before_it_would_be_stale() -> None:
    world = World()
    world.tick(jam())
    (message,) = world.wait(MINUTE)
    assert message.expires_at - message.at == HOUR


def test_inhibited_is_not_told_and_is_told_when_the_cause_is_gone() -> None:
    world = World()
    outage = finding(Kind.CARRIER_DEGRADED, SubjectType.CARRIER, "SF")
    world.tick(outage, jam())
    assert [places(message.firing) for message in world.wait(10 * MINUTE)] == [["SF"]]
    inhibited = next(view for view in world.book.firing() if view.muted)
    held = world.notify.why_not(inhibited.incident_id)
    assert held is not None
    assert held[1] is Held.INHIBITED
    world.tick(closed(outage, world.now))
    said = world.wait(15 * MINUTE)
    assert {(m.reason, *places(m.firing), *places(m.resolved)) for m in said} == {
        (SendReason.ALL_RESOLVED, "SF"),
        (SendReason.FIRST, "HUB-1"),
    }


def test_always_inhibited_is_never_told() -> None:
    world = World()
    hub = jam()
    world.tick(finding(Kind.CARRIER_DEGRADED, SubjectType.CARRIER, "SF"), hub)
    world.wait(10 * MINUTE)
    world.tick(closed(hub, world.now))
    world.wait(HOUR)
    assert [places(message.firing) for message in world.sent] == [["SF"]]


def silence(world: World, place: str, hours: int = 1) -> None:
    world.decide(
        "silence",
        silence={
            "silence_id": "S1",
            "matchers": [f'place="{place}"'],
            "starts_at": world.now,
            "ends_at": world.now + hours * HOUR,
            "author": "li",
            "comment": "known",
        },
    )


def test_silenced_is_not_told_until_the_silence_ends() -> None:
    world = World()
    silence(world, "A")
    world.tick(jam("A"), jam("B"))
    assert [places(message.firing) for message in world.wait(50 * MINUTE)] == [["B"]]
    (message,) = world.wait(15 * MINUTE)
    assert (message.reason, places(message.firing)) == (SendReason.FIRST, ["A"])


def test_silenced_after_it_was_told_is_not_called_resolved() -> None:
    world = World((route(repeat_interval_seconds=600),))
    world.tick(jam("A"))
    world.wait(MINUTE)
    silence(world, "A")
    assert world.wait(50 * MINUTE) == []
    assert reasons(world.wait(20 * MINUTE))[:1] == [SendReason.WOKE]


def test_the_end_of_a_silenced_incident_is_told_to_who_heard_its_beginning() -> None:
    world = World()
    hub = jam("A")
    world.tick(hub)
    world.wait(MINUTE)
    silence(world, "A", hours=48)
    world.tick(closed(hub, world.now))
    assert reasons(world.wait(10 * MINUTE)) == [SendReason.ALL_RESOLVED]


def test_an_expired_silence_lets_it_be_heard() -> None:
    world = World()
    silence(world, "A", hours=48)
    world.tick(jam("A"))
    assert world.wait(HOUR) == []
    world.decide("expire", note="S1")
    assert reasons(world.wait(10 * MINUTE)) == [SendReason.FIRST]


def test_acknowledged_is_not_repeated_but_its_growth_and_its_end_are_told() -> None:
    world = World((route(repeat_interval_seconds=600),))
    hub = jam()
    world.tick(hub)
    world.wait(MINUTE)
    world.decide("acknowledge", incident_id=world.book.firing()[0].incident_id)
    assert world.wait(3 * HOUR) == []
    world.tick(*(stuck(number, world.now) for number in range(50)))
    assert reasons(world.wait(10 * MINUTE)) == [SendReason.GREW]
    world.tick(closed(hub, world.now))
    said = [message for message in world.wait(10 * MINUTE) if not message.firing]
    assert reasons(said) == [SendReason.ALL_RESOLVED]


def test_who_can_be_told_quietly_hears_at_once_that_somebody_has_it_and_the_others_do_not() -> None:
    world = World((route(receivers=("ops", "pager")),), acknowledging=frozenset({"pager"}))
    world.tick(jam())
    world.wait(MINUTE)
    world.decide("acknowledge", incident_id=world.book.firing()[0].incident_id)
    world.restart()
    said = world.wait(30 * SECOND)
    assert [(message.receiver, message.reason) for message in said] == [("pager", SendReason.ACKNOWLEDGED)]
    assert said[0].firing[0].acknowledged_by == "li"
    assert world.wait(3 * HOUR) == []


def test_an_acknowledgement_before_anybody_was_told_changes_nothing() -> None:
    world = World(acknowledging=frozenset({"ops"}))
    world.tick(jam())
    world.decide("acknowledge", incident_id=world.book.firing()[0].incident_id)
    assert reasons(world.wait(10 * MINUTE)) == [SendReason.FIRST]


def test_routes_the_first_that_matches_and_the_next_where_told_to_go_on() -> None:
    world = World(
        (
            route(name="critical", receivers=("pager",), match=('severity="critical"',), go_on=True),
            route(name="region", receivers=("east",), match=('region=~"3.*"',)),
            route(name="rest", receivers=("ops",)),
        )
    )
    world.tick(jam("A", region="33"), jam("B", region="11"))
    said = world.wait(MINUTE)
    assert sorted((m.receiver, *places(m.firing)) for m in said) == [
        ("east", "A"),
        ("ops", "B"),
        ("pager", "A"),
        ("pager", "B"),
    ]


def test_what_no_route_takes_is_known_to_be_unheard() -> None:
    world = World((route(match=('kind="feed_silent"',)),))
    world.tick(jam())
    held = world.notify.why_not(world.book.firing()[0].incident_id)
    assert held is not None
    assert held[1] is Held.NO_ROUTE


def test_escalation_reaches_the_next_person_at_once_and_says_so() -> None:
    steps = (EscalationStep(after_seconds=900, receivers=("boss",), mention=("wang",)),)
    world = World(incidents_settings=IncidentSettings(escalation=steps))
    world.tick(jam())
    world.wait(14 * MINUTE)
    (message,) = world.wait(2 * MINUTE)
    assert (message.receiver, message.reason, message.mention) == ("boss", SendReason.ESCALATED, ("wang",))


def test_five_thousand_findings_in_a_minute_are_twenty_messages_at_most_and_no_fact_is_lost() -> None:
    settings = IncidentSettings(rules={"parcels_stalled": IncidentRule()})
    world = World(incidents_settings=settings)
    for second in range(60):
        world.now = T0 + second * SECOND
        first = second * 84
        world.tick(*(stuck(n, world.now, facility=f"HUB-{n}") for n in range(first, min(first + 84, 5000))))
    world.wait(3 * MINUTE)
    times = [message.at for message in world.sent]
    assert max(sum(at <= other < at + MINUTE for other in times) for at in times) <= 20
    told = {view.incident_id for message in world.sent for view in message.firing}
    assert told == {view.incident_id for view in world.book.firing()}
    assert len(told) == 5000
    assert sum(view.open for message in world.sent for view in message.firing) == 5000


def test_a_critical_incident_is_not_buried_in_the_digest() -> None:
    settings = IncidentSettings(
        rules={"parcels_stalled": IncidentRule(), "facility_congested": IncidentRule(severity="critical")}
    )
    world = World(incidents_settings=settings)
    world.tick(*(stuck(n, facility=f"HUB-{n}") for n in range(500)), jam("HUB-X"))
    said = world.wait(MINUTE)
    assert any(places(message.firing) == ["HUB-X"] and not message.digest for message in said)


def test_every_transition_reason_that_mutes_has_a_reason_for_not_telling() -> None:
    assert {Why.INHIBITED.value, Why.SILENCED.value, Why.MAINTENANCE.value, Why.SNOOZED.value} <= {
        held.value for held in Held
    }
