"""Webhooks that arrive together go into intake together: checking one submission costs as much as checking hundreds.
Each is told which of its own events were refused.

The first of a group is submitted at once; what comes while it is being written is the next group. So a lone webhook never
waits, and under load groups grow by themselves. One task runs for all groups, and only while there is something to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from monitor.decode import DeadEvent
from monitor.intake import Receipt


class Submits(Protocol):
    """`monitor.intake.Intake`."""

    async def submit(
        self, data: bytes, now: int, feed: str = "", *, park: bool = True, told: bool = False
    ) -> Receipt: ...


@dataclass(slots=True)
class _Group:
    done: asyncio.Future[Sequence[DeadEvent]]
    now: int = 0
    lines: int = 0
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class Batches:
    """A way into intake for many small submissions; `most_bytes` bounds one group."""

    def __init__(self, intake: Submits, most_bytes: int = 1 << 20) -> None:
        self._intake = intake
        self._most = most_bytes
        self._groups: list[_Group] = []
        self._task: asyncio.Task[None] | None = None

    async def submit(self, data: bytes, lines: int, now: int) -> list[DeadEvent]:
        """So many lines, an event each; durable when it returns, but for those that intake refused: these it returns,
        and nobody has kept them yet. Raises what intake raises, to everyone in the group.
        """
        last = self._groups[-1] if self._groups else None
        if last is None or last.size + len(data) > self._most:
            last = _Group(asyncio.get_running_loop().create_future())
            self._groups.append(last)
        last.now = max(last.now, now)
        last.pieces.append(data)
        last.size += len(data)
        first = last.lines
        last.lines += lines
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="feed-batches")
        dead = await asyncio.shield(last.done)
        mine = range(first, first + lines)
        return [replace(one, index=one.index - first) for one in dead if one.index in mine]

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
            receipt = await self._intake.submit(b"".join(group.pieces), group.now, park=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is every submitter's answer
            group.done.set_exception(error)
            group.done.exception()  # read: a submitter that went away must not make it a warning
        except asyncio.CancelledError:
            group.done.cancel()
            raise
        else:
            group.done.set_result(receipt.dead)
