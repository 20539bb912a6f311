"""Olist's orders as the engine would show them to a parcel detector, without the engine: looks and endings in time.

Times in the data are local and without a zone; they are taken as UTC, and the shop's zone is UTC to match.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import holidays
import numpy as np
import polars as pl

from detectors.clock import DAY
from detectors.interfaces import SCHEMAS

LINEHAUL, DELIVERY, DELIVERED = 4, 6, 13
STAMPS = {
    "ordered": "order_purchase_timestamp",
    "approved": "order_approved_at",
    "accepted": "order_delivered_carrier_date",
    "ended": "order_delivered_customer_date",
    "promised": "order_estimated_delivery_date",
}


def days_off() -> frozenset[int]:
    """Brazil's public holidays; carnival is none, officially, and nobody delivers."""
    dates = list(holidays.country_holidays("BR", years=range(2016, 2020)))
    easter = [np.datetime64("2017-04-16"), np.datetime64("2018-04-01")]
    found = {int(np.datetime64(date).astype("datetime64[D]").astype(int)) for date in dates}
    for sunday in easter:
        found |= {int(sunday.astype("datetime64[D]").astype(int)) - back for back in (47, 48)}
    return frozenset(found)


def orders(folder: Path) -> pl.DataFrame:
    """One row an order that was handed over: the columns of `parcels` and `finished`, and `late` by date."""
    raw = pl.read_parquet(folder / "orders_until_2018-02.parquet")
    frame = raw.select(
        "order_id",
        "customer_id",
        **{
            name: pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("ms")
            for name, column in STAMPS.items()
        },
    ).filter(pl.col("accepted").is_not_null())
    states = pl.read_parquet(folder / "customers_sample.parquet").select(
        "customer_id", destination="customer_state"
    )
    sellers = pl.read_parquet(folder / "sellers.parquet").select("seller_id", origin="seller_state")
    items = pl.read_parquet(folder / "items_sample.parquet").sort("order_id", "order_item_id")
    lanes = items.group_by("order_id", maintain_order=True).agg(pl.col("seller_id").first())
    return (
        frame.join(states, on="customer_id", how="left")
        .join(lanes, on="order_id", how="left")
        .join(sellers, on="seller_id", how="left")
        .with_columns(
            late=pl.col("ended").is_null() | (pl.col("ended") // DAY > pl.col("promised") // DAY),
            tracking_number=pl.col("order_id"),
            carrier=pl.lit(None, dtype=pl.String),
        )
        .sort("accepted", "order_id")
    )


def looks(frame: pl.DataFrame, every: int) -> Iterator[tuple[int, pl.DataFrame, pl.DataFrame]]:
    """(now, finished since the last look, parcels under way now), each `every` milliseconds."""
    accepted = frame["accepted"].to_numpy()
    ended = frame["ended"].fill_null(2**52).to_numpy()
    passed = frame["promised"].to_numpy()
    missed = ended > passed
    by_end, by_promise = np.argsort(ended, kind="stable"), np.argsort(passed, kind="stable")
    first, last = int(accepted.min()), int(ended[ended < 2**52].max())
    parcels, finished = _parcels(frame), _finished(frame)
    for now in range(first // every * every, last + every, every):
        since = now - every
        out = np.flatnonzero((accepted <= now) & (ended > now) & (now - accepted < 90 * DAY))
        over = by_end[
            np.searchsorted(ended[by_end], since, "right") : np.searchsorted(ended[by_end], now, "right")
        ]
        due = by_promise[
            np.searchsorted(passed[by_promise], since, "right") : np.searchsorted(
                passed[by_promise], now, "right"
            )
        ]
        due = due[missed[due] & (ended[due] > now)]
        open_still = finished[due].with_columns(
            ended=pl.lit(None, dtype=pl.Int64), status=pl.lit(5, dtype=pl.UInt8)
        )
        yield now, pl.concat([finished[over], open_still]), parcels[out]


def _parcels(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        facility=pl.lit(None, dtype=pl.String),
        feed=pl.lit("olist"),
        segment=pl.lit(LINEHAUL, dtype=pl.UInt8),
        status=pl.lit(5, dtype=pl.UInt8),
        segment_since=pl.col("accepted"),
        last_scan=pl.col("accepted"),
        estimated=pl.lit(None, dtype=pl.Int64),
        open=pl.lit(value=False),
    ).select(SCHEMAS["parcels"].keys())


def _finished(frame: pl.DataFrame) -> pl.DataFrame:
    told = {"status": pl.lit(DELIVERED, dtype=pl.UInt8), "unheard": pl.lit(0, dtype=pl.UInt8)}
    return frame.with_columns(**told).select(SCHEMAS["finished"].keys())
