"""Whatever a feed tells of says that it is alive: scans, orders, complaints. What a shop's feed hides waits, too."""

from __future__ import annotations

import pytest

from detectors.feed_silent import FeedSilent
from monitor.vocabulary import Status
from tests.engine.shop import HOUR, MINUTE, START, Scan, Shop, complaint, order, said

STEP = 4 * MINUTE
QUIET = START + 30 * HOUR


def test_orders_and_complaints_count_as_what_their_feeds_said() -> None:
    shop = Shop()
    shop.until(START)
    shop.order(*(order(f"O{n}", "paid", START + n, received_at=START + MINUTE) for n in range(3)))
    shop.order(order("O2", "paid", START + 2, received_at=START + 2 * MINUTE))  # sent again: the feed lives
    shop.complain(complaint("K1", START + 5, received_at=START + 7))
    feeds = shop.engine.feeds()
    assert feeds["shop"] == {
        "events": 4,
        "newest_occurred": START + 2,
        "newest_received": START + 2 * MINUTE,
        "live": 3,
        "held": 0,
    }
    assert feeds["desk"]["events"] == 1
    assert feeds["desk"]["newest_received"] == START + 7


@pytest.mark.parametrize("restarts", [False, True])
def test_scans_without_a_source_are_a_feed_whose_silence_is_noticed_while_orders_go_on(
    *, restarts: bool
) -> None:
    """A tracker that names no source says nothing for two days; the shop, which names none either, goes on."""
    shop = Shop(place=[FeedSilent(ready_events=30, ready_hours=12)])
    shop.until(START)
    shop.scan(Scan("SF1", Status.ACCEPTED, START, source=None))
    for at in range(START, QUIET + 48 * HOUR, 8 * MINUTE):
        shop.order(order(f"O{at}", "placed", at, source=""))
        if at <= QUIET:
            shop.scan(Scan(f"X{at // MINUTE % 997}", Status.IN_TRANSIT, at, source=None))
        shop.until(at + 8 * MINUTE, step=STEP)
    if restarts:
        shop.restart()
    assert said(shop.found) == ["opened feed_silent tracking"]
    feeds = shop.engine.feeds()
    assert (feeds["tracking"]["held"], feeds["order"]["held"]) == (1, 0)


def test_complaints_without_a_source_are_a_feed_of_their_own() -> None:
    shop = Shop()
    shop.until(START)
    shop.complain(complaint("K1", START, source=""))
    assert shop.engine.feeds()["complaint"]["events"] == 1


def test_a_feed_that_scans_only_name_has_said_nothing_and_one_that_speaks_is_as_old_as_its_last_word() -> (
    None
):
    shop = Shop()
    shop.until(START)
    shop.engine.names.sources.code("to come")
    shop.scan(Scan("SF1", Status.ACCEPTED, START))
    ages = {name: known["newest_received"] for name, known in shop.engine.feeds().items()}
    assert ages == {"to come": 0, "kd100": START}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_silent_shop_is_noticed_and_its_orders_are_held_until_its_backlog_is_in(*, restarts: bool) -> None:
    """Each eight minutes an order is paid; all but O0 are shipped. The shop says nothing for 60 hours."""
    shop = Shop(place=[FeedSilent(ready_events=30, ready_hours=12)])
    shop.until(START)
    paid = range(START, QUIET + 1, 8 * MINUTE)
    for number, at in enumerate(paid):
        shop.order(order(f"O{number}", "paid", at))
        shop.until(at + 8 * MINUTE, step=STEP)
    back = QUIET + 60 * HOUR
    shop.until(back, step=STEP)
    if restarts:
        shop.restart()
    assert said(shop.found) == ["opened feed_silent shop"]
    late = [order(f"O{n}", "shipped", QUIET + n * 10 * MINUTE, received_at=back) for n in range(1, len(paid))]
    new = [order(f"P{n}", "paid", QUIET + n * 10 * MINUTE, received_at=back) for n in range(200)]
    shop.order(*late, *new)
    for hours in range(1, 5):
        shop.order(*(order(f"Q{hours}-{n}", "paid", shop.engine.now) for n in range(8)))
        shop.until(back + hours * HOUR, step=STEP)
    opened = [line for line in said(shop.found) if line.startswith("opened")]
    assert opened == ["opened feed_silent shop", "opened fulfilment_stalled O0"]


def test_a_feed_with_quiet_nights_holds_nothing_back_in_them() -> None:
    """An event a minute from eight to ten in the evening, for six days; some doubt is allowed in the first two nights."""
    shop = Shop(place=[FeedSilent()])
    midnight = START - 14 * HOUR - 20 * MINUTE
    shop.until(midnight)
    held = []
    for quarter in range(6 * 24 * 4):
        at = midnight + quarter * 15 * MINUTE
        if 8 <= quarter // 4 % 24 < 22:
            shop.scan(*(Scan(f"X{n % 500}", Status.IN_TRANSIT, at + n * MINUTE) for n in range(15)))
        shop.until(at + 15 * MINUTE, step=5 * MINUTE)
        held += [quarter] if any(feed["held"] for feed in shop.engine.feeds().values()) else []
    assert said(shop.found) == []
    assert [quarter for quarter in held if quarter > 3 * 24 * 4] == []
