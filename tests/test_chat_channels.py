"""What the contract suite cannot know: signatures by vector, threads, cutting, and a real Alertmanager."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from notifier import chat, registry
from notifier.channels import dingtalk, feishu
from notifier.charts import Picture, draw
from notifier.http import Http, Reply
from notifier.sending import Answer, Message, SendResult
from tests.channels import feishu as feishu_case
from tests.channels import slack_bot, teams, telegram, wecom
from tests.channels.case import NOW, OPS, PNG
from tests.fakes.server import FakeServer, Fault, Response

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def test_the_signatures_are_the_providers() -> None:
    assert feishu.sign("xxx", 1661860880) == "QnWVTSBe6FmQDE0bG6X0mURbI+DnvVyu1h+j5dHOjrU="
    assert dingtalk.sign("SECx", 1_600_000_000_000) != feishu.sign("SECx", 1_600_000_000)


@pytest.mark.parametrize(("name", "case"), [("slack_bot", slack_bot), ("telegram", telegram)])
def test_a_lost_reply_to_an_edit_is_asked_again_as_an_edit_may_be_repeated(name: str, case: Any) -> None:
    async def run() -> SendResult:
        async with Http(deadline=0.5) as http, FakeServer(case.Fake()) as server:
            server.script.append(Fault.LOST_REPLY)
            channel = registry.channel(name, case.CASE.options(server.url), http)
            return await channel.send(case.CASE.extra["update"], NOW)

    assert asyncio.run(run()).answer is Answer.RETRY


def test_slack_shows_the_chart_in_the_thread_and_the_words_stand_where_it_may_not_upload() -> None:
    async def run() -> list[str]:
        fake = slack_bot.Fake()
        async with Http() as http, FakeServer(fake) as server:
            channel = registry.channel("slack_bot", slack_bot.CASE.options(server.url), http)
            first = await channel.send(replace(OPS, image=PNG), NOW)
            assert fake.shown == [first.provider_id]
            server.script.extend([Response.of({"ok": True, "ts": "1.1"}), slack_bot.error("missing_scope")])
            assert (await channel.send(replace(OPS, image=PNG), NOW)).answer is Answer.DONE
            edit = await channel.send(replace(OPS, image=PNG, update_of=first.provider_id), NOW)
            assert edit.answer is Answer.DONE
            return fake.shown

    assert len(asyncio.run(run())) == 1, "an edit does not hang up the picture again"


def test_feishu_asks_for_one_token_in_two_hours_and_goes_without_the_picture_where_it_may_not() -> None:
    async def run() -> list[str]:
        async with Http() as http, FakeServer(feishu_case.Fake()) as server:
            channel = registry.channel("feishu", feishu_case.CASE.options(server.url), http)
            for at in (NOW, NOW + 3_600_000, NOW + 3 * 3_600_000):
                assert (await channel.send(replace(OPS, image=PNG), at)).provider_id is None
            plain = {**feishu_case.CASE.options(server.url), "app_secret": "wrong"}
            other = registry.channel("feishu", plain, http)
            assert (await other.send(replace(OPS, image=PNG), NOW)).answer is Answer.DONE
            assert "img_key" not in server.requests[-1].body.decode()
            return [request.path for request in server.requests]

    paths = asyncio.run(run())
    assert sum("tenant_access_token" in path for path in paths) == 3
    assert sum("images" in path for path in paths) == 3


def test_teams_carries_the_picture_inside_only_where_the_card_has_room() -> None:
    async def run(image: bytes) -> str:
        async with Http() as http, FakeServer(teams.Fake()) as server:
            channel = registry.channel("teams", teams.CASE.options(server.url), http)
            assert (await channel.send(replace(OPS, image=image), NOW)).answer is Answer.DONE
            return server.requests[0].body.decode()

    assert "data:image/png" in asyncio.run(run(PNG))
    assert "data:image/png" not in asyncio.run(run(PNG * 2_000))
    drawn = draw(Picture([(NOW - 3_600_000 * n, 900 - 31 * n) for n in range(24, 0, -1)], 400.0))
    assert "data:image/png" in asyncio.run(run(drawn)), f"a chart of {len(drawn)} bytes"


def test_a_picture_that_fails_does_not_make_the_words_be_sent_again() -> None:
    async def run() -> SendResult:
        async with Http() as http, FakeServer(wecom.Fake()) as server:
            server.script.extend([Response.of({"errcode": 0}), Response(503)])
            channel = registry.channel("wecom", wecom.CASE.options(server.url), http)
            return await channel.send(replace(OPS, image=b"\x89PNG"), NOW)

    assert asyncio.run(run()).answer is Answer.DONE


@pytest.mark.parametrize(("name", "case"), [("wecom", wecom), ("telegram", telegram)])
def test_a_picture_that_is_a_request_of_its_own_is_counted(name: str, case: Any) -> None:
    async def run(image: bytes | None) -> tuple[int, int]:
        async with Http() as http, FakeServer(case.Fake()) as server:
            channel = registry.channel(name, case.CASE.options(server.url), http)
            result = await channel.send(replace(OPS, image=image), NOW)
            return result.requests, len(server.requests)

    assert asyncio.run(run(None)) == (1, 1)
    assert asyncio.run(run(PNG)) == (2, 2)


@pytest.mark.parametrize("limit", [300, 1000, 4096])
def test_what_does_not_fit_is_counted_and_the_head_and_the_links_stay(limit: int) -> None:
    message = Message(
        key="k",
        title="网点积压",
        body="\n".join(f"- 第 {number} 个网点" for number in range(1000)),
        link="https://f.example/",
        why="首次触发",
    )
    text = chat.compose(message, chat.MARKDOWN, limit)
    assert len(text.encode()) <= limit
    assert text.startswith("### 网点积压")
    assert "https://f.example/" in text
    assert "首次触发" in text
    shown = text.count("个网点")
    assert f"另有 {1000 - shown} 行" in text


@pytest.mark.parametrize("text", ["长" * 100, "a" * 100, "👩‍👩‍👧‍👦" * 20, "é" * 99])
@pytest.mark.parametrize("limit", [0, 1, 3, 4, 7, 50, 1000])
def test_cutting_never_breaks_a_character_or_the_limit(text: str, limit: int) -> None:
    cut = chat.cut(text, limit)
    assert len(cut.encode()) <= limit
    assert text.startswith(cut.removesuffix("…"))


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """The real program, with one webhook receiver nobody listens at."""
    (folder / "am.yml").write_text(
        "route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n", encoding="utf-8"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert ALERTMANAGER is not None
    command = [
        ALERTMANAGER,
        f"--config.file={folder / 'am.yml'}",
        f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def answers(http: Http, url: str) -> Reply:
    """Waits until it serves; the deadline of the test ends a wait in vain."""
    while True:
        reply = await http.request("GET", f"{url}/api/v2/alerts?active=true")
        if isinstance(reply, Reply) and reply.ok:
            return reply
        await asyncio.sleep(0.05)


@pytest.mark.system("prometheus-alertmanager")
@pytest.mark.skipif(
    ALERTMANAGER is None and not os.environ.get("FORESTALL_REQUIRE_SYSTEM"),
    reason="prometheus-alertmanager is not installed",
)
def test_the_real_alertmanager_takes_one_alert_an_incident_and_its_end(tmp_path: Path) -> None:
    async def run(url: str) -> list[list[dict[str, Any]]]:
        async with Http() as http:
            await answers(http, url)
            channel = registry.channel("alertmanager", {"url": url}, http)
            now = int(time.time() * 1000)
            firing = replace(
                OPS, started_at=now - 60_000, labels={**OPS.labels, "bad-name": "x", "place": "沈阳"}
            )
            seen = []
            for message in (firing, firing, replace(firing, severity="resolved", ended_at=now - 1000)):
                assert (await channel.send(message, now)).answer is Answer.DONE
                seen.append((await answers(http, url)).json())
            return seen

    with alertmanager(tmp_path) as url:
        first, second, third = asyncio.run(run(url))
    assert [alert["labels"]["place"] for alert in first] == ["沈阳"]
    assert [alert["fingerprint"] for alert in first] == [alert["fingerprint"] for alert in second]
    assert third == []
