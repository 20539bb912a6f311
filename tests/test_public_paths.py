"""What the internet may reach, by the proxy that docs/feeds.md shows; and what the rest of the port keeps to itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from detectors.findings import Finding, Kind, State, Subject, SubjectType
from monitor.anonymous import entry_for_all
from monitor.records import when
from monitor.standin import Standin
from tests.money.shop import ANNA
from tests.whole import Clock, late_parcel, running, until

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).parent.parent / "docs"
PUBLIC = {"/v1/feeds/{feed}", "/a/{token}", "/chart/{token}.png", "/u/{token}", "/console.css"}


def shown() -> re.Pattern[str]:
    found = re.search(r"location ~ (\S+) \{", (DOCS / "feeds.md").read_text(encoding="utf-8"))
    assert found is not None
    return re.compile(found[1])


async def test_the_proxy_of_the_docs_lets_through_what_carries_its_own_right_and_nothing_else(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        app = shop.daemon._app()
        while not isinstance(app, Starlette):
            app = app.app  # type: ignore[attr-defined]
        routes = {route.path for route in app.routes if isinstance(route, Route)}
    allowed = {path for path in routes if shown().search(re.sub(r"\{\w+(:path)?\}", "x", path))}
    assert allowed == PUBLIC


async def test_a_story_names_the_code_and_the_customer_only_with_the_token(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1)
        known = json.loads((await shop.ask("GET", "/v1/explain/SF1", **shop.bearer)).body)
        (coupon,) = [one for one in known["records"] if one.get("coupon_code")]
        assert coupon["customer_id"] == "C1"
        for headers in ({}, {"authorization": "Bearer wrong"}):
            reply = await shop.ask("GET", "/v1/explain/SF1", **headers)
            assert reply.status == 200
            told = json.loads(reply.body)
            assert len(told["records"]) == len(known["records"])
            assert coupon["coupon_code"].encode() not in reply.body
            assert not any("customer_id" in one for one in told["records"])
        for path in ("/v1/status", "/v1/incidents?all=1", "/v1/outbox", "/v1/parcels/SF1", "/metrics"):
            assert coupon["coupon_code"].encode() not in (await shop.ask("GET", path)).body


@pytest.mark.anyio
async def test_what_is_known_of_a_customer_needs_the_token_by_whatever_id(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    subject = Subject(SubjectType.CUSTOMER, "C7")
    told = Finding(
        "repeat_complainer", Kind.REPEAT_COMPLAINER, subject, 1, 2, 2, State.OPENED, 0.9, {"times": 3}
    )
    async with running(tmp_path, standin, clock) as shop:
        await shop.daemon.story.findings([told])
        for asked in ("customer:C7", "C7", told.finding_id):
            assert (await shop.ask("GET", f"/v1/explain/{asked}", **shop.bearer)).status == 200
            refused = await shop.ask("GET", f"/v1/explain/{asked}")
            assert refused.status == 404
            assert refused.body == (await shop.ask("GET", "/v1/explain/nobody")).body


async def test_which_customer_complains_again_is_told_with_the_token_only(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    one = {"incidents": {"rules": {"customers": {"min_members": 1}}}, "console": {"open_reading": True}}
    async with running(tmp_path, standin, clock, **one) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        await shop.daemon.ledger.hold(ANNA, clock.now)
        for number in (1, 2, 3):
            again = {
                "kind": "complaint",
                "event_id": f"k{number}",
                "source": "desk",
                "complaint_id": f"K{number}",
            }
            again |= {
                "reason": "lost",
                "occurred_at": when(clock.now),
                "order_id": "O1",
                "customer_id": "Eve-77",
                "status": "opened",
            }
            assert (await shop.send(again)).status == 200
            await shop.pass_time(2)
        (known,) = json.loads((await shop.ask("GET", "/v1/incidents", **shop.bearer)).body)
        assert (known["kind"], known["as_of"]) == ("customers", when(clock.now))
        page = f"/incidents/{known['incident_id']}"
        paths = (
            "/v1/incidents?all=1",
            "/v1/outbox",
            "/v1/outbox?state=held",
            "/",
            "/incidents",
            "/approvals",
            page,
        )
        assert b"Eve-77" in (await shop.ask("GET", "/v1/outbox?state=held", **shop.bearer)).body
        for path in (*paths, f"/v1/explain/{known['incident_id']}"):
            assert b"Eve-77" not in (await shop.ask("GET", path)).body, path
        signed_in = await shop.ask("POST", "/sign-in", f"token={shop.daemon.token}&name=eve".encode())
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        assert b"Eve-77" in (await shop.ask("GET", page, cookie=cookie)).body


def test_an_entry_about_a_customer_hides_which() -> None:
    entry = {"subject": "customer:Eve-77", "state": "held"}
    assert entry_for_all(entry) == {"subject": "customer:hidden", "state": "held"}
    assert entry_for_all({"subject": "parcel:SF1"}) == {"subject": "parcel:SF1"}
