"""An engine that is let go gives its memory back, whatever it has found."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

from detectors.deferred import Deferred
from detectors.findings import State
from detectors.interfaces import Verdict
from detectors.tables import Table
from monitor.vocabulary import Status
from tests.engine.shop import DAY, HOUR, START, Scan, Shop, order, said

STEP = HOUR // 12


class Surer:
    """A parcel detector that is surer of each parcel with each look."""

    name = "late_predicted"
    every = HOUR
    only_promised = False

    def __init__(self) -> None:
        self.looks = 0

    def look(self, parcels: Table, _now: int) -> list[Verdict]:
        self.looks += 1
        score = 1 - 1 / (self.looks + 1)
        return [Verdict(row, True, score, Deferred(dict)) for row in range(len(parcels))]

    def learn(self, finished: Table, now: int) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        pass


def with_findings() -> Shop:
    """Open: a stall, a parcel that is lost, a broken promise, what a detector said and made surer."""
    shop = Shop(parcel=[Surer()])
    shop.until(START)
    shop.order(order("O1", "shipped", START, tracking_number="SF1", promised_at=START + 4 * HOUR))
    shop.scan(Scan("SF1", Status.OUT_FOR_DELIVERY, START), Scan("SF2", Status.IN_TRANSIT, START))
    shop.until(START + 4 * DAY, step=STEP)
    shop.scan(Scan("SF3", Status.IN_TRANSIT, START + 4 * DAY))
    shop.until(START + 7 * DAY + HOUR, step=STEP)
    return shop


def test_an_engine_that_is_let_go_takes_its_findings_along() -> None:
    shop = with_findings()
    lines = said(shop.found)
    for line in (
        "opened linehaul_stalled SF3",
        "opened presumed_lost SF2",
        "opened promise_broken SF1",
        "updated late_predicted SF3",
    ):
        assert line in lines
    assert dict(next(one for one in shop.found if one.kind == "linehaul_stalled").evidence)
    kept = shop.found
    engine, table = weakref.ref(shop.engine), weakref.ref(shop.engine.stage.table.slots)
    gc.collect()
    gc.disable()  # nor does it wait for the garbage collector, which knows nothing of the size of its arrays
    try:
        del shop
        assert engine() is None
        assert table() is None
    finally:
        gc.enable()
    assert all(one.evidence for one in kept if one.state is not State.CLOSED)
