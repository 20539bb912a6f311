"""The embedded store: one server a folder, durable, and gone with its keeper."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from monitor import embedded as module
from monitor.embedded import EmbeddedStore, EmbeddedStoreError
from notifier.store import Store

pytestmark = pytest.mark.anyio

KEEPER = """
import asyncio, sys
from pathlib import Path
from monitor.embedded import EmbeddedStore

async def main():
    keeper = EmbeddedStore(Path(sys.argv[1]), maxmemory_mb=64, allow_unsafe_folder=True)
    await keeper.start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def running(folder: Path, binary: Path | None = None) -> AsyncIterator[EmbeddedStore]:
    keeper = EmbeddedStore(folder, maxmemory_mb=64, allow_unsafe_folder=True, binary=binary)
    await keeper.start()
    try:
        yield keeper
    finally:
        await keeper.stop()


async def pid_of(url: str) -> int:
    async with Store(url) as store:
        return int((await store.info("server"))["process_id"])


Eventually: TypeAlias = Callable[[Callable[[], bool]], Awaitable[None]]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}/stat").exists()


async def test_data_survives_a_kill_of_the_server(
    tmp_path: Path, server_binary: Path | None, eventually: Eventually
) -> None:
    async with running(tmp_path, server_binary) as keeper:
        async with Store(keeper.url) as store:
            await store.stream_add("s", {"e": b"1"})
        os.kill(await pid_of(keeper.url), signal.SIGKILL)
        watcher = asyncio.create_task(keeper.watch(0.01))
        await eventually(lambda: keeper.starts == 2)
        watcher.cancel()
        async with Store(keeper.url) as store:
            assert await store.stream_length("s") == 1
        assert keeper.torn is None


async def test_it_is_configured_for_money(tmp_path: Path, server_binary: Path | None) -> None:
    async with running(tmp_path, server_binary) as keeper, Store(keeper.url) as store:
        for name, value in {
            "appendonly": b"yes",
            "appendfsync": b"always",
            "maxmemory-policy": b"noeviction",
            "maxmemory": str(64 << 20).encode(),
            "save": b"",
            "port": b"0",
        }.items():
            assert (await store.call("CONFIG", "GET", name))[name.encode()] == value
        assert stat.S_IMODE(keeper.socket.stat().st_mode) == 0o700


async def test_a_second_keeper_attaches_and_leaves_the_server_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        async with running(tmp_path) as second:
            assert second.attached
            assert not first.attached
            assert second.owner == os.getpid()
            assert await pid_of(second.url) == await pid_of(first.url)
        async with Store(first.url) as store:
            await store.ping()


async def test_the_server_ends_with_a_killed_keeper_and_the_folder_is_free_again(
    tmp_path: Path, eventually: Eventually
) -> None:
    keeper = subprocess.Popen([sys.executable, "-c", KEEPER, str(tmp_path)], stdout=subprocess.PIPE)
    assert keeper.stdout is not None
    with keeper.stdout:
        assert keeper.stdout.readline() == b"ready\n"
    async with running(tmp_path) as attached:
        assert attached.attached
        pid = await pid_of(attached.url)
    keeper.kill()
    keeper.wait()
    async with running(tmp_path) as next_keeper:
        assert not next_keeper.attached
        assert await pid_of(next_keeper.url) != pid
    await eventually(lambda: gone(pid))


async def test_stop_ends_the_server(tmp_path: Path, eventually: Eventually) -> None:
    async with running(tmp_path) as keeper:
        pid = await pid_of(keeper.url)
    await eventually(lambda: gone(pid))
    assert keeper.owner is None


async def test_a_torn_log_is_cut_and_remembered_until_forgiven(
    tmp_path: Path, server_binary: Path | None
) -> None:
    async with running(tmp_path, server_binary) as keeper, Store(keeper.url) as store:
        for number in range(10):
            await store.stream_add("s", {"e": number})
    log = max((tmp_path / "appendonlydir").glob("*.incr.aof"))
    log.write_bytes(log.read_bytes()[:-7])
    async with running(tmp_path, server_binary) as keeper, Store(keeper.url) as store:
        assert await store.stream_length("s") == 9
        assert keeper.torn is not None
        assert "bytes at the end of the store's log are gone" in keeper.torn
    async with running(tmp_path, server_binary) as keeper:
        assert keeper.torn
        keeper.forgive()
        assert keeper.torn is None


async def test_a_log_damaged_in_the_middle_is_refused_loudly(
    tmp_path: Path, server_binary: Path | None
) -> None:
    async with running(tmp_path, server_binary) as keeper, Store(keeper.url) as store:
        for number in range(10):
            await store.stream_add("s", {"e": number})
    log = max((tmp_path / "appendonlydir").glob("*.incr.aof"))
    data = log.read_bytes()
    log.write_bytes(data[:40] + b"rubbish" + data[47:])
    with pytest.raises(EmbeddedStoreError, match=r"refuses to start: .*[Bb]ad file format"):
        async with running(tmp_path, server_binary):
            pass


async def test_a_server_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path) as keeper:
        keeper.binary = Path("/bin/false")
        os.kill(await pid_of(keeper.url), signal.SIGKILL)
        with pytest.raises(EmbeddedStoreError, match="refuses to start"):
            await keeper.watch(0.01)


async def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    async with running(folder) as keeper, Store(keeper.url) as store:
        assert len(str(keeper.socket)) < 108
        assert stat.S_IMODE(keeper.socket.parent.stat().st_mode) == 0o700
        await store.ping()


@pytest.mark.parametrize("kind", ["tmpfs", "nfs4"])
async def test_a_folder_that_cannot_keep_money_is_refused_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "file_system", lambda _: kind)
    with pytest.raises(EmbeddedStoreError, match=f"is on {kind}"):
        await EmbeddedStore(tmp_path).start()


def test_the_file_system_of_a_path_is_found() -> None:
    assert module.file_system(Path("/proc")) == "proc"


async def test_the_servers_log_stays_bounded(tmp_path: Path, eventually: Eventually) -> None:
    async with running(tmp_path) as keeper:
        keeper.log_path.write_bytes(b"x" * (module.LOG_BYTES + 1))
        watcher = asyncio.create_task(keeper.watch(0.001))
        await eventually(keeper.log_path.with_suffix(".log.1").exists)
        watcher.cancel()


def test_programs_of_the_system_are_found(requires: Callable[[str], str]) -> None:
    assert requires("sh").endswith("/sh")


async def test_a_store_that_ends_on_a_full_disk_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server itself ends without a word of it; here no disk is large enough."""
    monkeypatch.setattr(module, "LEAST_FREE", 1 << 60)
    with pytest.raises(EmbeddedStoreError, match=r"refuses to start: the disk of .* is full"):
        await EmbeddedStore(tmp_path, allow_unsafe_folder=True, binary=Path("/bin/false")).start()
