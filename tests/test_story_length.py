"""A story that never ends keeps what is some months old, and not all there ever was."""

from __future__ import annotations

import pytest

from detectors.findings import Finding, Kind, State, Subject, SubjectType
from monitor.story import KEPT_MS, SHORT, Story
from notifier.store import Store

pytestmark = pytest.mark.anyio
DAY = 86_400_000
HUB = Subject(SubjectType.FACILITY, "H-1")
BEGIN = 1_780_000_000_000


def forecast(at: int) -> Finding:
    kind = Kind.BACKLOG_FORECAST
    return Finding(kind, kind, HUB, at, at, at, State.UPDATED, 0.5, {})


async def test_records_of_a_place_do_not_grow_without_end(store: Store) -> None:
    story, a_day = Story(store), 4
    for day in range(400):
        await story.findings([forecast(BEGIN + day * DAY + part) for part in range(a_day)])
    times = sorted(int(name[:15]) for name in await store.hash_all(store.key("story", "facility:H-1")))
    fresh = [at for at in times if at >= BEGIN + 399 * DAY - KEPT_MS + a_day]
    assert len(fresh) == 90 * a_day, "nothing that is young enough goes"
    assert len(times) < 1.4 * len(fresh)


async def test_a_short_story_is_left_whole_and_a_late_record_takes_nothing_with_it(store: Store) -> None:
    story, later = Story(store), BEGIN + 2 * KEPT_MS
    await story.findings([forecast(BEGIN), forecast(later)])
    assert len(await story.records("facility:H-1")) == 2
    many = [forecast(later + part) for part in range(1, 200)]
    await story.findings(many)
    assert len(await story.records("facility:H-1")) == 200, "the old one is gone"
    await story.findings([forecast(BEGIN + DAY)] * 50)
    assert len(await story.records("facility:H-1")) == 201 > SHORT
