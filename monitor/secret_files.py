"""A secret that is made once and kept beside the data, readable by this user alone."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from config.loading import ConfigError

SHORTEST: Final = 16


def kept_secret(path: Path) -> str:
    """The secret in `path`, made where there is none: on the disk before it is used, as coupon codes hang on it, and
    whole or absent. Of two programs that start at once, both get the one that was there first. Raises `ConfigError`.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        text = _make(path)
    if len(text) < SHORTEST:
        raise ConfigError([f"{path}: too short for a secret; remove it to have a new one made"])
    return text


def _make(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)
    _sync(path.parent.resolve().parent)
    return path.read_text(encoding="ascii").strip()


def _publish(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)  # unlike a rename it never takes the place of another's
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        draft.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
