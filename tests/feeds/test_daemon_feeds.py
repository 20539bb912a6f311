"""A shop connects a tracker to the real daemon: a process of its own, killed without warning, that loses nothing."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitor.feeds.base import Push
from tests.feeds.cases import SECRET, feed

pytestmark = pytest.mark.anyio
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def daemon(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "forestall.toml"
    lines = [
        f'data_dir = "{folder / "data"}"',
        "[store]",
        "allow_unsafe_folder = true",
        "[http]",
        f"port = {port}",
        "[engine]",
        "max_live_parcels = 5000",
        "[feeds.kuaidi100]",
        f'secret = "{SECRET}"',
    ]
    config.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "monitor", "run", "--config", str(config)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        sys.stdout.write((folder / "log").read_text(encoding="utf-8"))  # shown where the test fails


def pushed(number: int) -> Push:
    scan = {"ftime": "2026-11-21 10:00:00", "context": "已揽收", "statusCode": "103"}
    body = {"status": "polling", "lastResult": {"nu": f"YT{number:012d}", "com": "yuantong", "data": [scan]}}
    return feed("kuaidi100").sign(json.dumps(body).encode(), 0)


def get(url: str) -> Any:
    try:
        answer = httpx.get(url, trust_env=False, timeout=60)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None


@pytest.mark.slow
async def test_what_was_answered_survives_a_killed_daemon(tmp_path: Path, eventually: Eventually) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    answered: list[int] = []
    with daemon(tmp_path, port) as first:
        await eventually(lambda: get(f"{url}/readyz") is not None)
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=120) as client:
            for number in range(60):
                if number == 40:
                    first.send_signal(signal.SIGKILL)
                one = pushed(number)
                try:
                    answer = await client.post(
                        "/v1/feeds/kuaidi100", content=one.raw, headers=dict(one.headers)
                    )
                except httpx.HTTPError:
                    break
                if answer.status_code == 200:
                    answered.append(number)
    assert len(answered) >= 40
    with daemon(tmp_path, port):
        await eventually(lambda: get(f"{url}/readyz") is not None)
        await eventually(lambda: get(f"{url}/v1/parcels/YT{answered[-1]:012d}") is not None)
        lost = [number for number in answered if get(f"{url}/v1/parcels/YT{number:012d}") is None]
        assert lost == []
        report = {row["feed"] for row in get(f"{url}/v1/feeds")}
        assert report == {"kuaidi100"}


async def test_a_daemon_with_an_empty_secret_does_not_start(tmp_path: Path) -> None:
    config = tmp_path / "forestall.toml"
    config.write_text(
        f'data_dir = "{tmp_path / "data"}"\n[store]\nallow_unsafe_folder = true\n[http]\nport = {free_port()}\n'
        '[feeds.easypost]\nsecret = ""\n',
        encoding="utf-8",
    )
    for verb in (["run", "--config"], ["config", "check"]):
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "monitor", *verb, str(config), stderr=asyncio.subprocess.PIPE
        )
        _, said = await started.communicate()
        assert started.returncode == 2
        assert b"feeds.easypost.secret: is empty" in said
