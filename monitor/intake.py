"""Intake: events in, checked, and durable when `submit` returns.

Events of many requests share a stream entry (group commit): the first one waits `linger_ms` for others, and whatever
comes while an entry is being written waits for the next. A repeated event is the engine's to notice. Nothing queues
without bound: where the store is slow, full or away, `submit` raises `IntakeBusyError`, and the sender tries later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import structlog

from config.settings import IntakeSettings
from monitor.deadletter import DeadLetters, NotNowError
from monitor.decode import DeadEvent, check_lines
from monitor.letters import letters_of
from monitor.stream import EventStream, Frame
from monitor.times import DAY
from monitor.wire import DECODER
from notifier.store import StoreError, StoreFullError

log = structlog.get_logger(__name__)

MOST_PENDING_BYTES: Final = 64 << 20
FRAME_BYTES: Final = 1 << 20
CHECK_ROOM_BYTES: Final = 4 << 20
FULL_SHARE: Final = 0.85  # of the store's memory: the rest is for claims, outbox and acknowledgements
RETRY_AFTER_SECONDS: Final = 1


class IntakeBusyError(NotNowError):
    """Nothing of this submission is promised to be durable: send it again after `retry_after` seconds."""

    retry_after = RETRY_AFTER_SECONDS


@dataclass(frozen=True, slots=True)
class Receipt:
    """`accepted` events are durable; the `dead` ones are dead letters, with their index in the submission.

    `poisoned`: most of what this feed sends is invalid. Where it was told of each, only a sample of them is kept.
    """

    accepted: int
    dead: Sequence[DeadEvent]
    poisoned: bool = False


@dataclass(slots=True)
class _Group:
    """What shares the next write. Lines are NDJSON without the final line end, by shard."""

    done: asyncio.Future[None]
    began: float
    pieces: list[tuple[int, bytes, int]] = field(default_factory=list)
    events: int = 0
    size: int = 0


class Intake:
    """`async with` it: the writer runs inside, and what was submitted is written before it ends."""

    def __init__(
        self,
        stream: EventStream,
        dead: DeadLetters,
        settings: IntakeSettings,
        *,
        most_pending_bytes: int = MOST_PENDING_BYTES,
    ) -> None:
        self._stream = stream
        self._dead = dead
        self._settings = settings
        self._most_pending = most_pending_bytes
        self._pending = 0
        self._group: _Group | None = None
        self._begun = asyncio.Event()
        self._enough = asyncio.Event()
        self._unchecked = 0
        self._full = False
        self._writer: asyncio.Task[None] | None = None
        self._closing = False
        self.time: Callable[[], int] = lambda: 0  # of the engine, once there is one

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write_groups(), name="intake")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._begun.set()
        self._enough.set()
        if self._writer is not None:
            await self._writer

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Room for a submission that is still on its way in. Raises `IntakeBusyError` where there is none."""
        if self._pending + size > self._most_pending:
            raise IntakeBusyError("too much is waiting to be written")
        self._pending += size
        try:
            yield
        finally:
            self._pending -= size

    async def submit(
        self, data: bytes, now: int, feed: str = "", *, park: bool = True, told: bool = False
    ) -> Receipt:
        """NDJSON: canonical events, one a line. `feed` is who sent them; `told`: it is answered event by event.

        Without `park` nothing becomes a dead letter, nor is counted as one: for who keeps what the events were made of.
        """
        # A clock that was set back must not refuse what is of today, which the engine's time still is.
        latest = max(now, self.time()) + DAY
        good, dead = check_lines(data, self._settings.max_event_bytes, latest)
        if good:
            await self._append(data, dead, good)
        # Afterwards: whoever is told to come again sends all of it, and a letter would be kept twice, an event would not.
        poisoned = park and await self._refuse(dead, good, now, feed, told=told)
        return Receipt(good, dead, poisoned)

    async def _refuse(self, dead: Sequence[DeadEvent], good: int, now: int, feed: str, *, told: bool) -> bool:
        letters, reasons = letters_of(dead, now, feed), [one.reason for one in dead]
        try:
            return await self._dead.refuse(feed, letters, reasons, now, good=good, told=told)
        except StoreError as error:
            raise IntakeBusyError(str(error)) from error

    async def _append(self, data: bytes, dead: Sequence[DeadEvent], events: int) -> None:
        if self._writer is None or self._writer.done() or self._closing:
            raise IntakeBusyError("intake is closed")
        pieces = self._pieces(data, dead, events)
        size = sum(len(piece) for _, piece, _ in pieces)
        with self.reserved(size):
            if self._group is None:
                loop = asyncio.get_running_loop()
                self._group = _Group(loop.create_future(), loop.time())
                self._begun.set()
            group = self._group
            group.pieces += pieces
            group.events += events
            group.size += size
            if group.events >= self._settings.frame_events:
                self._enough.set()
            await asyncio.shield(group.done)

    def _pieces(self, data: bytes, dead: Sequence[DeadEvent], events: int) -> list[tuple[int, bytes, int]]:
        """The good lines by shard."""
        if not dead and self._stream.shards == 1 and data.count(b"\n", 0, len(data) - 1) == events - 1:
            return [(0, data.removesuffix(b"\n"), events)]
        gone = {one.index for one in dead}
        shards: dict[int, list[bytes]] = {}
        for index, line in enumerate(data.split(b"\n")):
            if line.strip() and index not in gone:
                shards.setdefault(self._shard_of(line), []).append(line)
        return [(shard, b"\n".join(lines), len(lines)) for shard, lines in shards.items()]

    def _shard_of(self, line: bytes) -> int:
        if self._stream.shards == 1:
            return 0
        event = DECODER.decode(line)
        subject = (getattr(event, name, "") for name in ("tracking_number", "order_id", "customer_id"))
        return self._stream.shard_of(next(filter(None, subject), ""))

    # The writer

    async def _write_groups(self) -> None:
        while True:
            await self._begun.wait()
            group = self._group
            if group is None:
                return  # closing, and nothing is left
            await self._linger(group)
            self._group = None
            if not self._closing:
                self._begun.clear()
                self._enough.clear()
            try:
                await self._write(group)
            except StoreError as error:
                self._full = self._full or isinstance(error, StoreFullError)
                group.done.set_exception(IntakeBusyError(str(error)))
            except IntakeBusyError as error:
                group.done.set_exception(error)
            except asyncio.CancelledError:
                group.done.set_exception(IntakeBusyError("intake is closed"))
                raise
            except Exception as error:
                # One write failed in a way nobody thought of: its senders are told, the next ones are served.
                log.exception("intake.failed")
                group.done.set_exception(IntakeBusyError(f"intake failed: {type(error).__name__}"))
            else:
                group.done.set_result(None)
            group.done.exception()  # read: that no submitter waited for it is no surprise

    async def _linger(self, group: _Group) -> None:
        left = group.began + self._settings.linger_ms / 1000 - asyncio.get_running_loop().time()
        if left > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._enough.wait()

    async def _write(self, group: _Group) -> None:
        await self._check_room(group.size)
        frames = list(self._frames(group))
        if len(frames) == 1:
            await self._stream.append(frames[0].kind, frames[0].data, frames[0].shard)
        else:
            await self._stream.append_many(frames)

    def _frames(self, group: _Group) -> Iterator[Frame]:
        waiting: dict[int, tuple[list[bytes], int, int]] = {}
        for shard, piece, events in group.pieces:
            pieces, count, size = waiting.pop(shard, ([], 0, 0))
            if pieces and (count + events > self._settings.frame_events or size + len(piece) > FRAME_BYTES):
                yield _frame(shard, pieces, count)
                pieces, count, size = [], 0, 0
            pieces.append(piece)
            waiting[shard] = (pieces, count + events, size + len(piece))
        for shard, (pieces, count, _) in waiting.items():
            yield _frame(shard, pieces, count)

    async def _check_room(self, size: int) -> None:
        """Refuses before the store does: it must keep room for what money needs to be written down."""
        self._unchecked += size
        if not self._full and self._unchecked < CHECK_ROOM_BYTES:
            return
        self._unchecked = 0
        full = await self._stream.crowded(FULL_SHARE, size)
        if full and not self._full:
            log.error("store.nearly_full")
        self._full = full
        if full:
            raise IntakeBusyError("the store is nearly full")


def _frame(shard: int, pieces: list[bytes], events: int) -> Frame:
    return Frame("e" if events == 1 else "batch", b"\n".join(pieces), shard=shard)
