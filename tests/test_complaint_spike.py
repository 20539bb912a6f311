"""Complaint spikes as a shop would live them: a country of two provinces, three hours a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from detectors.clock import DAY, HOUR
from detectors.complaint_cells import Gathering
from detectors.complaint_spike import ComplaintSpike, SpikeConfig
from detectors.findings import CloseReason, Finding, State, SubjectType
from detectors.interfaces import Window
from tests.recordings.windows import MONDAY, rows, window

CITIES = ("440300", "441300", "440100", "320500", "320100")
STEP = 3 * HOUR
Extra = Callable[[str], float]


class Shop:
    """Five cities, two carriers, some ten complaints a day; `extra` more of one reason where a test wants them."""

    def __init__(self, detector: ComplaintSpike, seed: int = 3) -> None:
        self.detector, self.now, self.rng, self.number = detector, MONDAY, np.random.default_rng(seed), 0

    def window(self, extra: Extra, reason: str, carrier: str | None, sale: float, parcels: float) -> Window:
        waking = 0.2 + np.sin(np.pi * ((self.now - MONDAY) % DAY) / DAY) ** 2
        traffic: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []
        for city in CITIES:
            for name in ("SF", "ZTO"):
                count = int(self.rng.poisson(30 * waking * sale * parcels))
                traffic.append(
                    {"region": city, "carrier": name, "shipped": count, "delivered": count, "live": 500}
                )
            for matter, expected in (("late", 0.4 * waking * sale), (reason, extra(city))):
                whose = carrier if matter == reason else None
                told += [self.complaint(city, matter, whose) for _ in range(int(self.rng.poisson(expected)))]
        frames = {"regions": rows("regions", traffic), "complaints": rows("complaints", told)}
        return window(self.now, self.now + STEP, **frames)

    def complaint(self, city: str | None, reason: str, carrier: str | None) -> dict[str, Any]:
        self.number += 1
        at = self.now + int(self.rng.integers(STEP))
        return {
            "complaint_id": f"K{self.number}",
            "status": "opened",
            "occurred": at,
            "received": at,
            "region": city,
            "carrier": carrier or ("SF", "ZTO")[self.number % 2],
            "category": "logistics",
            "reason": reason,
        }

    def live(
        self,
        days: float,
        extra: Extra = lambda _city: 0.0,
        *,
        reason: str = "damaged",
        carrier: str | None = None,
        sale: float = 1.0,
        parcels: float = 1.0,
    ) -> list[Finding]:
        found: list[Finding] = []
        for _ in range(int(days * DAY / STEP)):
            found += self.detector.run(self.window(extra, reason, carrier, sale, parcels))
            self.now += STEP
        return found


def detector() -> ComplaintSpike:
    return ComplaintSpike(names={"440300": ("深圳市", "Shenzhen")})


@pytest.fixture(scope="module")
def calm_shop() -> Shop:
    """Sixteen days in which nothing happened."""
    shop = Shop(detector())
    assert shop.live(16) == []
    return shop


@pytest.fixture
def shop(calm_shop: Shop) -> Shop:
    """The same shop for each test, as it comes out of a checkpoint."""
    again = Shop(detector())
    again.detector.restore(calm_shop.detector.state())
    again.now, again.number = calm_shop.now, calm_shop.number
    return again


def only(city: str, rate: float) -> Extra:
    return lambda here: rate if here == city else 0.0


def test_a_jump_in_one_city_is_found_within_hours_with_reason_carrier_and_since_when(shop: Shop) -> None:
    began = shop.now
    opened, *_ = shop.live(1, only("440300", 4.0), carrier="SF")
    assert opened.state is State.OPENED
    assert (opened.subject.type, opened.subject.id) == (SubjectType.REGION, "440300")
    assert opened.as_of - began <= 9 * HOUR
    assert abs(opened.started_at - began) <= 6 * HOUR
    assert opened.evidence["reason"] == "damaged"
    assert opened.evidence["carrier"] == "SF"
    assert opened.evidence["seen"] >= 5
    assert opened.score > 0.5
    assert "深圳市" in opened.evidence["zh"]
    assert "Shenzhen" in opened.evidence["en"]


def test_it_closes_when_the_place_is_back_to_its_usual(shop: Shop) -> None:
    shop.live(1, only("440300", 4.0))
    *_, closed = shop.live(2)
    assert closed.state is State.CLOSED
    assert closed.close_reason is CloseReason.RECOVERED


@pytest.mark.parametrize("restarted", [False, True])
def test_a_place_whose_episode_closed_rests_before_it_may_have_another(shop: Shop, restarted: bool) -> None:
    shop.live(1, only("320500", 3.0))
    while not (closed := [one for one in shop.live(0.125) if one.state is State.CLOSED]):
        pass
    if restarted:
        again = detector()
        again.restore(shop.detector.state())
        shop.detector = again
    opened, *_ = shop.live(1, only("320500", 8.0))
    assert (opened.subject, opened.state) == (closed[0].subject, State.OPENED)
    assert opened.as_of - closed[0].as_of == SpikeConfig().rest_hours * HOUR, "it was clear before"


@pytest.mark.parametrize(("others", "opens"), [(0.5, []), (1.0, ["440000"])])
def test_a_province_speaks_beside_its_resting_city_only_of_what_was_not_told(
    shop: Shop, others: float, opens: list[str]
) -> None:
    """One event is one alert; complaints from its other cities are another."""
    rates = {"440300": 3.0, "441300": others, "440100": others}
    shop.rng = np.random.default_rng(4)
    quiet: Mapping[str, Any] = shop.detector.state()
    before: Mapping[str, Any] = {}
    found: list[Finding] = []
    last: Window | None = None
    while not any(one.close_reason is CloseReason.SUPERSEDED for one in found):
        before = shop.detector.state()
        last = shop.window(lambda city: rates.get(city, 0.0), "damaged", None, 1.0, 1.0)
        found = shop.detector.run(last)
        shop.now += STEP
    assert last is not None
    assert [one.subject.id for one in found if one.state is State.OPENED] == ["440000"]
    assert [name for _, name, *_ in before["watches"]] == ["440300"]
    # The same moment, had the city's episode just closed.
    rests = [
        [kind, name, last.until // HOUR + 8, regions, ratio]
        for kind, name, _, regions, *_, ratio in before["watches"]
    ]
    resting = detector()
    resting.restore({**before, "episodes": quiet["episodes"], "watches": [], "rests": rests})
    assert [one.subject.id for one in resting.run(last)] == opens


def test_of_two_rests_in_a_region_the_greater_one_keeps_it_quiet(shop: Shop) -> None:
    shop.live(0.125)
    hour = shop.detector._cells.hour
    rests = [["region", name, hour, ["440300"], ratio] for name, ratio in (("a", 8.0), ("b", 2.0))]
    again = detector()
    again.restore({**shop.detector.state(), "rests": rests})
    assert again._resting() == {"440300": 8.0}


def test_a_slow_rise_is_found_before_it_is_large(shop: Shop) -> None:
    day = shop.now
    found = shop.live(5, lambda city: 0.4 * (shop.now - day) / DAY if city == "320500" else 0.0)
    assert found
    assert found[0].subject.id in {"320500", "320000"}


def test_an_episode_older_than_what_is_kept_says_of_which_hours_its_numbers_are(shop: Shop) -> None:
    began = shop.now
    found = shop.live(19, lambda _city: 1.15 ** ((shop.now - began) / DAY))
    last = next(one for one in reversed(found) if one.state is State.UPDATED)
    assert (last.evidence["hours"], last.evidence["running_hours"] > 15 * 24) == (14 * 24, True)
    assert "in the last 336 hours" in last.evidence["en"]
    assert "最近 336 小时内" in last.evidence["zh"]


def test_a_little_more_in_two_neighbouring_cities_is_found_as_one(calm_shop: Shop) -> None:
    """Shenzhen and Huizhou are one finding where they are known to touch, and not the whole province's."""

    def opened(neighbours: Mapping[str, tuple[str, ...]]) -> list[Finding]:
        shop = Shop(ComplaintSpike(neighbours=neighbours), seed=8)
        shop.detector.restore(calm_shop.detector.state())
        shop.now, shop.number = calm_shop.now, calm_shop.number
        found = shop.live(2, lambda city: 0.55 if city in ("440300", "441300") else 0.0)
        return [one for one in found if one.state is State.OPENED]

    near = {"440300": ("441300",), "441300": ("440300",)}
    assert set(opened(near)[0].evidence["regions"]) == {"440300", "441300"}
    assert set(opened({})[0].evidence["regions"]) != {"440300", "441300"}


