"""`explain`: of an order as of its parcels, of an incident with what was sent about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.demo import acted_on
from monitor.standin import Standin
from tests.whole import Clock, late_parcel, order, running, scan, until

pytestmark = pytest.mark.anyio


async def test_an_order_is_explained_by_its_parcels(tmp_path: Path, standin: Standin, clock: Clock) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.send(order("shipped", clock.now, 1, tracking_number="SF1b"))
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1)
        parcel = json.loads((await shop.ask("GET", "/v1/explain/SF1")).body)
        action = next(one["action_id"] for one in parcel["records"] if one["what"] == "action")
        for asked in ("order:O1", "O1"):
            told = json.loads((await shop.ask("GET", f"/v1/explain/{asked}")).body)
            assert {"parcel:SF1", "parcel:SF1b"} <= set(told["subjects"])
            assert action in {one.get("action_id") for one in told["records"]}
            assert "parcel:SF1" in told["lines"]
        assert (await shop.ask("GET", "/v1/explain/O4711")).status == 404


async def test_an_order_that_only_a_scan_named_and_one_without_a_parcel_are_known(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await shop.send(scan("accepted", clock.now, 7, order_id="O7"), order("paid", clock.now, 8))
        await shop.pass_time(1)
        told = json.loads((await shop.ask("GET", "/v1/explain/O7")).body)
        assert told["subjects"] == ["parcel:SF7"]
        told = json.loads((await shop.ask("GET", "/v1/explain/order:O8")).body)
        assert told["subjects"] == ["order:O8"]
        assert (await shop.ask("GET", "/v1/explain/O9")).status == 404


async def test_a_customer_is_explained_by_what_was_decided_about_them(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1 and standin.counts.messages == 1)
        for asked in ("C1", "customer:C1"):
            assert (await shop.ask("GET", f"/v1/explain/{asked}")).status == 404, "whose parcel it is"
            told = json.loads((await shop.ask("GET", f"/v1/explain/{asked}", **shop.bearer)).body)
            assert told["subjects"] == ["customer:C1", "parcel:SF1"]
            coupons = [one for one in told["records"] if one.get("kind") == "coupon"]
            assert {one["customer_id"] for one in coupons} == {"C1"}
            assert not any("nothing was found" in line for line in told["lines"])
        assert any(", words late_coupon, " in line for line in told["lines"]), "which words a message was"
        assert not any("False" in line for line in told["lines"])
        assert await acted_on(shop.daemon, standin) == "SF1", "what the demo tells people to explain"
        assert (await shop.ask("GET", "/v1/explain/C3", **shop.bearer)).status == 404


async def test_who_names_the_kind_is_told_of_that_kind_alone(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    """An order's number may be a customer's, too."""
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.messages == 1)
        await shop.send(order("paid", clock.now, 8, order_id="C1"))
        await shop.pass_time(1)
        for asked, subject in {
            "customer:C1": "customer:C1",
            "order:C1": "order:C1",
            "C1": "order:C1",
            "parcel:SF1": "parcel:SF1",
        }.items():
            told = json.loads((await shop.ask("GET", f"/v1/explain/{asked}", **shop.bearer)).body)
            assert told["subject"] == subject, asked
        for asked in ("parcel:C1", "customer:SF1", "order:SF1", "incident:C1"):
            assert (await shop.ask("GET", f"/v1/explain/{asked}", **shop.bearer)).status == 404, asked


async def test_an_id_with_colons_of_its_own_is_known_by_all_of_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    whole = "gid://shopify/Order/8"
    async with running(tmp_path, standin, clock) as shop:
        await shop.send(order("paid", clock.now, 8, order_id=whole), order("paid", clock.now, 9))
        await shop.pass_time(1)
        for asked in (whole, f"order:{whole}"):
            told = json.loads((await shop.ask("GET", f"/v1/explain/{asked}")).body)
            assert told["subjects"] == [f"order:{whole}"]
        assert (await shop.ask("GET", "/v1/explain/elsewhere:O9")).status == 404


async def test_a_finding_stands_before_what_was_decided_about_it(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        await until(lambda: standin.counts.coupons == 1)
        told = json.loads((await shop.ask("GET", "/v1/explain/SF1")).body)["records"]
        action = next(place for place, one in enumerate(told) if one["what"] == "action")
        cause = next(place for place, one in enumerate(told) if one["what"] == "finding")
        assert told[cause]["as_of"] == told[action]["decided_at"]
        assert cause < action


async def test_an_incident_that_is_listed_can_be_explained(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with running(tmp_path, standin, clock) as shop:
        for number in range(1, 40):
            await late_parcel(shop, number)
        await shop.pass_time(30)
        listed = json.loads((await shop.ask("GET", "/v1/incidents?all=1")).body)
        assert listed
        told = json.loads((await shop.ask("GET", f"/v1/explain/{listed[0]['incident_id']}")).body)
        assert listed[0]["summary"] in "\n".join(told["lines"])
