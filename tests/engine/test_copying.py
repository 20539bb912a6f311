"""A dump made in steps is the dump made at once, and what happens afterwards is not in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from monitor.engine.dumping import SIDES, finished
from monitor.engine.episodes import CHUNK
from monitor.engine.layout import BUCKETS
from monitor.vocabulary import Status
from tests.engine.shop import HOUR, START, Scan, Shop


def a_shop() -> Shop:
    shop = Shop()
    shop.until(START)
    for number in range(40):
        shop.scan(Scan(f"SF{number}", Status.ACCEPTED, START, region="440305", facility="hub-1"))
    shop.until(START + 60 * HOUR)
    return shop


def test_it_copies_bucket_after_bucket_and_no_later_event_gets_in() -> None:
    shop = a_shop()
    before = shop.engine.dump("7-0")
    seal = finished(shop.engine.copying("7-0"))
    shop.scan(Scan("SF1", Status.DEPARTED, START + 61 * HOUR))
    shop.scan(Scan("SF99", Status.ACCEPTED, START + 61 * HOUR))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(seal).result() == before
    assert shop.engine.dump("7-0") != before


def test_between_two_steps_it_has_copied_one_bucket_or_some_episodes_at_most() -> None:
    shop = a_shop()
    assert 0 < len(shop.engine.episodes) <= CHUNK
    few = sum(1 for _ in shop.engine.copying())
    assert few > BUCKETS
    many = 3 * CHUNK
    shop.scan(*(Scan(f"ZT{number}", Status.ACCEPTED, START, region="440305") for number in range(many)))
    shop.until(START + 62 * HOUR)
    assert len(shop.engine.episodes) == many + 40
    assert sum(1 for _ in shop.engine.copying()) == few + 3


@pytest.mark.parametrize("more", [0, 3, 200])
def test_numbers_that_are_kept_as_texts_are_copied_some_at_a_time(more: int) -> None:
    """Those that no key holds: sorted and encoded at once, half a million stopped the loop for a second."""
    shop = a_shop()
    shop.engine.names.side_limit = 3 * SIDES
    few = sum(1 for _ in shop.engine.copying())
    numbers = [f"单号-{number}" for number in range(2 * SIDES + more)]
    shop.scan(*(Scan(number, Status.ACCEPTED, START + 60 * HOUR) for number in numbers))
    assert list(shop.engine.names.sides.values()) == numbers
    assert sum(1 for _ in shop.engine.copying()) == few + 2 + (more > 0)
    before = shop.engine.dump()
    again = shop.fresh()
    again.load(before)
    assert again.names.dump() == shop.engine.names.dump()
