"""One daemon a data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitor.ownership import FolderTakenError, sole_owner


def test_a_second_daemon_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    with (
        sole_owner(tmp_path / "data"),
        pytest.raises(FolderTakenError, match=f"process {os.getpid()}"),
        sole_owner(tmp_path / "data"),
    ):
        raise AssertionError("two owners")


def test_the_folder_is_free_when_the_first_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with sole_owner(tmp_path):
            pass
