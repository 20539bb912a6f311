"""Shops that are unlike most: promises of days, lanes of weeks, pre-orders, festivals, receipts before the last scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from detectors.clock import kept_until
from detectors.feed_silent import FeedSilent
from detectors.findings import Finding, Kind
from detectors.survival import Usual
from monitor.columns import Batch
from monitor.engine import wording
from monitor.times import parse_time
from monitor.vocabulary import Segment, Status
from tests.engine.shop import DAY, HOUR, MINUTE, START, Scan, Shop, columns, order, said

NAMED_DAYS = {
    "the shop's midnight": ("2026-02-27T00:00:00+08:00", "2026-02-27T23:59:59+08:00", "2026-02-27 23:59,"),
    "midnight of UTC": ("2026-02-27T00:00:00Z", "2026-02-27T23:59:59Z", "2026-02-27 23:59 UTC,"),
    "an hour": ("2026-02-27T18:00:00+08:00", "2026-02-27T18:00:00+08:00", "2026-02-27 18:00,"),
    "the end of a day": ("2026-02-27T23:59:59+08:00", "2026-02-27T23:59:59+08:00", "2026-02-27 23:59,"),
}


def moment(text: str) -> int:
    parsed = parse_time(text)
    assert parsed is not None
    return parsed


def begun(**more: Any) -> Shop:
    shop = Shop(**more)
    shop.until(START)
    return shop


def of_kind(findings: Sequence[Finding], kind: Kind) -> list[Finding]:
    return [one for one in findings if one.kind is kind and one.state == "opened"]


@pytest.mark.parametrize(("promised", "ends", "words"), NAMED_DAYS.values(), ids=NAMED_DAYS)
def test_a_promise_that_names_a_day_is_kept_until_that_day_ends(promised: str, ends: str, words: str) -> None:
    shop = begun()
    shop.order(order("O1", "shipped", START, tracking_number="SF1", promised_at=moment(promised)))
    shop.scan(Scan("SF1", Status.OUT_FOR_DELIVERY, START + HOUR))
    shop.until(moment(ends) - MINUTE)
    assert of_kind(shop.found, Kind.PROMISE_BROKEN) == []
    (broken,) = of_kind(shop.until(moment(ends) + 2 * MINUTE), Kind.PROMISE_BROKEN)
    assert broken.started_at == moment(ends)
    assert f"promised by {words}" in broken.evidence["en"]


def test_what_is_kept_until_when_is_not_moved_twice() -> None:
    once = kept_until(moment("2026-02-27T00:00:00+08:00"), "Asia/Shanghai")
    assert kept_until(once, "Asia/Shanghai") == once


@pytest.mark.parametrize(
    ("promised", "ends"),
    [
        ("2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59+02:00"),
        ("2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00"),
    ],
)
def test_a_day_on_which_clocks_change_ends_at_its_midnight(promised: str, ends: str) -> None:
    assert kept_until(moment(promised), "Europe/Berlin") == moment(ends)


def cross(shop: Shop, number: str, at: int) -> None:
    """From Shenzhen, on a road to Germany that nobody scans."""
    shop.order(
        order(
            f"O{number}",
            "shipped",
            at,
            tracking_number=number,
            carrier="post",
            origin_region="440300",
            region="DE",
        )
    )
    shop.scan(Scan(number, Status.DEPARTED, at, carrier="post", region="440300"))


def test_a_lane_that_takes_two_weeks_is_given_three_and_calls_nothing_lost_before_that() -> None:
    shop = begun()
    for number in range(300):
        at = START + number * 48 * MINUTE
        shop.until(at, step=5 * MINUTE)
        cross(shop, f"RX{number}", at)
    for number in range(300):
        at = START + number * 48 * MINUTE + 14 * DAY + number % 3 * 12 * HOUR
        shop.until(max(at, shop.engine.now + MINUTE), step=5 * MINUTE)
        shop.scan(Scan(f"RX{number}", Status.ARRIVED, at, carrier="post", region="DE"))
    assert of_kind(shop.found, Kind.PRESUMED_LOST) == []
    since = shop.engine.now
    cross(shop, "RX300", since)
    found = shop.until(since + 18 * DAY, step=5 * MINUTE)
    assert [one for one in found if one.subject.id == "RX300"] == []
    shop.until(since + 50 * DAY, step=5 * MINUTE)
    stall, lost = [one for one in shop.found if one.subject.id == "RX300" and one.state == "opened"]
    assert (stall.kind, lost.kind) == (Kind.LINEHAUL_STALLED, Kind.PRESUMED_LOST)
    assert stall.evidence["expected_hours"] < 15 * 24 < stall.evidence["limit_hours"] < 24 * 24
    assert lost.evidence["limit_hours"] == pytest.approx(1.5 * stall.evidence["limit_hours"], rel=0.01)
    assert lost.opened_at - since >= lost.evidence["limit_hours"] * HOUR


def test_a_lane_that_few_speak_of_does_not_say_that_its_usual_is_seldom() -> None:
    evidence: dict[str, Any] = {"since": START}
    usual = Usual(324 * wording.HOUR, 144 * wording.HOUR, 3)
    wording.stalled(evidence, Segment.LINEHAUL, usual, 150 * wording.HOUR, "", "Asia/Shanghai")
    assert "seldom" not in evidence["en"]
    assert "324" in evidence["en"]
    assert "144" in evidence["en"]


@pytest.mark.parametrize(
    ("origin", "destination", "days"),
    [
        ("440300", "110105", 7),
        ("440300", "DE-BE", 20),
        ("810000", "440300", 20),
        ("US-CA", "US", 7),
        ("x", "DE", 7),
    ],
)
def test_a_parcel_to_another_country_has_longer_until_it_is_lost(
    origin: str, destination: str, days: int
) -> None:
    shop = begun()
    shop.order(
        order(
            "O1",
            "shipped",
            START,
            tracking_number="P1",
            carrier="x",
            origin_region=origin,
            region=destination,
        )
    )
    shop.scan(Scan("P1", Status.DEPARTED, START, carrier="x", region=origin))
    (lost,) = of_kind(shop.until(START + 31 * DAY, step=5 * MINUTE), Kind.PRESUMED_LOST)
    assert (lost.opened_at - START) // DAY == days
    assert lost.evidence["limit_hours"] == 24 * days


def test_a_preorder_is_not_stalled_while_there_is_time_for_its_way() -> None:
    shop = begun()
    promises = {"O1": START + 34 * DAY, "O2": START + 9 * DAY, "O3": None}
    shop.order(*[order(name, "paid", START, promised_at=promised) for name, promised in promises.items()])
    found = of_kind(shop.until(START + 30 * DAY, step=5 * MINUTE), Kind.FULFILMENT_STALLED)
    assert [one.subject.id for one in found] == ["O2", "O3"]
    assert said(shop.until(START + 32 * DAY, step=5 * MINUTE)) == ["opened fulfilment_stalled O1"]


def test_how_long_a_preorder_waited_is_not_how_long_others_wait() -> None:
    shop = begun()
    shop.order(order("O1", "paid", START, promised_at=START + 34 * DAY), order("O2", "paid", START))
    shop.order(*[order(name, "shipped", START + 20 * DAY) for name in ("O1", "O2")])
    assert shop.engine.stage.world.ends[:, Segment.FULFILMENT].sum() == 1


def test_the_silence_of_a_feed_is_no_part_of_a_loss() -> None:
    shop = begun(place=[FeedSilent(floor_minutes=45, ready_events=50, ready_hours=1)])

    def talk(start: int, end: int) -> None:
        for at in range(start, end, 10 * MINUTE):
            shop.until(at, step=5 * MINUTE)
            shop.scan(*[Scan(f"X{(at // MINUTE) % 97}-{n}", Status.IN_TRANSIT, at) for n in range(3)])

    talk(START, START + 2 * DAY)
    shop.scan(Scan("SF1", Status.DEPARTED, START + 2 * DAY))
    shop.until(START + 10 * DAY, step=5 * MINUTE)
    assert shop.engine.holding.silent
    talk(START + 10 * DAY, START + 16 * DAY)
    assert not [one for one in of_kind(shop.found, Kind.PRESUMED_LOST) if one.subject.id == "SF1"]
    talk(START + 16 * DAY, START + 18 * DAY)
    lost = [one for one in of_kind(shop.found, Kind.PRESUMED_LOST) if one.subject.id == "SF1"]
    assert [(one.opened_at - START) // DAY for one in lost] == [17]


def test_a_festival_is_no_part_of_a_loss() -> None:
    """Of 2026 from 15 to 23 February: a quarter of a day's work each."""
    shop = Shop()
    sent = moment("2026-02-13T12:00:00+08:00")
    shop.until(sent)
    shop.scan(Scan("SF1", Status.DEPARTED, sent))
    (lost,) = of_kind(shop.until(sent + 20 * DAY, step=5 * MINUTE), Kind.PRESUMED_LOST)
    assert lost.opened_at - sent > 10 * DAY


def test_a_receipt_that_the_customer_confirmed_ends_all_parcels_of_the_order() -> None:
    shop = begun()
    for number in ("P1", "P2"):
        promised = START + 20 * HOUR
        shop.order(
            order("O1", "shipped", START, tracking_number=number, promised_at=promised, event_id=number)
        )
        shop.scan(Scan(number, Status.DEPARTED, START))
    shop.scan(Scan("P3", Status.REFUSED, START))
    shop.until(START + DAY)
    completed = order("O1", "completed", START + DAY)
    batch = Batch(columns((), shop.engine.names), orders=[completed], parcels={"O1": ("P1", "P2", "P3")})
    assert said(shop.engine.feed(batch)) == [
        "closed promise_broken P1 delivered",
        "closed promise_broken P2 delivered",
    ]
    later = {one.subject.id for one in shop.until(START + 30 * DAY, step=5 * MINUTE)}
    assert later == {"P3"}  # on its way back
    assert shop.engine.outcomes()["duplicate"] == 0