def test_many_places_in_which_nothing_happens_are_quiet_for_two_months(calm_shop: Shop) -> None:
    """Hundreds of cells are judged eight times a day; what is found by chance stays below one finding in a month."""
    shop = Shop(detector(), seed=21)
    shop.detector.restore(calm_shop.detector.state())
    shop.now, shop.number = calm_shop.now, calm_shop.number
    assert len([one for one in shop.live(60) if one.state is State.OPENED]) <= 2


def test_a_sale_of_ten_times_the_volume_is_no_spike(shop: Shop) -> None:
    assert shop.live(2, sale=10.0) == []
    assert shop.live(3) == []


def test_ten_times_the_complaints_without_the_parcels_is_one(shop: Shop) -> None:
    assert shop.live(1, sale=10.0, parcels=0.1)


def test_trouble_everywhere_with_one_carrier_is_the_carriers(shop: Shop) -> None:
    found = shop.live(1, lambda _city: 2.0, carrier="ZTO", reason="lost")
    still_open = {one.subject for one in found} - {one.subject for one in found if one.state is State.CLOSED}
    assert [subject.id for subject in still_open] in (["CN"], ["ZTO"])
    assert found[-1].evidence["carrier"] == "ZTO"


def test_a_day_without_any_data_and_a_silent_parcel_feed_are_no_spike(shop: Shop) -> None:
    shop.now += DAY
    assert shop.live(2) == []
    assert shop.live(2, parcels=0.0) == []


