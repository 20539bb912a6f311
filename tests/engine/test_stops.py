"""What stands still because nothing moves in its region: told sooner, and no lesson for the days after."""

from __future__ import annotations

import pytest

from config.detection import StallSettings
from detectors.findings import Finding, Kind
from detectors.kernels import bin_of
from monitor.vocabulary import Segment, Status
from tests.engine.shop import DAY, HOUR, MINUTE, START, Scan, Shop, order

STEP = 5 * MINUTE
REGIONS = ("110105", "330106", "440305", "510104")
TAUGHT = START + 8 * DAY
STORM = "440305"


def scan(name: str, status: Status, at: int, region: str, hub: str | None = None) -> Scan:
    """Of no carrier, as a carrier's week is learned from what it moves, and these stand still."""
    return Scan(name, status, at, carrier=None, region=region, facility=hub)


def number(region: str, at: int, lane: int) -> str:
    return f"P{region[:2]}{at // HOUR}{lane}"


def travels(shop: Shop, since: int, until: int, stopped: str = "") -> None:
    """Every region: eight parcels an hour arrive at a hub, leave after 2 to 9 hours, and come home a day later."""
    for at in range(since, until, HOUR):
        shop.until(at, step=STEP)
        for region in REGIONS:
            for lane in range(8):
                hub, waited = f"hub-{region[:2]}", (2 + lane) * HOUR
                if region != stopped:
                    shop.scan(
                        scan(number(region, at, lane), Status.ARRIVED, at, region, hub),
                        scan(number(region, at - waited, lane), Status.DEPARTED, at, region),
                        scan(number(region, at - DAY, lane), Status.DELIVERED, at, region),
                    )
    shop.until(until, step=STEP)


def stalls(found: list[Finding], name: str) -> list[Finding]:
    return [one for one in found if one.subject.id == name and one.kind is Kind.FACILITY_STALLED]


def waits(shop: Shop, region: str, stopped: str = "") -> tuple[float, float]:
    """Hours until a parcel that arrives now and stays is stalled, and its score."""
    at = shop.engine.now
    shop.scan(scan("SF1", Status.ARRIVED, at, region, f"hub-{region[:2]}"))
    before = len(shop.found)
    travels(shop, at + HOUR, at + 2 * DAY, stopped)
    (one,) = stalls(shop.found[before:], "SF1")
    return (one.opened_at - at) / HOUR, one.score


def limit_of_facility(stalls: StallSettings) -> float:
    """Half leave after 5.5 hours; a fifth is on the road for more than 20.5."""
    road = 20.5 * stalls.linehaul.stretch + stalls.linehaul.margin_hours
    return max(5.5 + stalls.facility.margin_hours, stalls.onward_share * road + stalls.onward_hours)


@pytest.fixture(scope="module")
def usual() -> bytes:
    shop = Shop()
    shop.until(START)
    travels(shop, START + HOUR, TAUGHT)
    return shop.engine.dump("")


@pytest.fixture
def shop(usual: bytes) -> Shop:
    shop = Shop()
    shop.engine.load(usual)
    return shop


def stopped(shop: Shop) -> set[str]:
    world, zones = shop.engine.stage.world, shop.engine.stage.places.zones.texts()
    return {str(zones[zone]) for zone in range(1, len(zones)) if world.stopped[zone]}


def test_where_nothing_moves_a_parcel_is_told_of_after_the_short_margin_and_surely(shop: Shop) -> None:
    settings = shop.detection_settings.stalls
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 6 * HOUR, STORM)
    assert stopped(shop) == {"440000"}
    shop.restart()
    assert stopped(shop) == {"440000"}
    hours, score = waits(shop, STORM, STORM)
    assert hours == pytest.approx(9 + settings.jam_margin_hours, abs=2)
    assert score >= 0.95
    (one,) = stalls(shop.found, "SF1")
    assert one.evidence["sooner"] == "still"
    assert "all stands still there" in one.evidence["en"]


def test_elsewhere_nothing_changes(shop: Shop) -> None:
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 6 * HOUR, STORM)
    hours, _ = waits(shop, "330106", STORM)
    assert hours == pytest.approx(limit_of_facility(shop.detection_settings.stalls), abs=2)
    (one,) = stalls(shop.found, "SF1")
    assert "sooner" not in one.evidence


