"""Facilities beyond the capacity: the longest unseen make room, and what finds none all the same is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.backlog import BacklogForecast
from detectors.clock import DAY, HOUR
from detectors.facility_congested import FacilityCongested
from detectors.findings import Finding, State
from detectors.interfaces import Counts, Window
from detectors.plain import unpack
from tests.recordings.windows import MONDAY, rows, window

Detector = FacilityCongested | BacklogForecast
Kind = type[FacilityCongested] | type[BacklogForecast]

HUBS = tuple(f"hub {number}" for number in range(6))
EVERY = 3 * HOUR
CAPACITY = 40
both = pytest.mark.parametrize("kind", [FacilityCongested, BacklogForecast])


def place(name: str, flow: int, stock: int, *, out: int | None = None, stalled: int = 0) -> dict[str, Any]:
    departed = flow if out is None else out
    where = {"facility": name, "region": "420100", "carrier": "SF", "delivered": 0}
    return where | {"arrived": flow, "departed": departed, "stock": stock, "stalled": stalled}


def told(at: int, places: Sequence[Mapping[str, Any]]) -> Window:
    """What came in the three hours before, with all that ever were: as the engine tells it."""
    return window(at - EVERY, at, facilities=rows("facilities", places))


def stations(number: int, flow: int = 0) -> list[dict[str, Any]]:
    return [place(f"station {one}", flow, 0) for one in range(number)]


def hubs(jam: float = 0.0) -> list[dict[str, Any]]:
    """The first one sends on little, for so many days."""
    jammed = place(HUBS[0], 150, round(300 + 1100 * jam), out=10, stalled=200)
    return [jammed if jam and hub == HUBS[0] else place(hub, 150, 300) for hub in HUBS]


def year(days: float, jam_after: float) -> Iterator[Window]:
    """A day of stations, each with one parcel, as many as there is room for; hubs open when they have been quiet for
    eight days, and one of them jams later.
    """
    for step in range(1, round(days * 8)):
        day = step / 8
        places = stations(CAPACITY, flow=1 if day < 1 else 0)
        if day >= 9:
            places += hubs(max(day - jam_after, 0.0))
        yield told(MONDAY + step * EVERY, places)


def opened(found: Sequence[Finding]) -> set[str]:
    return {finding.subject.id for finding in found if finding.state is State.OPENED}


def through_checkpoint(kind: Kind, detector: Detector) -> Detector:
    again = kind(capacity=CAPACITY)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(detector.state())))
    return again


def names(detector: Detector) -> list[str]:
    return list(detector.state()["stock"]["keys"])


@both
def test_a_jam_of_a_hub_that_comes_when_all_room_was_used_is_found(kind: Kind) -> None:
    detector = kind(capacity=CAPACITY)
    found = [finding for each in year(27, jam_after=24) for finding in detector.run(each)]
    assert opened(found) == {HUBS[0]}
    assert set(HUBS) < set(names(detector))
    assert len(names(detector)) == CAPACITY
    assert isinstance(detector, Counts)
    assert detector.uncounted() == {"no_room": 0}


@both
@pytest.mark.parametrize("days", [5, 9.5, 24.5])
def test_a_restart_on_the_way_changes_nothing(kind: Kind, days: float) -> None:
    one, cut = kind(capacity=CAPACITY), round(days * 8)
    windows = list(year(27, jam_after=24))
    for each in windows[:cut]:
        one.run(each)
    other = through_checkpoint(kind, one)
    for each in windows[cut:]:
        assert other.run(each) == one.run(each)
    assert other.state() == one.state()


@both
def test_while_nothing_is_quiet_nothing_is_forgotten_and_who_waits_is_counted(kind: Kind) -> None:
    """Every three hours for each hub; the larger ones come in first when there is room."""
    detector, busy = kind(capacity=CAPACITY), stations(CAPACITY, flow=1)
    for step in range(1, 80):
        detector.run(told(MONDAY + step * EVERY, busy + (hubs() if step > 76 else [])))
    assert detector.uncounted() == {"no_room": 3 * len(HUBS)}
    assert names(detector) == [one["facility"] for one in busy]
    again = through_checkpoint(kind, detector)
    assert again.uncounted() == detector.uncounted()
    two_quiet = stations(2) + busy[2:]
    for step in range(80, 80 + 8 * 8):
        detector.run(told(MONDAY + step * EVERY, two_quiet))
    small, large = place("small", 2, 0), place("large", 20, 9)
    late = [small, small | {"facility": "none", "arrived": 0, "departed": 0}, large, *hubs()[:1]]
    detector.run(told(MONDAY + 200 * EVERY, two_quiet + late))
    assert names(detector)[:3] == [HUBS[0], "large", "station 2"]
    assert detector.uncounted() == {"no_room": 3 * len(HUBS) + 1}


@both
def test_a_window_that_is_none_makes_no_room(kind: Kind) -> None:
    detector = kind(capacity=CAPACITY)
    detector.run(told(MONDAY, stations(CAPACITY, flow=1)))
    detector.run(told(MONDAY + EVERY, stations(CAPACITY)))
    before, later = detector.state(), MONDAY + 30 * DAY
    full = rows("facilities", stations(CAPACITY) + hubs())
    assert detector.run(window(later, later, facilities=full)) == []
    assert detector.state() == before
    detector.run(window(MONDAY + EVERY, later, facilities=full))
    assert set(HUBS) < set(names(detector))


@both
def test_the_longest_unseen_goes_first(kind: Kind) -> None:
    detector, order = kind(capacity=CAPACITY), [3, 0, 2, 1]
    busy = stations(CAPACITY, flow=1)
    for step in range(1, 100):
        for place_, silent_after in zip(order, range(8, 40, 8), strict=True):
            busy[place_] = place(f"station {place_}", int(step < silent_after), 0)
        detector.run(told(MONDAY + step * EVERY, busy))
    detector.run(told(MONDAY + 100 * EVERY, busy + hubs()[:1]))
    assert names(detector)[3] == HUBS[0]
    detector.run(told(MONDAY + 101 * EVERY, busy + hubs()[:3]))
    assert names(detector)[:4] == [HUBS[1], "station 1", HUBS[2], HUBS[0]]


@both
def test_a_clock_that_was_ahead_keeps_no_place_for_longer_than_a_week(kind: Kind) -> None:
    """And a window that ends before it begins says nothing of who was busy when."""
    detector, busy = kind(capacity=CAPACITY), stations(CAPACITY, flow=1)
    detector.run(told(MONDAY + 400 * DAY, busy))
    before = detector.state()
    detector.run(window(MONDAY + 400 * DAY, MONDAY, facilities=rows("facilities", busy)))
    assert detector.state() == before
    for step in range(1, 8 * 9):
        detector.run(told(MONDAY + step * EVERY, stations(CAPACITY) + hubs()))
    assert set(HUBS) < set(names(detector))


@both
def test_a_checkpoint_that_knew_nothing_of_it_goes_on_and_makes_room_after_a_week(kind: Kind) -> None:
    detector = kind(capacity=CAPACITY)
    detector.run(told(MONDAY, stations(CAPACITY, flow=1)))
    older = {name: part for name, part in detector.state().items() if name != "room"}
    detector = kind(capacity=CAPACITY)
    detector.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(older)))
    began = MONDAY + 30 * DAY
    for step in range(1, 8 * 8):
        detector.run(told(began + step * EVERY, stations(CAPACITY) + hubs()))
        assert (HUBS[0] in names(detector)) == (step > 7 * 8)


@both
def test_an_open_episode_keeps_its_place(kind: Kind) -> None:
    """The daemon was away for two weeks when the jam had gone: its end is told before its facility is forgotten."""
    detector = kind(capacity=len(HUBS))
    found, at = list[Finding](), MONDAY
    for step in range(1, 8 * 20):
        at = MONDAY + step * EVERY
        found += detector.run(told(at, hubs(max(step / 8 - 17, 0.0))))
    assert opened(found) == {HUBS[0]}
    gone = [place(hub, 0, 0) for hub in HUBS]
    away = window(at, at + 14 * DAY, facilities=rows("facilities", gone + stations(9, flow=5)))
    found += detector.run(away)
    assert names(detector)[0] == HUBS[0]
    assert set(names(detector)[1:]) == {f"station {number}" for number in range(5)}
    for step in range(1, 9):
        found += detector.run(told(at + 14 * DAY + step * EVERY, gone))
    assert [finding.state for finding in found][-1] is State.CLOSED


@both
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kept=st.integers(0, CAPACITY - 1),
    new=st.integers(1, CAPACITY),
    restart=st.booleans(),
)
def test_who_stays_is_judged_as_if_the_others_were_still_there(
    kind: Kind, seed: int, kept: int, new: int, restart: bool
) -> None:
    """What is known of each, but for what is common to all; and who is new is known as little as at a first start."""
    rng = np.random.default_rng(seed)
    stays = set(rng.permutation(CAPACITY)[:kept].tolist())
    detector = kind(capacity=CAPACITY)
    for step in range(1, 8 * 9):
        busy = [step < 8 or number in stays for number in range(CAPACITY)]
        places = [
            place(f"station {number}", *rng.integers(1, 90, 2).tolist()) if busy[number] else none
            for number, none in enumerate(stations(CAPACITY))
        ]
        detector.run(told(MONDAY + step * EVERY, places))
    before = _by_key(detector)
    if restart:
        detector = through_checkpoint(kind, detector)
    comers = [place(f"new {number}", 5, 7) for number in range(new)]
    detector._enter(told(MONDAY + 72 * EVERY, places + comers))
    after = _by_key(detector)
    assert {name for name in after if name.startswith("station")} >= {f"station {one}" for one in stays}
    assert len(after) == CAPACITY
    come = [name for name in after if name.startswith("new")]
    assert len(come) == min(new, CAPACITY - kept)
    for name, known in after.items():
        blank = _BLANK[kind](len(known))
        np.testing.assert_array_equal(known, blank if name in come else before[name])
    for week in detector._weeks if isinstance(detector, BacklogForecast) else ():
        usual = week._rhythm.week(np.arange(CAPACITY))
        table = np.array([week.usual(hour) for hour in range(len(week.factor))])
        np.testing.assert_allclose(table.T, usual, rtol=1e-4, atol=1e-4)


def _by_key(detector: Detector) -> dict[str, Any]:
    """Of each facility all numbers that a checkpoint has of it alone, and what is usual in each hour, in a row."""
    state, parts = detector.state(), list[Any]()
    for name in ("stock", "arrivals", "departures"):
        parts += [unpack(state[name][one]) for one in _RHYTHM] if name in state else []
    parts += [unpack(state[name]) for name in ("flow", "flow_usual", "stalled_share") if name in state]
    parts += [unpack(state[name]) for name in ("sums", "error", "told") if name in state]
    keys = state["stock"]["keys"]
    columns = np.concatenate([part.reshape(len(keys), -1) for part in parts], axis=1)
    return dict(zip(keys, columns, strict=True))


_RHYTHM = ("level", "scale", "days", "own", "own_days")
_TOLD = 2 * 24  # forecasts, none of which was made of who is new
_BLANK: Mapping[Kind, Callable[[int], Any]] = {
    FacilityCongested: np.zeros,
    BacklogForecast: lambda size: np.concatenate([np.zeros(size - _TOLD), np.full(_TOLD, np.nan)]),
}
