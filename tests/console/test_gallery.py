"""The pictures over HTTP: for whom, how long they are kept, and what a page says of them."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree as ET

import pytest

from tests.console.shop import READ_TOKEN, Browser, Shop
from tests.console.test_console import sign_in
from tests.incidents.story import HOUR, stuck


@pytest.fixture(scope="module")
def shop() -> Shop:
    shop = Shop()
    shop.fill(parcels=600)
    return shop


@pytest.fixture
def client(shop: Shop) -> Browser:
    client = Browser(shop.app())
    sign_in(client, READ_TOKEN)
    return client


def addresses(page: str) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'src(?:set)?="(/pictures/[^"]+)"', page)]


def pages(shop: Shop) -> list[str]:
    stalled = next(view for view in shop.book.firing() if view.family == "parcels_stalled")
    return ["/", f"/incidents/{stalled.incident_id}"]


@pytest.mark.parametrize("at", [0, 1])
def test_every_picture_of_a_page_is_svg_that_may_be_kept_and_runs_nothing(
    client: Browser, shop: Shop, at: int
) -> None:
    found = addresses(client.get(pages(shop)[at]).text)
    assert len(found) == 4, "light and dark, wide and narrow"
    images = set()
    for address in found:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script" not in policy
        assert policy.endswith("sandbox")
        ET.fromstring(answer.content)  # noqa: S314 - drawn by us
        assert b"<script" not in answer.content
        images.add(answer.content)
    assert len(images) == 4


def test_strangers_see_no_picture(client: Browser, shop: Shop) -> None:
    found = [one for path in pages(shop) for one in addresses(client.get(path).text)]
    stranger = Browser(shop.app())
    for address in found:
        answer = stranger.get(address)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")
        assert b"svg" not in answer.content


def test_a_picture_that_is_known_is_not_sent_again(client: Browser, shop: Shop) -> None:
    address = addresses(client.get("/").text)[0]
    tag = client.get(address).headers["etag"]
    answer = client.get(address, headers={"if-none-match": tag})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert client.get(address, headers={"if-none-match": '"other"'}).status_code == 200


def test_a_picture_whose_content_moved_on_has_another_address_and_the_old_one_is_asked_again() -> None:
    shop = Shop()
    shop.fill(parcels=600)
    client = Browser(shop.app())
    sign_in(client)
    (before, *_), same = addresses(client.get("/").text), addresses(client.get("/").text)
    assert before == same[0]
    first = client.get(before)
    shop.now += HOUR
    shop.see(*(stuck(number, shop.now, region="440000") for number in range(9_000, 9_400)))
    after = addresses(client.get("/").text)[0]
    assert after != before
    second = client.get(before)
    assert second.headers["cache-control"] == "private, no-cache"
    assert second.headers["etag"] != first.headers["etag"]
    assert second.content == client.get(after).content


def test_a_chosen_theme_is_the_pictures_too(client: Browser) -> None:
    by_system = client.get("/").text
    assert "(prefers-color-scheme: dark)" in by_system
    dark = client.get("/?theme=dark").text
    assert "(prefers-color-scheme: dark)" not in dark
    assert {re.sub(r".*theme=(\w+).*", r"\1", one) for one in addresses(dark)} == {"dark"}


@pytest.mark.parametrize(("lang", "name"), [("zh-CN", "四川 "), ("en", "Sichuan ")])
def test_the_map_has_names_and_is_told_in_words(client: Browser, lang: str, name: str) -> None:
    page = client.get(f"/?lang={lang}").text
    (said,) = re.findall(r'<img class="map"[^>]* alt="([^"]+)"', page)
    assert name in said
    image = client.get(addresses(page)[-1])
    assert name.encode() in image.content


@pytest.mark.parametrize("path", ["/pictures/incidents/none.svg", "/pictures/incidents/.svg"])
def test_a_picture_of_nothing_is_not_found(client: Browser, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("query", ["?theme=x&narrow=x&v=x&lang=x", ""])
def test_an_odd_address_gets_the_plain_look(client: Browser, query: str) -> None:
    answer = client.get(f"/pictures/map.svg{query}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")


def test_a_budget_says_how_full_it_is(client: Browser) -> None:
    page = client.get("/?lang=en").text
    assert re.search(r'<meter [^>]*value="0.024" aria-label="spent: Today">', page)
