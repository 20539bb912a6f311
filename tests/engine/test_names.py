"""Names and numbers survive the way through the table exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import packing
from monitor.names import NO_KEY, Interner, Names, is_order, joined
from monitor.words import hash_text

exact = st.text(alphabet=packing.ALPHABET, min_size=1, max_size=24)
anything = st.text(min_size=1, max_size=40)


@given(st.lists(exact | anything, max_size=20))
def test_every_tracking_number_comes_back_as_it_was(numbers: list[str]) -> None:
    names = Names()
    key0, key1 = names.pack_many(numbers)
    assert names.unpack_many(key0, key1) == numbers
    assert [names.pack(number) for number in numbers] == list(zip(key0.tolist(), key1.tolist(), strict=True))


@given(exact | anything)
def test_every_order_id_comes_back_and_is_never_a_parcel(text: str) -> None:
    names = Names()
    order, parcel = names.pack(text, order=True), names.pack(text)
    assert names.unpack(*order) == text
    assert names.unpack(*parcel) == text
    assert order != parcel
    assert is_order(order[0])
    assert not is_order(parcel[0])


@given(st.lists(exact, min_size=2, max_size=30, unique=True))
def test_different_numbers_have_different_keys(numbers: list[str]) -> None:
    names = Names()
    keys = {names.key(number) for number in numbers} | {names.key(number, order=True) for number in numbers}
    assert len(keys) == 2 * len(numbers)


def test_a_number_that_does_not_fit_is_forgotten_with_its_parcel_and_bounded_meanwhile() -> None:
    names = Names(sides=2)
    first = names.pack("sf-lower-case")
    names.pack("顺丰123")
    assert names.pack("one too many") == NO_KEY
    assert names.side_overflow == 1
    names.release(*first)
    assert names.pack("now there is room") != NO_KEY
    assert names.pack("x" * 101) == NO_KEY
    assert names.pack("") == NO_KEY
    with pytest.raises(KeyError):
        names.unpack(*first)


@given(st.lists(st.none() | st.text(max_size=12), max_size=60))
def test_interning_a_column_and_one_by_one_agree(texts: list[str | None]) -> None:
    one, many, listed = Interner(1000), Interner(1000), Interner(1000)
    expected = [one.code(text) for text in texts]
    assert many.codes_of(*joined(texts)).tolist() == expected
    assert listed.codes(texts) == expected
    assert [one.text(code) for code in expected] == [text or None for text in texts]


def test_interners_are_bounded_and_count_what_they_refuse() -> None:
    interner = Interner(300)
    codes = interner.codes_of(*joined([f"hub-{n}" for n in range(400)]))
    assert codes[:300].tolist() == list(range(1, 301))
    assert not codes[300:].any()
    assert interner.overflow == 100
    assert interner.known("hub-399") == 0
    assert interner.known("hub-7") == 8


@pytest.mark.parametrize(
    "names",
    [
        [f"hub-{number}" for number in range(4000)],
        [f"{number:06d}" for number in range(4000)],
        [f"转运中心{number:x}" for number in range(4000)],
        [f"the hub of the town number {number}" for number in range(4000)],
    ],
    ids=["hubs", "regions", "centres", "long"],
)
def test_names_that_look_alike_lie_apart(names: list[str]) -> None:
    """Where many begin to be looked for in one place, a look is a walk."""
    interner = Interner(len(names))
    interner.codes(names)
    slots, arena, ends = interner.table
    homes = [
        int(hash_text(arena.ctypes.data, len(arena), int(ends[code - 1]), int(ends[code])))
        % (len(slots) // 2)
        for code in range(1, len(names) + 1)
    ]
    assert np.bincount(homes).max() <= 8  # by chance: 5 or 6


def test_names_survive_a_checkpoint() -> None:
    names = Names()
    names.carriers.codes(["sf", "zto"])
    names.regions.code("440305")
    key = names.pack("lower", order=True)
    again = Names()
    again.regions.code("something else before the checkpoint was loaded")
    again.load(names.dump())
    assert again.dump() == names.dump()
    assert again.carriers.code("zto") == 2
    assert again.unpack(*key) == "lower"
    assert again.carriers.codes_of(*joined(["zto", "yto"])).tolist() == [2, 3]


def test_packing_takes_a_million_rows_at_once() -> None:
    numbers = [f"SF{n:013d}" for n in range(100_000)]
    key0, key1 = Names().pack_many(numbers)
    assert len(np.unique(key0 + key1 * np.uint64(3))) == len(numbers)
