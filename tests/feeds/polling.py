"""Providers that are polled, and how the tests build what polls them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec

from config.plugins import FeedSettings
from config.regions import regions
from monitor.feeds.desk import Desk
from monitor.feeds.pollers.registry import Pollers, build_pollers
from monitor.feeds.watch import HOUR
from monitor.stream import EventStream
from notifier.http import Http
from notifier.store import Store
from tests.fakes.server import Request, Response
from tests.feeds.cases import NOW

LATER = NOW + 30 * HOUR


class Kuaidi100:
    """Signs as the provider does; knows every parcel but those that begin with X."""

    def __call__(self, request: Request) -> Response:
        form = request.form
        expected = hashlib.md5((form["param"] + "k3y" + "CUST").encode()).hexdigest().upper()  # noqa: S324
        if form["sign"] != expected:
            return Response.of({"result": False, "returnCode": "503", "message": "验证签名失败"})
        question = json.loads(form["param"])
        if question["num"].startswith("X"):
            return Response.of({"result": False, "returnCode": "500", "message": "查询无结果"})
        return Response.of(
            {
                "message": "ok",
                "nu": question["num"],
                "com": question["com"],
                "status": "200",
                "state": "0",
                "data": [
                    {"ftime": "2026-11-22 12:00:00", "context": "到达【嘉兴转运中心】", "statusCode": "1002"}
                ],
            }
        )


class SeventeenTrack:
    def __call__(self, request: Request) -> Response:
        if request.headers.get("17token") != "k3y":
            return Response.of({"code": -18010002}, 401)
        numbers = [one["number"] for one in request.json()]
        assert len(numbers) <= 40
        events = [{"time_utc": "2026-11-22T04:00:00Z", "sub_status": "InTransit_Other", "location": "X"}]
        accepted = [
            {
                "number": number,
                "carrier": 1,
                "track_info": {"tracking": {"providers": [{"provider": {"name": "USPS"}, "events": events}]}},
            }
            for number in numbers
        ]
        return Response.of({"code": 0, "data": {"accepted": accepted, "rejected": []}})


class Erp:
    """Two pages of shipped orders, then nothing; the cursor is its own."""

    pages: tuple[list[dict[str, Any]], ...] = (
        [{"no": "O1", "buyer": 7, "state": "SHIPPED", "at": "2026-11-21 10:00:00", "fee": "12.50"}],
        [{"no": "O2", "buyer": 8, "state": "PAID", "at": 1795305600}],
    )

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer t0ken":
            return Response.of({}, 403)
        at = int(request.query.get("since", "0"))
        rows = self.pages[at] if at < len(self.pages) else []
        return Response.of(
            {"rows": rows, "next": str(min(at + 1, len(self.pages))), "more": at + 1 < len(self.pages)}
        )


ERP = {
    "type": "json",
    "headers": {"Authorization": "Bearer t0ken"},
    "per_second": 1000,
    "cursor": {"parameter": "since", "path": "next", "more": "more"},
    "map": {
        "event": "order",
        "records": "rows",
        "occurred_at": "at",
        "event_id": "no",
        "timezone": "Asia/Shanghai",
        "fields": {"order_id": "no", "customer_id": "buyer", "status": "state", "amount": "fee"},
        "constants": {"currency": "CNY"},
        "values": {"status": {"SHIPPED": "shipped", "PAID": "paid"}},
    },
}


async def taken(store: Store) -> list[dict[str, Any]]:
    entries = await store.stream_range(EventStream(store).key(0))
    lines = [(entry.get(b"batch") or entry.get(b"e") or b"").split(b"\n") for entry in entries]
    return [msgspec.json.decode(line) for some in lines for line in some]


def built(desk: Desk, http: Http, **sections: dict[str, Any]) -> Pollers:
    wanted = {name: FeedSettings.model_validate(section) for name, section in sections.items()}
    return build_pollers(wanted, desk.feeds, regions(), http)


def silent(desk: Desk, *parcels: str, name: str = "kuaidi100", carrier: str = "yto") -> None:
    """These were mentioned a day ago, and the feed has spoken of others since."""
    assert desk.watch is not None
    events = [
        {"kind": "tracking", "tracking_number": one, "carrier": carrier, "status": "accepted", "source": name}
        for one in parcels
    ]
    desk.watch.note(events, NOW)
    desk.status[name].last_event_at = LATER - 60_000
