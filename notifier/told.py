"""Which words have left, in files beside the store: what a store that was put back to an older copy cannot know.

A coupon leaves its code at the shop; words leave nothing that most providers could be asked about. So each attempt is
also written here, after its trace in the store and before it is sent: on the disk before the first byte leaves. A store
that knows fewer attempts of an action than these files has forgotten some (`Reconciler.remind`), and what it would say
again is `unknown` then.

NDJSON, a file a month, no personal data. An attempt that surely said nothing is taken back by a line without a time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from notifier.sending import Instant

KEPT_MONTHS: Final = 5  # files, so that a clock that leaps ahead deletes no more than one
KEEP_MS: Final = 90 * 86_400_000  # how long what these files say is held against a store
TAIL: Final = 65_536
CHUNK: Final = 500


class Left(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `n`-th attempt of an action, begun at `at`; 0: it surely said nothing. `said`: what its text is known by."""

    id: str
    n: int
    at: Instant = 0
    said: str = ""


_DECODER: Final = msgspec.json.Decoder(Left)


class Told:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[tuple[Instant, bytes]] = []
        self._turn = asyncio.Lock()
        self.last = self._newest()

    async def note(self, left: Left, now: Instant) -> None:
        """On the disk when it returns, together with what others noted meanwhile. Raises `OSError`: then it must not be sent."""
        self._waiting.append((now, msgspec.json.encode(left) + b"\n"))
        async with self._turn:
            lines, self._waiting = self._waiting, []
            if lines:  # else whoever had the turn before wrote ours as well
                try:
                    await asyncio.to_thread(self._write, lines)
                except OSError:
                    self._waiting = lines + self._waiting
                    raise
        self.last = left

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

    def _write(self, lines: list[tuple[Instant, bytes]]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{datetime.fromtimestamp(lines[-1][0] / 1000, UTC):%Y-%m}.ndjson"
        fresh = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            data = b"\n" * torn + b"".join(line for _, line in lines)
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        finally:
            os.close(file)
        if fresh:
            self._begin_month()

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
        files = self._files()
        if not files:
            return None
        with files[-1].open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            found = [one for line in file.read().splitlines() for one in _read(line)]
        return found[-1] if found else None


def _read(line: bytes) -> list[Left]:
    """Nothing of a line that a crash cut: what it was of had not left."""
    try:
        return [_DECODER.decode(line)]
    except msgspec.DecodeError:
        return []
