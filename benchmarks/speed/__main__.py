"""`make bench`: one table. Each group's naive rows, which come first, are what the others are compared with."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from dataclasses import replace

from benchmarks.speed.job import Counts, Measured, Row, World, make
from benchmarks.speed.naive import naive

# name, "module:function", group, takes a tenth of the input
ROWS: tuple[tuple[str, str, str, bool], ...] = (
    ("dictionary + river quantile, one by one", "benchmarks.speed.naive:naive", "decoded columns", False),
    ("ours, parcel stage", "benchmarks.speed.ours:parcel_stage", "decoded columns", False),
    ("ours, detectors of the main job", "benchmarks.speed.ours:main_detectors", "decoded columns", False),
    ("ours, every detector", "benchmarks.speed.ours:all_detectors", "decoded columns", False),
    ("naive: an entry an event, redis-py", "benchmarks.speed.from_redis:naive", "from Redis", False),
    ("naive: a consumer group, acknowledged", "benchmarks.speed.from_redis:naive_group", "from Redis", False),
    ("ours, NDJSON frames", "benchmarks.speed.from_redis:ndjson", "from Redis", False),
    ("ours, Arrow frames", "benchmarks.speed.from_redis:arrow", "from Redis", False),
    ("ours, NDJSON frames to columns", "benchmarks.speed.from_redis:ndjson_columns", "from Redis", False),
    ("ours, Arrow frames to columns", "benchmarks.speed.from_redis:arrow_columns", "from Redis", False),
    ("Redis, Lua and a sorted set", "benchmarks.speed.peers:redis_lua", "from Redis", True),
    ("bytewax, from memory", "benchmarks.speed.peers:bytewax", "from Redis", True),
    ("DuckDB polled, from memory", "benchmarks.speed.peers:duckdb_polled", "from Redis", False),
)


def rows() -> list[Row]:
    found = []
    for name, path, group, slow in ROWS:
        module, _, function = path.partition(":")
        found.append(Row(name, getattr(importlib.import_module(module), function), group, slow))
    return found


def truth(world: World, known: dict[int, Counts]) -> Counts:
    """What the plain loop counts."""
    if len(world) not in known:
        counts = naive(world).counts
        assert counts is not None
        known[len(world)] = counts
    return known[len(world)]


def is_naive(row: Row) -> bool:
    return row.run.__name__.startswith("naive")


def line(row: Row, measured: Measured, naives: list[Measured]) -> str:
    """With how many times faster it is than each naive row of its group."""
    per_event = measured.cpu / measured.events
    ratios = [f"{one.cpu / one.events / per_event:>7.1f}" for one in naives]
    counts = measured.counts
    told = f"{counts.opened:>7} {counts.closed:>7} {counts.live:>8}" if counts else f"{'':>24}"
    return (
        f"{row.name:<42} {measured.events / measured.wall / 1e3:>9.0f} {per_event * 1e6:>9.3f} {''.join(ratios):<15}{told}"
        f"  {measured.note}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__)
    parser.add_argument("--parcels", type=int, default=1_000_000, help="of the input; 8 scans each, six days")
    parser.add_argument("--only", default="", help="rows whose name holds this, besides the naive ones")
    options = parser.parse_args()
    print(f"making {options.parcels:,} parcels ...", file=sys.stderr, flush=True)
    world, tenth = make(options.parcels), make(options.parcels // 10)
    truths: dict[int, Counts] = {}
    head = f"{'':<42} {'k ev/s':>9} {'us cpu/ev':>9} {'x naive':>7}{'x acked':>8}{'opened':>7} {'closed':>7} {'live':>8}"
    naives: dict[str, list[Measured]] = {}
    wrong = False
    for row in rows():
        if row.group not in naives:
            naives[row.group] = []
            print(f"\n{row.group}\n{head}")
        if not is_naive(row) and options.only not in row.name:
            continue
        # The first run compiles, fills caches and is not counted.
        row.run(replace(world.head(min(len(world), 20_000)), _scans=None))
        taken = tenth if row.slow else world
        gc.collect()
        gc.freeze()  # the input is no part of the job: nobody's collector has to look at it
        measured = row.run(taken)
        if is_naive(row):
            naives[row.group].append(measured)
        print(line(row, measured, naives[row.group]), flush=True)
        if measured.counts and measured.counts != truth(taken, truths):
            wrong = True
            print(f"    the counts must be {truths[len(taken)]}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
