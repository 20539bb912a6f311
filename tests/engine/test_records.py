"""Records copied as bytes are what numpy's own copies are."""

from __future__ import annotations

import numpy as np

from monitor.engine.layout import ENDING, PASSED, Records
from monitor.engine.records import chosen, copied, joined


def endings(seed: int, rows: int = 30) -> Records:
    made = np.zeros(rows, ENDING)
    for name in made.dtype.names or ():
        made[name] = np.random.default_rng(seed).integers(0, 200, rows)
    return made


def test_a_copy_is_the_same_and_no_longer_follows() -> None:
    made = endings(1)
    other = copied(made)
    np.testing.assert_array_equal(other, made.copy())
    made["carrier"] = 9999
    assert (other["carrier"] < 9999).all()


def test_a_part_of_a_table_of_records_is_copied_with_its_shape() -> None:
    made = np.zeros((5, 3), PASSED)
    made["finished"] = np.arange(15).reshape(5, 3)
    np.testing.assert_array_equal(copied(made[:4]), made[:4].copy())


def test_parts_follow_each_other_and_a_single_one_is_not_copied() -> None:
    parts = [endings(1, 4), endings(2, 0), endings(3, 7)]
    np.testing.assert_array_equal(joined(parts, ENDING), np.concatenate(parts))
    assert joined(parts[:1], ENDING) is parts[0]
    assert joined([], ENDING).dtype == ENDING


def test_what_is_chosen_is_what_was_wanted_and_all_of_it_is_not_copied() -> None:
    made = endings(4)
    wanted = made["carrier"] > 100
    np.testing.assert_array_equal(chosen(made, wanted), made[wanted])
    assert chosen(made, np.ones(len(made), np.bool_)) is made
