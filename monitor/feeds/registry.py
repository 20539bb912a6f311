"""The table of feeds: kind to dotted path, imported on first use. A feed is a folder, a line here, and golden pairs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from config.plugins import FeedSettings
from config.regions import Regions
from monitor.feeds.base import Feed

FEEDS: Mapping[str, str] = {
    "17track": "monitor.feeds.seventeentrack:SeventeenTrack",
    "aftership": "monitor.feeds.aftership:AfterShip",
    "easypost": "monitor.feeds.easypost:EasyPost",
    "generic": "monitor.feeds.generic:Generic",
    "gorgias": "monitor.feeds.gorgias:Gorgias",
    "karrio": "monitor.feeds.karrio:Karrio",
    "kdniao": "monitor.feeds.kdniao:Kdniao",
    "kuaidi100": "monitor.feeds.kuaidi100:Kuaidi100",
    "shippo": "monitor.feeds.shippo:Shippo",
    "shopify": "monitor.feeds.shopify:Shopify",
    "wechat_shop": "monitor.feeds.wechat_shop:WechatShop",
    "woocommerce": "monitor.feeds.woocommerce:WooCommerce",
    "zendesk": "monitor.feeds.zendesk:Zendesk",
}


class FeedConfigError(Exception):
    """A feed cannot be built; `problems` has one line each: where and what, never a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def plugin(kind: str) -> Any:
    if kind not in FEEDS:
        raise FeedConfigError([f"no feed {kind!r}; there are: {', '.join(sorted(FEEDS))}"])
    module, _, name = FEEDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def build(name: str, section: FeedSettings, places: Regions) -> Feed:
    """Raises `FeedConfigError`."""
    feed = plugin(section.type or name)
    try:
        return cast("Feed", feed(name, feed.Options.model_validate(section.reveal()), places))
    except ValidationError as error:
        lines = [line("feeds", name, one) for one in error.errors(include_url=False, include_input=False)]
        raise FeedConfigError(lines) from None
    except ValueError as error:
        raise FeedConfigError([f"feeds.{name}: {error}"]) from None


def build_all(sections: Mapping[str, FeedSettings], places: Regions) -> dict[str, Feed]:
    """Every feed of the config, or every problem of all of them."""
    feeds: dict[str, Feed] = {}
    problems: list[str] = []
    for name, section in sections.items():
        try:
            feeds[name] = build(name, section, places)
        except FeedConfigError as error:
            problems += error.problems
    if problems:
        raise FeedConfigError(problems)
    return feeds


def line(section: str, name: str, error: Any) -> str:
    """One problem that pydantic found: where and what, never the value."""
    where = ".".join(map(str, (section, name, *error["loc"])))
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "no such key"
    elif error["type"] == "missing":
        message = "is missing"
    return f"{where}: {message}"
