"""A real Valkey for tests that kill it, freeze it, fill it or cut its log."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.embedded import server_binary


class Valkey:
    """`folder` must have a short path: a unix socket's address has 108 bytes."""

    def __init__(
        self,
        folder: Path,
        *,
        fsync: str = "always",
        maxmemory: str = "0",
        environment: Mapping[str, str] | None = None,
        file_limit: int | None = None,
    ) -> None:
        self.folder = folder
        self.environment = dict(environment or {})
        self.file_limit = file_limit  # bytes a file may have: a disk that is full
        self.fsync = fsync
        self.maxmemory = maxmemory
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "v.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        return next((self.folder / "appendonlydir").glob("*.incr.aof"))

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
            "maxmemory": self.maxmemory,
            "maxmemory-policy": "noeviction",
            "logfile": str(self.folder / "log"),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        command = [str(server_binary()), *arguments]
        if self.file_limit is not None:
            command = ["prlimit", f"--fsize={self.file_limit}", *command]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env={**os.environ, **self.environment}
        )
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()

    def kill(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        """Waits inside the kernel, up to a tenth of a second a try."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(0.1)
            try:
                link.connect(str(self.socket))
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith(b"+PONG")
            except OSError:
                signal.sigtimedwait([], 0.01)
                return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
