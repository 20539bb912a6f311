"""The tenant key: made once, whole or absent, for one reader."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.loading import ConfigError
from monitor.secret_files import kept_secret


def test_it_is_made_once_and_read_by_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data" / "tenant-key"
    made = kept_secret(path)
    assert len(made) >= 32
    assert kept_secret(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["tenant-key"], "no draft is left"


def test_it_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, its folder and the folder of the folder: a power cut after the first coupon must not take the key."""
    synced: list[Path] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    kept_secret(tmp_path / "data" / "tenant-key")
    draft, *folders = synced
    assert draft.name.startswith(".tenant-key")
    assert folders == [tmp_path / "data", tmp_path]


def test_who_starts_at_once_gets_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(kept_secret, [tmp_path / "tenant-key"] * 16))
    assert len(set(found)) == 1


def test_what_is_too_short_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "tenant-key").write_text("short\n", encoding="ascii")
    with pytest.raises(ConfigError, match="tenant-key"):
        kept_secret(tmp_path / "tenant-key")