def test_when_it_moves_again_the_days_of_standing_have_taught_nothing(shop: Shop) -> None:
    settings = shop.detection_settings.stalls
    stands = shop.engine.now
    travels(shop, stands + HOUR, stands + 2 * DAY, STORM)
    ended = shop.engine.now
    for lane in range(8):  # what waited leaves at once
        held = [number(STORM, stands - hour * HOUR, lane) for hour in range(2 + lane)]
        shop.scan(*(scan(name, Status.DEPARTED, ended, STORM) for name in held))
    travels(shop, ended + HOUR, ended + 6 * HOUR)
    assert stopped(shop) == set()
    world = shop.engine.stage.world
    there = world.lanes["origin"] == shop.engine.stage.places.zones.known("440000")
    assert there.sum() == 1
    assert world.ends[there, Segment.FACILITY, bin_of(DAY // 1000) :].sum() == 0
    hours, _ = waits(shop, STORM)
    assert hours == pytest.approx(limit_of_facility(settings), abs=3)


def test_a_night_in_which_nothing_moves_anywhere_is_no_storm(shop: Shop) -> None:
    shop.until(shop.engine.now + 10 * HOUR, step=STEP)
    assert stopped(shop) == set()


def sends(shop: Shop, name: str, origin: str, destination: str) -> int:
    """A parcel leaves now for another region."""
    at = shop.engine.now
    way = {"origin_region": origin, "region": destination}
    shop.order(order(f"O{name}", "shipped", at, tracking_number=name, **way))
    shop.scan(scan(name, Status.DEPARTED, at, origin))
    return at


@pytest.mark.parametrize("restarts", [False, True])
def test_a_road_through_a_region_where_nothing_moves_is_closed_as_well(shop: Shop, *, restarts: bool) -> None:
    """One parcel from 33 to 51 was seen at a hub in 44. In 44 nothing moves: the next one is told of as one to 44 is, and
    one from 33 to 11 is not.
    """
    sends(shop, "SF0", "330106", "510104")
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 12 * HOUR)
    shop.scan(scan("SF0", Status.ARRIVED, shop.engine.now, STORM, "hub-44"))
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 8 * HOUR)
    shop.scan(scan("SF0", Status.DEPARTED, shop.engine.now, STORM))
    if restarts:
        shop.restart()
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 6 * HOUR, STORM)
    assert stopped(shop) == {"440000"}
    for name, destination in (("SF1", "510104"), ("SF2", STORM), ("SF3", "110105")):
        at = sends(shop, name, "330106", destination)
    travels(shop, at + HOUR, at + 40 * HOUR, STORM)
    told = {one.subject.id: one for one in shop.found if one.kind is Kind.LINEHAUL_STALLED}
    assert "SF3" not in told
    assert told["SF1"].opened_at == pytest.approx(told["SF2"].opened_at, abs=2 * HOUR)
    assert {(told[name].score, told[name].evidence["sooner"]) for name in ("SF1", "SF2")} == {(0.97, "still")}


def test_what_waited_on_a_closed_road_teaches_nothing(shop: Shop) -> None:
    sends(shop, "SF0", "330106", "510104")
    shop.scan(scan("SF0", Status.ARRIVED, shop.engine.now, STORM, "hub-44"))
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 8 * HOUR)
    assert stopped(shop) == set()
    lane = shop.engine.stage.view(shop.engine.names.key("SF0"))
    assert lane is not None
    ends = shop.engine.stage.world.ends[lane.slot.lane, Segment.LINEHAUL]
    before = ends.sum()
    sends(shop, "SF1", "330106", "510104")
    travels(shop, shop.engine.now + HOUR, shop.engine.now + 30 * HOUR, STORM)
    assert stopped(shop) == {"440000"}
    shop.scan(scan("SF1", Status.ARRIVED, shop.engine.now, STORM, "hub-44"))
    assert ends.sum() <= before
    sends(shop, "SF2", "330106", "110105")
    shop.scan(scan("SF2", Status.ARRIVED, shop.engine.now + 1000, "110105", "hub-11"))
    known = shop.engine.stage.view(shop.engine.names.key("SF2"))
    assert known is not None
    assert shop.engine.stage.world.ends[known.slot.lane, Segment.LINEHAUL].sum() == 1
