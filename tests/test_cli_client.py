"""How a verb reaches the running daemon, and what it says where it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from config.settings import Settings
from monitor.cli.client import Daemon, token_path
from monitor.cli.output import Failed
from monitor.standin import Standin
from tests.whole import Clock, Shop, running

pytestmark = pytest.mark.anyio


def client(shop: Shop, data_dir: Path, token: str | None = None) -> Daemon:
    http = {"port": int(shop.url.rpartition(":")[2]), "token": token}
    return Daemon(Settings.model_validate({"data_dir": data_dir, "http": http}))


async def test_a_verb_acts_with_the_token_that_the_daemon_left_in_its_folder(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        daemon = client(shop, shop.daemon.settings.data_dir)
        assert (await asyncio.to_thread(daemon.get, "/v1/status"))["live_parcels"] == 0
        await asyncio.to_thread(daemon.command, "kill", reason="drill")
        assert (await asyncio.to_thread(daemon.get, "/v1/status"))["switches"] == ["kill"]


async def test_a_verb_without_the_token_says_where_it_is_looked_for(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    elsewhere = tmp_path / "elsewhere"
    async with running(tmp_path / "here", standin, clock) as shop:
        with pytest.raises(Failed, match=r"is not in .*elsewhere/token; .*FORESTALL_DATA_DIR"):
            await asyncio.to_thread(client(shop, elsewhere).command, "kill", reason="drill")
        with pytest.raises(Failed, match=r"is not the one that is tried; .*--config") as wrong:
            await asyncio.to_thread(
                client(shop, elsewhere, "of another daemon").command, "kill", reason="drill"
            )
        assert "of another daemon" not in str(wrong.value)
        daemon = client(shop, token_path(shop.daemon.settings.data_dir).parent)
        with pytest.raises(Failed, match="no such command"):
            await asyncio.to_thread(daemon.command, "dance")


async def test_another_program_on_that_port_is_not_taken_for_the_daemon(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\n[]")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        http = {"port": other.sockets[0].getsockname()[1]}
        daemon = Daemon(Settings.model_validate({"data_dir": tmp_path, "http": http}))
        with pytest.raises(Failed, match="is not Forestall: it answered 502"):
            await asyncio.to_thread(daemon.get, "/v1/status")


async def test_a_slow_answer_is_not_taken_for_no_daemon(
    tmp_path: Path,
) -> None:
    """Reading thousands of letters again takes what it takes; of others it is said that they may still be done."""
    asked: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asked.put(writer)

    async with await asyncio.start_server(keep, "127.0.0.1", 0) as slow:
        http = {"port": slow.sockets[0].getsockname()[1]}
        daemon = Daemon(Settings.model_validate({"data_dir": tmp_path, "http": http}), timeout=0.2)
        with pytest.raises(Failed, match=r"has not answered in 0\.2 seconds; what was asked for may still"):
            await asyncio.to_thread(daemon.command, "hold", reason="drill")
        (await asked.get()).close()
        patient = asyncio.create_task(asyncio.to_thread(daemon.command, "deadletter-replay"))
        writer = await asked.get()
        with pytest.raises(Failed, match="has not answered"):  # as long as others wait, it waits on
            await asyncio.to_thread(daemon.command, "hold", reason="drill")
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"taken":5}')
        assert await patient == {"taken": 5}
        writer.close()
        (await asked.get()).close()
    with pytest.raises(Failed, match="no daemon answers"):
        await asyncio.to_thread(daemon.command, "hold", reason="drill")
