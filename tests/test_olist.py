"""Rows in the shape of Olist's (made up here) become canonical events; what the data says is kept, even the impossible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.olist import convert
from monitor.decode import Decoder
from monitor.names import Names
from monitor.stream import Frame

ORDERS = {
    "order_id": ["a" * 32, "b" * 32, "c" * 32],
    "customer_id": ["c1", "c2", "c3"],
    "order_status": ["delivered", "canceled", "shipped"],
    "order_purchase_timestamp": ["2017-10-02 10:56:33", "2017-12-01 08:00:00", "2017-10-15 00:10:00"],
    "order_approved_at": ["2017-10-02 11:07:15", None, "2017-10-15 09:00:00"],
    "order_delivered_carrier_date": ["2017-10-04 19:55:00", None, "2017-10-14 09:00:00"],
    "order_delivered_customer_date": ["2017-10-03 21:25:13", None, None],
    "order_estimated_delivery_date": ["2017-10-18 00:00:00", "2017-12-20 00:00:00", "2017-11-01 00:00:00"],
}


@pytest.fixture
def olist(tmp_path: Path) -> Path:
    pl.DataFrame(ORDERS).write_parquet(tmp_path / "orders_x.parquet")
    pl.DataFrame(
        {"customer_id": ["c1"], "customer_unique_id": ["u1"], "customer_state": ["SP"]}
    ).write_parquet(tmp_path / "customers.parquet")
    pl.DataFrame(
        {"order_id": ["a" * 32] * 2, "order_item_id": ["1", "2"], "seller_id": ["s1", "s1"], "price": ["10.00", "5.50"],
         "freight_value": ["1.25", "0"]}
    ).write_parquet(tmp_path / "items.parquet")  # fmt: skip
    pl.DataFrame({"seller_id": ["s1"], "seller_state": ["PR"]}).write_parquet(tmp_path / "sellers.parquet")
    return tmp_path


def converted(folder: Path) -> list[dict[str, Any]]:
    convert(folder, folder / "out" / "events.ndjson")
    return [
        json.loads(line)
        for line in (folder / "out" / "events.ndjson").read_text(encoding="utf-8").splitlines()
    ]


def test_an_order_becomes_its_events_with_lane_amount_and_promise(olist: Path) -> None:
    events = {(e["order_id"][0], e["kind"], e["status"]): e for e in converted(olist)}
    placed = events["a", "order", "placed"]
    assert placed["occurred_at"] == "2017-10-02T10:56:33-03:00"
    assert placed["promised_at"] == "2017-10-18T23:59:59-02:00"  # summer time began on the 15th
    assert (placed["customer_id"], placed["amount"], placed["currency"]) == ("u1", 16.75, "BRL")
    assert (placed["origin_region"], placed["region"]) == ("BR-PR", "BR-SP")
    shipped, accepted = events["a", "order", "shipped"], events["a", "tracking", "accepted"]
    assert shipped["tracking_number"] == accepted["tracking_number"] == "OL" + "A" * 20
    assert "amount" not in events["b", "order", "placed"]
    assert events["b", "order", "cancelled"]["occurred_at"] == "2017-12-01T08:00:00-02:00"


def test_what_cannot_have_happened_in_this_order_is_kept(olist: Path) -> None:
    events = converted(olist)
    status = [e["status"] for e in events if e["order_id"][0] == "a" and e["kind"] == "tracking"]
    assert status == ["delivered", "accepted"]
    third = [e["status"] for e in events if e["order_id"][0] == "c"]
    assert third.index("accepted") < third.index("placed")


def test_an_hour_that_summer_time_skipped_is_the_next_one(olist: Path) -> None:
    placed = next(e for e in converted(olist) if e["status"] == "placed" and e["order_id"][0] == "c")
    assert placed["occurred_at"] == "2017-10-15T01:10:00-02:00"


def test_every_event_is_taken(olist: Path) -> None:
    convert(olist, olist / "events.ndjson")
    data = (olist / "events.ndjson").read_bytes()
    decoded = list(Decoder(Names()).decode([Frame("batch", data)]))
    assert [dead for one in decoded for dead in one.dead] == []
    assert sum(one.events for one in decoded) == len(data.splitlines())


def test_a_folder_without_orders_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no orders\*\.parquet"):
        convert(tmp_path, tmp_path / "out.ndjson")
