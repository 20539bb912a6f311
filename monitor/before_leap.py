"""The checkpoint from before the clock leapt ahead, kept until the leap has proven to be the time.

Time never goes back in the stream, so an engine that was told a wrong year stands in it. What it knew before is then the
way back (`monitor.rewind`), as long as the stream holds what came since: it is not trimmed beyond a checkpoint kept here.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import structlog

from detectors.findings import Instant

DAY_MS: Final = 86_400_000
MOST_MS: Final = 3 * DAY_MS  # of a machine that sleeps each night
SUFFIX: Final = ".before"
log = structlog.get_logger(__name__)


class BeforeLeap:
    """One file, `FIRST-LAST.before`: the moments to which time leapt, first and last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def path(self) -> Path | None:
        return next((path for path, _, _ in self._found()), None)

    def keep(self, newest: Path | None, time: Instant, landing: Instant) -> None:
        """Before time leaps from `time` to `landing`; `newest` is the newest checkpoint. One that was kept before a
        leap of the last day stays the one: that leap may have been as wrong. Where none can be kept time goes on all the
        same, without a way back.
        """
        try:
            self._keep(newest, time, landing)
        except OSError as error:
            log.warning("before_leap.unkept", error=type(error).__name__, code=error.errno)

    def _keep(self, newest: Path | None, time: Instant, landing: Instant) -> None:
        for path, first, last in self._found():
            if time < min(last + DAY_MS, first + MOST_MS):
                path.replace(path.with_name(f"{first}-{max(last, landing)}{SUFFIX}"))
                return
            path.unlink()
        if newest is not None:
            kept = self._folder / f"{landing}-{landing}{SUFFIX}"
            try:
                os.link(newest, kept)
            except OSError:  # a file system without links
                _copy(newest, kept)

    def drop(self, time: Instant, *, crowded: bool = False) -> None:
        """Where time has gone on for a day since the leap; a clock that was mended meanwhile has not let it. `crowded`: the
        stream since then leaves too little room for what comes, which is worth more than a way back.
        """
        for path, _, last in self._found():
            if crowded or time >= last + DAY_MS:
                path.unlink()
                log.info("before_leap.dropped", why="the store is half full" if crowded else "time went on")

    def _found(self) -> list[tuple[Path, Instant, Instant]]:
        found = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            first, _, last = path.stem.partition("-")
            if first.isdigit() and last.isdigit():
                found.append((path, int(first), int(last)))
        return found


def _copy(source: Path, target: Path) -> None:
    """Whole under its name, or not there."""
    temporary = target.with_name("leap.writing")
    try:
        with source.open("rb") as read, temporary.open("wb") as written:
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
