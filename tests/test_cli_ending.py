"""How a verb ends that somebody ends: a reader that goes away, Ctrl-C, SIGTERM. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.cli.ending import INTERRUPTED, TERMINATED

FORESTALL = [sys.executable, "-m", "monitor"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize("verb", [["config", "show", "--json"], ["--help"]])
def test_a_reader_that_goes_away_is_no_failure(verb: list[str], environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)  # as `| head` has done by then
    ended = subprocess.run(
        [*FORESTALL, *verb], stdout=write, stderr=subprocess.PIPE, env=environment, check=False, timeout=60
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.fixture
def replaying(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """At work, with a store of its own in a temporary folder."""
    events = tmp_path / "events.ndjson"
    scan = '{"kind":"tracking","event_id":"%d","occurred_at":"2026-01-01T00:00:00Z","tracking_number":"A%d","status":"accepted"}'
    events.write_text("\n".join(scan % (number, number) for number in range(200_000)), encoding="utf-8")
    with subprocess.Popen(
        [
            *FORESTALL,
            "replay",
            "--out",
            str(tmp_path / "out"),
            "--until",
            "2026-03-01T00:00:00Z",
            str(events),
        ],
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        while not list(tmp_path.glob("forestall-replay-*")):
            assert process.poll() is None, process.stderr.read() if process.stderr else b""
            time.sleep(0.01)
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [(signal.SIGINT, INTERRUPTED, b"interrupted"), (signal.SIGTERM, TERMINATED, b"ended by SIGTERM")],
)
def test_who_ends_a_replay_is_told_so_and_finds_nothing_left_behind(
    replaying: subprocess.Popen[bytes], tmp_path: Path, sent: signal.Signals, code: int, said: bytes
) -> None:
    replaying.send_signal(sent)
    _, words = replaying.communicate(timeout=60)
    assert (replaying.returncode, words) == (code, b"forestall: " + said + b"\n")
    assert not list(tmp_path.glob("forestall-replay-*"))
    assert not list((tmp_path / "out").iterdir())
