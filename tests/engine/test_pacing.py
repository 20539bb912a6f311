"""The shop's own week: what its warehouses do on which day slows the clock of orders that wait for them."""

from __future__ import annotations

from monitor.vocabulary import Segment
from tests.engine.shop import DAY, HOUR, Shop, order, said

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
