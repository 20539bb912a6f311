"""The console in a real Chromium, over real HTTP: what a person sees, with the keyboard alone."""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.links import Act, Link
from monitor.server import bind, serving
from tests.console.shop import LINKS, TOKEN, Browser, Shop
from tests.incidents.story import HOUR

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = os.environ.get("FORESTALL_SCREENSHOTS")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("FORESTALL_REQUIRE_SYSTEM"), reason="chromium is not installed"
)


@contextmanager
def served(shop: Shop) -> Iterator[str]:
    """The application on a port of its own, in a thread of its own."""
    listening = bind("127.0.0.1", 0)
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        async with serving(shop.app(), listening):
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def shop() -> Shop:
    shop = Shop()
    shop.fill()
    return shop


@pytest.mark.system("chromium")
@needs_chromium
def test_a_person_signs_in_reads_an_incident_and_acknowledges_it_by_keyboard(shop: Shop) -> None:
    from playwright.sync_api import sync_playwright

    with served(shop) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="zh-CN")
        problems: list[str] = []
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        foreign: list[str] = []
        page.on("request", lambda one: None if one.url.startswith(url) else foreign.append(one.url))
        page.goto(f"{url}/")
        page.get_by_label("姓名").focus()
        page.keyboard.type("李雷")
        page.keyboard.press("Tab")
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/")
        assert page.get_by_role("heading", name="现况").is_visible()
        assert "网点积压" in page.inner_text("main")
        _shot(page, "now-light")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", "the first stop skips the header"
        page.get_by_role("link", name="网点积压").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/incidents/*")
        assert "8,000" in page.inner_text("main")
        _shot(page, "incident-light")
        acknowledge = page.get_by_role("button", name="认领")
        acknowledge.focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert [(name, actor.name) for name, _, actor in shop.service.told] == [("ack", "李雷")]
        page.goto(f"{url}/?theme=dark&lang=en")
        assert "Facility jammed" in page.inner_text("main")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(18, 22, 28)"
        _shot(page, "now-dark-en")
        page.set_viewport_size({"width": 390, "height": 800})
        page.goto(f"{url}/")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a telephone"
        _shot(page, "now-phone")
        for path in (
            "/incidents",
            f"/incidents/{shop.book.firing()[0].incident_id}",
            "/policy",
            "/story/SF1",
            "/approvals",
            "/silences?matchers=kind%3Dfeed_silent",
            "/config",
        ):
            page.goto(url + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
            _shot(page, path.strip("/").partition("?")[0].replace("/", "-"))
        token = LINKS.sign(Link(Act.SILENCE, shop.book.firing()[0].incident_id, shop.now + HOUR, "b1", "x"))
        page.goto(f"{url}/a/{token}")
        _shot(page, "button")
        page.get_by_label("Your name").fill("王")
        page.get_by_role("button", name="Confirm").click()
        assert page.get_by_role("status").is_visible()
        assert problems == []
        assert foreign == [], "it works offline"
        browser.close()


@pytest.mark.system("chromium")
@needs_chromium
def test_pictures_follow_theme_width_and_language_and_a_reload_fetches_none_again(shop: Shop) -> None:
    from playwright.sync_api import sync_playwright

    with served(shop) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en")
        page = context.new_page()
        page.goto(f"{url}/")
        page.get_by_label("Your name").fill("li")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{url}/")
        big = max(shop.book.firing(), key=lambda view: view.open).incident_id
        for path in ("/", f"/incidents/{big}"):
            for scheme in ("light", "dark"):
                for width in (1280, 390):
                    page.emulate_media(color_scheme=scheme)
                    page.set_viewport_size({"width": width, "height": 900})
                    page.goto(f"{url}{path}")
                    drawn, address, at = page.eval_on_selector(
                        "picture img",
                        "async one => (await one.decode(), [one.naturalWidth, one.currentSrc, one.clientWidth])",
                    )
                    assert drawn > 300
                    assert f"theme={scheme}&" in address
                    assert "lang=en" in address
                    assert ("narrow=1" in address) == (width == 390)
                    assert at > width / 2, "and fills its place"
        kept: list[str] = []
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.requestServedFromCache", lambda one: kept.append(one["requestId"]))
        sent: dict[str, str] = {}
        network.on(
            "Network.requestWillBeSent", lambda one: sent.update({one["requestId"]: one["request"]["url"]})
        )
        page.goto(f"{url}/incidents/{big}")
        page.eval_on_selector("picture img", "async one => await one.decode()")
        asked = [one for one, address in sent.items() if "/pictures/" in address]
        assert asked
        assert set(asked) <= set(kept)
        browser.close()


def _shot(page: object, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)  # type: ignore[attr-defined]


def test_the_first_page_is_small_and_quick_with_ten_thousand_open_findings(shop: Shop) -> None:
    assert sum(view.open for view in shop.book.firing()) == 10_000
    client = Browser(shop.app())
    client.post("/sign-in", data={"token": TOKEN, "name": "li"})
    page = client.get("/")
    (picture,) = re.findall(r'<img [^>]*src="([^"]+)"', page.text)
    pictured = client.get(html.unescape(picture))
    assert pictured.headers["content-type"] == "image/svg+xml"
    whole = (page, client.get("/console.css"), pictured)
    assert sum(len(one.content) for one in whole) < 200_000
