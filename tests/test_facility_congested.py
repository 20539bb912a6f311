from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from detectors.clock import DAY, HOUR, MINUTE
from detectors.facility_congested import FacilityCongested
from detectors.findings import CloseReason, Finding, State
from detectors.interfaces import SCHEMAS, Window, empty
from detectors.plain import pack, unpack

MONDAY = 1_767_542_400_000  # 2026-01-05 00:00 in Shanghai
STEP = 10 * MINUTE
HUBS = tuple(f"H-{number}" for number in range(8))


def window(since: int, until: int, **frames: pl.DataFrame) -> Window:
    names = ("feeds", "facilities", "lanes", "regions", "signoffs", "oddities", "complaints")
    return Window(since=since, until=until, **{name: frames.get(name, empty(name)) for name in names})


class Network:
    """Hubs with a daily curve; `factor` multiplies traffic, `jam` adds parcels to the first hub."""

    def __init__(self, detector: FacilityCongested, seed: int = 7) -> None:
        self.detector, self.now, self.rng = detector, MONDAY, np.random.default_rng(seed)

    def frame(self, factor: float, jam: float, stalled: int) -> pl.DataFrame:
        hour = (self.now - MONDAY) / HOUR % 24
        curve = 1 + 0.5 * np.sin(2 * np.pi * hour / 24)
        rows: list[dict[str, Any]] = []
        for number, hub in enumerate(HUBS):
            level = 50.0 * (number + 1) * curve * factor
            extra = jam if number == 0 else 0
            rows.append(
                {
                    "facility": hub,
                    "region": "440000",
                    "carrier": "SF",
                    "arrived": int(self.rng.poisson(level / 30)),
                    "departed": int(self.rng.poisson(level / 30)),
                    "delivered": 0,
                    "stock": int(self.rng.poisson(level)) + int(extra),
                    "stalled": int(self.rng.poisson(level * 0.01)) + (stalled if number == 0 else 0),
                }
            )
        return pl.DataFrame(rows, schema=dict(SCHEMAS["facilities"]))

    def live(self, days: float, *, factor: float = 1.0, jam: float = 0, stalled: int = 0) -> list[Finding]:
        found: list[Finding] = []
        for _ in range(int(days * DAY / STEP)):
            frame = self.frame(factor, jam, stalled)
            found += self.detector.run(window(self.now, self.now + STEP, facilities=frame))
            self.now += STEP
        return found


def test_a_stock_that_is_not_known_yet_is_no_reason_where_something_stands_still() -> None:
    """Hubs that empty each night, in their third day: an evening is more than the mean of two days."""
    detector, said = FacilityCongested(), []
    for step in range(4 * 144):
        hour = step / 6 % 24
        stock = int(60 + 340 * max(0.0, math.sin((hour - 6) / 24 * 2 * math.pi)))
        stands = 2.3 < step / 144 < 2.9
        hubs = [
            {
                "facility": hub,
                "region": "440000",
                "carrier": "SF",
                "arrived": 20,
                "departed": 20,
                "delivered": 0,
            }
            | {"stock": stock, "stalled": 14 if stands and hub == "H-0" else 1}
            for hub in HUBS[:3]
        ]
        at = MONDAY + step * STEP
        frame = pl.DataFrame(hubs, schema=dict(SCHEMAS["facilities"]))
        said += detector.run(window(at, at + STEP, facilities=frame))
    assert {finding.subject.id for finding in said} == {"H-0"}
    assert not [finding.evidence["en"] for finding in said if "stand still" not in finding.evidence["en"]]


def test_a_jammed_hub_is_one_finding_with_its_numbers_and_ends_when_it_recovers() -> None:
    network = Network(FacilityCongested())
    assert network.live(10) == []
    jammed = network.live(0.5, jam=400)
    assert [finding.state for finding in jammed].count(State.OPENED) == 1
    opened = jammed[0]
    assert opened.subject.id == "H-0"
    assert opened.opened_at - opened.started_at <= 40 * MINUTE
    assert opened.evidence["stock"] > 4 * opened.evidence["usual"]
    assert "H-0" in opened.evidence["zh"]
    assert "times the usual" in opened.evidence["en"]
    calm = network.live(0.5)
    assert [(f.state, f.close_reason) for f in calm if f.state is State.CLOSED] == [
        (State.CLOSED, CloseReason.RECOVERED)
    ]
    assert {f.finding_id for f in jammed + calm} == {opened.finding_id}


def test_a_sale_that_multiplies_traffic_by_ten_is_no_jam() -> None:
    network = Network(FacilityCongested())
    network.live(10)
    assert network.live(1, factor=10) == []


def test_parcels_that_stand_still_are_found_before_the_stock_is_known() -> None:
    network = Network(FacilityCongested())
    network.live(1.2)
    found = network.live(0.2, stalled=60)
    assert found[0].state is State.OPENED
    assert "stand still" in found[0].evidence["en"]


def test_a_cold_start_says_nothing_whatever_it_sees() -> None:
    assert Network(FacilityCongested()).live(0.5, jam=5000) == []