def test_a_region_never_seen_is_judged_by_the_country_it_lies_in(shop: Shop) -> None:
    shop.detector.run(rare(shop, "530100", 2))
    assert "530100" not in {finding.subject.id for finding in shop.live(0.5)}
    found = shop.detector.run(rare(shop, "530100", 30))
    assert [finding.subject.id for finding in found] == ["530100"]


def rare(shop: Shop, city: str, cases: int) -> Window:
    told = [shop.complaint(city, "wrong_item", None) for _ in range(cases)]
    one = window(shop.now, shop.now + STEP, complaints=rows("complaints", told))
    shop.now += STEP
    return one


def test_a_hub_whose_parcels_make_trouble_in_many_places_is_named(shop: Shop) -> None:
    found: list[Finding] = []
    for _ in range(4):
        told = [shop.complaint(city, "damaged", None) | {"facility": "HUB-7"} for city in CITIES[:1]]
        told += [shop.complaint(None, "damaged", None) | {"facility": "HUB-7"} for _ in range(6)]
        found += shop.detector.run(window(shop.now, shop.now + STEP, complaints=rows("complaints", told)))
        shop.now += STEP
    assert (SubjectType.FACILITY, "HUB-7") in {(one.subject.type, one.subject.id) for one in found}
    assert "HUB-7" in next(one for one in found if one.subject.id == "HUB-7").evidence["en"]


def test_complaints_without_a_region_or_from_before_and_after_their_time_break_nothing(shop: Shop) -> None:
    odd = [shop.complaint(None, "late", None) for _ in range(3)]
    odd.append(shop.complaint("440300", "late", None) | {"occurred": shop.now - 400 * DAY})
    odd.append(shop.complaint("440300", "late", None) | {"occurred": shop.now + 400 * DAY})
    odd.append(shop.complaint("??", "late", None))
    odd.append(shop.complaint("440300", "late", None) | {"category": None, "reason": None, "carrier": None})
    assert shop.detector.run(window(shop.now, shop.now + STEP, complaints=rows("complaints", odd))) == []


def test_a_clock_that_jumps_by_years_begins_again_instead_of_crawling(shop: Shop) -> None:
    shop.now += 20 * 365 * DAY
    assert shop.live(4) == []


def test_a_clock_that_is_set_back_finds_nothing_new(shop: Shop) -> None:
    shop.now -= 3 * DAY
    assert shop.live(1) == []
    shop.now += 2 * DAY
    assert shop.live(1) == []


def test_a_new_shop_is_not_judged() -> None:
    assert Shop(ComplaintSpike()).live(9, only("440300", 5.0)) == []


def test_cells_are_bounded() -> None:
    shop = Shop(ComplaintSpike())
    told = [shop.complaint(f"{440000 + number}", "late", None) for number in range(6000)]
    shop.detector.run(window(shop.now, shop.now + STEP, complaints=rows("complaints", told)))
    assert len(shop.detector._cells.keys) == 4000
    assert shop.detector._cells.refused > 0


def test_a_complaint_that_names_no_place_counts_for_the_whole_shop() -> None:
    """From a help desk that knows no address, about parcels long forgotten."""

    class Placeless(Shop):
        def complaint(self, city: str | None, reason: str, carrier: str | None) -> dict[str, Any]:
            return super().complaint(None, reason, None) | {"carrier": None}

    shop = Placeless(detector())
    shop.live(16)
    opened, *_ = shop.live(1, lambda _city: 4.0)
    assert opened.state is State.OPENED
    assert (opened.subject.type, opened.subject.id) == (SubjectType.REGION, "CN")
    assert opened.evidence["reason"] == "damaged"
    assert shop.detector.uncounted() == {"no_room": 0, "no_place": 0}


def test_what_cannot_be_counted_is_counted_as_such() -> None:
    shop = Shop(ComplaintSpike(config=SpikeConfig(gathering=Gathering(limit=20))))
    early = [shop.complaint(None, "late", None) for _ in range(3)]
    before_parcels = window(shop.now, shop.now + STEP, complaints=rows("complaints", early))
    shop.detector.run(before_parcels)
    shop.now += STEP
    shop.live(3)
    uncounted = shop.detector.uncounted()
    assert uncounted["no_place"] == 3
    assert uncounted["no_room"] > 0
    again = ComplaintSpike()
    again.restore(shop.detector.state())
    assert again.uncounted() == uncounted


@pytest.mark.parametrize("restarts", [False, True])
def test_five_days_are_not_learned_from_the_first_parcels_on_however_long_the_daemon_waited_for_them(
    *, restarts: bool
) -> None:
    """In the first five days there are fewer complaints a parcel than later."""
    shop = Shop(detector())
    for _ in range(20 * 8):
        shop.detector.run(window(shop.now, shop.now + STEP))
        shop.now += STEP
    for part in (0.02, 0.05, 0.1, 0.2, 0.5):
        shop.live(1, sale=part, parcels=1 / part)
        if restarts:
            again = detector()
            again.restore(shop.detector.state())
            shop.detector = again
    assert shop.live(14) == []
    assert shop.live(1, only("440300", 4.0))[0].subject.id == "440300"
