"""A daemon as a process of its own, to be started, killed, paused and asked."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from notifier.http import Http, Reply

ROOT: Final = Path(__file__).parents[2]
TOKEN: Final = "token-of-the-torture"
FENCED: Final = "another daemon has taken over this store; this one must stop"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """`forestall run` with a config; with options, by way of `tests.faults.victim`."""

    def __init__(self, config: Path, log: Path, port: int) -> None:
        self.config, self.log, self.port = config, log, port
        self.running: subprocess.Popen[bytes] | None = None

    def start(self, options: dict[str, Any] | None = None) -> None:
        program = ["tests.faults.victim", json.dumps(options)] if options else ["monitor"]
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", *program, "run", "--config", str(self.config), "--log", "debug"],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    @property
    def code(self) -> int | None:
        """How it ended; None while it lives. Negative: by that signal."""
        return self.running.poll() if self.running is not None else None

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.poll() is None

    def send(self, number: signal.Signals) -> None:
        assert self.running is not None
        self.running.send_signal(number)

    def kill(self) -> None:
        """By the strongest signal, if it still lives."""
        if self.running is not None:
            if self.alive:
                self.send(signal.SIGKILL)
            self.running.wait()

    async def ask(self, http: Http, method: str, path: str, body: bytes = b"") -> Reply | None:
        """None where it does not answer."""
        reply = await http.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers={"authorization": f"Bearer {TOKEN}"},
            body=body,
        )
        return reply if isinstance(reply, Reply) else None
