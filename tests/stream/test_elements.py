"""The elements of an array that no decoder takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.elements import elements

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\[]{},\n é'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1]))
def test_of_a_good_array_they_are_its_values(values: list[object], indent: int | None) -> None:
    written = json.dumps(values, indent=indent).encode()
    assert [json.loads(one) for one in elements(written)] == values


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"[]", []),
        (b"[1, 2, ]", [b"1", b"2"]),
        (b'[{"a": NaN}, 2]', [b'{"a": NaN}', b"2"]),
        (b'["\\ud800", [1, [2]]]', [b'"\\ud800"', b"[1, [2]]"]),
    ],
)
def test_of_a_bad_one_each_stands_for_itself(body: bytes, found: list[bytes]) -> None:
    assert elements(body) == found


@pytest.mark.parametrize("body", [b"[1", b"[1,", b"[]]", b"[1}", b'["a]', b'["\\"]', b"[" * 5000, b"[1] 2"])
def test_what_does_not_end_has_none(body: bytes) -> None:
    with pytest.raises(ValueError, match="does not end"):
        elements(body)
