"""`forestall ingest`: the events of files into the event stream, by the same way as every other event."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config.settings import Settings
from monitor.deadletter import DeadLetters
from monitor.files import Chunk, read_chunks
from monitor.intake import Intake, IntakeBusyError
from monitor.storage import open_store
from monitor.stream import EventStream

PATIENCE = 60  # times that a busy store is asked again before we give up


@dataclass(slots=True)
class IngestReport:
    accepted: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


async def ingest_files(
    files: Sequence[Path],
    settings: Settings,
    advance: Callable[[int], None],
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> IngestReport:
    """`advance` is told how many bytes of the files were read (`files.total_bytes` is all of them). Raises `FileError`, `StoreError`, `EmbeddedStoreError`,
    `IntakeBusyError` (the store stays full: nobody reads it).

    What was taken stays taken where it fails half way: doing it again is safe, a repeated event changes nothing.
    """
    report = IngestReport()
    async with open_store(settings) as opened:
        stream = EventStream(opened.store, settings.store.shards)
        async with Intake(stream, DeadLetters(opened.store), settings.intake) as intake:
            for chunk in read_chunks(files):
                await _submit(intake, chunk, clock, report)
                advance(chunk.read)
    return report


async def _submit(intake: Intake, chunk: Chunk, clock: Callable[[], int], report: IngestReport) -> None:
    for attempt in itertools.count(1):
        try:
            receipt = await intake.submit(b"\n".join(chunk.lines), clock(), "ingest", told=True)
        except IntakeBusyError as error:
            if attempt == PATIENCE:
                raise
            await asyncio.sleep(error.retry_after)  # the daemon reads and makes room
            continue
        report.accepted += receipt.accepted
        report.refused += len(receipt.dead)
        report.reasons.update(str(one.reason) for one in receipt.dead)
        return