def test_a_lasting_change_becomes_the_usual() -> None:
    network = Network(FacilityCongested())
    network.live(8)
    network.live(40, jam=300)
    assert network.live(2, jam=300) == []


def test_a_day_without_data_and_a_jumping_clock_are_survived() -> None:
    network = Network(FacilityCongested())
    network.live(8)
    network.now += 30 * DAY
    assert network.live(0.2) == []
    assert network.detector.run(window(network.now, network.now - DAY)) == []
    quiet = network.detector.run(window(network.now, network.now + DAY))
    assert quiet == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_pause_in_which_nothing_arrives_does_not_become_the_usual(*, restarts: bool) -> None:
    """A shop that closes for two months: what its hubs hold at first is what they held before."""
    network = Network(FacilityCongested())
    network.live(14)
    network.live(60, factor=0)
    if restarts:
        detector = FacilityCongested()
        detector.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(network.detector.state())))
        network.detector = detector
    assert network.live(7) == []
    assert network.live(1, jam=600)[0].state is State.OPENED


def test_a_network_that_shrinks_for_good_is_believed() -> None:
    """To a seventh. A hub that holds what it held before is jammed then."""
    network = Network(FacilityCongested())
    network.live(14)
    network.live(45, factor=0.15)
    assert network.live(0.5, factor=0.15, jam=60)[0].state is State.OPENED


def test_a_network_that_rests_at_weekends_learns_from_monday_morning_on() -> None:
    network = Network(FacilityCongested())
    for _ in range(4):
        network.live(5)
        assert network.live(2, factor=0) == []
    assert network.live(0.4) == []
    assert network.live(0.2, jam=900)[0].state is State.OPENED


def test_arrivals_that_are_told_once_a_day_are_no_pause() -> None:
    network = Network(FacilityCongested())
    for _ in range(12):
        network.live(1 / 144, factor=40)
        network.live(143 / 144, factor=0)
    learned = network.detector.state()["rest"][3]
    assert learned == pytest.approx(7 * (1 - math.exp(-12 / 7)), rel=0.01)  # twelve days, fading within seven


def test_a_constant_hub_of_zero_variance_needs_more_than_a_flicker() -> None:
    detector = FacilityCongested()
    now = MONDAY

    def frame(stock: int) -> pl.DataFrame:
        row = {"facility": "H", "region": None, "carrier": None, "arrived": 0, "departed": 0, "delivered": 0}
        return pl.DataFrame([{**row, "stock": stock, "stalled": 0}], schema=dict(SCHEMAS["facilities"]))

    for step in range(1000):
        stock = 100 if step < 990 else 110
        assert detector.run(window(now, now + STEP, facilities=frame(stock))) == []
        now += STEP


def hubs(hour: float, *, stalled: int, warehouse: int = 0) -> pl.DataFrame:
    """Hubs that are full in the afternoon and nearly empty at night, where some parcels stand still for days; and a
    warehouse that never holds any.
    """
    stock = round(220 + 190 * math.cos((hour - 15) * math.pi / 12))
    blank = {"region": None, "carrier": None, "arrived": 20, "departed": 20, "delivered": 0}
    made = [
        {"facility": f"H-{number}", **blank, "stock": stock, "stalled": min(stalled, stock)}
        for number in range(6)
    ]
    made.append({"facility": "W", **blank, "stock": 0, "stalled": warehouse})
    return pl.DataFrame(made, schema=dict(SCHEMAS["facilities"]))


def days_of(
    detector: FacilityCongested, days: float, *, stalled: int = 14, warehouse: int = 0
) -> list[Finding]:
    found: list[Finding] = []
    for step in range(round(days * DAY / STEP)):
        now = MONDAY + step * STEP
        frame = hubs(now % DAY / HOUR, stalled=stalled, warehouse=warehouse)
        found += detector.run(window(now, now + STEP, facilities=frame))
    return found


def test_parcels_that_always_stand_still_are_no_jam_when_the_hub_empties_at_night() -> None:
    assert days_of(FacilityCongested(), 8) == []


def test_what_stands_still_elsewhere_is_no_jam_of_a_facility_that_holds_nothing() -> None:
    assert days_of(FacilityCongested(), 4, warehouse=40) == []


def test_a_checkpoint_without_the_days_of_the_usual_share_is_read() -> None:
    first, second = FacilityCongested(), FacilityCongested()
    days_of(first, 5)
    state = first.state()
    older = {**state, "stalled_share": pack(unpack(state["stalled_share"])[:, :2].copy())}
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(older)))
    assert days_of(second, 2) == []


@pytest.mark.parametrize("days", [0.5, 9.0, 10.2])
def test_a_restored_detector_goes_on_as_if_nothing_had_happened(days: float) -> None:
    first = Network(FacilityCongested())
    first.live(days, jam=400 if days > 10 else 0)
    second = Network(FacilityCongested())
    second.detector.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.detector.state())))
    second.now, second.rng = first.now, np.random.default_rng(3)
    first.rng = np.random.default_rng(3)
    assert first.live(0.4, jam=400) == second.live(0.4, jam=400)
