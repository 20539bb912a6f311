"""Where the engine's state outlives the process: a file, whole or refused.

A checkpoint is written beside the old one, fsynced and swapped in by a rename; the one before is kept. A torn or
changed file is refused by its checksum, and the older one is taken: the stream still holds everything since, as it is
trimmed only up to the *older* checkpoint's positions.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

MAGIC: Final = b"FORESTALL-CHECKPOINT\n"
VERSION: Final = 1
KEPT: Final = 2
_SUM: Final = 32


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`positions`: per shard the id of the last entry taken; `parts`: each part's own dump, by name."""

    written_at: int
    positions: Mapping[str, str]
    parts: Mapping[str, bytes]


class _File(msgspec.Struct, frozen=True):
    version: int
    written_at: int
    positions: dict[str, str]
    parts: dict[str, bytes]


class CheckpointFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, checkpoint: Checkpoint) -> int:
        """Durable when this returns; the size in bytes. Blocks on the disk: call it from a thread."""
        body = msgspec.msgpack.encode(
            _File(VERSION, checkpoint.written_at, dict(checkpoint.positions), dict(checkpoint.parts))
        )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sequence = max((_sequence(path) for path in self._files()), default=0) + 1
        path = self._folder / f"{sequence:012d}.checkpoint"
        temporary = path.with_suffix(".writing")
        with temporary.open("wb") as file:
            file.write(MAGIC)
            file.write(hashlib.blake2b(body, digest_size=_SUM).digest())
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        self._sync_folder()
        for old in self._files()[:-KEPT]:
            old.unlink()
        return len(body)

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and what was wrong with newer ones. None: there never was one.

        Raises CheckpointError where checkpoints exist and none is whole: starting empty would lose every open
        episode without a word.
        """
        problems: list[str] = []
        for path in reversed(self._files()):
            try:
                return read(path), problems
            except CheckpointError as error:
                problems.append(str(error))
        if problems:
            raise CheckpointError(
                f"{'; '.join(problems)}; move the folder away to start from the stream's oldest entry instead"
            )
        return None, []

    def oldest(self) -> Checkpoint | None:
        """Up to where the stream may be trimmed: what every kept checkpoint covers. None: not to be trimmed yet."""
        files = self._files()
        if len(files) < KEPT:
            return None
        try:
            return read(files[0])
        except CheckpointError:
            return None

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.checkpoint"), key=_sequence)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path) -> Checkpoint:
    data = path.read_bytes()
    head = len(MAGIC) + _SUM
    if not data.startswith(MAGIC) or len(data) < head:
        raise CheckpointError(f"{path}: not a checkpoint, or cut off")
    body = memoryview(data)[head:]
    if hashlib.blake2b(body, digest_size=_SUM).digest() != data[len(MAGIC) : head]:
        raise CheckpointError(f"{path}: the checksum is wrong: torn or changed")
    file = msgspec.msgpack.decode(body, type=_File)
    if file.version != VERSION:
        raise CheckpointError(f"{path}: format {file.version}, this program reads {VERSION}")
    return Checkpoint(file.written_at, file.positions, file.parts)


def _sequence(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0


def pack(value: Any) -> bytes:
    """A part that is plain data."""
    return msgspec.msgpack.encode(value)


def unpack(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)
