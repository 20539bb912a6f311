"""How events reach the shop: late, twice, in another order, in one heap after a silence; and as lines of NDJSON."""

from __future__ import annotations

import numpy as np
import polars as pl

from monitor.simulate.faults import Plan
from monitor.simulate.network import FEEDS, Floats
from monitor.simulate.rhythm import HOUR, OFFSET

TIMES = frozenset({"_at", "promised_at"})
RAW = frozenset({"contact", "extra", "latitude", "longitude", "amount"})


def deliver(rng: np.random.Generator, plan: Plan, events: pl.DataFrame) -> pl.DataFrame:
    """Adds `_received` and the events that come twice; what an outage swallows is gone."""
    at = events["_at"].to_numpy().astype(np.float64)
    feed = events["source"].to_numpy()
    received = np.empty(len(at))
    twice = np.zeros(len(at), dtype=np.bool_)
    for name in sorted(set(feed.tolist())):
        rows = np.flatnonzero(feed == name)
        came = at[rows] + rng.lognormal(np.log(FEEDS[name].lag), 0.9, len(rows)) * 1000.0
        straggling = rng.random(len(rows)) < 0.004
        came += np.where(straggling, rng.lognormal(np.log(2.5), 0.8, len(rows)) * HOUR, 0.0)
        if FEEDS[name].poll:
            period = FEEDS[name].poll * 1000.0
            came = np.ceil(came / period) * period + rng.uniform(500, 20_000, len(rows))
        received[rows] = came
        twice[rows] = rng.random(len(rows)) < FEEDS[name].doubled
    first = events.with_columns(pl.Series("_received", np.floor(received).astype(np.int64)))
    again = received[twice] + rng.lognormal(np.log(0.7), 1.2, int(twice.sum())) * HOUR
    second = first.filter(pl.Series(twice)).with_columns(
        pl.Series("_received", np.floor(again).astype(np.int64))
    )
    return _silence(rng, plan, pl.concat([first, second]))


def _silence(rng: np.random.Generator, plan: Plan, events: pl.DataFrame) -> pl.DataFrame:
    for outage in plan.outages:
        received = events["_received"].to_numpy().astype(np.float64)
        held = (
            (events["source"] == outage.feed).to_numpy()
            & (received >= outage.start)
            & (received < outage.end)
        )
        heap = outage.end + _heap(rng, received, outage.start, outage.end)
        gone = held & (rng.random(len(received)) < outage.gone)
        events = events.with_columns(
            pl.Series("_received", np.where(held, np.floor(heap), received).astype(np.int64))
        ).filter(pl.Series(~gone))
    return events


def _heap(rng: np.random.Generator, received: Floats, start: int, end: int) -> Floats:
    """What waited comes within forty minutes, roughly in order."""
    share = (received - start) / (end - start)
    return np.asarray((share + rng.uniform(0, 0.1, len(received))) * 40 * 60_000.0)


def moment(name: str, *, thousandths: bool = False) -> pl.Expr:
    local = pl.from_epoch(pl.col(name) + OFFSET, time_unit="ms")
    return local.dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+08:00" if thousandths else "%Y-%m-%dT%H:%M:%S+08:00")


def lines(kind: str, events: pl.DataFrame) -> pl.DataFrame:
    """Columns `_received`, `event_id`, `line`: absent properties are left out, not null."""
    pieces = [
        pl.lit(f'{{"kind":"{kind}","event_id":"'),
        pl.col("event_id"),
        pl.lit('","source":"'),
        pl.col("source"),
        pl.lit('","occurred_at":"'),
        moment("_at"),
        pl.lit('","received_at":"'),
        moment("_received", thousandths=True),
        pl.lit('"'),
    ]
    for name in events.columns:
        if name.startswith("_") or name in {"event_id", "source"}:
            continue
        value = moment(name) if name in TIMES else pl.col(name).cast(pl.String)
        quote = "" if name in RAW else '"'
        written = pl.concat_str([pl.lit(f',"{name}":{quote}'), value, pl.lit(quote)])
        pieces.append(pl.when(pl.col(name).is_null()).then(pl.lit("")).otherwise(written))
    return events.select("_received", "event_id", line=pl.concat_str([*pieces, pl.lit("}")]))


def in_order(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """By the moment of delivery; ties by id, so that a seed gives one file."""
    return pl.concat(parts).sort("_received", "event_id", "line")
