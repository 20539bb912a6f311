"""Stated odds against what became of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from detectors.calibration import Calibration
from detectors.plain import pack, unpack

CENTRE = 0.5927  # of the odds that one bin holds


def logit(probability: float) -> npt.NDArray[np.float64]:
    return np.array([np.log(probability / (1 - probability))])


def told(stated: float, came_true: float, cases: int) -> Calibration:
    record = Calibration(0.3)
    names = [f"P{number}" for number in range(cases)]
    record.keep(names, np.repeat(logit(stated), cases))
    record.learn(names, [number < came_true * cases for number in range(cases)])
    record.pass_time(0)
    return record


def test_odds_that_came_true_half_as_often_are_said_half_as_high() -> None:
    record = told(CENTRE, 0.3, 2000)
    assert record.apply(logit(CENTRE))[0] == pytest.approx(0.3, abs=0.05)


def test_without_a_record_and_with_a_few_cases_what_is_stated_stands() -> None:
    assert Calibration(0.3).apply(logit(0.6))[0] == pytest.approx(0.6, abs=0.01)
    assert told(0.6, 0.0, 3).apply(logit(0.6))[0] > 0.5


def test_probabilities_never_fall_as_the_odds_rise() -> None:
    said = told(0.7, 0.1, 2000).apply(np.linspace(-1.2, 3.8, 60))
    assert (np.diff(said) >= -1e-12).all()


def test_only_the_first_passing_counts_and_nobody_unknown_teaches() -> None:
    record = Calibration(0.3)
    record.keep(["P1"], logit(0.4))
    record.keep(["P1", "P2"], np.repeat(logit(0.9), 2))
    record.keep(["P3"], logit(0.2))
    assert record.state()["said"].keys() == {"P1", "P2"}
    assert record.state()["said"]["P1"] == pytest.approx((float(logit(0.4)[0]), 0.4), abs=1e-3)
    before = record.state()["cases"]
    record.learn(["P3", "P9"], [True, True])
    assert record.state()["cases"] == before


def test_a_checkpoint_keeps_it() -> None:
    record = told(0.6, 0.3, 500)
    other = Calibration(0.3)
    other.restore(record.state())
    odds = np.linspace(-2, 4, 40)
    assert (other.apply(odds) == record.apply(odds)).all()


def test_the_error_is_the_gap_between_what_was_stated_and_what_came() -> None:
    assert told(0.6, 0.6, 2000).error() == pytest.approx(0.0, abs=0.01)
    assert told(0.6, 0.2, 2000).error() == pytest.approx(0.4, abs=0.01)
    assert told(0.6, 0.6, 20).error() is None


def test_a_checkpoint_that_did_not_keep_what_was_stated_is_read() -> None:
    record = told(0.6, 0.3, 500)
    record.keep(["P9"], logit(0.5))
    state = record.state()
    said = {name: known[0] for name, known in state["said"].items()}
    other = Calibration(0.3)
    other.restore({**state, "said": said, "cases": pack(unpack(state["cases"])[:2].copy())})
    odds = np.linspace(-2, 4, 40)
    assert (other.apply(odds) == record.apply(odds)).all()
    assert other.error() == pytest.approx(0.3, abs=0.05)


def test_those_of_whom_no_outcome_is_ever_told_make_room() -> None:
    record = Calibration(0.3, capacity=100)
    for number in range(1000):
        name = f"P{number}"
        record.keep([name], logit(CENTRE))
        if number % 2:  # the others came back or were lost
            record.learn([name], [True])
    assert record.ready
    assert len(record.state()["said"]) <= 100
