"""The kept secret is whole or absent, and always the same."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from config.loading import ConfigError
from monitor import secretfile
from monitor.secretfile import kept_secret


def test_it_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "key"
    first = kept_secret(path)
    assert len(first) >= 32
    assert kept_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_whoever_comes_first_makes_it_for_all(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = kept_secret(path)
    secretfile._make(path)  # as a process that looked before it was there
    assert kept_secret(path) == first
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.link", killed)
        with pytest.raises(KeyboardInterrupt):
            kept_secret(path)
    assert not path.exists()
    assert len(kept_secret(path)) >= 32


def test_one_that_is_too_short_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short\n")
    with pytest.raises(ConfigError, match="too short for a secret"):
        kept_secret(tmp_path / "key")
