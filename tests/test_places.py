"""Carriers that become slower, and hubs that will be full."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import polars as pl
import pytest

from detectors.backlog import BacklogForecast, BacklogLimits
from detectors.clock import DAY, HOUR
from detectors.degraded import CarrierDegraded
from detectors.findings import CloseReason, Finding, State, SubjectType
from detectors.interfaces import PlaceDetector, Window, empty
from detectors.rhythm import Rhythm
from tests.recordings import backlog_forecast as hubs
from tests.recordings import carrier_degraded as carriers
from tests.recordings.windows import MONDAY, window
from tests.recordings.windows import rows as table


def said(detector: PlaceDetector, windows: list[Window]) -> list[Finding]:
    return [finding for each in windows for finding in detector.run(each)]


def test_a_carrier_that_slows_down_is_found_with_its_factor_and_since_when_and_ends_when_it_recovers() -> (
    None
):
    found = said(CarrierDegraded(), carriers.world())
    opened = [f for f in found if f.state is State.OPENED and f.subject.type is SubjectType.CARRIER]
    assert [f.subject.id for f in opened] == [carriers.SLOW]
    assert opened[0].opened_at <= MONDAY + 23 * DAY
    assert abs(opened[0].started_at - (MONDAY + 20 * DAY)) <= 1.5 * DAY
    assert 1.25 < opened[0].evidence["factor"] < 1.8
    assert "slower since" in opened[0].evidence["en"]
    (closed,) = [f for f in found if f.state is State.CLOSED and f.subject == opened[0].subject]
    assert closed.close_reason is CloseReason.RECOVERED


def test_a_holiday_that_slows_everyone_and_a_calm_month_are_no_carriers_fault() -> None:
    assert said(CarrierDegraded(), carriers.world(factor=1.0)) == []
    assert said(CarrierDegraded(), carriers.world(seed=8, factor=1.0)) == []


def _levels(carriers_: str, level: Callable[[str, float], float], days: int = 70) -> list[Window]:
    """Four legs of each carrier an hour, their logs about a level by carrier and day."""
    rng = np.random.default_rng(0)
    found = []
    for hour in range(days * 24):
        legs = [
            {
                "carrier": name,
                "segment": carriers.LINEHAUL,
                "finished": 4,
                "residual": float(rng.normal(level(name, hour / 24), 0.5, 4).sum()),
                "open": 10,
            }
            for name in carriers_
        ]
        at = MONDAY + hour * HOUR
        found.append(window(at, at + HOUR, lanes=table("lanes", legs)))
    return found


@pytest.mark.parametrize("names", ["AB", "ABCD"])
def test_where_one_carrier_recovers_or_becomes_quicker_nobody_else_has_become_slower(names: str) -> None:
    recovers = _levels(names, lambda name, day: 0.69 if name == "A" and 20 <= day < 40 else 0.0)
    assert {finding.subject.id for finding in said(CarrierDegraded(), recovers)} == {"A"}
    quicker = _levels(names, lambda name, day: -0.29 if name == "A" and day >= 20 else 0.0)
    assert said(CarrierDegraded(), quicker) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_carrier_begins_anew_after_a_season_without_parcels(*, restarts: bool) -> None:
    """The last parcels before two months of nothing took longer, and so do those after them: that is no slowing down since
    before the pause. What slows down later is one.
    """
    days = 21
    before = _levels("AB", lambda name, day: 0.3 * (day >= 20 and name == "A"), days)
    after = _levels("AB", lambda name, day: 0.7 * (1 + (day >= 30)) if name == "A" else 0.0, 45)
    pause = 60 * DAY
    later = [Window(one.since + pause, one.until + pause, lanes=one.lanes) for one in after]
    gap = [
        window(at, at + 3 * HOUR) for at in range(MONDAY + days * DAY, MONDAY + pause - 3 * HOUR, 3 * HOUR)
    ]
    detector = CarrierDegraded()
    assert said(detector, before + gap) == []
    if restarts:
        other = CarrierDegraded()
        other.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(detector.state())))
        detector = other
    found = [f for f in said(detector, later) if f.state is State.OPENED]
    assert [f.subject.id for f in found] == ["A"]
    assert found[0].started_at > MONDAY + pause + 28 * DAY


def test_residuals_that_are_no_numbers_are_refused_and_later_changes_still_found() -> None:
    windows = carriers.world()
    bad = windows[30].lanes.with_columns(residual=pl.lit(float("nan")))
    windows[30] = windows[30].replaced(lanes=bad)
    found = said(CarrierDegraded(), windows)
    assert carriers.SLOW in {f.subject.id for f in found}


def test_constant_lanes_without_variance_and_new_carriers_say_nothing() -> None:
    frame = carriers.WINDOWS[0].lanes.with_columns(finished=pl.lit(40), residual=pl.lit(0.0))
    windows = [each.replaced(lanes=frame) for each in carriers.WINDOWS]
    assert said(CarrierDegraded(), windows) == []
    assert said(CarrierDegraded(), carriers.WINDOWS[-8:]) == []


def test_a_season_without_parcels_does_not_teach_hubs_that_they_are_empty() -> None:
    days, pause = 14, 70 * DAY
    calm = hubs.world(days=days, jam=(99, 99))
    closed = [window(at - hubs.EVERY, at) for at in range(MONDAY + days * DAY, MONDAY + pause, hubs.EVERY)]
    again = [one.replaced(since=one.since + pause, until=one.until + pause) for one in calm]
    assert said(BacklogForecast(), calm + closed + again) == []


def test_what_clears_a_backlog_is_said_by_its_number_and_not_where_nothing_is_left_to_clear() -> None:
    """The hub has sent on all it held when it is looked at last."""
    detector = BacklogForecast(limits=BacklogLimits(per_courier=10_000))
    windows = hubs.world()
    found = said(detector, windows)
    assert {finding.evidence["extra_couriers"] for finding in found} == {1}
    for finding in found:
        assert "(about 1 courier) clear it by" in finding.evidence["en"]
        assert "（约 1 名快递员）" in finding.evidence["zh"]
    place, nothing = ("H-1", None, None), np.zeros(2)
    told = detector._evidence(place, 0, nothing, nothing, nothing, nothing, windows[-1].until)
    assert told["en"].endswith("; nothing more has to be done")
    assert told["zh"].endswith("；无需额外处理")


def test_a_hub_that_sends_on_too_little_is_told_with_an_interval_and_what_clears_it() -> None:
    found = said(BacklogForecast(), hubs.world())
    opened = [f for f in found if f.state is State.OPENED]
    assert [f.subject.id for f in opened] == [hubs.HUBS[0]]
    assert MONDAY + 14.3 * DAY < opened[0].opened_at < MONDAY + 16 * DAY
    told = opened[0].evidence
    assert told["low_24"] <= told["forecast_24"] <= told["high_24"]
    assert told["forecast_72"] > 1.5 * told["usual_72"]
    assert told["extra_per_day"] > 0
    assert told["extra_couriers"] >= told["extra_per_day"] / 80
    assert "件" in told["zh"]
    assert found[-1].state is State.CLOSED


def test_whoever_is_told_of_a_backlog_is_told_what_clears_it() -> None:
    found = said(BacklogForecast(), hubs.world())
    told = [f.evidence for f in found if f.state is not State.CLOSED]
    assert told
    for one in told:
        over = max(one[f"forecast_{hours}"] - one[f"usual_{hours}"] for hours in (24, 72))
        assert one["extra_per_day"] >= over / 2 - 1
        assert one["extra_couriers"] > 0


def test_the_interval_holds_what_comes_a_day_later_in_a_calm_world() -> None:
    """Of forecasts for 24 hours, nine in ten should be inside; judged by the detector's own errors."""
    detector = BacklogForecast()
    windows = hubs.world(seed=5, days=24, jam=(99.0, 99.0))
    inside = []
    for each in windows:
        detector.run(each)
        rows = np.arange(3)
        if each.until > MONDAY + 16 * DAY:
            told = detector._told[(each.until // hubs.EVERY - 8) % 24, 0, rows]
            stock = each.facilities["stock"].to_numpy()
            inside.append(np.abs(stock - told) <= detector._margin(rows, np.zeros((2, 3)))[0])
    assert 0.8 < float(np.mean(inside)) <= 1.0


def test_a_calm_network_forecasts_no_backlog() -> None:
    calm = hubs.world(seed=6, days=18, jam=(99.0, 99.0))
    assert said(BacklogForecast(), calm) == []


def test_a_day_without_data_and_a_clock_that_jumps_cost_no_backlog() -> None:
    """The jam comes four days later, and is found all the same; a window that ends before it began is none."""
    windows = hubs.world()
    a_day = DAY // hubs.EVERY
    day, after = windows[9 * a_day - 1], windows[10 * a_day]
    detector = BacklogForecast()
    found = said(detector, windows[: 9 * a_day])
    found += detector.run(after.replaced(since=day.until, facilities=empty("facilities")))
    before = detector.state()
    assert detector.run(after.replaced(until=after.since - DAY)) == []
    assert detector.state() == before
    found += said(detector, windows[10 * a_day + 1 :])
    told = [(one.subject.id, one.state) for one in found if one.state is not State.UPDATED]
    assert told == [(hubs.HUBS[0], State.OPENED), (hubs.HUBS[0], State.CLOSED)]


def test_the_usual_of_a_constant_stream_has_a_floor_under_its_scale_and_refuses_nan() -> None:
    rhythm = Rhythm()
    rows = rhythm.rows(["a", "b"])
    for hour in range(400):
        rhythm.learn(rows, hour % 168, np.array([5.0, np.nan]), 1 / 24)
    assert rhythm.usual(rows, 3)[0] == pytest.approx(5.0)
    assert rhythm.scale(rows).min() >= 0.1
    assert rhythm.days(rows)[1] == 0.0
    assert Rhythm(capacity=1).rows(["a", "b"]).tolist() == [0, -1]


def moved(lanes: int, finished: int = 5) -> pl.DataFrame:
    row = {"carrier": "SF", "origin": "330000", "segment": 4, "finished": finished, "residual": 0.5}
    return table(
        "lanes", [row | {"destination": f"{each:06d}", "open": 1, "stalled": 0} for each in range(lanes)]
    )


def test_when_there_is_no_room_the_lanes_that_moved_longest_ago_are_forgotten() -> None:
    detector = CarrierDegraded(capacity=21)
    detector.run(window(MONDAY, MONDAY + HOUR, lanes=moved(10)))  # a carrier, ten destinations, ten lanes
    assert len(detector.state()["watches"]) == 21
    detector.run(window(MONDAY + HOUR, MONDAY + 2 * HOUR, lanes=moved(3)))
    kept = detector.state()["watches"]
    assert "SF" in kept
    assert {f"SF|{each:06d}" for each in range(3)} <= set(kept)
    assert len(kept) <= 21
    legs, *_ = kept["SF"]
    assert legs == 65.0
    detector.restore(detector.state())
    detector.run(window(MONDAY + 2 * HOUR, MONDAY + 3 * HOUR, lanes=moved(12)))
    assert len(detector.state()["watches"]) == 21


def test_a_row_without_an_origin_counts_for_its_carrier_and_destination_and_one_without_a_carrier_for_none() -> (
    None
):
    rows = moved(1).to_dicts()
    frame = table("lanes", [rows[0], rows[0] | {"origin": None}, rows[0] | {"carrier": None}])
    detector = CarrierDegraded()
    detector.run(window(MONDAY, MONDAY + HOUR, lanes=frame))
    legs = {key: one[0] for key, one in detector.state()["watches"].items()}
    assert legs == {"SF": 10.0, "SF|000000": 10.0, "SF|330000|000000": 5.0}
