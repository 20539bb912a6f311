"""What a look brings to parcel detectors: the live parcels as they are now, in whatever columns they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors.interfaces import Verdict, Waiting
from detectors.tables import LANE, FrameTable, Table
from monitor.engine import Engine
from monitor.names import Names
from monitor.vocabulary import Status
from tests.engine.shop import HOUR, START, Scan, Shop, order

PARCELS = 60


class Looker:
    """A parcel detector that compares the columns with the frame, and remembers whom it saw."""

    name = "looker"
    every = HOUR

    def __init__(self, *, only_promised: bool = False) -> None:
        self.only_promised = only_promised
        self.looks: list[set[str | None]] = []

    def look(self, parcels: Table, _now: int) -> list[Verdict]:
        plain = FrameTable(parcels.frame())
        for name in ("accepted", "promised", "segment_since"):
            np.testing.assert_array_equal(parcels.seconds(name), plain.seconds(name))
            np.testing.assert_array_equal(parcels.whole(name), plain.whole(name))
        np.testing.assert_array_equal(parcels.narrow("segment"), plain.narrow("segment"))
        for name in ("carrier", LANE, "facility"):
            assert parcels.coded(name).labels() == plain.coded(name).labels()
        some = np.arange(0, len(parcels), 3)
        np.testing.assert_array_equal(parcels.take(some).rank(), parcels.rank()[some])
        assert len(set(parcels.rank().tolist())) == len(parcels)
        self.looks.append(set(parcels.labels("tracking_number")))
        return []

    def learn(self, finished: Table, now: int) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


def test_each_look_brings_the_parcels_that_are_live_and_no_orders() -> None:
    looker, promised = Looker(), Looker(only_promised=True)
    promised.name = "only promised"
    shop = Shop(parcel=[looker, promised])
    shop.until(START)
    names = [f"P{number}" for number in range(PARCELS)]
    for number, name in enumerate(names):
        carrier = ("sf", "zto", "yto")[number % 3]
        shop.order(order(f"O{number}", "paid", START - 9 * HOUR))
        due = START + number * HOUR
        told = order(f"O{number}", "shipped", START - 8 * HOUR, tracking_number=name, promised_at=due)
        shop.order(told)
        shop.scan(Scan(name, Status.ACCEPTED, START - 7 * HOUR + number * 60_000, carrier=carrier))
    shop.until(START + 2 * HOUR)
    shop.scan(*(Scan(name, Status.DELIVERED, START + HOUR) for name in names[::2]))
    shop.until(START + 4 * HOUR)
    assert set(names) in looker.looks
    assert looker.looks[-1] == promised.looks[-1] == set(names[1::2])
    shop.scan(*(Scan(f"Q{number}", Status.ACCEPTED, START + 4 * HOUR) for number in range(9)))
    shop.until(START + 6 * HOUR)
    assert looker.looks[-1] - promised.looks[-1] == {f"Q{number}" for number in range(9)}
    shop.restart()
    shop.until(START + 8 * HOUR)
    assert promised.looks[-1] == set(names[1::2])


class Waiter(Looker):
    """Remembers what it was told of all that waits, by name of the way."""

    def __init__(self) -> None:
        super().__init__(only_promised=True)
        self.counted: list[dict[tuple[str | None, str | None], int]] = []

    def waited(self, waiting: Waiting, _now: int) -> None:
        ways = zip(waiting.carrier.labels(), waiting.lane.labels(), strict=True)
        self.counted.append(dict(zip(ways, waiting.counts.sum(axis=0).tolist(), strict=True)))


def test_all_that_waits_is_told_of_once_a_census_also_when_a_restart_falls_into_it() -> None:
    """Sweeps are sliced, so that a census takes hours; nobody has a promise."""
    waiter = Waiter()
    shop = Shop(EngineSettings(max_live_parcels=10_000, sweep_seconds=3600), parcel=[waiter])
    shop.until(START)
    shop.scan(
        *(
            Scan(f"P{number}", Status.ACCEPTED, START - HOUR, carrier=("sf", "zto")[number % 2])
            for number in range(PARCELS)
        ),
        Scan("P-locker", Status.HELD_FOR_PICKUP, START - HOUR, carrier="sf"),
        Scan("P-created", Status.CREATED, START - HOUR, carrier="sf"),
    )
    shop.until(START + 13 * HOUR)
    assert shop.engine.census_left
    shop.restart()
    shop.until(START + 30 * HOUR)
    half = PARCELS // 2
    assert waiter.looks == []
    assert len(waiter.counted) > 2
    assert waiter.counted[1:] == [{("sf", "sf||"): half, ("zto", "zto||"): half}] * (len(waiter.counted) - 1)


def counts_of_two_days(*, moving: bool, silent: bool = False) -> int:
    waiter = Waiter()
    shop = Shop(EngineSettings(max_live_parcels=10_000), parcel=[waiter])
    shop.until(START)
    for hour in range(48):
        if moving or not hour:
            new = [Scan(f"P{hour}-{number}", Status.ACCEPTED, START + hour * HOUR) for number in range(20)]
            moved = [
                Scan(f"P{hour - 5}-{number}", Status.DEPARTED, START + hour * HOUR) for number in range(20)
            ]
            shop.scan(*new, *(moved if hour > 4 else ()))
        if silent and not hour:
            shop.engine.holding._silent.add(1)
        shop.until(START + (hour + 1) * HOUR)
    return len(waiter.counted)


def test_a_census_is_made_half_as_often_where_little_is_learned_and_no_feed_is_silent() -> None:
    assert counts_of_two_days(moving=False) == 5
    assert counts_of_two_days(moving=False, silent=True) == 9
    assert counts_of_two_days(moving=True) in {7, 8}  # a fifth of what is known comes within hours at first


def test_how_often_a_parcel_is_looked_at_is_a_setting() -> None:
    settings, detection = EngineSettings(max_live_parcels=1000), DetectionSettings(look_hours=1.5)
    every = {one.name: one.every for one in Engine(settings, detection, Names()).watching._detectors}
    assert every["late_predicted"] == 1.5 * HOUR
