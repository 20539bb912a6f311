"""Which episode is about which anomaly.

An episode matches an anomaly of its own family (all stalls are one) when both are about the same thing and the episode
opened while the anomaly lasted, give or take what a feed needs to deliver the news:

* parcels and orders: the same parcel, or the same order where one of the two speaks of orders; opened between the
  anomaly's start and its end plus `LAG`. A signature or a loss has no end that matters: until a week later.
* `late_predicted` is held against parcels that then broke their promise.
* facilities, feeds, couriers, customers: the same id; carriers: the carrier, or a lane of it; regions: the same, a part
  or a whole (330100, 330000, CN). Opened from `EARLY` before the start until a day after the end.

An episode that only matches `minor` anomalies, or slow lanes during a jam or a storm, or is too young to judge, is
left out: neither right nor wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from monitor.evaluate.records import World

HOUR = 3_600_000
LAG = 4 * HOUR
EARLY = 6 * HOUR
DAY = 24 * HOUR
WEEK = 7 * DAY
FOREVER = 2**62
PLACES = frozenset({"facility_congested", "complaint_spike", "carrier_degraded", "feed_silent"})
LASTING = frozenset({"signature_suspect", "presumed_lost", "signature_suspect:courier", "repeat_complainer"})
YOUNG = 4 * DAY  # a late_predicted so near the end of the world may still come true


@dataclass(frozen=True, slots=True)
class Matched:
    """`pairs` has columns finding_id, anomaly; `left_out` the ids of episodes that are neither right nor wrong."""

    pairs: pl.DataFrame
    left_out: frozenset[str]


def match(found: pl.DataFrame, truth: pl.DataFrame, world: World) -> Matched:
    late = truth.filter(pl.col("family") == "promise_broken").with_columns(
        family=pl.lit("late_predicted"), starts=pl.lit(0, dtype=pl.Int64)
    )
    known = pl.concat([truth, late])
    pairs = pl.concat([_subjects(found, known), _places(found, known)]).unique(maintain_order=True)
    major = pairs.join(truth.filter(~pl.col("minor")).select("anomaly"), on="anomaly", how="semi")
    right = set(major["finding_id"].to_list())
    minor = set(pairs["finding_id"].to_list()) - right
    return Matched(major, frozenset(minor | _excused(found, truth, world, right)))


def _subjects(found: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    mine = truth.filter(~pl.col("family").is_in(list(PLACES)))
    own = pl.concat_str("subject_type", pl.lit(":"), "subject_id")
    keys = [
        own,
        pl.concat_str(pl.lit("parcel:"), "tracking_number"),
        pl.concat_str(pl.lit("order:"), "order_id"),
    ]
    spread = pl.concat([mine.with_columns(key=key) for key in keys]).drop_nulls("key")
    # a courier's or a customer's anomaly has an order for reference only
    personal = ~pl.col("subject_type").is_in(["parcel", "order"]) & (pl.col("key") != own)
    spread = spread.filter(~personal).unique(["anomaly", "family", "key"], maintain_order=True)
    lasting = pl.col("family").is_in(list(LASTING))
    until = (
        pl.when(lasting)
        .then(pl.col("starts") + WEEK * 4)
        .otherwise(pl.col("ends").fill_null(FOREVER - LAG) + LAG)
    )
    joined = found.join(
        spread.with_columns(until=until), on=["family", "key"], how="inner", maintain_order="left"
    )
    return joined.filter(
        (pl.col("opened") >= pl.col("starts")) & (pl.col("opened") <= pl.col("until"))
    ).select("finding_id", "anomaly")


def _places(found: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    rows = []
    mine = found.filter(pl.col("family").is_in(list(PLACES)))
    for anomaly in truth.filter(pl.col("family").is_in(list(PLACES))).iter_rows(named=True):
        until = anomaly["ends"] + DAY if anomaly["ends"] is not None else FOREVER
        timely = mine.filter(
            (pl.col("family") == anomaly["family"])
            & (pl.col("opened") >= anomaly["starts"] - EARLY)
            & (pl.col("opened") <= until)
        )
        rows += [
            {"finding_id": identity, "anomaly": anomaly["anomaly"]}
            for identity, kind, name in timely.select("finding_id", "subject_type", "subject_id").rows()
            if _same_place(kind, name, anomaly)
        ]
    return pl.DataFrame(rows, schema={"finding_id": pl.String, "anomaly": pl.Int64})


def _same_place(kind: str, name: str, anomaly: dict[str, object]) -> bool:
    other = str(anomaly["subject_id"])
    if kind == "region" and anomaly["subject_type"] == "region":
        one, two = (code.removesuffix("00").removesuffix("00").removesuffix("CN") for code in (name, other))
        return one.startswith(two) or two.startswith(one)
    if kind == "lane" and anomaly["subject_type"] == "carrier":
        return other in name.replace(":", "|").replace("/", "|").replace(">", "|").split("|")
    return kind == anomaly["subject_type"] and name == other


def _excused(found: pl.DataFrame, truth: pl.DataFrame, world: World, right: set[str]) -> set[str]:
    jams = truth.filter(pl.col("family") == "facility_congested").select("starts", "ends").rows()
    excused = set()
    for episode in found.filter(pl.col("family").is_in(["carrier_degraded", "late_predicted"])).iter_rows(
        named=True
    ):
        if episode["finding_id"] in right:
            continue
        if episode["family"] == "late_predicted":
            if episode["opened"] > world.end - YOUNG:
                excused.add(str(episode["finding_id"]))
        elif any(start <= episode["opened"] <= (end or FOREVER) + 2 * DAY for start, end in jams):
            excused.add(str(episode["finding_id"]))
    return excused
