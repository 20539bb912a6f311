"""A watched folder: CSV, NDJSON and Parquet files that somebody drops, each taken once.

A file is taken when it has not changed since the last look (whoever writes it is done), and then moves to `taken/` beside
it; one that cannot be read moves to `refused/`. A crash in between takes it again, which changes nothing.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from pydantic import Field

from config.regions import Regions
from monitor.feeds.desk import Desk
from monitor.feeds.mapping import MappingOptions
from monitor.feeds.sources.base import Records
from monitor.files import CHUNK_LINES, FileError, read_chunks
from notifier.options import Options

log = structlog.get_logger(__name__)

MOST_FILES: Final = 20  # in one run: the loop has other things to do


class FolderOptions(Options):
    path: Path
    map: MappingOptions | None = Field(None, description="without it the files hold canonical events")


class Folder:
    Options = FolderOptions

    def __init__(self, name: str, options: FolderOptions, places: Regions, desk: Desk | None) -> None:
        self.name = name
        self._path = options.path
        self._mapped = options.map is not None
        self._records = Records(name, "folder", options.map, places, desk)
        self.of_complaints = self._records.of_complaints
        self._seen: dict[str, tuple[int, int]] = {}

    async def run(self, now: int) -> int:
        taken = 0
        for path in self._ready()[:MOST_FILES]:
            try:
                refused = 0
                for lines in self._lines(path):
                    refused += await self._records.take(lines, now)
                    taken += len(lines)
            except FileError as error:
                log.warning("folder.refused", source=self.name, file=path.name, error=str(error)[:200])
                self._move(path, "refused")
            else:
                if refused:
                    log.warning("folder.dead_letters", source=self.name, file=path.name, refused=refused)
                self._move(path, "taken")
        return taken

    def _ready(self) -> list[Path]:
        """Files as they were at the last look, oldest name first."""
        if not self._path.is_dir():
            return []
        looks = {path: path.stat() for path in sorted(self._path.iterdir()) if path.is_file()}
        now = {path.name: (stat.st_size, stat.st_mtime_ns) for path, stat in looks.items()}
        ready = [
            path
            for path in looks
            if self._seen.get(path.name) == now[path.name] and not path.name.startswith(".")
        ]
        self._seen = now
        return ready

    def _lines(self, path: Path) -> Iterator[list[bytes]]:
        if self._mapped and path.suffix == ".csv":
            yield from _foreign_csv(path)
        else:
            for chunk in read_chunks([path]):
                yield chunk.lines

    def _move(self, path: Path, folder: str) -> None:
        target = self._path / folder
        target.mkdir(exist_ok=True)
        path.replace(_free(target / path.name))
        self._seen.pop(path.name, None)

    def state(self) -> Mapping[str, Any]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """What was taken has moved away: the folder itself is the memory."""

    def close(self) -> None:
        return


def _free(path: Path) -> Path:
    """Beside one of the same name, not over it: what was refused last month is perhaps still wanted."""
    names = (path.with_name(f"{path.stem}.{number}{path.suffix}") for number in itertools.count(2))
    return path if not path.exists() else next(one for one in names if not one.exists())


def _foreign_csv(path: Path) -> Iterator[list[bytes]]:
    """Every row with the columns that it has, empty cells left out."""
    lines: list[bytes] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                lines.append(json.dumps({name: cell for name, cell in row.items() if name and cell}).encode())
                if len(lines) >= CHUNK_LINES:
                    yield lines
                    lines = []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: not a CSV file in UTF-8: {type(error).__name__}") from None
    if lines:
        yield lines
