"""Recorded events in files, and `ingest`."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from pydantic import SecretStr

from config.settings import Settings, StoreSettings
from monitor.decode import decode_lines
from monitor.embedded import EmbeddedStore
from monitor.files import FileError, read_chunks, read_lines, total_bytes
from monitor.ingest import ingest_files
from notifier.store import Store
from tests.stream.test_decode import COMPLAINT, ENGAGEMENT, ORDER, SCAN, lines
from tests.stream.test_intake import NOW, numbers, scan

EVENTS: list[dict[str, Any]] = [SCAN, ORDER, COMPLAINT, ENGAGEMENT]


def written(folder: Path, kind: str, events: list[dict[str, Any]]) -> Path:
    path = folder / f"events{kind}"
    data = lines(*events) + b"\n"
    if kind == ".ndjson":
        path.write_bytes(data)
    elif kind == ".ndjson.gz":
        path.write_bytes(gzip.compress(data))
    elif kind == ".ndjson.zst":
        # Two frames, as `cat a.zst b.zst` makes them.
        middle = data.index(b"\n") + 1
        compress = zstandard.ZstdCompressor().compress
        path.write_bytes(compress(data[:middle]) + compress(data[middle:]))
    elif kind == ".csv":
        names = list(dict.fromkeys(name for event in events for name in event))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            for event in events:
                writer.writerow(
                    {
                        name: json.dumps(value) if isinstance(value, dict) else value
                        for name, value in event.items()
                    }
                )
    else:
        frames = [pl.DataFrame([event], infer_schema_length=None) for event in events]
        pl.concat(frames, how="diagonal_relaxed").write_parquet(path)
    return path


@pytest.mark.parametrize("kind", [".ndjson", ".ndjson.gz", ".ndjson.zst", ".csv", ".parquet"])
def test_every_kind_of_file_gives_the_same_events(tmp_path: Path, kind: str) -> None:
    expected, _ = decode_lines(lines(*EVENTS), 65_536, None)
    path = written(tmp_path, kind, EVENTS)
    found = [line for chunk in read_lines([path]) for line in chunk]
    got, dead = decode_lines(b"\n".join(found), 65_536, None)
    assert not dead
    assert got.scans.occurred.tolist() == expected.scans.occurred.tolist()
    assert [type(one) for one in got.others] == [type(one) for one in expected.others]
    assert [getattr(one, "amount", None) for one in got.others] == [
        getattr(one, "amount", None) for one in expected.others
    ]
    assert sum(chunk.read for chunk in read_chunks([path])) == total_bytes([path])


def test_a_long_file_comes_in_chunks(tmp_path: Path) -> None:
    for kind in (".ndjson", ".ndjson.gz", ".csv", ".parquet"):
        path = written(tmp_path, kind, [ENGAGEMENT | {"event_id": str(number)} for number in range(12_000)])
        chunks = list(read_chunks([path]))
        assert sum(len(chunk.lines) for chunk in chunks) == 12_000
        assert max(len(chunk.lines) for chunk in chunks) <= 5000
        assert sum(chunk.read for chunk in chunks) == path.stat().st_size


def test_a_bad_cell_is_one_dead_event(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(
        "kind,event_id,occurred_at,order_id,customer_id,status,amount\n"
        "order,1,2026-03-01T00:00:00Z,O,C,paid,19.99\n"
        "order,2,2026-03-01T00:00:00Z,O,C,paid,a lot\n"
        "order,3,2026-03-01T00:00:00Z,O,C,paid,nan\n"
        "order,4,2026-03-01T00:00:00Z,O,C,paid,\n",
        encoding="utf-8",
    )
    _, dead = decode_lines(b"\n".join(next(read_lines([path]))), 65_536, None)
    assert [(one.index, one.reason) for one in dead] == [(1, "wrong_type"), (2, "bad_number")]


def test_a_line_without_end_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(b"x" * 40_000_000 + b"\n" + scan(1))
    huge, good = [line for chunk in read_lines([path]) for line in chunk]
    assert len(huge) < 20_000_000
    assert good == scan(1)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("events.txt", b"", "not .ndjson"),
        ("events.gz", b"", "not .ndjson"),
        ("events.ndjson.gz", b"plain text", "damaged"),
        ("events.ndjson.gz", gzip.compress(b"x" * 100_000)[:-30], "damaged"),
        ("events.ndjson.zst", b"plain text", "damaged"),
        ("events.parquet", b"PAR1 but no more", "damaged"),
        ("events.csv", b"a,b\n1,2\n", "it lacks event_id, kind, occurred_at"),
        ("events.csv", b"kind,event_id,occurred_at\n\xff\xff,1,2\n", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError, match=says) as caught:
        list(read_lines([path]))
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        total_bytes([tmp_path / "none.ndjson"])


@pytest.mark.anyio
async def test_ingest_puts_files_into_the_stream_by_the_usual_way(
    tmp_path: Path, valkey: EmbeddedStore, store: Store
) -> None:
    path = tmp_path / "e.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join([*map(scan, range(6000)), b"rubbish"])))
    settings = Settings(data_dir=tmp_path, store=StoreSettings(url=SecretStr(valkey.url)))
    seen: list[int] = []
    report = await ingest_files([path], settings, seen.append, lambda: NOW)
    assert (report.accepted, report.refused, dict(report.reasons)) == (6000, 1, {"malformed_json": 1})
    assert sum(seen) == total_bytes([path])
    assert await numbers(store) == [f"SF{number:06d}" for number in range(6000)]


def test_a_byte_order_mark_is_no_part_of_the_first_event(tmp_path: Path) -> None:
    path = tmp_path / "bom.ndjson"
    path.write_bytes(b"\xef\xbb\xbf{}\n[]\n")
    assert list(read_lines([path])) == [[b"{}", b"[]"]]


def test_a_cell_that_no_event_may_have_is_one_dead_letter_and_not_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    row = "complaint,e{},2026-11-22T08:00:00Z,{}"
    rows = [row.format(number, "x" * 200_000 if number == 1 else "late") for number in range(3)]
    path.write_text("\n".join(["kind,event_id,occurred_at,text", *rows]), encoding="utf-8")
    (lines,) = read_lines([path])
    assert [len(line) > 200_000 for line in lines] == [False, True, False]


def test_a_csv_file_that_is_none_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(b"kind,event_id,occurred_at\ntracking,e," + b"x" * (17 << 20))
    with pytest.raises(FileError, match=r"odd\.csv: line 2: not CSV: "):
        list(read_lines([path]))
