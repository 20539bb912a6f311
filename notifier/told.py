"""Which words have left, in files beside the store: what a store that was put back to an older copy cannot know.

A coupon leaves its code at the shop; words leave nothing that most providers could be asked about. So each attempt is
also written here, after its trace in the store and before it is sent: on the disk before the first byte leaves. A store
that knows fewer attempts of an action than these files has forgotten some (`notifier.reminder`), and what it would say
again is `unknown` then.

NDJSON, a file a month, no personal data. An attempt that surely said nothing is taken back by a line without a time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from notifier.sending import Instant

KEEP_MS: Final = 90 * 86_400_000  # how long what these files say is held against a store
KEPT_MONTHS: Final = 5  # files: one more than 90 days touch, which a clock that leaps ahead may delete
BLOCK: Final = 65_536  # bytes read at a time, from the end
CHUNK: Final = 500
MOST_STANDING: Final = 1_000  # more than are ever under way at once


class Left(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `n`-th attempt of an action, begun at `at`; 0: it surely said nothing. `said`: what its text is known by."""

    id: str
    n: int
    at: Instant = 0
    said: str = ""


_DECODER: Final = msgspec.json.Decoder(Left)
Line: TypeAlias = tuple[Instant, bytes]


class Told:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Line] = []
        self._turn = asyncio.Lock()
        self._standing: dict[tuple[str, int], Left] = {}  # not taken back, in their order
        if (newest := self._newest()) is not None:
            self._stand(newest)

    @property
    def last(self) -> Left | None:
        """The last attempt that was not taken back: what comes after it says nothing about a store."""
        return next(reversed(self._standing.values()), None)

    async def note(self, left: Left, now: Instant) -> None:
        """On the disk when it returns, together with what others noted meanwhile. Raises `OSError`: then it must not be
        sent, and is not written later either.
        """
        line = now, msgspec.json.encode(left) + b"\n"
        self._waiting.append(line)
        try:
            async with self._turn:
                if line in self._waiting:  # else whoever had the turn before wrote it as well
                    await self._write_waiting()
        finally:
            if line in self._waiting:
                self._waiting.remove(line)
        self._stand(left)

    async def _write_waiting(self) -> None:
        lines, self._waiting = self._waiting, []
        try:
            await asyncio.to_thread(self._write, lines)
        except OSError:
            self._waiting = lines + self._waiting  # each of the others tries for itself
            raise

    def _stand(self, left: Left) -> None:
        self._standing.pop((left.id, left.n), None)
        if left.at:
            self._standing[left.id, left.n] = left
        if len(self._standing) > MOST_STANDING:
            del self._standing[next(iter(self._standing))]

    def chunks(self) -> Iterator[list[Left]]:
        """All that is kept, oldest first."""
        chunk: list[Left] = []
        for path in self._files():
            with path.open("rb") as file:
                for line in file:
                    chunk += _read(line)
                    if len(chunk) >= CHUNK:
                        yield chunk
                        chunk = []
        if chunk:
            yield chunk

    def _write(self, lines: list[Line]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{datetime.fromtimestamp(lines[-1][0] / 1000, UTC):%Y-%m}.ndjson"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            if not size:
                self._begin_month()
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            data = b"\n" * torn + b"".join(line for _, line in lines)
            try:
                while data:
                    data = data[os.write(file, data) :]
                os.fsync(file)
            except OSError:
                os.ftruncate(file, size)  # what did not fit as a whole will not be sent
                raise
        finally:
            os.close(file)

    def _begin_month(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for old in self._files()[:-KEPT_MONTHS]:
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("????-??.ndjson"))

    def _newest(self) -> Left | None:
        """A night of refusals may fill the end of the files with what was taken back."""
        taken_back = set()
        for one in (
            one for path in reversed(self._files()) for line in _backwards(path) for one in _read(line)
        ):
            if not one.at:
                taken_back.add((one.id, one.n))
            elif (one.id, one.n) not in taken_back:
                return one
        return None


def _backwards(path: Path) -> Iterator[bytes]:
    """The lines of a file, the last one first; read as far as they are asked for."""
    with path.open("rb") as file:
        left, rest = file.seek(0, os.SEEK_END), b""
        while left:
            size = min(BLOCK, left)
            left -= size
            file.seek(left)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


def _read(line: bytes) -> list[Left]:
    """Nothing of a line that a crash cut: what it was of had not left."""
    try:
        return [_DECODER.decode(line)]
    except msgspec.DecodeError:
        return []
