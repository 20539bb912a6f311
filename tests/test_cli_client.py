"""How a verb reaches the running daemon, and what it says where it does not."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings
from monitor.cli.client import Daemon, token_path, user
from monitor.cli.output import Failed
from monitor.standin import Standin
from tests.whole import Clock, Shop, running, scan

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


async def test_what_speaks_no_http_is_not_taken_for_the_daemon(tmp_path: Path) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
        http = {"port": other.sockets[0].getsockname()[1]}
        daemon = Daemon(Settings.model_validate({"data_dir": tmp_path, "http": http}))
        with pytest.raises(Failed, match="does not speak HTTP"):
            await asyncio.to_thread(daemon.get, "/v1/status")


def test_an_account_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    uid = 54_321
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert user() == f"uid-{uid}"


async def test_chinese_goes_in_and_out_where_the_locale_knows_none(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """In plain ASCII, and with no input at all: what cannot be shown is shown by its number."""
    number = "圆通单号1"
    async with running(tmp_path, standin, clock) as shop:
        reply = await shop.send(scan("accepted", clock.now) | {"tracking_number": number, "carrier": "圆通"})
        assert reply.status == 200, reply.body
        await shop.pass_time(1)
        plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        theirs = {"FORESTALL_DATA_DIR": str(tmp_path), "FORESTALL_HTTP__PORT": shop.url.rpartition(":")[2]}
        environment = os.environ | plain | theirs | {"PYTHONPATH": os.pathsep.join(sys.path)}

        def verb(*arguments: str) -> subprocess.CompletedProcess[bytes]:
            command = ["sh", "-c", 'exec "$0" -P -m monitor "$@" <&-', sys.executable, *arguments]
            return subprocess.run(command, env=environment, capture_output=True, check=False)

        told = await asyncio.to_thread(verb, "explain", number)
        assert (told.returncode, told.stderr) == (0, b"")
        assert b"\\u5706\\u901a\\u5355\\u53f71" in told.stdout
        killed = await asyncio.to_thread(verb, "kill", "--reason", "演练")
        assert killed.returncode == 0, killed.stderr
        assert "kill" in json.loads((await shop.ask("GET", "/v1/status", **shop.bearer)).body)["switches"]


def test_a_closed_stream_is_no_file_that_is_opened_next() -> None:
    code = (
        "import os; from monitor.cli import console_streams; console_streams.mend();"
        "print(os.open('/', os.O_RDONLY) > 2, os.path.samefile('/dev/null', '/proc/self/fd/0'))"
    )
    command = ["sh", "-c", 'exec "$0" -P -c "$1" <&-', sys.executable, code]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("long", ["deadletter-replay", "release"])
async def test_a_slow_answer_is_not_taken_for_no_daemon(tmp_path: Path, long: str) -> None:
    """Reading thousands of letters again takes what it takes, and so does a shop's list of codes; of others it is said that they may still be done."""
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
        patient = asyncio.create_task(asyncio.to_thread(daemon.command, long))
        writer = await asked.get()
        with pytest.raises(Failed, match="has not answered"):  # as long as others wait, it waits on
            await asyncio.to_thread(daemon.command, "hold", reason="drill")
        writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"taken":5}')
        assert await patient == {"taken": 5}
        writer.close()
        (await asked.get()).close()
    with pytest.raises(Failed, match="no daemon answers"):
        await asyncio.to_thread(daemon.command, "hold", reason="drill")
