"""The daemon's way through the stream: read, take, remember how far; and the checkpoint of all that it knows.

What a step holds is taken whole before the position moves, and a checkpoint is cut between two steps, so a position
never covers what was not taken. The order of what becomes durable is in docs/architecture.md; its numbers are here.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
import structlog

from detectors.findings import Instant
from monitor import __version__
from monitor.checkpoint import ANEW, Checkpoint, CheckpointError, CheckpointFolder
from monitor.columns import Batch
from monitor.deadletter import DeadLetters
from monitor.decode import DeadEvent, Decoder
from monitor.incidents import Command
from monitor.metrics import FeedLabels, Metrics
from monitor.names import Names
from monitor.pipeline import Pipeline
from monitor.remembered import Remembered
from monitor.stream import EventStream, Positions, Reader, Step, reached

log = structlog.get_logger(__name__)

WAIT_SECONDS = 1.0


class HalfDoneError(RuntimeError):
    """what people decided was carried out half way: memory is ahead of the ledger"""


class Part(Protocol):
    """What has a place in the checkpoint."""

    def dump(self) -> bytes: ...
    def load(self, data: bytes) -> None: ...


@runtime_checkable
class LargePart(Protocol):
    """One that would hold up everything else while it is dumped."""

    def copying(self) -> Generator[None, None, Callable[[], bytes]]:
        """Steps of some milliseconds, during which the loop takes nothing; then what a thread has to do."""
        ...

    def load(self, data: bytes) -> None: ...


@runtime_checkable
class Checked(Protocol):
    def check(self, data: bytes) -> None:
        """Raises CheckpointError where `load` would refuse these bytes for what they are; changes nothing."""
        ...


@dataclass(slots=True)
class Loop:
    stream: EventStream
    reader: Reader
    decoder: Decoder
    pipeline: Pipeline
    dead_letters: DeadLetters
    metrics: Metrics
    names: Names
    feed_labels: FeedLabels = field(default_factory=FeedLabels)
    taken: Positions = field(default_factory=dict)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    whole: bool = True  # what the parts know and `taken` belong together
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)  # with what was there at the start
    _taking: asyncio.Task[None] | None = None
    _deciding: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Until cancelled; a step that has begun is finished first.

        A store that is away is asked again, also within a step (`monitor.patience`). A step that fails half way for
        another reason ends the daemon: its memory is ahead of the ledger then, and only the checkpoint is right.
        """
        ends: Positions = {}
        while True:
            ends = ends or await self.pipeline.ask(self.stream.ends)
            if reached(self.taken, ends):
                self.caught_up.set()
                self.pipeline.recovering = False
            step = await self.pipeline.ask(lambda: self.reader.next(seconds=WAIT_SECONDS))
            if step.frames or step.tick is not None:
                self._taking = asyncio.create_task(self.take(step), name="step")
                await asyncio.shield(self._taking)

    async def finish(self, seconds: float) -> None:
        """After `run` was cancelled: what has begun, or not if its store does not come back in time."""
        begun = self._deciding | ({self._taking} if self._taking is not None else set())
        if begun:
            await asyncio.wait(begun, timeout=seconds)
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)

    async def command(self, command: Command, write: Callable[[Command], Awaitable[None]]) -> None:
        """What a person decided, between two steps: a checkpoint that knows who was told has their claims as well.

        `write` makes it durable before it is applied. Its time is never before the engine's, as a restart asks for what
        was decided since its checkpoint. Raises as `Incidents.apply` does, with nothing changed; it is finished though
        whoever asked has gone.
        """
        task = asyncio.create_task(self._command(command, write), name="command")
        self._deciding.add(task)
        task.add_done_callback(self._deciding.discard)
        await asyncio.shield(task)

    async def _command(self, command: Command, write: Callable[[Command], Awaitable[None]]) -> None:
        async with self.busy:
            command = replace(command, at=max(command.at, self.pipeline.now))
            await write(command)
            transitions = self.pipeline.incidents.apply(command)
            self.whole = False
            await self.pipeline.tell(transitions, command.at)
            self.whole = True

    async def take(self, step: Step) -> None:
        async with self.busy:
            if not self.whole:
                raise HalfDoneError(HalfDoneError.__doc__)
            self.whole = False
            for decoded in self.decoder.decode(step.frames):
                with self.metrics.histogram("batch_seconds").time():
                    await self._batch(decoded.batch, decoded.dead)
                await asyncio.sleep(0)  # requests and deliveries have their turn between two batches
            if step.tick is not None:
                with self.metrics.histogram("sweep_seconds").time():
                    await self.pipeline.tick(step.tick)
            self.taken = step.positions
            self.whole = True

    async def _batch(self, batch: Batch, dead: list[DeadEvent]) -> None:
        if dead:
            await self.pipeline.ask(lambda: self.dead_letters.add(dead, self.pipeline.now, "stream"))
        self._count(batch)
        await self.pipeline.take(batch)

    def _count(self, batch: Batch) -> None:
        events = self.metrics.counter("events")
        codes: Mapping[int, int] = _counts(batch)
        for code, count in codes.items():
            feed = self.feed_labels.of(self.names.sources.text(code))
            events.labels(feed=feed, kind="tracking").inc(count)
        for kind, rows in (
            ("order", batch.orders),
            ("complaint", batch.complaints),
            ("engagement", batch.engagements),
        ):
            for row in rows:
                events.labels(feed=self.feed_labels.of(row.source), kind=kind).inc()


