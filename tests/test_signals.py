"""Signals before the daemon has started, which by themselves would end the process without a line."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.running import run_daemon
from tests.faults.process import free_port
from tests.whole import Clock, settings, warm

pytestmark = pytest.mark.anyio


class Signalling:
    """A clock that is asked for the first time while the daemon is being put together, and signals then."""

    def __init__(self, clock: Clock, numbers: Sequence[signal.Signals]) -> None:
        self.clock, self.numbers = clock, list(numbers)

    def __call__(self) -> int:
        while self.numbers:
            os.kill(os.getpid(), self.numbers.pop(0))
        return self.clock()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_a_hang_up_is_said_and_ignored_and_an_end_is_in_order(
    tmp_path: Path, clock: Clock, ending: signal.Signals
) -> None:
    warm()
    options = settings(tmp_path, "http://127.0.0.1:9", http={"port": free_port()})
    with capture_logs() as logs:
        await run_daemon(options, None, Signalling(clock, [signal.SIGHUP, ending]))
    gc.unfreeze()  # this process goes on
    said = [one["event"] for one in logs]
    assert said.index("config.not_reloaded") < said.index("daemon.started") < said.index("daemon.stopping")
    assert [one["because"] for one in logs if one["event"] == "daemon.stopping"] == [["stop"]]
    assert list((tmp_path / "checkpoints").glob("*.checkpoint"))


async def test_an_end_while_kernels_are_loaded_is_one_line(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended_meanwhile(_uptime: object) -> float:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()
        return 0.0

    monkeypatch.setattr("monitor.running.warmed", ended_meanwhile)
    options = settings(tmp_path, "http://127.0.0.1:9", http={"port": free_port()})
    with capture_logs() as logs:
        await run_daemon(options, None, clock)
    assert [one["event"] for one in logs] == ["config.not_reloaded", "daemon.stopped"]
