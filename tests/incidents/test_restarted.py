"""A restart in the middle of everything: a book that was put back goes on as the one that never stopped."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.settings import EscalationStep
from monitor.incidents import Command, Incidents, Mute, Transition, Why
from tests.incidents.story import HOUR, MINUTE, SECOND, T0, closed, incidents, jam, stuck, whys
from tests.incidents.test_incidents import command, silence

STEPS = (
    EscalationStep(after_seconds=600, receivers=("boss",)),
    EscalationStep(after_seconds=7200, receivers=("her boss",)),
)
PARCELS = [stuck(number, amount=1999) for number in range(24)]
AMOUNTS = {parcel.finding_id: (1999, "CNY") for parcel in PARCELS}
CUT = T0 + 20 * MINUTE


def morning() -> tuple[Incidents, list[Command]]:
    """One incident of each kind of trouble, and every kind of thing that people decide; and what they decided."""
    book, decided = incidents(escalation=STEPS), list[Command]()

    def decide(verb: str, at: int, place: str, **more: Any) -> None:
        (view,) = [one for one in book.firing() if one.place.id == place]
        decided.append(command(verb, at, incident_id=view.incident_id, id=f"{verb}-{place}", **more))
        book.apply(decided[-1])

    book.advance([jam(hub) for hub in ("OLD", "ACKED", "SNOOZED", "SILENCED", "NOISY", "WEAK")], T0)
    book.advance(PARCELS[:12], T0, AMOUNTS)
    book.advance([], T0 + MINUTE)
    book.advance(PARCELS[12:], T0 + 2 * MINUTE, AMOUNTS)  # grew, and said so
    decide("resolve", T0 + 3 * MINUTE, "OLD", note="third shift")
    decide("acknowledge", T0 + 4 * MINUTE, "ACKED")
    decide("note", T0 + 5 * MINUTE, "ACKED", note="a lorry is on its way")
    decide("snooze", T0 + 6 * MINUTE, "SNOOZED", until=T0 + 2 * HOUR)
    decided.append(silence(T0 + 7 * MINUTE, 'facility="SILENCED"'))
    book.apply(decided[-1])
    book.advance([], T0 + 11 * MINUTE)  # escalated, where nobody looked
    book.advance([closed(jam("WEAK"), CUT - MINUTE)], CUT - MINUTE)
    return book, decided


def put_back(book: Incidents) -> Incidents:
    again = incidents(escalation=STEPS)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(book.state())))
    return again


def day(book: Incidents) -> list[list[Transition]]:
    """What it says of a day in which things get worse and then better, minute by minute."""
    told = [book.advance([stuck(99)], CUT)]
    told += [book.advance([], CUT + minute * MINUTE) for minute in range(1, 180)]
    told.append(book.advance([closed(one, CUT + 3 * HOUR) for one in PARCELS], CUT + 3 * HOUR))
    return [*told, *(book.advance([], CUT + 3 * HOUR + minute * MINUTE) for minute in range(1, 10))]


def test_everything_is_put_back() -> None:
    book, _ = morning()
    again = put_back(book)
    assert again.state() == book.state()
    assert again.views() == book.views()
    assert again.history() == book.history()


def test_the_morning_has_all_that_a_restart_could_lose() -> None:
    """Or the comparisons here would compare nothing."""
    views = {view.place.id: view for view in morning()[0].views()}
    assert {view.acknowledged_by for view in views.values()} == {None, "li"}
    assert views["SNOOZED"].snoozed_until == T0 + 2 * HOUR
    assert {mute for view in views.values() for mute, _ in view.mutes} == {Mute.SNOOZED, Mute.SILENCED}
    assert {view.escalation for view in views.values()} == {0, 1}
    assert views["ACKED"].note
    assert views["HUB-1"].money
    assert {change.reason for told in day(morning()[0]) for change in told} == {
        Why.RECOVERED,
        Why.WOKE,
        Why.HEARD_AGAIN,
        Why.ESCALATED,
    }


def test_it_says_the_same_as_the_one_that_never_stopped() -> None:
    book, _ = morning()
    again = put_back(book)
    assert day(again) == day(book)
    assert again.state() == book.state()


def test_what_was_decided_before_is_not_decided_twice() -> None:
    book, decided = morning()
    again = put_back(book)
    assert [again.apply(one) for one in decided] == [[]] * len(decided)


@pytest.mark.parametrize("verb", ["silence", "snooze"])
def test_what_is_kept_quiet_escalates_when_it_is_heard_again(verb: str) -> None:
    book = incidents(escalation=STEPS)
    book.advance([jam()], T0)
    (view,) = book.firing()
    until = T0 + SECOND + HOUR
    if verb == "silence":
        book.apply(silence(T0 + SECOND, 'kind="facility_congested"'))
    else:
        book.apply(command("snooze", T0 + SECOND, incident_id=view.incident_id, until=until))
    assert book.advance([], T0 + 30 * MINUTE) == []
    woke = Why.HEARD_AGAIN if verb == "silence" else Why.WOKE
    assert whys(book.advance([], until)) == [woke]
    assert whys(put_back(book).advance([], until + SECOND)) == [Why.ESCALATED], "also after a restart"
    assert whys(book.advance([], until + SECOND)) == [Why.ESCALATED]