def _counts(batch: Batch) -> dict[int, int]:
    """Tracking events by the code of their source."""
    counts = np.bincount(batch.scans.source)
    codes = np.flatnonzero(counts)
    return dict(zip(codes.tolist(), counts[codes].tolist(), strict=True))


BEFORE_IT: Final = "it was set aside (*.refused): start again, and the one before it is taken"


@dataclass(slots=True)
class Checkpoints:
    """Writes what the parts dump; then drops what is needed only before both kept checkpoints."""

    folder: CheckpointFolder
    loop: Loop
    parts: Mapping[str, Part | LargePart]
    remembered: Remembered
    metrics: Metrics
    uptime: Callable[[], float]
    refresh: Callable[[], Awaitable[None]]
    keep_ms: int = 0  # of the stream, beyond what a restart needs
    written: float | None = None
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def restore(self) -> Instant | None:
        """Loads the newest whole one into the parts; its time, or None where there never was one."""
        checkpoint, problems = self.folder.take(self._check)
        for problem in problems:
            log.error("checkpoint.refused", problem=problem)
        if checkpoint is None:
            return None
        for name in self.parts:
            if name in checkpoint.parts:
                self._load(name, checkpoint)
        self.loop.reader.positions.update(
            {int(shard): position for shard, position in checkpoint.positions.items()}
        )
        self.loop.taken = dict(self.loop.reader.positions)
        self.loop.pipeline.now = checkpoint.written_at
        return checkpoint.written_at

    def _check(self, checkpoint: Checkpoint) -> None:
        for name, part in self.parts.items():
            if name in checkpoint.parts and isinstance(part, Checked):
                part.check(checkpoint.parts[name])

    def _load(self, name: str, checkpoint: Checkpoint) -> None:
        """Raises CheckpointError. What is half loaded by then is of no more use, so nothing can be tried but a new start."""
        try:
            self.parts[name].load(checkpoint.parts[name])
        except Exception as error:
            log.debug("checkpoint.unreadable", part=name, exc_info=True)
            raise CheckpointError(
                f"{self.folder}: the part `{name}` was written by another program "
                f"({checkpoint.program or 'an earlier one'}; this is {__version__}) or under other settings, and cannot be "
                f"read: {_why(error)}; {BEFORE_IT if self.folder.set_aside() else ANEW}"
            ) from error

    async def write(self, _now: Instant) -> None:
        began = self.uptime()
        async with self.loop.busy:
            if not self.loop.whole:
                log.warning("checkpoint.skipped", why="a step failed half way")
                return
            await self.refresh()
            copies = {name: await _copied(part) for name, part in self.parts.items()}
            positions = {str(shard): position for shard, position in self.loop.taken.items()}
            moment = self.loop.pipeline.now
        try:
            size = await asyncio.to_thread(self._write, moment, positions, copies)  # 3
        except OSError as error:  # nothing is trimmed, so a restart takes more of the stream, that is all
            log.error("checkpoint.failed", folder=str(self.folder), why=error.strerror)  # noqa: TRY400
            return
        if self.folder.before.path is not None:
            self.folder.before.drop(moment, crowded=await self.loop.stream.crowded())
        oldest = await asyncio.to_thread(self.folder.oldest)
        if oldest is not None:  # 4
            covered = {int(shard): one for shard, one in oldest.positions.items()}
            await self.loop.stream.trim(covered, self.keep_ms)
            await self.remembered.forget(oldest.written_at)
        self.written = self.uptime()
        self.metrics.histogram("checkpoint_seconds").observe(self.written - began)
        self.metrics.gauge("checkpoint_bytes").set(size)

    def _write(
        self, moment: Instant, positions: Mapping[str, str], copies: Mapping[str, Callable[[], bytes]]
    ) -> int:
        with self._writing:  # a thread outlives its task: the one of a cancelled run may still be at work
            parts = {name: dump() for name, dump in copies.items()}
            return self.folder.write(Checkpoint(moment, positions, parts))


def _why(error: Exception) -> str:
    """Texts of other errors may quote what was read."""
    return str(error) if isinstance(error, CheckpointError) else type(error).__name__


async def _copied(part: Part | LargePart) -> Callable[[], bytes]:
    """Requests and deliveries have their turn between two steps."""
    if not isinstance(part, LargePart):
        data = part.dump()
        return lambda: data
    steps = part.copying()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            rest: Callable[[], bytes] = end.value
            return rest
        await asyncio.sleep(0)
