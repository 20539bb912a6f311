"""Recorded events in files: NDJSON (plain, .gz, .zst), CSV and Parquet, as NDJSON lines in chunks.

What a line holds is not judged here: the decoder does that, with the same reasons for every source. Here are the
errors of files: missing, of unknown kind, damaged.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import polars as pl
import zstandard
from polars.exceptions import PanicException, PolarsError

from monitor.framelines import as_lines

CHUNK_LINES: Final = 5000
BLOCK: Final = 1 << 20
LONGEST_LINE: Final = 16 << 20  # of which only the beginning is kept: it is too large for any event
KEPT_OF_LONGEST: Final = 1 << 17
NUMBERS: Final = {"latitude", "longitude", "amount", "satisfaction"}
OBJECTS: Final = {"contact", "extra"}
KINDS: Final = ".ndjson or .jsonl (also .gz, .zst), .csv (also .gz, .zst), .parquet"


class FileError(Exception):
    """Why a file cannot be read; the message begins with its path."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`read` is how many bytes of the file it took, compressed where the file is."""

    lines: list[bytes]
    read: int


def total_bytes(files: Sequence[Path]) -> int:
    """What the `read` of all chunks adds up to: for a progress bar. Raises `FileError` before any work is done."""
    total = 0
    for path in files:
        _reader(path)
        try:
            total += path.stat().st_size
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}") from None
    return total


def read_lines(files: Sequence[Path]) -> Iterator[list[bytes]]:
    for chunk in read_chunks(files):
        yield chunk.lines


def read_chunks(files: Sequence[Path]) -> Iterator[Chunk]:
    """The lines of the files, one file after the other, some thousands at a time; blank lines are left out."""
    for path in files:
        reader = _reader(path)
        try:
            yield from reader(path)
        except FileError:
            raise
        except OSError as error:
            reason = error.strerror or "damaged or not what its name says"
            raise FileError(f"{path}: {reason}") from None
        except (EOFError, zlib.error, zstandard.ZstdError, PolarsError, PanicException):
            raise FileError(f"{path}: damaged or not what its name says") from None
        except UnicodeDecodeError:
            raise FileError(f"{path}: not a CSV file in UTF-8") from None


def _reader(path: Path) -> Callable[[Path], Iterator[Chunk]]:
    suffixes = path.suffixes[-2:]
    kind = suffixes[-1] if suffixes else ""
    if kind in {".gz", ".zst"} and len(suffixes) > 1:
        kind = suffixes[-2]
    elif kind in {".gz", ".zst"}:
        kind = ""
    readers = {".ndjson": _ndjson, ".jsonl": _ndjson, ".csv": _csv, ".parquet": _parquet}
    if kind not in readers or (kind == ".parquet" and suffixes[-1] != ".parquet"):
        raise FileError(f"{path}: not {KINDS}")
    return readers[kind]


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The uncompressed bytes, and how many of the file's own were read."""
    with path.open("rb") as raw:
        plain: Any = raw
        if path.suffix == ".gz":
            plain = gzip.GzipFile(fileobj=raw)
        elif path.suffix == ".zst":
            plain = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        yield plain, raw.tell


def _ndjson(path: Path) -> Iterator[Chunk]:
    with _open(path) as (file, position):
        counted = 0
        lines: list[bytes] = []
        for line in _split(file):
            lines.append(line)
            if len(lines) >= CHUNK_LINES:
                yield Chunk(lines, position() - counted)
                lines, counted = [], position()
        yield Chunk(lines, position() - counted)


def _split(file: IO[bytes]) -> Iterator[bytes]:
    """Lines, without blank ones. Of a line beyond all measure only the beginning is kept."""
    first = file.read(len(codecs.BOM_UTF8))
    rest = b"" if first == codecs.BOM_UTF8 else first
    while block := file.read(BLOCK):
        if len(rest) > LONGEST_LINE:
            rest = rest[:KEPT_OF_LONGEST]
        *lines, rest = (rest + block).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest


def _csv(path: Path) -> Iterator[Chunk]:
    with _open(path) as (file, position):
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        csv.field_size_limit(LONGEST_LINE)  # the decoder says what is too large for an event, and goes on
        rows = csv.DictReader(text, restkey="extra_columns")
        if missing := {"kind", "event_id", "occurred_at"} - set(rows.fieldnames or ()):
            raise FileError(
                f"{path}: the first line must name the columns; it lacks {', '.join(sorted(missing))}"
            )
        counted = 0
        lines: list[bytes] = []
        for row in _rows(path, rows):
            lines.append(json.dumps(_typed(row), ensure_ascii=False).encode())
            if len(lines) >= CHUNK_LINES:
                yield Chunk(lines, position() - counted)
                lines, counted = [], position()
        yield Chunk(lines, position() - counted)


def _rows(path: Path, rows: csv.DictReader[str]) -> Iterator[dict[str, Any]]:
    try:
        yield from rows
    except csv.Error as error:
        raise FileError(f"{path}: line {rows.line_num + 1}: not CSV: {error}") from None


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """An empty cell is an absent property; a cell that is no number stays text, and the decoder says so."""
    return {name: _cell(name, text) for name, text in row.items() if name and text}


def _cell(name: str, text: Any) -> Any:
    try:
        if name in NUMBERS:
            return float(text)
        if name in OBJECTS:
            return json.loads(text)
    except ValueError:
        pass
    return text


def _parquet(path: Path) -> Iterator[Chunk]:
    lazy = pl.scan_parquet(path)
    rows = int(lazy.select(pl.len()).collect().item())
    size = path.stat().st_size
    for start in range(0, max(rows, 1), CHUNK_LINES * 10):
        part = lazy.slice(start, CHUNK_LINES * 10).collect()
        done = min(rows, start + part.height)
        for first in range(0, max(part.height, 1), CHUNK_LINES):
            last = first + CHUNK_LINES >= part.height
            read = size * done // max(rows, 1) - size * start // max(rows, 1) if last else 0
            yield Chunk(as_lines(part.slice(first, CHUNK_LINES)), read)
