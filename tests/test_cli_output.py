"""Tables as people see them: on a terminal of eighty columns, and in a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading

import pytest

PAYLOAD = '{"kind":"tracking","tracking_number":"圆通单号 1",\n"carrier":"\x1b[31myto","status":"[bold]on its way[/bold]"}'
LETTER = {
    "entry_id": "1795678642123-0",
    "at": "2026-11-26T07:37:37.123Z",
    "feed": "kd100",
    "reason": "unknown_status",
    "detail": "status is no word of the contract",
    "payload": PAYLOAD,
}
CODE = """
import json, sys
from monitor.cli.output import table
table([json.loads(sys.argv[1])] * 2, sys.argv[2:], json=False)
"""
COMMAND = [
    sys.executable,
    "-P",
    "-c",
    CODE,
]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(sys.path),
    "PYTHONUTF8": "1",
    "COLUMNS": "80",
    "TERM": "dumb",
}


def drawn(row: str, *columns: str) -> list[str]:
    """On a terminal."""
    ours, theirs = pty.openpty()
    told: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(ours, 4096):
                told.append(piece)
        except OSError:
            return  # so a terminal ends whose other side is closed

    reader = threading.Thread(target=read)
    reader.start()
    subprocess.run([*COMMAND, row, *columns], env=ENVIRONMENT, stdout=theirs, check=True)
    os.close(theirs)
    reader.join()
    os.close(ours)
    return [line.rstrip() for line in b"".join(told).decode().splitlines()]


@pytest.fixture
def row() -> str:
    return json.dumps(LETTER)


def test_what_is_too_wide_for_a_terminal_is_a_block_a_row(row: str) -> None:
    lines = drawn(row, *LETTER)
    assert lines[:5] == [
        "entry id  1795678642123-0",
        "at        2026-11-26T07:37:37.123Z",
        "feed      kd100",
        "reason    unknown_status",
        "detail    status is no word of the contract",
    ]
    assert lines[5].startswith('payload   {"kind":"tracking","tracking_number":"圆通单号')
    again = lines.index("entry id  1795678642123-0", 1)
    assert lines[again - 1] == ""
    told = "".join(line.removeprefix(" " * 10) for line in lines[5 : again - 1])
    assert "\x1b" not in told
    assert "[bold]" in told


def test_what_fits_is_a_table(row: str) -> None:
    assert drawn(row, "entry_id", "feed", "reason") == [
        "entry id         feed   reason",
        *["1795678642123-0  kd100  unknown_status"] * 2,
    ]


def test_in_a_pipe_a_row_is_a_line_whatever_is_in_it(row: str) -> None:
    told = subprocess.run(
        [*COMMAND, row, *LETTER], env=ENVIRONMENT, capture_output=True, check=True, encoding="utf-8"
    )
    head, first, second = told.stdout.splitlines()
    assert head.split() == ["entry", "id", "at", "feed", "reason", "detail", "payload"]
    assert first == second
    assert first.endswith(PAYLOAD.replace("\n", "\\n").replace("\x1b", "\\x1b"))
