"""A secret made once and kept beside the data. Coupon codes hang on one for as long as they are valid."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from config.loading import ConfigError

SHORTEST: Final = 16


def kept_secret(path: Path) -> str:
    """Readable by this user alone; made at the first call, by whichever process comes first."""
    if not path.exists():
        _make(path)
    text = path.read_text(encoding="ascii").strip()
    if len(text) < SHORTEST:
        raise ConfigError([f"{path}: too short for a secret; remove it to have a new one made"])
    return text


def _make(path: Path) -> None:
    """Whole and on the disk, or not at all, whenever the process or the power ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # of a process of the same number that was killed
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
        file.write(secrets.token_urlsafe(32).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):  # another process was faster: its secret counts
        os.link(temporary, path)
    temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
