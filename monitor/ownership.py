"""One daemon a data folder: two would write each other's checkpoints, whatever store they use."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderTakenError(Exception):
    """Another daemon works in the folder; the message names both."""


@contextmanager
def sole_owner(folder: Path) -> Iterator[None]:
    """The lock ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "daemon.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = path.read_text(encoding="ascii").strip()
            raise FolderTakenError(f"another forestall (process {owner}) works in {folder}") from None
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        yield
    finally:
        os.close(lock)
