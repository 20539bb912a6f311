"""`python -m benchmarks.olist FOLDER OUT.ndjson`: Olist's orders as canonical events, sorted by occurred_at.

FOLDER holds the Olist parquet files as text columns (`orders*.parquet`; `customers*`, `items*`, `sellers*` where there
are any, for the lane, the customer and the amount). What the data says is kept as it is, impossible orders of events
too. Decided here: local times are of America/Sao_Paulo; the promise is a date, so it is kept until the end of that
day; a cancellation has no time of its own and gets that of the order's last stamp.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import polars as pl

ZONE = "America/Sao_Paulo"
STAMPS = {
    "placed": "order_purchase_timestamp",
    "paid": "order_approved_at",
    "handed": "order_delivered_carrier_date",
    "delivered": "order_delivered_customer_date",
    "promise": "order_estimated_delivery_date",
}
END_OF_DAY = pl.duration(hours=23, minutes=59, seconds=59)


def stamp(name: str) -> pl.Expr:
    """Local text to a moment; an hour that summer time skipped is read as the next one."""
    naive = pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="ms")
    there = naive.dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null")
    shifted = (naive + pl.duration(hours=1)).dt.replace_time_zone(
        ZONE, ambiguous="earliest", non_existent="null"
    )
    return there.fill_null(shifted)


def read(folder: Path, stem: str) -> pl.DataFrame | None:
    files = sorted(folder.glob(f"{stem}*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in files], how="diagonal") if files else None


def orders(folder: Path) -> pl.DataFrame:
    table = read(folder, "orders")
    if table is None:
        raise FileNotFoundError(f"{folder}: no orders*.parquet")
    table = table.with_columns(**{name: stamp(column) for name, column in STAMPS.items()})
    table = table.with_columns(promise=pl.col("promise") + END_OF_DAY)
    customers, items, sellers = (read(folder, stem) for stem in ("customers", "items", "sellers"))
    if customers is not None:
        table = table.join(
            customers.select("customer_id", "customer_unique_id", "customer_state").unique("customer_id"),
            on="customer_id", how="left",
        )  # fmt: skip
    else:
        table = table.with_columns(customer_unique_id=None, customer_state=None)
    if items is not None and sellers is not None:
        first = items.sort("order_id", "order_item_id").group_by("order_id", maintain_order=True).agg(
            seller_id=pl.col("seller_id").first(),
            amount=(pl.col("price").cast(pl.Float64) + pl.col("freight_value").cast(pl.Float64)).sum().round(2),
        )  # fmt: skip
        lanes = first.join(
            sellers.select("seller_id", "seller_state").unique("seller_id"), on="seller_id", how="left"
        )
        table = table.join(lanes, on="order_id", how="left")
    else:
        table = table.with_columns(seller_id=None, seller_state=None, amount=None)
    return table


def tracking(order_id: str) -> str:
    """Olist has no tracking numbers: each order gets one."""
    return f"OL{order_id[:20].upper()}"


def events(table: pl.DataFrame) -> pl.DataFrame:
    """Columns `at`, `event_id`, `line`."""
    order = table.with_columns(
        source=pl.lit("olist"),
        customer_id=pl.coalesce("customer_unique_id", "customer_id"),
        region=pl.concat_str(pl.lit("BR-"), "customer_state"),
        origin_region=pl.concat_str(pl.lit("BR-"), "seller_state"),
        supplier=pl.col("seller_id"),
        tracking_number=pl.concat_str(pl.lit("OL"), pl.col("order_id").str.slice(0, 20).str.to_uppercase()),
        carrier=pl.lit("olist"),
        currency=pl.when(pl.col("amount").is_not_null()).then(pl.lit("BRL")),
        promised_at=rfc3339("promise"),
    )
    last = pl.max_horizontal("placed", "paid", "handed", "delivered")
    owner = ["order_id", "customer_id"]
    parcel = ["tracking_number", "carrier"]
    place = ["origin_region", "region"]
    cancelled = pl.col("order_status") == "canceled"
    parts = [
        lines("order", "placed", order, pl.col("placed"), [*owner, *place, "promised_at", "amount", "currency", "supplier"]),
        lines("order", "paid", order, pl.col("paid"), owner),
        lines("order", "shipped", order, pl.col("handed"), [*owner, *parcel, *place, "promised_at"]),
        lines("tracking", "accepted", order, pl.col("handed"), [*parcel, "order_id"], region="origin_region"),
        lines("tracking", "delivered", order, pl.col("delivered"), [*parcel, "order_id"], region="region"),
        lines("order", "cancelled", order.filter(cancelled), last, owner),
    ]  # fmt: skip
    return pl.concat(parts).sort("at", "event_id", "line")


def rfc3339(name: str) -> pl.Expr:
    return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%:z")


def lines(
    kind: str, status: str, table: pl.DataFrame, at: pl.Expr, names: list[str], *, region: str | None = None
) -> pl.DataFrame:
    rows = table.with_columns(at=at, status=pl.lit(status)).filter(pl.col("at").is_not_null())
    rows = rows.with_columns(
        event_id=pl.concat_str("order_id", pl.lit(f"-{kind}-{status}")),
        occurred_at=rfc3339("at"),
    )
    if region:
        rows = rows.with_columns(region=pl.col(region))
        names = [*names, "region"]
    written = [
        pl.when(pl.col(name).is_null()).then(pl.lit("")).otherwise(_property(name))
        for name in ["event_id", "source", "occurred_at", "status", *names]
    ]
    whole = pl.concat_str([pl.lit(f'{{"kind":"{kind}"'), *written, pl.lit("}")])
    return rows.select(pl.col("at").dt.timestamp("ms"), "event_id", line=whole)


def _property(name: str) -> pl.Expr:
    quote = "" if name == "amount" else '"'
    return pl.concat_str([pl.lit(f',"{name}":{quote}'), pl.col(name).cast(pl.String), pl.lit(quote)])


def convert(folder: Path, out: Path) -> int:
    """Writes the file and returns the number of events."""
    found = events(orders(folder))
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="\n") as file:
        for line in found["line"]:
            file.write(line + "\n")
    return len(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.olist", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    count = convert(chosen.folder, chosen.out)
    print(f"{count} events: {chosen.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
