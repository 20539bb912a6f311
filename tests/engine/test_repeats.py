"""Ids of events beside two plain sets: lines that are full, generations that go, what a checkpoint brings back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from config.detection import DetectionSettings
from config.settings import EngineSettings
from monitor.engine.kernels.repeats import PLACES, repeated, seen_line
from monitor.engine.layout import BUCKETS
from monitor.engine.pages import Pages
from monitor.engine.stage import ParcelStage, new_table
from monitor.names import Names

LIMIT = 16  # ids of a generation of a bucket
REMEMBERED = LIMIT * BUCKETS
BUCKET = 7
# Some lines are asked for far more often than they have places, so that ids go on to the lines after them.
POOL = [number * 0x9E3779B97F4A7C15 % 2**64 for number in range(1, 41)]


class Plain:
    def __init__(self) -> None:
        self.older: set[int] = set()
        self.young: set[int] = set()

    def repeated(self, event: int) -> bool:
        if event == 0:
            return False
        if event in self.older or event in self.young:
            return True
        if len(self.young) >= LIMIT:
            self.older, self.young = self.young, set()
        self.young.add(event)
        return False


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([0, *POOL]), max_size=150))
def test_what_is_a_repeat_is_what_two_sets_say(events: list[int]) -> None:
    table, plain = new_table(10_000, REMEMBERED, Pages()), Plain()
    for event in events:
        assert bool(repeated(table, BUCKET, np.uint64(event), LIMIT)) == plain.repeated(event)


def test_ids_of_one_line_go_on_to_the_next() -> None:
    table = new_table(10_000, REMEMBERED, Pages())
    lines = table.seen.shape[1]
    mine = [event for event in range(1, 2000) if seen_line(np.uint64(event), lines - 1) == lines - 1][
        : 2 * PLACES + 1
    ]
    assert not any(repeated(table, BUCKET, np.uint64(event), LIMIT) for event in mine)
    assert all(repeated(table, BUCKET, np.uint64(event), LIMIT) for event in mine)
    assert (table.seen[BUCKET, 0] != 0).any()  # the line after the last is the first


def test_a_smaller_memory_takes_what_it_has_room_for() -> None:
    stage = ParcelStage(
        EngineSettings(max_live_parcels=10_000), DetectionSettings(remembered_events=REMEMBERED), Names()
    )
    many = np.arange(1, 40 * LIMIT, dtype=np.uint64)
    stage.put_seen(BUCKET, [many, many[:LIMIT] + np.uint64(2**40)])
    assert stage.table.seen_count[BUCKET].tolist() == [LIMIT, LIMIT]
    older, young = stage.seen(BUCKET)
    assert set(older.tolist()) == set(range(1, LIMIT + 1))
    assert len(young) == LIMIT
