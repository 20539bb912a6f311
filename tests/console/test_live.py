"""The whole way of an alert in the running daemon: incident, claim, chat, button, and a restart in between."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config.settings import Settings
from monitor.app import open_daemon
from monitor.daemon import Daemon
from notifier.http import Http, Reply
from tests.channels import slack
from tests.fakes.server import FakeServer
from tests.incidents.story import SECOND, T0, jam, stuck


class Clock:
    """Moves a second whenever it is asked, so that nothing waits for the real one."""

    def __init__(self) -> None:
        self._steps = itertools.count()

    def __call__(self) -> int:
        return T0 + next(self._steps) * 50


def settings(folder: Path, chat: str) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": str(folder),
            "shadow": False,
            "store": {"allow_unsafe_folder": True},
            "http": {"port": 0, "token": "t0ken-of-tests-16", "public_url": "https://forestall.example"},
            "channels": {"ops": {"type": "slack", **slack.CASE.options(chat)}},
            "notify": {"routes": [{"name": "all", "receivers": ["ops"], "group_wait_seconds": 0}]},
        }
    )


@asynccontextmanager
async def running(
    settings: Settings, clock: Callable[[], int], config: Path | None = None
) -> AsyncIterator[tuple[Daemon, str]]:
    async with open_daemon(settings, clock, config=config, ticking=False) as daemon:
        assert daemon.listening is not None
        url = f"http://127.0.0.1:{daemon.listening.getsockname()[1]}"
        task = asyncio.create_task(daemon.run())
        try:
            yield daemon, url
        finally:
            daemon.stop()
            await task


async def until(true: Callable[[], Any]) -> None:
    """The deadline of the test ends a wait in vain."""
    while not true():  # noqa: ASYNC110 - tasks of the daemon work meanwhile
        await asyncio.sleep(0.02)


async def ask(http: Http, method: str, url: str, body: str = "", cookie: str = "") -> Reply:
    headers = {"content-type": "application/x-www-form-urlencoded", "cookie": cookie}
    reply = await http.request(method, url, headers=headers, body=body.encode())
    assert isinstance(reply, Reply), reply
    return reply


def test_an_alert_reaches_the_chat_its_button_works_once_and_a_restart_remembers(tmp_path: Path) -> None:
    async def story() -> None:
        clock, folder = Clock(), tmp_path / "checkpoints"
        async with FakeServer(slack.Fake()) as chat, Http() as http:
            options = settings(tmp_path, chat.url)
            async with running(options, clock) as (daemon, url):
                pipeline = daemon.loop.pipeline
                await daemon.checkpoints.write(clock())
                early = set(folder.iterdir())
                await pipeline._act([jam(), *(stuck(n, amount=900) for n in range(30))], T0, settle=True)
                await until(lambda: chat.requests)
                blocks = chat.requests[0].json()["blocks"]
                buttons = [
                    one["url"] for block in blocks if block["type"] == "actions" for one in block["elements"]
                ]
                path = buttons[0].removeprefix("https://forestall.example")
                assert (await ask(http, "GET", url + path)).status == 200
                (view,) = daemon.incidents.firing()
                assert view.acknowledged_by is None
                assert (await ask(http, "POST", url + path, "name=wang")).status == 200
                assert (await ask(http, "POST", url + path, "name=wang")).status == 410
                assert daemon.incidents.firing()[0].acknowledged_by == "wang (link)"
                assert (await ask(http, "GET", url + "/")).status == 303
                door = await ask(http, "POST", url + "/sign-in", "token=t0ken-of-tests-16&name=li")
                page = await ask(http, "GET", url + "/", cookie=door.headers["set-cookie"].split(";")[0])
                assert page.status == 200
                assert "网点积压".encode() in page.body
            for file in set(folder.iterdir()) - early:
                file.unlink()  # as if it had been killed before the second checkpoint
            async with running(options, clock) as (daemon, _):
                assert daemon.incidents.firing() == []
                await daemon.loop.pipeline._act([jam()], T0, settle=True)
                await daemon.loop.pipeline._act([], clock() + 600 * SECOND, settle=True)
                assert daemon.incidents.firing()[0].acknowledged_by == "wang (link)"
            assert len(chat.requests) == 1, "the replay claims the same alert, and nothing is sent twice"

    asyncio.run(story())
