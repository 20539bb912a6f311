"""Names as numbers, their texts asked for late, beside a dictionary that asks at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from detectors.index import Index
from detectors.tables import Coded


class Asked(list[str | None]):
    """A vocabulary that counts what it is asked."""

    asked = 0

    def __getitem__(self, code: int) -> str | None:  # type: ignore[override]
        self.asked += 1
        return super().__getitem__(code)


def column(texts: Sequence[str | None], *codes: int) -> Coded:
    return Coded(np.array(codes, np.uint32), texts)


def test_names_are_numbered_as_they_come_and_nobody_asks_what_they_are() -> None:
    texts, index = Asked([None, "a", "b", "c"]), Index()
    assert index.of(column(texts, 3, 1, 3, 0)).tolist() == [0, 1, 0, -1]
    texts.append("d")
    assert index.of(column(texts, 2, 4, 1)).tolist() == [2, 3, 1]
    assert texts.asked == 0
    assert index.name(2) == "b"
    assert texts.asked == 1
    assert list(index.names()) == ["c", "a", "b", "d"]
    assert [index.known(name) for name in ("d", "e")] == [3, -1]


def test_another_vocabulary_and_names_from_elsewhere_mean_the_same() -> None:
    index = Index()
    index.of(column([None, "a", "b"], 2, 1))
    assert index.number("c") == 2
    assert index.of(column([None, "c", "x", "b", "a"], 1, 2, 3, 4)).tolist() == [2, 3, 0, 1]
    assert index.number("x") == 3


@pytest.mark.parametrize("seed", range(5))
def test_it_answers_as_a_dictionary_does_also_after_a_restart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    index, told = Index(), dict[str, int]()
    words = [f"w{word}" for word in range(60)]
    texts: list[str | None] = [None, *rng.permutation(words)[:20].tolist()]
    for step in range(40):
        if step % 9 == 8:
            texts = [None, *rng.permutation(words).tolist()]
        if step % 13 == 12:
            kept = list(index.names())
            index = Index()
            index.restore(kept)
        codes = rng.integers(0, len(texts), 7)
        expected = [told.setdefault(text, len(told)) if (text := texts[code]) else -1 for code in codes]
        assert index.of(column(texts, *codes)).tolist() == expected
    assert list(index.names()) == list(told)


def test_where_there_is_no_room_a_name_has_no_number_and_what_is_absent_may_have_one() -> None:
    index = Index(capacity=2)
    texts = [None, "a", "b", "c"]
    assert index.of(column(texts, 3, 2, 1, 0), absent=7).tolist() == [0, 1, -1, 7]
    assert index.number("d") == -1
    assert len(index) == 2


def test_each_number_knows_its_row_in_what_came_last() -> None:
    index, texts = Index(), [None, "a", "b", "c"]
    index.of(column(texts, 1, 2, 3))
    index.of(column(texts, 3, 0, 1))
    assert index.lines().tolist() == [2, -1, 0]


def test_a_number_that_goes_to_another_name_is_that_names_alone_in_every_vocabulary() -> None:
    """Beside a dictionary, with names that come by code and by text, restarts and vocabularies that change."""
    rng = np.random.default_rng(5)
    words = [f"w{number}" for number in range(40)]
    texts, index, told = [None, *words], Index(capacity=12), dict[str, int]()
    for step in range(300):
        if step % 9 == 8:
            texts = [None, *rng.permutation(words).tolist()]
        if step % 13 == 12:
            kept = list(index.names())
            index = Index(capacity=12)
            index.restore(kept)
        codes = rng.integers(0, len(texts), 7)
        for text in (texts[code] for code in codes):
            if text and len(told) < 12:
                told.setdefault(text, len(told))
        expected = [told.get(texts[code] or "", -1) for code in codes]
        asked = column(texts, *codes)
        assert index.of(asked).tolist() == expected
        strangers = list(dict.fromkeys(codes[(np.array(expected) < 0) & (codes > 0)].tolist()))[:3]
        assert index.full == (len(told) == 12)
        if index.full and strangers:
            numbers = rng.permutation(12)[: len(strangers)]
            index.replace(numbers, column(texts, *strangers))
            told = {name: number for name, number in told.items() if number not in numbers}
            told |= {
                texts[code] or "": number for code, number in zip(strangers, numbers.tolist(), strict=True)
            }
            named = [index.name(number) for number in range(12)]
            assert named == sorted(told, key=lambda name: told[name])
            assert index.of(asked).tolist() == [told.get(texts[code] or "", -1) for code in codes]
            at = dict(zip(index.of(asked).tolist(), range(len(codes)), strict=True))
            assert index.lines().tolist() == [at.get(number, -1) for number in range(12)]
