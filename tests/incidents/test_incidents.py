"""What becomes an incident, when it fires, when it is over, and what keeps it quiet."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from config.settings import EscalationStep, IncidentRule, IncidentSettings, Maintenance
from detectors.findings import Finding, Kind, State, SubjectType
from monitor.incidents import Command, Incidents, Mute, Phase, Why, records
from tests.incidents.story import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    T0,
    closed,
    finding,
    incidents,
    jam,
    silent,
    stuck,
    whys,
)


def command(verb: str, at: int, **more: object) -> Command:
    return msgspec.convert({"id": f"{verb}{at}", "at": at, "by": "li", "verb": verb, **more}, Command)


def silence(at: int, *matchers: str, hours: int = 1, silence_id: str = "S1") -> Command:
    return command(
        "silence",
        at,
        silence={
            "silence_id": silence_id,
            "matchers": list(matchers),
            "starts_at": at,
            "ends_at": at + hours * HOUR,
            "author": "li",
            "comment": "known",
        },
    )


def test_three_thousand_parcels_in_one_hub_are_one_incident_after_a_minute() -> None:
    book = incidents()
    assert book.advance([stuck(number) for number in range(3000)], T0) == []
    (fired,) = book.advance([], T0 + MINUTE)
    assert (fired.old, fired.new, fired.reason) == (Phase.PENDING, Phase.FIRING, Why.CONFIRMED)
    assert (fired.view.open, fired.view.place.id, fired.view.labels["lane"]) == (
        3000,
        "HUB-1",
        "SF|330000|110000",
    )
    assert fired.view.since == T0 - HOUR


def test_a_few_stuck_parcels_are_nobodys_alarm() -> None:
    book = incidents()
    book.advance([stuck(number) for number in range(9)], T0)
    assert book.advance([], T0 + DAY) == []


def test_what_passes_before_it_is_confirmed_is_told_to_nobody() -> None:
    book = incidents()
    parcels = [stuck(number) for number in range(20)]
    book.advance(parcels, T0)
    changes = book.advance([closed(parcel, T0 + 30 * SECOND) for parcel in parcels], T0 + 30 * SECOND)
    assert whys(changes) == [Why.PASSED]
    assert records(changes) == []
    assert book.views() == []


def test_an_incident_near_its_limit_does_not_flap() -> None:
    book = incidents()
    parcels = [stuck(number) for number in range(12)]
    book.advance(parcels, T0)
    book.advance([], T0 + MINUTE)
    now = T0 + HOUR
    assert book.advance([closed(parcel, now) for parcel in parcels[:6]], now) == []
    assert book.advance([], now + HOUR) == [], "six of ten is still more than half"
    now += 2 * HOUR
    assert book.advance([closed(parcel, now) for parcel in parcels[6:8]], now) == []
    assert book.advance([stuck(90, now)], now + 4 * MINUTE) == [], "back above half in time"
    (over,) = book.advance([closed(parcel, now) for parcel in parcels[8:]], now + 10 * MINUTE) + book.advance(
        [], now + 15 * MINUTE
    )
    assert (over.reason, over.new) == (Why.RECOVERED, Phase.RESOLVED)


def test_the_fingerprint_is_stable_and_a_second_time_is_another_incident() -> None:
    book = incidents()
    (first,) = book.advance([jam()], T0)
    book.advance([closed(jam(), T0 + HOUR)], T0 + HOUR)
    book.advance([], T0 + 2 * HOUR)
    (again,) = book.advance([jam(at=T0 + DAY)], T0 + DAY)
    assert first.fingerprint == again.fingerprint
    assert first.incident_id != again.incident_id


def test_a_jammed_hub_takes_over_the_parcels_that_were_an_incident_before() -> None:
    book = incidents()
    book.advance([stuck(number) for number in range(50)], T0)
    book.advance([], T0 + MINUTE)
    changes = book.advance([jam(at=T0 + HOUR), stuck(99, T0 + HOUR)], T0 + HOUR)
    assert sorted(whys(changes)) == sorted([Why.CAUSE_FOUND, Why.CONFIRMED])
    (view,) = book.firing()
    assert (view.family, view.open) == ("facility_congested", 51)
    assert book.incident_of(stuck(7).finding_id) == view.incident_id


def test_parcels_still_stuck_when_the_hub_recovers_stand_for_themselves() -> None:
    book = incidents()
    hub = jam()
    book.advance([hub, *(stuck(number) for number in range(50))], T0)
    book.advance([closed(hub, T0 + HOUR)], T0 + HOUR)
    assert whys(book.advance([], T0 + 2 * HOUR)) == [Why.RECOVERED]
    book.advance([], T0 + 2 * HOUR + SECOND)
    (again,) = book.advance([], T0 + 3 * HOUR)
    assert (again.view.family, again.view.open) == ("parcels_stalled", 50)


def test_a_silent_feed_gathers_its_parcels_wherever_they_are() -> None:
    book = incidents()
    book.advance([stuck(n, facility=f"HUB-{n}") for n in range(30)], T0)
    book.advance([silent(), stuck(99, feed="other", facility="HUB-X")], T0 + HOUR)
    (view,) = book.firing()
    assert (view.family, view.open) == ("feed_silent", 30)


def test_a_carrier_outage_mutes_its_hubs_and_no_others() -> None:
    book = incidents()
    outage = finding(Kind.CARRIER_DEGRADED, SubjectType.CARRIER, "SF")
    book.advance([outage, jam("HUB-1"), jam("HUB-2", carrier="YTO")], T0)
    muted = {view.place.id: view.mutes for view in book.firing()}
    source = next(view.incident_id for view in book.firing() if view.family == "carrier_degraded")
    assert muted == {"SF": (), "HUB-1": ((Mute.INHIBITED, source),), "HUB-2": ()}
    book.advance([closed(outage, T0 + HOUR)], T0 + HOUR)
    changes = book.advance([], T0 + 2 * HOUR)
    assert whys(changes) == [Why.RECOVERED, Why.HEARD_AGAIN]


@pytest.mark.parametrize(
    ("lane", "gathered"),
    [("SF|330000|110000", 2), ("SF|110000", 3), ("SF|440000|110000", 0), ("YTO|110000", 0)],
)
def test_a_slow_lane_gathers_its_parcels_however_the_evidence_writes_it(lane: str, gathered: int) -> None:
    ways = ("330000>110000", "330000-110000", "320000>110000", "330000>510000")
    parcels = [
        finding(Kind.LINEHAUL_STALLED, SubjectType.PARCEL, f"P{number}", carrier="SF", lane=way)
        for number, way in enumerate(ways)
    ]
    slow = finding(Kind.CARRIER_DEGRADED, SubjectType.LANE, lane, carrier=lane[:2], lane="330000-110000")
    for order in ([*parcels, slow], [slow, *parcels]):
        book = incidents()
        book.advance(order[:-1], T0)
        book.advance(order[-1:], T0)
        counts = {view.family: 0 for view in book.views()}
        for view in book.views():
            counts[view.family] += view.open
        assert counts["carrier_degraded"] == gathered


def test_an_incident_never_inhibits_itself() -> None:
    rule = {"source": ('kind=~".*"',), "target": ('kind=~".*"',), "equal": ()}
    book = Incidents(IncidentSettings.model_validate({"inhibit": [rule]}))
    book.advance([jam("HUB-1"), jam("HUB-2")], T0)
    assert not any(view.muted for view in book.firing())


def test_a_silence_previews_hides_and_ends() -> None:
    book = incidents()
    book.advance([jam("HUB-1"), jam("HUB-2")], T0)
    assert [view.place.id for view in book.preview(['facility="HUB-1"'])] == ["HUB-1"]
    assert whys(book.apply(silence(T0 + 1, 'facility=~"HUB-1|HUB-9"'))) == [Why.SILENCED]
    assert [view.place.id for view in book.firing() if view.muted] == ["HUB-1"]
    assert whys(book.advance([], T0 + 1 + HOUR)) == [Why.HEARD_AGAIN]


def test_a_silence_can_be_expired_early() -> None:
    book = incidents()
    book.advance([jam()], T0)
    book.apply(silence(T0 + 1, 'kind="facility_congested"', hours=48))
    changes = book.apply(command("expire", T0 + MINUTE, note="S1"))
    assert whys(changes) == [Why.HEARD_AGAIN]
    assert book.silences.all()[0].ends_at == T0 + MINUTE, "expired, not deleted"


@pytest.mark.parametrize("matchers", [[], ['facility=~".*"'], ['facility!="x"']])
def test_a_silence_that_would_hide_everything_is_refused(matchers: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one matcher"):
        incidents().apply(silence(T0, *matchers))


@pytest.mark.parametrize("text", ["facility", 'facility=~"("', "fac ility=x", ""])
def test_a_matcher_that_cannot_be_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        incidents().preview([text])


def test_planned_work_mutes_and_ends() -> None:
    window = Maintenance(
        name="11.11",
        starts_at=datetime.fromtimestamp(T0 / 1000 - 86_400 * 365, UTC),
        ends_at=datetime.fromtimestamp(T0 / 1000 - 86_400 * 365 + 7200, UTC),
        yearly=True,
        match=('kind="facility_congested"',),
    )
    book = incidents(maintenance=(window,))
    assert whys(book.advance([jam()], T0)) == [Why.CONFIRMED, Why.MAINTENANCE]
    assert book.maintenance(T0) == ("11.11",)
    assert whys(book.advance([], T0 + 2 * HOUR)) == [Why.HEARD_AGAIN]


def test_acknowledging_stops_escalation_and_names_who() -> None:
    steps = (EscalationStep(after_seconds=600, receivers=("boss",)),)
    book = incidents(escalation=steps)
    book.advance([jam("A"), jam("B")], T0)
    (first, _) = book.firing()
    book.apply(command("acknowledge", T0 + MINUTE, incident_id=first.incident_id))
    (escalated,) = book.advance([], T0 + 10 * MINUTE)
    assert (escalated.reason, escalated.view.place.id) == (Why.ESCALATED, "B")
    assert book.firing()[0].acknowledged_by == "li"
    assert book.advance([], T0 + HOUR) == []


def test_a_snoozed_incident_wakes() -> None:
    book = incidents()
    book.advance([jam()], T0)
    (view,) = book.firing()
    snooze = command("snooze", T0 + 1, incident_id=view.incident_id, until=T0 + HOUR)
    assert whys(book.apply(snooze)) == [Why.SNOOZED]
    assert book.firing()[0].muted
    assert whys(book.advance([], T0 + HOUR)) == [Why.WOKE]


def test_closed_by_a_person_stays_closed_for_the_old_and_opens_for_the_new() -> None:
    book = incidents()
    hub = jam()
    book.advance([hub, stuck(1)], T0)
    (view,) = book.firing()
    (over,) = book.apply(command("resolve", T0 + 1, incident_id=view.incident_id, note="third shift added"))
    assert (over.reason, over.by, over.note) == (Why.CLOSED_BY_PERSON, "li", "third shift added")
    assert book.advance([replace(hub, state=State.UPDATED)], T0 + MINUTE) == []
    assert book.advance([closed(hub, T0 + HOUR)], T0 + HOUR) == []
    assert whys(book.advance([jam(at=T0 + DAY)], T0 + DAY)) == [Why.CONFIRMED]


def test_a_decision_that_arrives_twice_counts_once() -> None:
    book = incidents()
    book.advance([jam()], T0)
    acknowledge = command("acknowledge", T0 + 1, incident_id=book.firing()[0].incident_id)
    assert len(book.apply(acknowledge)) == 1
    assert book.apply(acknowledge) == []


def test_a_decision_made_after_the_checkpoint_is_made_again_when_the_replay_comes_to_it() -> None:
    book = incidents()
    checkpoint = book.state()
    (fired,) = book.advance([jam()], T0)
    decided = [
        command("acknowledge", T0 + MINUTE, incident_id=fired.incident_id),
        command("acknowledge", T0 + MINUTE, incident_id="I-of-nobody", id="x"),
    ]
    again = incidents()
    again.restore(checkpoint)
    again.expect(decided)
    assert whys(again.advance([jam()], T0)) == [Why.CONFIRMED]
    assert whys(again.advance([], T0 + MINUTE)) == [Why.ACKNOWLEDGED]
    assert again.firing()[0].acknowledged_by == "li"


def test_growth_is_said_when_it_doubles() -> None:
    book = incidents()
    book.advance([stuck(number) for number in range(10)], T0)
    book.advance([], T0 + MINUTE)
    assert book.advance([stuck(n) for n in range(10, 19)], T0 + HOUR) == []
    assert whys(book.advance([stuck(19)], T0 + HOUR)) == [Why.GREW]


def test_money_at_risk_follows_the_open_findings() -> None:
    book = incidents()
    parcels = [stuck(number) for number in range(3)]
    amounts = {parcel.finding_id: (1000, "CNY") for parcel in parcels}
    book.advance([jam(), *parcels], T0, amounts)
    assert book.firing()[0].money == {"CNY": 3000}
    book.advance([closed(parcels[0], T0 + 1)], T0 + 1)
    assert book.firing()[0].money == {"CNY": 2000}


def test_more_places_than_the_bound_become_one_incident_and_nothing_is_lost() -> None:
    book = incidents(max_incidents=10, rules={"parcels_stalled": IncidentRule()})
    book.advance([stuck(n, facility=f"HUB-{n}") for n in range(500)], T0)
    assert len(book.views()) == 11
    assert sum(view.open for view in book.views()) == 500


def test_more_findings_than_the_bound_are_counted_and_counted_off() -> None:
    book = incidents(max_members=100)
    parcels = [stuck(number) for number in range(300)]
    book.advance(parcels, T0)
    assert book.views()[0].open == 300
    book.advance([closed(parcel, T0 + 1) for parcel in parcels], T0 + 1)
    assert book.views() == []


def test_new_rules_keep_what_is_open() -> None:
    book = incidents()
    book.advance([jam()], T0)
    book.reload(IncidentSettings(rules={"facility_congested": IncidentRule(severity="info")}))
    assert book.advance([], T0 + 1) == []
    assert [view.severity for view in book.firing()] == ["info"]


STEP = st.one_of(
    st.tuples(st.just("open"), st.integers(0, 30), st.integers(0, 3)),
    st.tuples(st.just("close"), st.integers(0, 30), st.integers(0, 3)),
    st.tuples(st.just("jam"), st.integers(0, 1), st.integers(0, 3)),
    st.tuples(st.just("calm"), st.integers(0, 1), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.integers(0, 900), st.just(0)),
)


def told(step: tuple[str, int, int], now: int) -> list[Finding]:
    verb, number, place = step
    parcel = stuck(number, facility=f"HUB-{place}", lane=f"L{place}")
    return {
        "open": [parcel],
        "close": [closed(parcel, now)],
        "jam": [jam(f"HUB-{place}")],
        "calm": [closed(jam(f"HUB-{place}"), now)],
        "wait": [],
    }[verb]


@given(st.lists(STEP, max_size=60), st.integers(0, 60))
def test_a_restart_anywhere_changes_nothing(steps: list[tuple[str, int, int]], cut: int) -> None:
    def run(*, restart: bool) -> list[object]:
        book, now, out = incidents(), T0, []
        for index, step in enumerate(steps):
            now += SECOND * (step[1] if step[0] == "wait" else 1)
            out += records(book.advance(told(step, now), now))
            if restart and index == cut:
                plain = msgspec.msgpack.decode(msgspec.msgpack.encode(book.state()))
                book = incidents()
                book.restore(plain)
        return [*out, json.dumps(msgspec.to_builtins(book.views()), sort_keys=True)]

    assert run(restart=True) == run(restart=False)


@given(st.lists(STEP, max_size=80))
def test_every_open_parcel_finding_is_in_exactly_one_incident(steps: list[tuple[str, int, int]]) -> None:
    book, now = incidents(), T0
    live: set[str] = set()
    for step in steps:
        now += SECOND * (step[1] if step[0] == "wait" else 1)
        for told_finding in told(step, now):
            if told_finding.kind is Kind.FACILITY_STALLED:
                (live.add if told_finding.state is State.OPENED else live.discard)(told_finding.finding_id)
        book.advance(told(step, now), now)
        held = [key for view in book.views() for key, _ in book.members(view.incident_id)]
        assert sorted(held) == sorted(live)


def scattered(number: int, at: int = T0, **more: Any) -> Finding:
    return stuck(number, at, facility=f"HUB-{number + 1_000}", **more)


def test_what_is_scattered_over_many_places_is_one_incident_a_carrier() -> None:
    book = incidents()
    book.advance([scattered(number) for number in range(8)], T0)
    book.advance([scattered(number, carrier="YTO", at=T0 + 1) for number in range(8, 40)], T0)
    said = book.advance([], T0 + 60 * SECOND)
    assert [(change.view.place.id, change.view.open, change.new) for change in said] == [
        ("YTO", 32, Phase.FIRING)
    ]
    assert said[0].view.labels["carrier"] == "YTO"
    assert {view.place.id for view in book.views()} == {"SF", "YTO"}
    assert book.incident_of(scattered(3).finding_id) is None, "they have no cause to budget for"


def test_a_place_that_has_enough_of_them_is_an_incident_of_its_own() -> None:
    book = incidents()
    book.advance([*(scattered(number) for number in range(30)), *(stuck(n) for n in range(100, 109))], T0)
    assert [view.place.id for view in book.views()] == ["SF"]
    book.advance([stuck(109)], T0 + SECOND)
    assert {view.place.id: view.open for view in book.views()} == {"SF": 30, "HUB-1": 10}
    found = book.incident_of(stuck(104).finding_id)
    assert found == next(view.incident_id for view in book.views() if view.place.id == "HUB-1")


def test_when_a_place_has_recovered_its_last_parcels_are_scattered_ones_again() -> None:
    book = incidents()
    hub = [stuck(number) for number in range(10)]
    book.advance([*hub, *(scattered(number) for number in range(50, 80))], T0)
    book.advance([], T0 + MINUTE)
    book.advance([closed(one, T0 + MINUTE) for one in hub[:6]], T0 + MINUTE)
    said = book.advance([], T0 + 10 * MINUTE)
    assert [(change.view.place.id, change.new) for change in said] == [("HUB-1", Phase.RESOLVED)]
    assert {view.place.id: view.open for view in book.views()} == {"SF": 34}


def test_a_place_began_when_the_place_went_wrong_whatever_its_parcels_had_behind_them() -> None:
    book = incidents()
    old = [stuck(number, T0 - 20 * DAY) for number in range(5)]
    book.advance([*old, jam()], T0)
    view = next(view for view in book.views() if view.family == "facility_congested")
    assert (view.open, view.since) == (5, T0 - HOUR)


def test_what_is_scattered_is_known_by_its_place_as_long_as_it_is_scattered() -> None:
    """Or each place that comes to have enough of them would look through all the carrier's parcels."""
    book = incidents()
    found = [scattered(number % 40, at=T0 + number) for number in range(200)]
    book.advance(found, T0)
    assert sum(map(len, book.roster.loose.values())) == 200
    book.advance([stuck(5_000 + n, facility="HUB-1001") for n in range(6)], T0)
    assert {view.place.id: view.open for view in book.views()} == {"SF": 195, "HUB-1001": 11}
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(book.state()))
    again = incidents()
    again.restore(state)
    assert {group: set(ids) for group, ids in again.roster.loose.items()} == {
        group: set(ids) for group, ids in book.roster.loose.items()
    }
    book.advance([jam("HUB-1002")], T0 + SECOND)
    book.advance([closed(one, T0 + MINUTE) for one in found], T0 + MINUTE)
    assert book.roster.loose == {}


def test_a_place_counts_what_is_stuck_there_whichever_carrier_it_is_of() -> None:
    book = incidents()
    book.advance([*(stuck(n) for n in range(5)), *(stuck(n, carrier="YTO") for n in range(5, 9))], T0)
    assert {view.place.id: view.open for view in book.views()} == {"SF": 5, "YTO": 4}
    book.advance([stuck(9, carrier="ZTO")], T0 + SECOND)
    assert {view.place.id: view.open for view in book.views()} == {"HUB-1": 10}
    assert book.roster.loose == {}
