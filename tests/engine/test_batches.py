"""Feeds that tell of a day's scans at once: what they have yet to tell is held against no parcel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from monitor.vocabulary import Status
from tests.engine.shop import DAY, HOUR, MINUTE, START, Scan, Shop, order, said

STEP = 5 * MINUTE
MIDNIGHT = START - 14 * HOUR - 20 * MINUTE  # in Shanghai


def told_daily(day: int) -> Iterator[Scan]:
    """Of parcels that move all day long, at six in the morning of the next day."""
    for quarter in range(96):
        at = MIDNIGHT + day * DAY + quarter * 15 * MINUTE
        yield Scan(f"X{quarter}", Status.IN_TRANSIT, at, received=MIDNIGHT + (day + 1) * DAY + 6 * HOUR)


def promised(shop: Shop, number: str, day: int) -> None:
    until = MIDNIGHT + (day + 1) * DAY - 1000
    shop.order(order(f"O{number}", "shipped", until - DAY, tracking_number=number, promised_at=until))


def batched(days: int, *, restarts: bool = False) -> Shop:
    """Until six in the morning of a day, before its batch."""
    shop = Shop()
    shop.until(MIDNIGHT + DAY)
    for day in range(days):
        shop.until(MIDNIGHT + (day + 1) * DAY + 6 * HOUR, step=STEP)
        if restarts:
            shop.restart()
        if day < days - 1:
            shop.scan(*told_daily(day))
    return shop


@pytest.mark.parametrize("restarts", [False, True])
def test_a_promise_of_the_evening_is_judged_when_the_morning_has_told_of_the_evening(
    *, restarts: bool
) -> None:
    shop = batched(4, restarts=restarts)
    for number in ("SF1", "SF2"):
        promised(shop, number, 4)
        shop.scan(
            Scan(number, Status.OUT_FOR_DELIVERY, MIDNIGHT + 3 * DAY + 20 * HOUR, received=shop.engine.now)
        )
    shop.scan(*told_daily(3))
    morning = MIDNIGHT + 5 * DAY + 6 * HOUR
    while shop.engine.now < morning:  # what the feed tells of orders says nothing of parcels
        shop.until(shop.engine.now + HOUR, step=STEP)
        shop.order(order(f"O{shop.engine.now}", "placed", shop.engine.now, source="kd100"))
    if restarts:
        shop.restart()
    assert said(shop.found) == []
    shop.scan(*told_daily(4))
    shop.scan(Scan("SF1", Status.DELIVERED, MIDNIGHT + 4 * DAY + 20 * HOUR, received=morning))
    shop.until(morning + 10 * MINUTE, step=STEP)
    assert said(shop.found) == []  # the batch may still come in
    shop.until(morning + 20 * MINUTE, step=STEP)
    assert "opened promise_broken SF2" in said(shop.found)
    assert not [line for line in said(shop.found) if "SF1" in line]


def test_a_feed_that_is_prompt_by_day_and_quiet_at_night_is_held_in_no_night() -> None:
    shop, held = Shop(), 0
    shop.until(MIDNIGHT)
    for quarter in range(4 * 96):
        at = MIDNIGHT + quarter * 15 * MINUTE
        if 8 <= quarter // 4 % 24 < 20:
            shop.scan(
                *(
                    Scan(f"X{n}", Status.IN_TRANSIT, at + n * MINUTE, received=at + 15 * MINUTE)
                    for n in range(15)
                )
            )
        shop.until(at + 15 * MINUTE, step=STEP)
        held += shop.engine.holding.held
    assert held == 0


def test_the_backlog_of_an_outage_makes_no_feed_one_of_batches() -> None:
    """A scan every quarter for eight days, but that those of 40 hours came after these."""
    shop, back = Shop(), MIDNIGHT + 8 * DAY
    shop.until(MIDNIGHT)
    for quarter in range(8 * 96):
        at = MIDNIGHT + quarter * 15 * MINUTE
        if at < back - 40 * HOUR:
            shop.scan(Scan(f"X{quarter % 90}", Status.IN_TRANSIT, at))
        shop.until(at + 15 * MINUTE, step=STEP)
    shop.scan(*(Scan(f"Y{n}", Status.IN_TRANSIT, back - n * 15 * MINUTE, received=back) for n in range(160)))
    shop.until(back + 12 * HOUR, step=STEP)
    assert shop.engine.holding.held == 0


def held_in(shop: Shop, until: int) -> int:
    """Ticks at which any feed was held."""
    held = 0
    while shop.engine.now < until:
        shop.until(shop.engine.now + STEP, step=STEP)
        held += bool(shop.engine.holding.held)
    return held


def test_a_batch_that_never_comes_again_holds_nothing_after_two_days() -> None:
    shop = Shop()
    shop.until(MIDNIGHT)
    shop.scan(
        *(Scan(f"X{n}", Status.IN_TRANSIT, MIDNIGHT - 20 * HOUR, received=MIDNIGHT) for n in range(900))
    )
    assert held_in(shop, MIDNIGHT + 2 * DAY + HOUR) > 100
    assert held_in(shop, MIDNIGHT + 20 * DAY) == 0


def test_a_feed_that_does_not_say_when_it_was_told_is_seen_to_come_in_batches() -> None:
    shop = Shop()
    shop.until(MIDNIGHT + DAY)
    for day in range(4):
        shop.until(MIDNIGHT + (day + 1) * DAY + 6 * HOUR, step=STEP)
        shop.scan(*(replace(scan, received=None) for scan in told_daily(day)))
    shop.until(MIDNIGHT + 4 * DAY + 12 * HOUR, step=STEP)
    assert held_in(shop, MIDNIGHT + 5 * DAY) > 100


@pytest.mark.parametrize("zone", [0, 8])
def test_a_prompt_feed_that_tells_dates_only_is_held_in_no_night(zone: int) -> None:
    """Dates as the shop's clock or UTC names them."""
    shop, held = Shop(), 0
    shop.until(MIDNIGHT)
    for day in range(6):
        date = MIDNIGHT + day * DAY + (8 - zone) * HOUR
        for hour in range(9, 18):
            held += held_in(shop, MIDNIGHT + day * DAY + hour * HOUR)
            shop.scan(*(Scan(f"X{n}", Status.IN_TRANSIT, date, received=shop.engine.now) for n in range(20)))
    assert held == 0


def test_history_that_is_brought_in_makes_no_feed_one_of_batches() -> None:
    shop, held = Shop(), 0
    shop.until(MIDNIGHT)
    shop.scan(*(Scan(f"H{n}", Status.IN_TRANSIT, MIDNIGHT - 9 * DAY, received=MIDNIGHT) for n in range(2000)))
    for quarter in range(3 * 96):
        at = MIDNIGHT + quarter * 15 * MINUTE
        if 8 <= quarter // 4 % 24 < 20:
            shop.scan(*(Scan(f"X{n}", Status.IN_TRANSIT, at, received=at + 15 * MINUTE) for n in range(15)))
        held += held_in(shop, at + 15 * MINUTE)
    assert held == 0
