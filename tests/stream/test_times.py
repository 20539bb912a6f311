"""Times: the column parser says what the plain one says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.records import when
from monitor.scancolumns import times
from monitor.times import EARLIEST, LATEST, parse_time

BASE = "2026-02-28T23:59:59.5+08:00"


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)),  # noqa: DTZ001
    st.integers(-23 * 60, 23 * 60),
)
def test_every_time_in_range_is_read_exactly(naive: datetime, away: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=away)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    text = moment.isoformat()
    assert parse_time(text) == expected
    column = times([text, ""])
    assert column is not None
    assert column.tolist() == [expected, 0]
    assert parse_time(when(expected)) == expected


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-01-01T00:00:00Z", 1767225600000),
        ("2026-01-01t00:00:00.1239z", 1767225600123),
        ("2024-02-29T00:00:00-00:30", 1709166600000),
        ("2016-12-31T23:59:60Z", 1483228800000),
    ],
)
def test_unusual_times_are_read(text: str, milliseconds: int) -> None:
    assert parse_time(text) == milliseconds
    column = times([text])
    assert column is not None
    assert column.tolist() == [milliseconds]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+0800",
        "2026-01-01T00:00:00+08:60",
        "2026-01-01T00:00:00Zz",
        "20260101T000000Z",
        "0000-01-01T00:00:00Z",
        "２026-01-01T00:00:00Z",
        "now",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert parse_time(text) is None
    assert times([text]) is None


@given(st.integers(0, len(BASE) - 1), st.characters(max_codepoint=300), st.booleans())
def test_both_parsers_agree_on_damaged_times(place: int, character: str, insert: bool) -> None:
    text = BASE[:place] + character + BASE[place + (0 if insert else 1) :]
    one = parse_time(text)
    column = times([text])
    if one is None or not EARLIEST <= one < LATEST:
        assert column is None
    else:
        assert column is not None
        assert column.tolist() == [one]


def test_an_empty_column_is_no_trouble() -> None:
    column = times([])
    assert column is not None
    assert column.dtype == np.int64


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["2026-02-28T23:59", "2026-02-28T23:58", "2026-02-30T23:59", "2026-02-28t23:59"]),
            st.sampled_from([":00", ":59", ":60", ":61", ";00", ":0a", ":5"]),
            st.sampled_from(
                ["Z", ".5Z", ".123Z", ".12aZ", "x123Z", ".123z", ".1239Z", "+08:00", "", "ZZZZZ"]
            ),
        ).map("".join),
        max_size=6,
    )
)
def test_neighbours_in_one_minute_are_read_as_if_alone(texts: list[str]) -> None:
    column = times(texts)
    alone = [parse_time(text) for text in texts]
    assert (None if column is None else column.tolist()) == (None if None in alone else alone)
