"""What the engine says of parcels and orders, as a person would see it."""

from __future__ import annotations

from detectors.findings import Kind, State
from monitor.vocabulary import Status
from tests.engine.shop import DAY, HOUR, MINUTE, START, Scan, Shop, order, said


def test_a_parcel_that_stands_still_is_told_once_and_closes_when_it_moves() -> None:
    shop = Shop()
    shop.until(START)
    shop.scan(Scan("SF1", Status.ACCEPTED, START, region="440305", facility="hub-1"))
    assert shop.until(START + 47 * HOUR) == []
    found = shop.until(START + 60 * HOUR)
    assert said(found) == ["opened facility_stalled SF1"]
    assert found[0].opened_at - START < 48 * HOUR + 2 * MINUTE
    assert found[0].evidence["facility"] == "hub-1"
    assert found[0].evidence["cases"] == 0
    moved = shop.scan(Scan("SF1", Status.DEPARTED, START + 60 * HOUR))
    assert said(moved) == ["closed facility_stalled SF1 moved"]
    assert moved[0].finding_id == found[0].finding_id


def test_an_order_is_timed_until_it_ships_and_its_parcel_from_then_on() -> None:
    shop = Shop()
    shop.until(START)
    shop.order(order("O1", "paid", START, promised_at=START + 6 * DAY, region="110105"))
    assert said(shop.until(START + 3 * DAY + HOUR)) == ["opened fulfilment_stalled O1"]
    shipped = order(
        "O1",
        "shipped",
        START + 4 * DAY,
        tracking_number="SF9",
        carrier="sf",
        region="110105",
        promised_at=START + 6 * DAY + 2 * HOUR,
    )
    assert said(shop.order(shipped)) == ["closed fulfilment_stalled O1 moved"]
    assert said(shop.until(START + 7 * DAY)) == ["opened pickup_stalled SF9", "opened promise_broken SF9"]
    delivered = Scan("SF9", Status.DELIVERED, START + 7 * DAY)
    assert said(shop.scan(delivered)) == [
        "closed pickup_stalled SF9 delivered",
        "closed promise_broken SF9 delivered",
    ]
    assert shop.until(START + 30 * DAY, step=5 * MINUTE) == []


def test_a_parcel_on_its_way_back_breaks_no_promise() -> None:
    shop = Shop()
    shop.until(START)
    for number, status in (("SF1", Status.OUT_FOR_DELIVERY), ("SF2", Status.REFUSED)):
        promised_at = START + 10 * HOUR
        shop.order(order(f"O{number}", "shipped", START, tracking_number=number, promised_at=promised_at))
        shop.scan(Scan(number, status, START + HOUR))
    assert said(shop.until(START + 12 * HOUR)) == ["opened promise_broken SF1"]


def test_a_parcel_without_a_scan_for_a_week_is_presumed_lost_instead_of_stalled() -> None:
    shop = Shop()
    shop.until(START)
    shop.scan(Scan("SF1", Status.DEPARTED, START))
    assert said(shop.until(START + 8 * DAY, step=5 * MINUTE)) == [
        "opened linehaul_stalled SF1",
        "closed linehaul_stalled SF1 superseded",
        "opened presumed_lost SF1",
    ]


def test_what_an_order_said_before_it_was_shipped_holds_for_its_parcel() -> None:
    shop = Shop()
    shop.until(START)
    promised = START + 20 * HOUR
    shop.order(order("O-1", "placed", START - 9 * HOUR, promised_at=promised, region="420100"))
    shop.order(order("O-1", "paid", START - 9 * HOUR), order("O-2", "paid", START - 9 * HOUR))
    shipped = [order(f"O-{n}", "shipped", START, tracking_number=f"P{n}", carrier="sf") for n in (1, 2)]
    shop.order(*shipped)
    known = {number: shop.engine.parcel(number) for number in ("P1", "P2")}
    assert {number: view and view.promised for number, view in known.items()} == {"P1": promised, "P2": None}
    found = shop.until(START + 21 * HOUR)
    assert [one.subject.id for one in found if one.kind is Kind.PROMISE_BROKEN] == ["P1"]


def test_a_promise_that_was_told_broken_of_the_order_is_not_told_again_of_its_parcel() -> None:
    shop = Shop()
    shop.until(START)
    shop.order(order("O-1", "paid", START - 9 * HOUR, promised_at=START + HOUR))
    shop.until(START + 3 * HOUR)
    shop.order(order("O-1", "shipped", START + 3 * HOUR, tracking_number="P1", carrier="sf"))
    shop.until(START + 9 * HOUR)
    broken = [one for one in shop.found if one.kind is Kind.PROMISE_BROKEN and one.state is State.OPENED]
    assert [one.subject.id for one in broken] == ["O-1"]
