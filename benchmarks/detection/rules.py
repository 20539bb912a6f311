"""What others do about stalls, on the same events: alarms after so many hours, and a threshold per lane with hindsight.

A parcel waits from a scan until the next one is received; a rule fires when the wait grows beyond its limit. `waits`
gives each wait with its lane, `flat` and `lognormal` the episodes of a rule. The log-normal rule is fitted on the very
waits it judges, so it knows the future: a rule that must learn as it goes cannot have that.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from monitor.evaluate.records import EPISODE

HOUR = 3_600_000
OVER = ("delivered", "collected", "refused", "returned", "lost", "cancelled")
READ = (
    "kind", "tracking_number", "carrier", "status", "source", "occurred_at", "received_at", "origin_region", "region",
)  # fmt: skip
FEW = 10  # waits of a lane; below, the carrier's


def waits(events: Path, end: int) -> pl.DataFrame:
    """One row a wait: since `at` (known at `known`) until `until`, when the next newer scan was received, or the end."""
    read = pl.scan_ndjson(events, schema=dict.fromkeys(READ, pl.String))
    scans = (
        read.filter(pl.col("kind") == "tracking")
        .select(
            "tracking_number", "carrier", "status", "source",
            at=_moment("occurred_at"), known=_moment("received_at"),
        )
        .collect()
        .sort("known", maintain_order=True)
        .unique(["tracking_number", "at", "status"], keep="first", maintain_order=True)
    )  # fmt: skip
    lanes = (
        read.filter((pl.col("kind") == "order") & (pl.col("status") == "shipped"))
        .select("tracking_number", "origin_region", "region")
        .collect()
        .unique("tracking_number", maintain_order=True)
    )
    newest = pl.col("at") >= pl.col("at").cum_max().over("tracking_number")
    parcel = pl.col("tracking_number")
    steps = scans.filter(newest).with_columns(
        until=pl.col("known").shift(-1).over(parcel), finished=pl.col("status").is_in(OVER).any().over(parcel)
    )
    steps = steps.filter(~pl.col("status").is_in(OVER)).with_columns(
        open=pl.col("until").is_null(), until=pl.col("until").fill_null(end)
    )
    return steps.join(lanes, on="tracking_number", how="left").with_columns(
        hours=(pl.col("until") - pl.col("at")) / HOUR,
        lane=pl.concat_str("carrier", "origin_region", "region", "status", separator="|", ignore_nulls=True),
        leg=pl.concat_str("carrier", "status", separator="|"),
    )


def _moment(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", time_unit="ms").dt.timestamp("ms")


def flat(table: pl.DataFrame, hours: float) -> pl.DataFrame:
    return _episodes(table, pl.lit(hours), f"flat {hours:g} h")


def lognormal(table: pl.DataFrame, z: float) -> pl.DataFrame:
    logs = pl.col("hours").clip(lower_bound=0.05).log()
    done = ~pl.col("open")
    lane_n, leg_n = (done.sum().over(of) for of in ("lane", "leg"))
    fitted = table.with_columns(
        mean=pl.when(lane_n >= FEW)
        .then(logs.filter(done).mean().over("lane"))
        .otherwise(logs.filter(done).mean().over("leg")),
        sd=pl.when(lane_n >= FEW)
        .then(logs.filter(done).std().over("lane"))
        .otherwise(logs.filter(done).std().over("leg")),
    ).filter(leg_n >= FEW)
    return _episodes(fitted, (pl.col("mean") + z * pl.col("sd")).exp(), f"lane z {z:g}")


def _episodes(table: pl.DataFrame, limit: pl.Expr, name: str) -> pl.DataFrame:
    alarms = table.with_columns(limit=limit).filter(pl.col("hours") > pl.col("limit"))
    opened = pl.max_horizontal(pl.col("at") + (pl.col("limit") * HOUR).cast(pl.Int64), pl.col("known"))
    found = alarms.with_columns(opened=opened).filter(pl.col("opened") < pl.col("until"))
    return found.select(
        finding_id=pl.concat_str(pl.lit(f"{name}|"), "tracking_number", pl.lit("|"), "at"),
        detector=pl.lit(name), kind=pl.lit("facility_stalled"), family=pl.lit("stall"),
        key=pl.concat_str(pl.lit("parcel:"), "tracking_number"), subject_type=pl.lit("parcel"),
        subject_id="tracking_number", opened="opened", closed=pl.when(pl.col("open")).then(None).otherwise("until"),
        score=pl.lit(1.0), best=pl.lit(1.0), close_reason=pl.lit(None, dtype=pl.String), feed="source",
    ).cast(EPISODE)  # type: ignore[arg-type]  # fmt: skip
