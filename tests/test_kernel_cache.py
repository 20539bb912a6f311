"""Where compiled kernels are kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def nobody() -> Iterator[None]:
    """The superuser may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_kernels_in_a_folder_that_cannot_be_written_are_used() -> None:
    """As those of an image whose root is read-only; what is compiled besides goes to a folder of the run."""
    image = Path(tempfile.mkdtemp())
    try:
        folder = image / "kernels" / "engine_0123"
        folder.mkdir(parents=True)
        for name in ("scan-1.py311.nbi", "scan-1.py311.1.nbc"):
            (folder / name).write_text(name, encoding="utf-8")
        for one in (folder, folder.parent, image):
            one.chmod(0o555)
        environment = {"HOME": str(image), VARIABLE: str(image / "kernels")}
        with nobody():
            ensure(environment, image / "package")
            mine = Path(environment[VARIABLE])
            assert mine != image / "kernels"
            assert (mine / "engine_0123" / "scan-1.py311.1.nbc").read_text() == "scan-1.py311.1.nbc"
            (mine / "engine_0123" / "new").write_text("0")
            (mine / "engine_0123" / "new").replace(mine / "engine_0123" / "scan-1.py311.nbi")
        assert (folder / "scan-1.py311.nbi").read_text() == "scan-1.py311.nbi"
        shutil.rmtree(mine)
    finally:
        for one in (image, image / "kernels", image / "kernels" / "engine_0123"):
            one.chmod(0o755)
        shutil.rmtree(image)


def test_where_nothing_can_be_written_one_line_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere))
    with pytest.raises(SystemExit) as ended:
        ensure({"HOME": str(nowhere)}, nowhere)
    assert ended.value.code == 1
    assert "set NUMBA_CACHE_DIR or TMPDIR" in capsys.readouterr().err
