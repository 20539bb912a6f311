"""What was known when a finding was judged is known again when the stream is taken again."""

from __future__ import annotations

import pytest

from detectors.findings import Finding, Kind, State, Subject, SubjectType
from monitor.directory import Directory
from monitor.facts import Facts
from monitor.remembered import Remembered
from notifier.store import Store
from tests.test_directory import batch, complaint, order

pytestmark = pytest.mark.anyio


def finding(at: int, parcel: str = "SF1", state: State = State.OPENED) -> Finding:
    subject = Subject(SubjectType.PARCEL, parcel)
    return Finding("stall", Kind.LINEHAUL_STALLED, subject, 1, 1, at, state, 0.9)


async def shop(store: Store) -> tuple[Directory, Remembered, Facts]:
    directory = Directory(store)
    shipped = order("shipped", 1, tracking_number="SF1")
    await directory.remember(batch(orders=[shipped], complaints=[complaint("opened", 2)]))
    remembered = Remembered(store)
    return directory, remembered, Facts(directory, remembered)


async def test_a_ticket_that_closed_since_is_open_for_what_is_judged_again(store: Store) -> None:
    directory, _, facts = await shop(store)
    first = await facts.of([finding(10)], 10)
    assert first[finding(10).finding_id].open_ticket
    await directory.remember(batch(complaints=[complaint("resolved", 3)]))

    again = Remembered(store)
    assert await again.recall(10) == 1
    restarted = Facts(directory, again)
    assert await restarted.of([finding(10)], 10) == first
    later = await restarted.of([finding(11, state=State.UPDATED)], 11)
    assert not later[finding(11).finding_id].open_ticket, "what is new is judged by what is known now"


async def test_an_order_that_came_since_is_unknown_to_what_is_judged_again(store: Store) -> None:
    directory, _, facts = await shop(store)
    assert await facts.of([finding(10, "SF2")], 10) == {}
    await directory.remember(batch(orders=[order("shipped", 1, order_id="O2", tracking_number="SF2")]))
    again = Remembered(store)
    await again.recall(10)
    restarted = Facts(directory, again)
    assert await restarted.of([finding(10, "SF2")], 10) == {}
    assert await restarted.of([finding(11, "SF2")], 11) != {}


async def test_many_are_remembered_and_read_page_by_page(store: Store) -> None:
    _, _, facts = await shop(store)
    for at in range(10, 260):
        await facts.of([finding(at)], at)
    await facts.of([finding(300, f"SF{number}") for number in range(1200)], 300)
    again = Remembered(store)
    assert await again.recall(20) == 240 + 1200


async def test_what_no_checkpoint_can_come_back_to_is_dropped(store: Store) -> None:
    _, remembered, facts = await shop(store)
    for at in (10, 11, 12):
        await facts.of([finding(at)], at)
    assert await remembered.forget(12) == 2
    assert await Remembered(store).recall(0) == 1


async def test_places_and_what_was_caught_up_with_are_not_written(store: Store) -> None:
    _, remembered, facts = await shop(store)
    place = Finding(
        "congested", Kind.FACILITY_CONGESTED, Subject(SubjectType.FACILITY, "H"), 1, 1, 10, State.OPENED, 0.9
    )
    assert await facts.of([place], 10) == {}
    assert await Remembered(store).recall(0) == 0
    await facts.of([finding(10)], 10)
    await remembered.recall(0)
    assert remembered.before([finding(10)], 10) != {}
    assert remembered.before([finding(10)], 11) == {}, "time has gone on: memory is free again"
    assert remembered.before([finding(10)], 10) == {}
