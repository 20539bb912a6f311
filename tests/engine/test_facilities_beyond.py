"""More names of facilities than the detectors have room for, by the engine's own codes, dumped and loaded on the way."""

from __future__ import annotations

import pytest

from detectors.backlog import BacklogForecast
from detectors.facility_congested import FacilityCongested
from detectors.findings import Kind, State
from monitor.vocabulary import Status
from tests.engine.shop import DAY, HOUR, START, Scan, Shop

OUTLETS = tuple(f"outlet {number}" for number in range(5))
OPENS = START + 9 * DAY
JAMS = OPENS + 12 * DAY


def there(facility: str, number: str, at: int, hours: int) -> list[Scan]:
    return [
        Scan(number, Status.ARRIVED, at, region="440305", facility=facility),
        Scan(number, Status.DELIVERED, at + hours * HOUR, region="440305", facility=facility),
    ]


def detectors() -> list[FacilityCongested | BacklogForecast]:
    return [FacilityCongested(capacity=len(OUTLETS)), BacklogForecast(capacity=len(OUTLETS))]


@pytest.mark.parametrize("restart", [False, True])
def test_a_hub_that_opens_when_outlets_took_all_room_is_learned_and_its_jam_found(*, restart: bool) -> None:
    shop = Shop(place=detectors())
    shop.until(START)
    for outlet in OUTLETS:
        shop.scan(*there(outlet, outlet, START, 2))
    shop.until(OPENS, step=3 * HOUR)
    for at in range(OPENS, JAMS + DAY, HOUR):
        if restart and at == OPENS + 5 * DAY:
            shop.place = detectors()
            shop.restart()
        stay, come = (500, 60) if at >= JAMS else (3, 4)
        for parcel in range(come):
            first, last = there("hub", f"{at}/{parcel}", at, stay)
            shop.scan(first, *([last] if last.at < JAMS else []))
        shop.until(at + HOUR, step=HOUR)
    opened = {(one.kind, one.subject.id) for one in shop.found if one.state is State.OPENED}
    assert opened >= {(Kind.FACILITY_CONGESTED, "hub"), (Kind.BACKLOG_FORECAST, "hub")}
    assert {name for kind, name in opened if kind in {Kind.FACILITY_CONGESTED, Kind.BACKLOG_FORECAST}} == {
        "hub"
    }
    uncounted = shop.engine.uncounted()
    assert uncounted == {"facility_congested": {"no_room": 0}, "backlog_forecast": {"no_room": 0}}
