"""A proxy before the store that loses replies: the command was done, and the caller cannot know."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self


class LosingProxy:
    """Loses the reply to the n-th command that contains `word`, and closes; everything else passes."""

    def __init__(self, upstream: Path, socket: Path, word: bytes) -> None:
        self.upstream = upstream
        self.socket = socket
        self.word = word
        self.lose = 0  # how many replies are still to be lost
        self.lost = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_unix_connection(str(self.upstream))
        try:
            while data := await reader.read(1 << 20):
                up_writer.write(data)
                await up_writer.drain()
                reply = await up_reader.read(1 << 20)
                if self.lose and self.word in data:
                    self.lose -= 1
                    self.lost += 1
                    return
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._tasks.discard(task)
            up_writer.close()
            writer.transport.abort()
