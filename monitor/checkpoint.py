"""Where the engine's state outlives the process: a file, whole or refused.

A checkpoint is written beside the old one, fsynced and swapped in by a rename; the one before is kept. A torn or
changed file is refused by its checksum, and the older one is taken: the stream still holds everything since, as it is
trimmed only up to the *older* checkpoint's positions.

A file of an earlier program is read as long as each part can read what it wrote; one that a part cannot read is refused
like a torn one, and never half taken.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from monitor import __version__
from monitor.before_leap import BeforeLeap

MAGIC: Final = b"FORESTALL-CHECKPOINT\n"
VERSION: Final = 1
KEPT: Final = 2
ANEW: Final = "move the folder away to start from the stream's oldest entry instead"
_SUM: Final = 32


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`positions`: per shard the id of the last entry taken; `parts`: each part's own dump, by name; `program`: the
    version that wrote it, where it said so.
    """

    written_at: int
    positions: Mapping[str, str]
    parts: Mapping[str, bytes]
    program: str = __version__


class _File(msgspec.Struct, frozen=True):
    version: int
    written_at: int
    positions: dict[str, str]
    parts: dict[str, bytes]
    program: str = ""  # younger than the format


Check: TypeAlias = Callable[[Checkpoint], None]  # raises CheckpointError where a whole file is of no use


class CheckpointFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.before = BeforeLeap(folder)

    def __str__(self) -> str:
        return str(self._folder)

    def write(self, checkpoint: Checkpoint) -> int:
        """Durable when this returns; the size in bytes. Blocks on the disk: call it from a thread. Raises OSError where it
        does not fit, with the older ones as they were.
        """
        body = msgspec.msgpack.encode(
            _File(
                VERSION,
                checkpoint.written_at,
                dict(checkpoint.positions),
                dict(checkpoint.parts),
                checkpoint.program,
            )
        )
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(max((_sequence(path) for path in self._files()), default=0) + 1)
        temporary = path.with_suffix(".writing")
        try:
            with temporary.open("wb") as file:
                file.write(MAGIC)
                file.write(hashlib.blake2b(body, digest_size=_SUM).digest())
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk others need the room
            raise
        temporary.replace(path)
        self._sync_folder()
        for old in self._files()[:-KEPT]:
            old.unlink()
        return len(body)

    def newest(self, check: Check = lambda _: None) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and what was wrong with newer ones. None: there never was one.

        Raises CheckpointError where checkpoints exist and none is whole: starting empty would lose every open
        episode without a word.
        """
        checkpoint, refused = self._look(check)
        return checkpoint, list(refused.values())

    def take(self, check: Check) -> tuple[Checkpoint | None, list[str]]:
        """As `newest`. What was refused is set aside: the stream may be trimmed up to what kept files cover, and a newer
        one covers what the one that is taken has yet to see.
        """
        checkpoint, refused = self._look(check)
        for path in refused:
            path.replace(path.with_suffix(".refused"))
        return checkpoint, list(refused.values())

    def set_aside(self) -> bool:
        """The newest, of which a part could not be loaded, where one before it is left to be taken at the next start."""
        *older, newest = self._files()
        if older:
            newest.replace(newest.with_suffix(".refused"))
        return bool(older)

    def _look(self, check: Check) -> tuple[Checkpoint | None, dict[Path, str]]:
        refused: dict[Path, str] = {}
        for path in reversed(self._files()):
            try:
                checkpoint = read(path)
                check(checkpoint)
            except CheckpointError as error:
                refused[path] = f"{path}: {error}"
            else:
                return checkpoint, refused
        if refused:
            raise CheckpointError(f"{'; '.join(refused.values())}; {ANEW}")
        return None, {}

    def oldest(self) -> Checkpoint | None:
        """Up to where the stream may be trimmed: what every kept checkpoint covers. None: not to be trimmed yet."""
        files = self._files()
        if len(files) < KEPT:
            return None
        try:
            return read(self.before.path or files[0])
        except CheckpointError:
            return None

    def leap(self, time: int, landing: int) -> None:
        """Keeps what there is, before time leaps from `time` to `landing`."""
        self.before.keep(next(reversed(self._files()), None), time, landing)

    def go_back(self) -> None:
        """To what was kept before the leap, which must be there; what is newer is set aside. Interrupted, it is done."""
        kept = self.before.path
        assert kept is not None  # noqa: S101 -- whoever goes back has read it
        newer = self._files()
        kept.rename(self._path(_sequence(newer[-1]) + 1))
        self._sync_folder()
        for path in newer:
            path.replace(path.with_suffix(".ahead"))

    def _path(self, sequence: int) -> Path:
        return self._folder / f"{sequence:012d}.checkpoint"

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
        raise CheckpointError("not a checkpoint, or cut off")
    body = memoryview(data)[head:]
    if hashlib.blake2b(body, digest_size=_SUM).digest() != data[len(MAGIC) : head]:
        raise CheckpointError("the checksum is wrong: torn or changed")
    try:
        file = msgspec.msgpack.decode(body, type=_File)
    except msgspec.DecodeError:
        raise CheckpointError(f"another format; this program reads {VERSION}") from None
    if file.version != VERSION:
        raise CheckpointError(f"format {file.version}, this program reads {VERSION}")
    return Checkpoint(file.written_at, file.positions, file.parts, file.program)


def _sequence(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0


def pack(value: Any) -> bytes:
    """A part that is plain data."""
    return msgspec.msgpack.encode(value)


def unpack(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)
