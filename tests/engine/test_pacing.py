"""Learned weeks: what warehouses and carriers do on which day slows the clock of what waits for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detectors.feed_silent import FeedSilent
from monitor.engine.kernels.state import CALENDAR_START
from monitor.vocabulary import Segment, Status
from tests.engine.shop import DAY, HOUR, MINUTE, Scan, Shop, order, said

MONDAY = 1_772_380_800_000  # 2026-03-02, midnight in Shanghai
SATURDAY, SUNDAY = 5, 6


def lived(weeks: int, sunday: int) -> Shop:
    """A shop in which 300 orders wait, that ships 300 a day, and so many on Sundays."""
    shop = Shop()
    shop.until(MONDAY)
    shop.order(order("O1", "paid", MONDAY - HOUR))
    shop.order(order("O1", "shipped", MONDAY, tracking_number="SF1", carrier="sf"))
    stage = shop.engine.stage
    assert stage.lane_count > 0
    (lane,) = stage.world.passed["finished"][:, Segment.FULFILMENT].nonzero()[0].tolist()
    stage.world.passed["open"][lane, Segment.FULFILMENT] = 300
    for day in range(weeks * 7):
        shipped = sunday if day % 7 == SUNDAY else 300
        stage.world.passed["finished"][lane, Segment.FULFILMENT] += shipped
        shop.until(MONDAY + (day + 1) * DAY, step=HOUR)
    return shop


def stalled_after(shop: Shop, weeks: int) -> int:
    """Hours until an order paid on the Saturday evening of the week that follows is stalled."""
    paid = MONDAY + weeks * 7 * DAY + SATURDAY * DAY + 18 * HOUR
    shop.until(paid, step=HOUR)
    shop.order(order("O2", "paid", paid))
    for hour in range(1, 200):
        if any(
            line.startswith("opened fulfilment_stalled O2") for line in said(shop.until(paid + hour * HOUR))
        ):
            return hour
    raise AssertionError("never")


def test_an_order_waits_longer_over_a_sunday_on_which_the_warehouse_rests() -> None:
    assert stalled_after(lived(3, 300), 3) == 72
    assert 90 <= stalled_after(lived(3, 30), 3) <= 93


def moved(silent: tuple[int, int], *, restarts: bool) -> Shop:
    """Three weeks of two carriers that take in eight parcels an hour and deliver each twelve hours later, on every day. The
    feed of one says nothing between two hours, and all at the second.
    """
    shop = Shop(place=[FeedSilent(ready_events=30, ready_hours=12)])
    shop.until(MONDAY)
    kept: list[Scan] = []
    heard = 0  # of these, by the other's feed
    for hour in range(21 * 24):
        at = MONDAY + hour * HOUR + 30 * MINUTE
        for one in range(8):
            kept.append(Scan(f"SF{hour}-{one}", Status.ACCEPTED, at))
            if hour >= 12:
                kept.append(Scan(f"SF{hour - 12}-{one}", Status.DELIVERED, at))
        shop.scan(
            *(replace(scan, number=f"Y{scan.number}", carrier="yto", source="yto") for scan in kept[heard:])
        )
        heard = len(kept)
        if not silent[0] <= hour < silent[1]:
            shop.scan(*kept)
            kept, heard = [], 0
        shop.until(MONDAY + (hour + 1) * HOUR, step=HOUR)
        if restarts and hour % 24 == 0:
            shop.restart()
    return shop


def paces(shop: Shop) -> set[int]:
    """Hours that each day of the fourth week is worth to the carrier."""
    world = shop.engine.stage.world
    calendar = world.worked[int(world.calendar[shop.engine.names.carriers.known("sf"), 0])].astype(int)
    first = (MONDAY + 21 * DAY) // HOUR - int(world.rules[CALENDAR_START]) // 3600
    return {int(calendar[first + 24 * (day + 1)] - calendar[first + 24 * day]) // 3600 for day in range(7)}


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("days", [(19, 20.25), (18.75, 20.1)])
def test_a_silent_feed_makes_no_day_of_rest(days: tuple[float, float], *, restarts: bool) -> None:
    """A Saturday, or a weekend, of which nothing was heard before the Sunday or the Monday."""
    begins, ends = (round(day * 24) for day in days)
    shop = moved((begins, ends), restarts=restarts)
    assert [line for line in said(shop.found) if "feed_silent" in line] == [
        "opened feed_silent kd100",
        "closed feed_silent kd100 recovered",
    ]
    assert paces(shop) == {24}


def test_a_day_of_rest_is_one_where_the_feed_speaks() -> None:
    """A carrier that takes in and ends little on Sundays, of a feed that nobody calls silent."""
    shop = Shop()
    shop.until(MONDAY)
    for hour in range(21 * 24):
        at = MONDAY + hour * HOUR + 30 * MINUTE
        resting = hour % (7 * 24) // 24 == SUNDAY
        for one in range(0 if resting else 8):
            shop.scan(Scan(f"SF{hour}-{one}", Status.ACCEPTED, at))
            if hour >= 12:
                shop.scan(Scan(f"SF{hour - 12}-{one}", Status.DELIVERED, at))
        shop.until(MONDAY + (hour + 1) * HOUR, step=HOUR)
    assert min(paces(shop)) < 18
    assert max(paces(shop)) == 24


def paused(down: tuple[float, float], *, restarts: bool) -> Shop:
    """22 days of a carrier that ends little on Sundays. Between two days the daemon is down, and then hears of all at
    once: no tick stands in a stream that nobody ticks.
    """
    shop = Shop()
    shop.until(MONDAY)
    kept: list[Scan] = []
    for hour in range(22 * 24):
        at = MONDAY + hour * HOUR + 30 * MINUTE
        resting = hour % (7 * 24) // 24 == SUNDAY
        for one in range(1 if resting else 8):
            kept.append(Scan(f"SF{hour}-{one}", Status.ACCEPTED, at))
            if hour >= 12:
                kept.append(Scan(f"SF{hour - 12}-{one}", Status.DELIVERED, at))
        if down[0] * 24 <= hour < down[1] * 24:
            continue
        shop.scan(*kept)
        kept = []
        shop.engine.tick(MONDAY + (hour + 1) * HOUR)
        if restarts and hour % 24 == 0:
            shop.restart()
    return shop


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("down", [(18.5, 21.1), (20.7, 21.4), (20.2, 20.8)], ids=["days", "a night", "hours"])
def test_what_happened_while_the_daemon_was_down_is_no_work_of_the_day_before(
    down: tuple[float, float], *, restarts: bool
) -> None:
    """Of the third Sunday, or of the days around it, it heard later: what is known of Sundays stays."""
    slowest, *_ = sorted(paces(paused(down, restarts=restarts)))
    assert slowest <= 7
