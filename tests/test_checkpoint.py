from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.checkpoint import Checkpoint, CheckpointError, CheckpointFolder


def at(moment: int) -> Checkpoint:
    return Checkpoint(moment, {"0": f"{moment}-0"}, {"engine": b"slots" * moment, "incidents": b""})


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.checkpoint"))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(at(1))
    folder.write(at(2))
    assert folder.newest() == (at(2), [])


def test_a_new_folder_has_none(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "new").newest() == (None, [])


def test_only_two_are_kept_and_the_stream_may_go_up_to_the_older(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(at(1))
    assert folder.oldest() is None
    for moment in (2, 3, 4):
        folder.write(at(moment))
    assert len(files(tmp_path)) == 2
    assert folder.oldest() == at(3)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), cut=st.booleans())
def test_a_torn_or_changed_file_is_refused_and_the_older_taken(
    tmp_path: Path, where: float, *, cut: bool
) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(at(1))
    folder.write(at(2))
    newest = files(tmp_path)[-1]
    data = bytearray(newest.read_bytes())
    place = int(where * len(data))
    if cut:
        del data[place:]
    else:
        data[place] ^= 1
    newest.write_bytes(bytes(data))
    taken, problems = folder.newest()
    assert taken == at(1)
    assert str(newest) in problems[0]


def test_when_none_is_whole_it_refuses_to_start_empty(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(at(1))
    files(tmp_path)[0].write_bytes(b"")
    with pytest.raises(CheckpointError, match="move the folder away"):
        folder.newest()
