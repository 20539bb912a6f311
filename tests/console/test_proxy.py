"""Behind a proxy, through the real server: who is believed, and whose address is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from config.settings import Settings
from monitor.daemon import Daemon
from monitor.forwarded import origin
from notifier.audit import Audit
from notifier.http import Http, Reply
from notifier.identity import Identity
from tests.console.test_live import Clock, running

TOKEN = "t0ken-of-tests-16"
BROWSER = "203.0.113.9"
BEHIND = {"X-Forwarded-User": "li.lei", "X-Forwarded-For": BROWSER, "X-Forwarded-Proto": "https"}


@asynccontextmanager
async def console(folder: Path, **more: Any) -> AsyncIterator[tuple[Daemon, str]]:
    settings = Settings.model_validate(
        {
            "data_dir": str(folder),
            "store": {"allow_unsafe_folder": True},
            "http": {"port": 0, "token": TOKEN},
            "console": {"proxy_header": "X-Forwarded-User", "operators": ["li.lei"], **more},
        }
    )
    async with running(settings, Clock()) as (daemon, url):
        yield daemon, url


async def ask(url: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b"") -> Reply:
    async with Http() as http:
        reply = await http.request(method, url, headers=headers, body=body)
    assert isinstance(reply, Reply)
    return reply


def test_a_proxy_that_names_the_browser_signs_in_all_the_same(tmp_path: Path) -> None:
    async def story() -> None:
        async with console(tmp_path) as (_, url):
            assert (await ask(url + "/", BEHIND)).status == 200
            assert (await ask(url + "/", {"X-Forwarded-User": "li.lei"})).status == 200
            for stranger in (
                {"X-Forwarded-For": BROWSER},
                {"X-Forwarded-User": "", "X-Forwarded-For": BROWSER},
            ):
                assert (await ask(url + "/", stranger)).status == 303

    asyncio.run(story())


def test_only_the_proxies_named_are_believed(tmp_path: Path) -> None:
    """Whoever connects from elsewhere may claim what they like: to come from the proxy, too."""

    async def story() -> None:
        async with console(tmp_path, proxies=["192.0.2.1"]) as (_, url):
            for said in (BROWSER, "192.0.2.1", "127.0.0.1, 192.0.2.1"):
                assert (await ask(url + "/", {**BEHIND, "X-Forwarded-For": said})).status == 303

    asyncio.run(story())


def test_the_browsers_address_is_audited_and_its_cookie_is_for_https_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with console(tmp_path) as (daemon, url):
            said = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": f"10.0.0.1, {BROWSER}"}
            held = await ask(url + "/v1/commands/hold", said, "POST", json.dumps({"reason": "x"}).encode())
            assert held.status == 200
            audit = Audit(daemon.opened.store, daemon.ledger, Identity(b"k" * 16))
            sources = [one.body["from"] async for one in audit.records() if one.body["event"] == "hold_on"]
            assert sources == [BROWSER]
            form = f"token={TOKEN}&name=li".encode()
            typed = {"content-type": "application/x-www-form-urlencoded"}
            for proto, secure in (
                ("https", True),
                ("http", False),
                ("http, https", True),
                ("https, http", False),
            ):
                door = await ask(url + "/sign-in", {**typed, "X-Forwarded-Proto": proto}, "POST", form)
                assert door.status == 303
                assert ("secure" in door.headers["set-cookie"].lower()) is secure

    asyncio.run(story())


@pytest.mark.parametrize(
    ("peer", "forwarded", "asks"),
    [
        ("198.51.100.7", BROWSER, "198.51.100.7"),
        ("127.0.0.1", BROWSER, BROWSER),
        ("127.0.0.1", f"6.6.6.6, {BROWSER}", BROWSER),
        ("127.0.0.1", f"6.6.6.6, {BROWSER}, 127.0.0.1", BROWSER),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "a name, ", "127.0.0.1"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:127.0.0.1", BROWSER, BROWSER),
    ],
)
def test_who_asks_is_the_last_that_is_no_proxy_of_ours(peer: str, forwarded: str, asks: str) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())]
    request = Request({"type": "http", "headers": headers, "client": (peer, 5000)})
    assert origin(request, ("127.0.0.1", "::1")) == asks
