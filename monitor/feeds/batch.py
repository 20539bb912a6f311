"""Webhooks that arrive together go into intake together: checking one submission costs as much as checking hundreds.

The first of a group is submitted at once; what comes while it is being written is the next group. So a lone webhook never
waits, and under load groups grow by themselves. One task runs for all groups, and only while there is something to do.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol


class Submits(Protocol):
    """`monitor.intake.Intake`."""

    async def submit(self, data: bytes, now: int, feed: str = "") -> Any: ...


@dataclass(slots=True)
class _Group:
    done: asyncio.Future[None]
    now: int = 0
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class Batches:
    """A way into intake for many small submissions; `most_bytes` bounds one group."""

    def __init__(self, intake: Submits, most_bytes: int = 1 << 20) -> None:
        self._intake = intake
        self._most = most_bytes
        self._groups: list[_Group] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, data: bytes, now: int) -> None:
        """Durable when it returns; raises what intake raises, to everyone in the group."""
        last = self._groups[-1] if self._groups else None
        if last is None or last.size + len(data) > self._most:
            last = _Group(asyncio.get_running_loop().create_future())
            self._groups.append(last)
        last.now = max(last.now, now)
        last.pieces.append(data)
        last.size += len(data)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="feed-batches")
        await asyncio.shield(last.done)

    async def _run(self) -> None:
        try:
            while self._groups:
                group = self._groups.pop(0)
                await self._write(group)
        finally:
            self._task = None
            for group in self._groups:  # cancelled: nobody may wait for ever
                group.done.cancel()
            self._groups.clear()

    async def _write(self, group: _Group) -> None:
        try:
            await self._intake.submit(b"".join(group.pieces), group.now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is every submitter's answer
            group.done.set_exception(error)
            group.done.exception()  # read: a submitter that went away must not make it a warning
        except asyncio.CancelledError:
            group.done.cancel()
            raise
        else:
            group.done.set_result(None)
