"""WooCommerce's orders as a list, with the section that docs/feeds.md shows, against a shop that pages as it does."""

from __future__ import annotations

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from monitor.feeds.desk import Desk
from monitor.feeds.pollers.runner import Runner
from monitor.feeds.watch import HOUR, Watch
from notifier.http import Http
from notifier.store import Store
from tests.fakes.server import FakeServer, Request, Response
from tests.feeds.cases import GOLDEN, NOW, feed, push
from tests.feeds.polling import built, taken

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).parent.parent.parent / "docs" / "feeds.md"
KEY = base64.b64encode(b"ck_1:cs_1").decode()
COMPLETED = GOLDEN / "woocommerce" / "completed.json"


def section(url: str) -> dict[str, Any]:
    """As documented, with this shop's address and key."""
    text = DOCS.read_text(encoding="utf-8")
    start = text.index("    [pollers.woocommerce-orders]")
    lines = text[start : text.index("\n\n", start)].splitlines()
    found = tomllib.loads("\n".join(line.strip() for line in lines))["pollers"]["woocommerce-orders"]
    return {**found, "url": url, "headers": {"Authorization": f"Basic {KEY}"}, "per_second": 1000}


class Shop:
    """Orders changed strictly after a time, newest first, `per_page` a page, and an error beyond a hundred."""

    def __init__(self, orders: list[dict[str, Any]]) -> None:
        self.orders = orders

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Basic {KEY}":
            return Response.of({"code": "woocommerce_rest_cannot_view"}, 401)
        query = request.query
        if int(query["per_page"]) > 100 or query["dates_are_gmt"] != "true":
            return Response.of({"code": "rest_invalid_param"}, 400)
        found = [one for one in self.orders if one["date_modified_gmt"] > query["modified_after"]]
        found.sort(key=lambda one: one["date_modified_gmt"], reverse=query["order"] == "desc")
        start = 100 * (int(query["page"]) - 1)
        return Response.of(found[start : start + 100])


def orders(count: int) -> list[dict[str, Any]]:
    body = json.loads(COMPLETED.read_text(encoding="utf-8"))["body"]
    return [
        {
            **body,
            "id": 1000 + number,
            "date_modified_gmt": f"2026-11-20T10:{number // 60:02d}:{number % 60:02d}",
        }
        for number in range(count)
    ]


async def test_all_orders_are_read_once_and_then_what_changed(store: Store, desk: Desk) -> None:
    desk.feeds = {**desk.feeds, "woocommerce": feed("woocommerce")}
    desk.add_reader(desk.feeds["woocommerce"])
    shop = Shop(orders(230))
    async with FakeServer(shop) as server, Http() as http:
        pollers = built(desk, http, **{"woocommerce-orders": section(server.url)})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        assert [one.query["page"] for one in server.requests] == ["1", "2", "3"]
        assert len({one["order_id"] for one in await taken(store)}) == 230
        shop.orders[7]["date_modified_gmt"] = "2026-11-21T10:00:00"
        shop.orders[7]["status"] = "cancelled"
        before = len(await taken(store))
        await runner.run(NOW + HOUR)
        assert server.requests[-1].query["modified_after"] == "2026-11-20T10:03:48"
        fresh = [one for one in (await taken(store))[before:] if one["order_id"] != "1229"]
        assert {(one["order_id"], one["source"]) for one in fresh} == {("1007", "woocommerce")}
        assert "cancelled" in {one["status"] for one in fresh}
        assert desk.status["woocommerce"].pollers["woocommerce-orders"].trouble is None


async def test_an_order_saved_later_in_the_second_of_the_newest_is_read_the_next_time(
    store: Store, desk: Desk
) -> None:
    desk.feeds = {**desk.feeds, "woocommerce": feed("woocommerce")}
    desk.add_reader(desk.feeds["woocommerce"])
    shop = Shop(orders(3))
    async with FakeServer(shop) as server, Http() as http:
        pollers = built(desk, http, **{"woocommerce-orders": section(server.url)})
        runner = Runner(store, desk, Watch(), lists=pollers.lists)
        await runner.run(NOW)
        before = {one["event_id"] for one in await taken(store)}
        shop.orders.append({**shop.orders[2], "id": 2000})
        await runner.run(NOW + HOUR)
        await runner.run(NOW + 2 * HOUR)
        fresh = [one for one in await taken(store) if one["event_id"] not in before]
        assert {one["order_id"] for one in fresh} == {"2000"}
        assert desk.status["woocommerce"].pollers["woocommerce-orders"].trouble is None


async def test_the_list_and_the_webhook_bring_the_same_events(store: Store, desk: Desk) -> None:
    one = feed("woocommerce")
    desk.feeds = {**desk.feeds, "woocommerce": one}
    desk.add_reader(one)
    body = json.loads(COMPLETED.read_text(encoding="utf-8"))["body"]
    async with FakeServer(Shop([body])) as server, Http() as http:
        pollers = built(desk, http, **{"woocommerce-orders": section(server.url)})
        await Runner(store, desk, Watch(), lists=pollers.lists).run(NOW)
    told = one.parse(push(one, COMPLETED)).events
    assert await taken(store) == told
