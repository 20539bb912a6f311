"""SIGHUP on a running daemon: the console, the links of alerts, the heartbeat and the templates follow the file."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.loading import load
from monitor.reloading import reload
from notifier.actions import ActionKind, Outcome, Proposal
from notifier.http import Http
from tests.channels import slack
from tests.console.test_live import Clock, ask, running, until
from tests.fakes.server import FakeServer, Response
from tests.incidents.story import T0, jam
from tests.money.shop import message

TEXT = """
data_dir = "{folder}"
shadow = false

[store]
allow_unsafe_folder = true

[http]
port = 0
token = "t0ken-of-tests-16"
public_url = "{public}"

[channels.ops]
type = "slack"
url = "{chat}"

[console]
open_reading = {open}

[notify]
heartbeat_url = "{watcher}"
heartbeat_seconds = 5
link_hours = {hours}

[[notify.routes]]
name = "all"
receivers = ["{receiver}"]
group_wait_seconds = 0
"""


def test_a_reload_takes_console_links_and_heartbeat_along(tmp_path: Path) -> None:
    path = tmp_path / "forestall.toml"

    def write(**given: Any) -> None:
        path.write_text(TEXT.format(folder=tmp_path, **given), encoding="utf-8")

    async def story() -> None:
        clock = Clock()
        async with (
            FakeServer(slack.Fake()) as chat,
            FakeServer(lambda _: Response(200)) as watcher,
            Http() as http,
        ):
            options = {"chat": slack.CASE.options(chat.url)["url"], "receiver": "ops"}
            before = {
                "public": "https://old.example",
                "open": "false",
                "watcher": f"{watcher.url}/old",
                "hours": 72,
            }
            after = {
                "public": "https://new.example",
                "open": "true",
                "watcher": f"{watcher.url}/new",
                "hours": 1,
            }
            write(**options, **before)
            async with running(load(path).settings, clock, path) as (daemon, url):
                assert (await ask(http, "GET", url + "/")).status == 303
                assert daemon.heartbeat is not None
                assert await daemon.heartbeat.beat(clock())
                write(**options, **after)
                reload(daemon)
                assert (await ask(http, "GET", url + "/")).status == 200
                assert await daemon.heartbeat.beat(clock() + 60_000)
                paths = [request.path for request in watcher.requests]
                assert paths[0] == "/old"
                assert paths[-1] == "/new"
                await daemon.loop.pipeline._act([jam()], T0, settle=True)
                await until(lambda: chat.requests)
                said = chat.requests[0].body.decode()
                assert "https://new.example/a/" in said
                assert "old.example" not in said
                assert daemon.notices.desk.link_ms == 3_600_000
                write(**{**options, "receiver": "nobody"}, **after)
                reload(daemon)
                assert [route.receivers for route in daemon.settings.notify.routes] == [("ops",)], "refused"

    asyncio.run(story())


def test_a_reload_takes_new_and_changed_templates_along(tmp_path: Path) -> None:
    path, words = tmp_path / "forestall.toml", tmp_path / "words" / "zh-CN"
    words.mkdir(parents=True)
    (words / "ticket_lost.j2").write_text("旧标题\n\n旧话", encoding="utf-8")

    def ticket(name: str, order: str) -> Proposal:
        about = {"order_id": order, "carrier": "SF", "texts": {}}
        given = message(order=order, kind=ActionKind.TICKET, template=name, channel="ops", variables=about)
        return replace(given, customer_id=None)

    async def story() -> None:
        clock = Clock()
        async with FakeServer(slack.Fake()) as chat, FakeServer(lambda _: Response(200)) as watcher:
            given = {"receiver": "ops", "public": "https://shop.example", "open": "false", "hours": 72}
            given |= {"chat": slack.CASE.options(chat.url)["url"], "watcher": f"{watcher.url}/beat"}
            file = TEXT.format(folder=tmp_path, **given) + f'[policy]\ntemplates = "{words.parent}"\n'
            path.write_text(file, encoding="utf-8")
            async with running(load(path).settings, clock, path) as (daemon, _):

                async def said(*asked: Proposal) -> str:
                    before = len(chat.requests)
                    for one in await daemon.ledger.claim_all(asked, clock()):
                        assert one.outcome is Outcome.SEND, one.reason
                    await until(lambda: len(chat.requests) == before + len(asked))
                    return "".join(request.body.decode() for request in chat.requests[before:])

                assert "旧话" in await said(ticket("ticket_lost", "1"))
                (words / "ticket_lost.j2").write_text("新标题\n\n新话", encoding="utf-8")
                (words / "ticket_vip.j2").write_text("贵宾\n\n贵宾的话", encoding="utf-8")
                reload(daemon)
                assert "新话" in await said(ticket("ticket_lost", "2"))
                assert "贵宾的话" in await said(ticket("ticket_vip", "3"))

    asyncio.run(story())
