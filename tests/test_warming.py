"""Compiling leaves the process as it found it, and after it nothing is left to compile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor import __version__
from monitor.engine import keeping, rehearsal, warming
from monitor.engine.warming import completing, warm_kernels, warmed
from monitor.linerows import PRESENCE
from monitor.server import bind
from monitor.starting import WHY

WORLD = Path(__file__).with_name("warm_world.py")
KERNEL = """
import os
import sys
from numba import njit

HELPER = sys.argv[0].endswith("helpers.py")
CRASH, FOLDER = os.environ.get("CRASH"), os.environ.get("HELD")
told = open(f"{FOLDER}/told", "wb", buffering=0) if HELPER and FOLDER else None
if HELPER and "STARTS" in os.environ:
    sys.modules["__main__"].LARGE = 0
    with open(os.environ["STARTS"], "a") as starts:
        starts.write(f"{os.getpid()} ")

@njit(cache=True)
def twice(number):
    return 2 * number

def crashes():
    if HELPER and CRASH:
        sys.exit(CRASH)

def waits():
    if told:
        told.write(b"begun ")
        with open(f"{FOLDER}/go", "rb", buffering=0) as go:
            go.read(1)

def compiles():
    if told:
        told.write(b"went on")
    twice(1)

def parts(*, arrow=False):
    return crashes, waits, waits, compiles

def later():
    return (thrice_compiles,)

@njit(cache=True)
def thrice(number):
    return 3 * number

def thrice_compiles():
    waits()
    thrice(1)
