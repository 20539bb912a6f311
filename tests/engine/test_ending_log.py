"""Parcels that ended, as columns: each reader has each of them once, and who reads at one moment shares the work."""

from __future__ import annotations

import numpy as np

from monitor.engine.endings import EndingLog, count
from monitor.engine.layout import ENDING, Records


def rows(*lanes: int) -> Records:
    made = np.zeros(len(lanes), ENDING)
    made["lane"] = lanes
    made["occurred"] = [lane * 1000 for lane in lanes]
    made["scan_latitude"] = [lane / 8 for lane in lanes]
    return made


def test_every_field_is_a_column() -> None:
    rng = np.random.default_rng(4)
    row = np.frombuffer(rng.bytes(ENDING.itemsize * 50), ENDING).copy()
    log = EndingLog(["one"])
    for part in (row[:20], row[20:21], row[21:]):
        log.append(part.copy())
    columns = log.columns("one")
    assert set(columns) == set(ENDING.names or ())
    for name, column in columns.items():
        assert column.flags.c_contiguous
        assert column.tobytes() == row[name].tobytes()


def test_each_reader_has_each_row_once() -> None:
    log = EndingLog(["often", "seldom"])
    log.append(rows(1, 2))
    assert log.columns("often")["lane"].tolist() == [1, 2]
    log.append(rows(3))
    assert log.columns("often")["lane"].tolist() == [3]
    assert log.columns("seldom")["lane"].tolist() == [1, 2, 3]
    assert count(log.columns("often")) == count(log.columns("seldom")) == 0
    log.append(rows(4))
    assert log.columns("seldom")["lane"].tolist() == [4]
    assert log.columns("often")["lane"].tolist() == [4]


def test_what_is_laid_out_is_shared_by_those_who_read_the_same() -> None:
    log = EndingLog(["one", "other", "third"])
    log.append(rows(1, 2))
    first = log.columns("one")
    assert log.columns("other") is first
    log.append(rows(3))
    assert log.columns("third")["lane"].tolist() == [1, 2, 3]
    assert log.columns("one")["lane"].tolist() == [3]


def test_rows_of_one_s_own_come_first_and_are_nobody_else_s() -> None:
    log = EndingLog(["one", "other"])
    log.append(rows(7, 8))
    assert log.columns("one", [rows(5), rows(6)])["lane"].tolist() == [5, 6, 7, 8]
    assert log.columns("other")["lane"].tolist() == [7, 8]


def test_a_reader_that_is_new_since_the_checkpoint_begins_there() -> None:
    log, later = EndingLog(["one"]), EndingLog(["one"])
    log.append(rows(1, 2))
    later.add_reader("new")
    later.restore(log.state())
    later.append(rows(3))
    assert later.columns("new")["lane"].tolist() == [3]
    assert later.columns("one")["lane"].tolist() == [1, 2, 3]


def test_nothing_waits_for_nobody() -> None:
    log = EndingLog([])
    log.append(rows(1, 2))
    log.add_reader("late")
    assert log.waiting("late") == 0
