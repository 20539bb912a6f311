"""Parcels a day of every region above a pair, beside a plain sum that is kept by row as they come."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors.complaint_exposure import FACILITY, Exposures
from detectors.plain import pack
from detectors.regions_tree import RegionTree
from detectors.tables import table_of
from tests.recordings.windows import rows

REGIONS = ("440305", "440300", "330100", "")
CARRIERS = ("sf", "zto", None)
HALF_LIFE = 48.0
DECAY = 0.5 ** (1 / HALF_LIFE)
chain = RegionTree().chain


def hour(rng: np.random.Generator) -> tuple[pl.DataFrame, pl.DataFrame]:
    pairs = [
        {
            "region": region,
            "carrier": carrier,
            "delivered": int(rng.poisson(9)),
            "shipped": int(rng.poisson(9)),
        }
        for region in REGIONS
        for carrier in CARRIERS
        if rng.random() < 0.7
    ]
    hubs = [
        {"facility": f"H{hub}", "arrived": int(rng.poisson(5)), "departed": 3, "delivered": 1}
        for hub in range(4)
        if rng.random() < 0.7
    ]
    return rows("regions", pairs), rows("facilities", hubs)


class ByRow:
    """The same, kept by row as parcels come: without the surge, which the first days do not know."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros(2))
        self.norm = 0.0

    def add(self, regions: pl.DataFrame, hubs: pl.DataFrame) -> None:
        for row in regions.iter_rows(named=True):
            for one in chain(row["region"]) if row["region"] else ():
                for carrier in {"", row["carrier"] or ""}:
                    self.sums[one, carrier] += [row["delivered"], row["shipped"]]
        for hub in hubs.iter_rows(named=True):
            self.sums[FACILITY, hub["facility"]] += [hub["delivered"] + hub["departed"], hub["arrived"]]
        for key in self.sums:
            self.sums[key] *= DECAY
        self.norm = 1 - (1 - self.norm) * DECAY

    def a_day(self) -> list[float]:
        return [one.max() * 24 * (1 - DECAY) / self.norm for one in self.sums.values()]


def told(exposures: Exposures, by_row: ByRow, hours: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in range(hours):
        regions, hubs = hour(rng)
        exposures.add_regions(table_of(regions), 1.0, number % 24)
        exposures.add_facilities(table_of(hubs), 1.0, number % 24)
        exposures.advance(number % 24)
        by_row.add(regions, hubs)


def agree(exposures: Exposures, by_row: ByRow) -> None:
    np.testing.assert_allclose(exposures.a_day(exposures.known(by_row.sums)), by_row.a_day(), rtol=1e-9)


def test_every_region_has_what_its_pairs_have_whenever_somebody_asks() -> None:
    exposures, by_row = Exposures(HALF_LIFE, chain), ByRow()
    for more in range(4):
        told(exposures, by_row, 9, more)
        agree(exposures, by_row)
    never = exposures.known([("440305", "ems"), ("990000", ""), (FACILITY, "H9")])
    assert never.tolist() == [-1, -1, -1]
    assert exposures.a_day(never).tolist() == [0.0, 0.0, 0.0]


def test_it_goes_on_after_a_restart_and_from_what_was_kept_by_row() -> None:
    exposures, by_row = Exposures(HALF_LIFE, chain), ByRow()
    told(exposures, by_row, 20, 1)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(exposures.state()))
    later = Exposures(HALF_LIFE, chain)
    later.restore(state)
    told(later, by_row, 20, 2)
    agree(later, by_row)

    sums = np.array(list(by_row.sums.values()))
    flows = {name: pack(sums) for name in ("sums", "recent", "expected")}
    once = {name: later.state()[name] for name in ("profile", "norm", "hours")}
    earlier = Exposures(HALF_LIFE, chain)
    earlier.restore({"keys": [list(key) for key in by_row.sums], **flows, **once})
    agree(earlier, by_row)
    told(earlier, by_row, 20, 3)
    again = Exposures(HALF_LIFE, chain)
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(earlier.state())))
    told(again, by_row, 5, 4)
    agree(again, by_row)
