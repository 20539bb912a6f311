"""Where compiled kernels are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cli.kernel_cache import VARIABLE, ensure


def test_a_place_that_can_be_written_is_left_to_the_compiler(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    places = (
        ({"HOME": str(nowhere)}, tmp_path),
        ({"HOME": str(tmp_path)}, nowhere),
        ({"HOME": str(nowhere), "XDG_CACHE_HOME": str(tmp_path)}, nowhere),
        ({"HOME": str(nowhere), VARIABLE: str(tmp_path / "kernels")}, nowhere),
    )
    for environment, package in places:
        before = dict(environment)
        ensure(environment, package)
        assert environment == before


def test_without_one_a_run_has_a_folder_of_its_own_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    environment = {"HOME": str(nowhere), VARIABLE: str(nowhere / "kernels")}
    ensure(environment, nowhere)
    assert Path(environment[VARIABLE]).is_dir()
    assert VARIABLE in capsys.readouterr().err
    Path(environment[VARIABLE]).rmdir()
