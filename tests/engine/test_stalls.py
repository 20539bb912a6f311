"""When a parcel that stands still is called stalled: later than its lane's slow ones, sooner in a jam or a storm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from config.settings import EngineSettings
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Finding, Kind, Subject, SubjectType
from detectors.interfaces import Window
from monitor.vocabulary import Status
from tests.engine.shop import DAY, HOUR, START, Scan, Shop, detection, order

TAUGHT = START + 3 * DAY
STEP = 5 * 60_000


class Says:
    """A place detector that says of hub-1 what it is told to."""

    name = "facility_congested"
    every = STEP
    wants = frozenset({"facilities"})

    def __init__(self) -> None:
        self.congested = False
        self._episodes = Episodes(self.name, Kind.FACILITY_CONGESTED)

    def run(self, window: Window) -> list[Finding]:
        subject = Subject(SubjectType.FACILITY, "hub-1")
        if self.congested:
            one = self._episodes.hold(
                subject, started_at=window.until, now=window.until, score=0.9, evidence={}
            )
        else:
            one = self._episodes.close(subject, window.until, CloseReason.RECOVERED)
        return [one] if one is not None else []

    def state(self) -> dict[str, Any]:
        return {"congested": self.congested, "episodes": self._episodes.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.congested = bool(state["congested"])
        self._episodes.restore(state["episodes"])


def taught(place: Says | None = None, road_hours: int = 0, sweep_seconds: int = 60, **stalls: object) -> Shop:
    """A hub whose parcels leave after 2 to 12 hours, half of them after 7, and are signed at 20 or `road_hours` later."""
    shop = Shop(
        EngineSettings(max_live_parcels=10_000, sweep_seconds=sweep_seconds),
        detection(stalls=stalls),
        place=[place] if place else [],
    )
    shop.until(START)
    for number in range(400):
        name, at = f"T{number}", START + number * HOUR // 8
        shop.scan(Scan(name, Status.ARRIVED, at, region="440305", facility="hub-1"))
        shop.scan(Scan(name, Status.DEPARTED, at + HOUR * (2 + number % 11), region="440305"))
        shop.scan(Scan(name, Status.DELIVERED, at + HOUR * (20 + road_hours), region="110105"))
    shop.until(TAUGHT, step=STEP)
    return shop


def opened(found: list[Finding], number: str) -> Finding:
    (one,) = [one for one in found if one.subject.id == number and one.kind is Kind.FACILITY_STALLED]
    return one


def stalled(found: list[Finding]) -> set[str]:
    return {one.subject.id for one in found if one.kind is Kind.FACILITY_STALLED}


def waits(shop: Shop, number: str = "SF1") -> float:
    """Hours until a parcel that arrives now and stays is stalled."""
    at = shop.engine.now
    shop.scan(Scan(number, Status.ARRIVED, at, region="440305", facility="hub-1"))
    return (opened(shop.until(at + 4 * DAY, step=STEP), number).opened_at - at) / HOUR


def test_a_stall_opens_a_margin_after_half_of_its_lane_have_moved() -> None:
    margin = Shop().detection_settings.stalls.facility.margin_hours
    assert waits(taught(onward_share=0)) == pytest.approx(7 + margin, abs=2)


def test_before_a_long_road_a_wait_may_be_a_departure_that_nobody_scanned() -> None:
    stalls = Shop().detection_settings.stalls
    on_the_road = 44 * stalls.linehaul.stretch + stalls.linehaul.margin_hours
    limit = stalls.onward_share * on_the_road + stalls.onward_hours
    assert limit > 7 + stalls.facility.margin_hours + 4
    assert waits(taught(road_hours=30)) == pytest.approx(limit, rel=0.1)


def score_where_the_slow_ones_took(hours: int) -> float:
    shop = taught(onward_share=0)
    for number in range(12):
        name = f"S{number}"
        shop.scan(Scan(name, Status.ARRIVED, START, region="440305", facility="hub-1"))
        shop.scan(Scan(name, Status.DEPARTED, START + hours * HOUR, region="440305"))
        shop.scan(Scan(name, Status.DELIVERED, START + hours * HOUR, region="110105"))
    now = shop.engine.now
    shop.scan(Scan("SF1", Status.ARRIVED, now, region="440305", facility="hub-1"))
    return opened(shop.until(now + 4 * DAY, step=STEP), "SF1").score


def test_a_stall_is_surer_where_who_lasts_so_long_lasts_for_days() -> None:
    assert score_where_the_slow_ones_took(46) < 0.4
    assert score_where_the_slow_ones_took(70) > 0.7


def test_in_a_congested_facility_the_margin_is_short_and_sure_across_a_restart() -> None:
    says = Says()
    shop = taught(says, onward_share=0)
    says.congested = True
    shop.until(shop.engine.now + HOUR, step=STEP)
    shop.restart()
    at = shop.engine.now
    shop.scan(Scan("SF1", Status.ARRIVED, at, region="440305", facility="hub-1"))
    shop.scan(Scan("SF2", Status.ARRIVED, at, region="440305", facility="hub-2"))
    found = shop.until(at + 4 * DAY, step=STEP)
    settings = shop.detection_settings.stalls
    one, other = opened(found, "SF1"), opened(found, "SF2")
    assert (one.opened_at - at) / HOUR == pytest.approx(12 + settings.jam_margin_hours, abs=2)
    assert 0.8 < one.score < 0.99
    assert (other.opened_at - at) / HOUR == pytest.approx(7 + settings.facility.margin_hours, abs=2)


def test_a_jam_reaches_at_once_what_waits_already() -> None:
    says = Says()
    shop = taught(says, onward_share=0, census_hours=24 * 30)
    at = shop.engine.now
    shop.scan(Scan("SF1", Status.ARRIVED, at, region="440305", facility="hub-1"))
    shop.until(at + 25 * HOUR, step=STEP)
    says.congested = True
    assert opened(shop.until(at + 26 * HOUR, step=STEP), "SF1").score > 0.8


def test_in_a_jam_who_has_waited_for_as_long_as_elsewhere_is_the_surest() -> None:
    says = Says()
    shop = taught(says, onward_share=0)
    at = shop.engine.now
    for name, hours in (("SF1", 0), ("SF2", 8)):
        shop.scan(Scan(name, Status.ARRIVED, at + hours * HOUR, region="440305", facility="hub-1"))
    shop.until(at + 30 * HOUR, step=STEP)
    says.congested = True
    found = shop.until(at + 32 * HOUR, step=STEP)
    assert opened(found, "SF1").score > opened(found, "SF2").score > 0.9


def test_a_stall_is_surer_beside_others_that_stand_still() -> None:
    scores = {}
    for parcels in (1, 8):
        shop = taught(onward_share=0)
        at = shop.engine.now
        for number in range(parcels):
            shop.scan(Scan(f"SF{number}", Status.ARRIVED, at, region="440305", facility="hub-1"))
        scores[parcels] = opened(shop.until(at + 4 * DAY, step=STEP), "SF0").score
    assert scores[1] == pytest.approx(shop.detection_settings.stalls.facility.sure, abs=0.02)
    assert scores[8] > scores[1] + 0.03


def test_a_stall_is_less_sure_on_a_lane_that_borrows_its_usual() -> None:
    shop = taught(onward_share=0)
    at = shop.engine.now
    for name, region in (("SF1", "440305"), ("SF2", "530102")):
        shop.scan(Scan(name, Status.ARRIVED, at, region=region, facility=f"hub-of-{name}"))
    found = shop.until(at + 4 * DAY, step=STEP)
    known, unknown = opened(found, "SF1").score, opened(found, "SF2").score
    assert known == pytest.approx(shop.detection_settings.stalls.facility.sure, abs=0.02)
    assert unknown < known - 0.1


def test_a_jam_reaches_all_that_waits_though_the_daemon_stops_before_it_has_swept_them() -> None:
    says = Says()
    shop = taught(says, onward_share=0, census_hours=24 * 30, sweep_seconds=3600)
    at = shop.engine.now
    numbers = [f"SF{number}" for number in range(20)]
    shop.scan(*(Scan(name, Status.ARRIVED, at, region="440305", facility="hub-1") for name in numbers))
    shop.until(at + 25 * HOUR, step=STEP)
    says.congested = True
    found = shop.until(at + 25 * HOUR + STEP, step=STEP)
    assert len(stalled(found)) < 10
    shop.restart()
    found += shop.until(at + 26 * HOUR + STEP, step=STEP)
    assert stalled(found) == set(numbers)


def test_what_a_jam_took_is_not_the_usual() -> None:
    says = Says()
    shop = taught(says, onward_share=0)
    says.congested = True
    shop.until(shop.engine.now + HOUR, step=STEP)
    at = shop.engine.now
    jammed = [f"J{number}" for number in range(200)]
    shop.scan(*(Scan(name, Status.ARRIVED, at, region="440305", facility="hub-1") for name in jammed))
    shop.until(at + 2 * DAY, step=STEP)
    shop.scan(*(Scan(name, Status.DEPARTED, at + 2 * DAY, region="440305") for name in jammed))
    says.congested = False
    shop.until(at + 2 * DAY + HOUR, step=STEP)
    assert waits(shop) == pytest.approx(7 + shop.detection_settings.stalls.facility.margin_hours, abs=2)


def test_waiting_at_the_station_and_being_out_are_learned_apart() -> None:
    shop = Shop()
    shop.until(START)
    for number in range(200):
        name, at = f"T{number}", START + number * HOUR // 4
        shop.scan(Scan(name, Status.OUT_FOR_DELIVERY, at, region="440305", facility="st-1"))
        shop.scan(
            Scan(name, Status.ATTEMPT_FAILED, at + HOUR * (1 + number % 3), region="440305", facility="st-1")
        )
        shop.scan(
            Scan(name, Status.DELIVERED, at + HOUR * (20 + number % 5), region="440305", facility="st-1")
        )
    shop.until(TAUGHT, step=STEP)
    at = shop.engine.now
    shop.scan(Scan("SF1", Status.OUT_FOR_DELIVERY, at, region="440305", facility="st-1"))
    shop.scan(Scan("SF2", Status.ATTEMPT_FAILED, at, region="440305", facility="st-1"))
    found = shop.until(at + 6 * DAY, step=STEP)
    hours = {
        one.subject.id: (one.opened_at - at) / HOUR for one in found if one.kind is Kind.DELIVERY_STALLED
    }
    settings = shop.detection_settings.stalls
    out, again = settings.delivery, settings.again
    assert hours["SF1"] == pytest.approx(3 * out.stretch + out.margin_hours, abs=2)
    assert hours["SF2"] == pytest.approx(20 * again.stretch + again.margin_hours, abs=4)


def test_customers_fetch_on_any_day_whatever_their_carrier_does_on_sundays() -> None:
    shop = rested()  # a Saturday; `ems` rests tomorrow
    at = shop.engine.now
    for carrier in ("ems", "sf"):
        shop.scan(Scan(f"{carrier}-held", Status.HELD_FOR_PICKUP, at, carrier=carrier, region="110105"))
    found = shop.until(at + 6 * DAY, step=STEP)
    opened_at = {one.subject.id: one.opened_at for one in found if one.kind is Kind.COLLECTION_STALLED}
    assert opened_at["ems-held"] == opened_at["sf-held"]


@pytest.mark.parametrize(("promised", "told"), [(40, 40), (20, 48)])
def test_who_has_not_fetched_a_parcel_is_told_when_its_promise_passes(promised: int, told: int) -> None:
    """Hours after it came to the locker; a promise that passes sooner changes nothing."""
    shop = Shop()
    shop.until(START)
    shop.order(
        order(
            "O1", "shipped", START, tracking_number="SF1", carrier="sf", promised_at=START + promised * HOUR
        )
    )
    shop.scan(Scan("SF1", Status.HELD_FOR_PICKUP, START, region="110105"))
    found = shop.until(START + 3 * DAY, step=STEP)
    (one,) = [one for one in found if one.kind is Kind.COLLECTION_STALLED]
    assert (one.opened_at - START) / HOUR == pytest.approx(told, abs=0.2)
    assert one.evidence.get("sooner") == ("patience" if told == promised else None)
    assert one.score == pytest.approx(0.5 * told / 48, abs=0.02)  # half: nothing has been learned yet


def arrive(shop: Shop, carrier: str, names: Sequence[str], at: int) -> None:
    shop.scan(*(Scan(name, Status.ARRIVED, at + HOUR, carrier=carrier, region="110105") for name in names))
    shop.scan(*(Scan(name, Status.DELIVERED, at + 2 * HOUR, carrier=carrier) for name in names))


def rested() -> Shop:
    """Two carriers, three weeks; on Sundays `ems` moves one parcel of sixty, the others on the next day. START is a
    Wednesday, and now it is a Saturday.
    """
    shop = Shop()
    shop.until(START)
    for day in range(21):
        at = START + day * DAY
        sunday = day % 7 == 4
        for carrier in ("ems", "sf"):
            names = [f"{carrier}{day}.{number}" for number in range(60)]
            shop.scan(*(Scan(name, Status.DEPARTED, at, carrier=carrier, region="440305") for name in names))
            if carrier == "ems" and sunday:
                arrive(shop, carrier, names[:1], at)
                shop.until(at + DAY, step=STEP)
                arrive(shop, carrier, names[1:], at + DAY)
            else:
                arrive(shop, carrier, names, at)
        shop.until(at + DAY, step=STEP)
    shop.until(START + 24 * DAY, step=STEP)
    return shop


def test_a_carrier_that_rests_on_sundays_is_given_a_longer_weekend_also_after_a_restart() -> None:
    shop = rested()
    shop.restart()
    at = shop.engine.now
    for carrier in ("ems", "sf"):
        shop.scan(Scan(f"{carrier}-late", Status.DEPARTED, at, carrier=carrier, region="440305"))
    found = shop.until(at + 6 * DAY, step=STEP)
    opened_at = {one.subject.id: one.opened_at for one in found if one.kind is Kind.LINEHAUL_STALLED}
    # both limits are at their floor of twelve hours, which for one of them lie in its slow Sunday
    assert (opened_at["ems-late"] - opened_at["sf-late"]) / HOUR > 6


def test_a_region_heard_of_later_has_the_learned_week_at_once_as_after_a_restart() -> None:
    shop = rested()
    now = shop.engine.now
    shop.scan(Scan("far", Status.ARRIVED, now, carrier="ems", region="650100", facility="hub-9"))
    shop.until(now + HOUR, step=STEP)
    before = shop.engine.stage.world.calendar[:9, :99].copy()
    shop.restart()
    assert (shop.engine.stage.world.calendar[:9, :99] == before).all()
