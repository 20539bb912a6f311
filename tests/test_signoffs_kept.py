"""What is kept of sign-offs, beside a dictionary that does the same one by one."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

from detectors.signoff_kernels import FEATURES
from detectors.signoffs_kept import Places, SignoffsKept
from detectors.tables import Coded

COURIER = FEATURES.index("courier")
CAPACITY = 700
TEXTS: list[str | None] = [None, "sf", "c1", "hub", "420100", "sim"]


class Plain:
    """Names with their time and features, the oldest first."""

    def __init__(self) -> None:
        self.rows: OrderedDict[str, tuple[int, list[float]]] = OrderedDict()

    def put(self, name: str, at: int, row: list[float]) -> None:
        before = self.rows.pop(name, None)
        if before is not None:
            both = zip(before[1], row, strict=True)
            row = [new if column == COURIER else max(old, new) for column, (old, new) in enumerate(both)]
        self.rows[name] = at, row
        if len(self.rows) > CAPACITY:
            self.rows.popitem(last=False)

    def older(self, than: int) -> list[list[float]]:
        out = []
        while self.rows and next(iter(self.rows.values()))[0] <= than:
            out.append(self.rows.popitem(last=False)[1][1])
        return out


def kept_rows(kept: SignoffsKept) -> list[tuple[str, int, list[float]]]:
    return [(name, at, row) for name, at, row, *_ in kept.state()]


def columns(rng: np.random.Generator, size: int) -> list[Coded]:
    return [Coded(rng.integers(0, 2, size) * (number + 1), TEXTS) for number in range(len(Places._fields))]


@pytest.mark.parametrize("seed", range(3))
def test_the_oldest_leave_first_and_what_was_odd_stays_odd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept, plain = SignoffsKept(CAPACITY), Plain()
    for step in range(40):
        size = int(rng.integers(0, 120))
        # a third of the windows bring again what is kept, or the same name twice
        again = 400 if step % 3 == 0 else 100_000
        names = [f"P{number}" for number in rng.integers(0, again, size)]
        at, rows = step * 1000 + rng.integers(0, 500, size), rng.random((size, len(FEATURES)))
        places, ones = columns(rng, size), np.ones(size)
        kept.put_many(names, at, rows, ones, ones, places, lambda _name: False)
        for name, when, row in zip(names, at.tolist(), rows.tolist(), strict=True):
            plain.put(name, when, row)
        if step % 5 == 4:
            due = kept.older((step - 3) * 1000)
            assert kept.rows[due].tolist() == plain.older((step - 3) * 1000)
        if step == 20:
            other = SignoffsKept(CAPACITY)
            other.restore(kept.state())
            kept = other
        assert kept_rows(kept) == [(name, at, row) for name, (at, row) in plain.rows.items()]
        assert len(kept) == len(plain.rows) <= CAPACITY
    assert len(kept)


def test_its_names_are_looked_up_in_the_vocabularies_of_its_window() -> None:
    kept, rng = SignoffsKept(CAPACITY), np.random.default_rng(9)
    places = columns(rng, 50)
    names, ones = [f"P{number}" for number in range(50)], np.ones(50)
    kept.put_many(
        names, np.arange(50), np.zeros((50, len(FEATURES))), ones, ones, places, lambda _name: False
    )
    found = kept.kept(np.array([kept.place(name) for name in names]))
    labels = zip(*(column.labels() for column in places), strict=True)
    assert [one.places for one in found] == [Places(*row) for row in labels]
    couriers = kept.couriers(np.array([kept.place(name) for name in names]))
    assert couriers == [(at, "c1") for at, one in enumerate(found) if one.places.courier]