"""


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A rehearsal of one kernel, which nobody has compiled."""
    name = f"rehearsed_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(KERNEL, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    module = importlib.import_module(name)
    monkeypatch.setattr(PRESENCE, "here", True)
    monkeypatch.setattr(rehearsal, "parts", module.parts)
    monkeypatch.setattr(rehearsal, "later", module.later)
    return module


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Helpers write to `told` when they begin a part, hold it open while they live, and read a byte of `go` each."""
    for name in ("told", "go"):
        os.mkfifo(tmp_path / name)
    monkeypatch.setenv("HELD", str(tmp_path))
    return tmp_path


def test_garbage_is_collected_as_often_as_before_when_the_kernels_are_ready() -> None:
    before = gc.get_threshold()
    assert warm_kernels(time.monotonic) > 0
    assert gc.get_threshold() == before


def test_a_world_of_all_sorts_needs_no_kernel_that_was_not_warmed() -> None:
    """Neither compiled nor loaded; in an interpreter of its own, which knows no other."""
    done = subprocess.run([sys.executable, str(WORLD)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if "kernels.compiling" not in line]  # a cold cache
    assert not said


def test_only_the_pass_over_lines_is_not_waited_for_and_a_world_needs_it_not() -> None:
    """In an interpreter of its own: what is loaded after the rehearsal of the rest, and while it is away."""
    done = subprocess.run(
        [sys.executable, str(WORLD), "--later"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    away, _, later = done.stdout.partition("later:\n")
    assert not away
    assert [line.split("(")[0].strip() for line in later.splitlines()] == ["monitor.linerows._take"]


def test_what_helpers_compiled_is_only_loaded_here(fresh: Any) -> None:
    called = []
    with capture_logs() as logs:
        warm_kernels(time.monotonic, compiling=lambda: called.append("compiling"))
        warm_kernels(time.monotonic, compiling=lambda: called.append("again"))
    assert called == ["compiling"]
    assert not logs
    assert sum(fresh.twice.stats.cache_hits.values()) == 1


def test_a_helper_that_has_grown_large_begins_anew_before_its_next_part(
    fresh: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = tmp_path / "starts"
    monkeypatch.setenv("STARTS", str(starts))
    with capture_logs() as logs:
        warm_kernels(time.monotonic, compiling=lambda: None)
    assert not logs
    assert fresh.twice.stats.cache_hits
    begun = starts.read_text(encoding="ascii").split()
    assert len(begun) == len(set(begun)) + len(fresh.parts()) + len(fresh.later())


def test_where_no_helper_can_be_started_kernels_are_compiled_here_and_it_is_said(
    fresh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with capture_logs() as logs:
        warm_kernels(time.monotonic)
    assert [line["event"] for line in logs] == [
        "kernels.compiling",
        "kernels.helper_failed",
        "kernels.compiled_here",
        "kernels.helper_failed",
        "kernels.compiled_here",
    ]
    assert "/nowhere/python" in logs[1]["why"]
    assert logs[2]["kernels"] == 1
    assert fresh.twice.overloads


def test_what_can_come_later_is_compiled_by_a_helper_beside_the_work_and_loaded_then(fresh: Any) -> None:
    async def scenario() -> None:
        await warmed(time.monotonic, compiling=lambda: None)
        assert fresh.twice.stats.cache_hits
        present.append(PRESENCE.here)
        assert not fresh.thrice.overloads
        async with completing(time.monotonic) as done:
            await done
        present.append(PRESENCE.here)
        async with completing(time.monotonic):
            pass  # nothing is left to do

    present: list[bool] = []
    with capture_logs() as logs:
        asyncio.run(scenario())
    assert present == [False, True]
    assert [line["event"] for line in logs] == ["kernels.complete"]
    assert fresh.thrice.stats.cache_hits


def test_a_start_with_all_kernels_in_the_cache_leaves_nothing_for_later(fresh: Any) -> None:
    warm_kernels(time.monotonic, compiling=lambda: None)
    again = importlib.reload(fresh)
    PRESENCE.here = False
    asyncio.run(warmed(time.monotonic))
    assert PRESENCE.here
    assert again.thrice.stats.cache_hits


def test_a_daemon_that_stops_before_all_kernels_are_there_ends_the_helper(fresh: Any, held: Path) -> None:
    async def scenario() -> bytes:
        PRESENCE.here = False
        reading = asyncio.create_task(asyncio.to_thread((held / "told").open, "rb"))
        async with completing(time.monotonic):
            with await reading as told:
                heard: bytes = await asyncio.to_thread(told.read, 6)
                return heard

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == b"begun "
    assert not logs
    assert not PRESENCE.here
    assert not fresh.thrice.overloads


def test_a_kernel_that_another_thread_compiles_is_no_affair_of_who_only_loads(fresh: Any) -> None:
    """The loop of a daemon may run what is cached nowhere while another thread looks what is."""
    begun, go = threading.Event(), threading.Event()

    def waits() -> None:
        begun.set()
        go.wait()

    def later() -> Any:
        return (waits,)

    found: list[bool] = []
    looking = threading.Thread(target=lambda: found.append(warming._loaded(warming._Rehearsal(later))))
    looking.start()
    begun.wait()
    assert fresh.twice(2) == 4
    go.set()
    looking.join()
    assert found == [True]


@pytest.mark.usefixtures("fresh")
def test_a_helper_that_crashes_says_why_and_the_other_does_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRASH", "no space left")
    with capture_logs() as logs:
        warm_kernels(time.monotonic, compiling=lambda: None)
    assert logs == [
        {"event": "kernels.helper_failed", "code": 1, "why": "no space left", "log_level": "warning"}
    ]


def test_a_warming_that_is_cancelled_ends_its_helpers_and_compiles_nothing(fresh: Any, held: Path) -> None:
    async def scenario() -> bytes:
        reading = asyncio.create_task(asyncio.to_thread((held / "told").open, "rb"))
        warm = asyncio.create_task(warmed(time.monotonic, compiling=lambda: None))
        with await reading as told:
            heard: bytes = await asyncio.to_thread(told.read, 12)
            warm.cancel()
            with pytest.raises(asyncio.CancelledError):
                await warm
            return heard + await asyncio.to_thread(told.read)

    with capture_logs() as logs:
        assert asyncio.run(scenario()) == b"begun begun "
    assert not logs
    assert not fresh.twice.overloads


def test_helpers_of_a_process_that_was_killed_end_after_the_part_in_hand(fresh: Any, held: Path) -> None:
    code = (
        "from monitor.engine.helpers import Helpers\n"
        f"from {fresh.__name__} import parts\n"
        "with Helpers(parts) as helpers: helpers.wait()"
    )
    with (
        (held / "go").open("r+b", buffering=0) as go,
        subprocess.Popen([sys.executable, "-c", code]) as parent,
        (held / "told").open("rb") as told,
    ):
        assert told.read(12) == b"begun begun "
        parent.kill()
        parent.wait()
        go.write(b"12")
        assert told.read() == b""


def test_a_daemon_answers_while_kernels_are_compiled_and_told_to_stop_leaves_nobody_behind(
    tmp_path: Path,
) -> None:
    listening = bind("127.0.0.1", 0)
    port = listening.getsockname()[1]
    listening.close()
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "kernels"),
        "FORESTALL_DATA_DIR": str(tmp_path / "data"),
        "FORESTALL_HTTP__PORT": str(port),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", "run"], stderr=subprocess.PIPE, text=True, env=environment
    ) as daemon:
        assert daemon.stderr is not None
        assert "kernels.compiling" in daemon.stderr.readline()
        assert _answer(port, "/healthz") == (200, {"alive": True, "version": __version__})
        assert _answer(port, "/readyz") == (503, {"ready": False, "why": WHY})
        assert _answer(port, "/v1/events", "POST") == (503, {"error": WHY})
        daemon.send_signal(signal.SIGTERM)
        assert "daemon.stopped" in daemon.stderr.read()
    assert daemon.returncode == 0
    assert not _helpers_of(daemon.pid)


def _answer(port: int, path: str, method: str = "GET") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(method, path)
    reply = connection.getresponse()
    with contextlib.closing(connection):
        return reply.status, json.loads(reply.read())


def _helpers_of(parent: int) -> list[str]:
    commands = []
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended meanwhile
            commands.append(found.read_text(encoding="utf-8").split("\0"))
    return [
        command[0] for command in commands if command[1:4] == ["-m", "monitor.engine.helpers", str(parent)]
    ]


def test_a_disk_that_is_full_ends_no_start(fresh: Any, tmp_path: Path) -> None:
    """No file may grow beyond some bytes: the kernel is compiled by the process that stays, and kept nowhere."""
    keeping._say.cache_clear()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with capture_logs() as logs:
            warm_kernels(time.monotonic)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert fresh.twice(2) == 4
    assert len(fresh.twice.signatures) == 1
    assert [one["why"] for one in logs if one["event"] == "kernels.not_kept"] == ["File too large"]
    assert list(tmp_path.rglob("*.nbc")) == []


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_kernel_is_compiled_anew(fresh: Any, tmp_path: Path, suffix: str) -> None:
    warm_kernels(time.monotonic)
    [file] = tmp_path.rglob(f"*.twice-*.{suffix}")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = importlib.reload(fresh)
    with capture_logs() as logs:
        warm_kernels(time.monotonic)
    assert again.twice(2) == 4
    assert "kernels.damaged" in [one["event"] for one in logs]
    assert {"kernels.helper_failed", "kernels.compiled_here"}.isdisjoint(one["event"] for one in logs)
    warm_kernels(time.monotonic)
    assert len(file.read_bytes()) > len(whole) // 2
