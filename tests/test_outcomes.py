"""Those in time and those late teach together, when the last day of their promise is over."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.clock import DAY
from detectors.lateness import Known
from detectors.outcomes import Outcomes, Taught
from detectors.tables import I64

DUE = 110 * DAY


def known(count: int) -> Known:
    return Known(*(np.full(count, value) for value in (0, 100, 102, 109, 7, 3)))


def moments(count: int, at: int = DUE) -> I64:
    return np.full(count, at)


def lots(first: int, count: int) -> I64:
    return np.arange(first, first + count) * 1000


def names(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


def arrive(outcomes: Outcomes, count: int, first: int = 0, letter: str = "A") -> None:
    ended = np.full(count, 105)
    outcomes.arrived(known(count), ended, moments(count), lots(first, count), names(letter, count))


def miss(outcomes: Outcomes, count: int, first: int = 500_000) -> None:
    outcomes.passed(known(count), moments(count), lots(first, count), names("L", count))


def taken(outcomes: Outcomes, now: int = DUE, most: int = 10_000) -> Taught:
    taught = outcomes.take(now, most)
    assert taught is not None
    return taught


def test_nobody_teaches_before_the_day_is_over_and_then_all_do_once() -> None:
    outcomes = Outcomes()
    arrive(outcomes, 5)
    miss(outcomes, 2)
    assert outcomes.take(DUE - 1, 100) is None
    taught = taken(outcomes)
    assert sorted(taught.names) == [*names("A", 5), *names("L", 2)]
    assert [name[0] == "L" for name in taught.names] == taught.late.tolist()
    assert set(taught.ended[~taught.late]) == {105}
    assert set(taught.known.promised) == {109}
    assert outcomes.take(DUE, 100) is None
    assert len(outcomes) == 0


def test_who_arrives_after_the_promise_passed_but_on_its_day_was_in_time() -> None:
    outcomes = Outcomes()
    miss(outcomes, 2)
    outcomes.over(["L0"])
    arrive(outcomes, 1, letter="L")
    taught = taken(outcomes)
    assert dict(zip(taught.names, taught.late.tolist(), strict=True)) == {"L0": False, "L1": True}


def test_a_slice_is_drawn_from_both_alike() -> None:
    outcomes = Outcomes()
    arrive(outcomes, 3000)
    miss(outcomes, 1000)
    for _ in range(4):
        assert taken(outcomes, most=1000).late.mean() == pytest.approx(0.25, abs=0.05)


def test_the_order_in_which_they_came_changes_nothing() -> None:
    one, other = Outcomes(), Outcomes()
    arrive(one, 200)
    miss(one, 50)
    miss(other, 50)
    arrive(other, 100, first=100, letter="B")
    arrive(other, 100)
    assert (taken(one).late == taken(other).late).all()


def test_without_room_a_share_of_all_stands_for_them() -> None:
    outcomes = Outcomes(capacity=2000)
    for first in range(0, 9000, 100):
        arrive(outcomes, 100, first=first)
    miss(outcomes, 3000)
    assert len(outcomes) <= 2000
    assert taken(outcomes).late.mean() == pytest.approx(0.25, abs=0.05)


def test_there_is_room_again_once_they_have_taught() -> None:
    outcomes = Outcomes(capacity=1000)
    arrive(outcomes, 3000)
    taken(outcomes)
    outcomes.arrived(known(200), np.full(200, 105), moments(200, DUE + DAY), lots(0, 200), names("C", 200))
    taken(outcomes, DUE + DAY)
    outcomes.arrived(
        known(200), np.full(200, 105), moments(200, DUE + 2 * DAY), lots(0, 200), names("D", 200)
    )
    assert len(taken(outcomes, DUE + 2 * DAY).names) == 200


def test_a_checkpoint_keeps_them() -> None:
    outcomes, other = Outcomes(), Outcomes()
    arrive(outcomes, 300)
    miss(outcomes, 30)
    taken(outcomes, most=100)
    miss(outcomes, 10, first=900_000)
    other.restore(outcomes.state())
    assert len(other) == len(outcomes)
    before, after = taken(outcomes), taken(other)
    assert before.names == after.names
    assert (before.late == after.late).all()
