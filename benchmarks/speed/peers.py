"""What one might pick instead, on the same job, to the same counts.

Where the sources differ they favour the peers: DuckDB and bytewax are handed decoded columns in memory; only the Lua
row pays for Redis. What each leaves out of the job is in its note.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import redis

from benchmarks.speed.job import HOUR_MS, LIMIT_HOURS, SEGMENT_OF, Counts, Measured, World, hours
from benchmarks.speed.redis_world import valkey
from monitor.vocabulary import Status

DELIVERED = int(Status.DELIVERED)
LIMIT_MS = {int(segment): limit * HOUR_MS for segment, limit in LIMIT_HOURS.items()}
SEGMENT = {int(status): int(segment) for status, segment in SEGMENT_OF.items()}


def duckdb_polled(world: World) -> Measured:
    """One thread; each hour's scans as one batch: previous scans by window, upsert, sweep, a quantile a cell."""
    numbers = world.numbers()
    connection = duckdb.connect(config={"threads": 1})
    run = connection.execute
    run("create table limits (segment utinyint, most bigint)")
    run("create table segments (status utinyint, segment utinyint)")
    connection.executemany("insert into limits values (?, ?)", list(LIMIT_MS.items()))
    connection.executemany("insert into segments values (?, ?)", list(SEGMENT.items()))
    run(
        "create table parcels (number varchar primary key, moment bigint, lane bigint, segment utinyint, stalled boolean)"
    )
    opened = closed = 0
    cpu, wall = time.process_time(), time.perf_counter()
    for start, end, now in hours(world):
        if end > start:
            batch = pa.table(
                {
                    "number": numbers[start:end],
                    "moment": world.at[start:end],
                    "lane": world.lane[start:end],
                    "status": world.status[start:end],
                }
            )
            closed += _duckdb_batch(connection, batch)
        ((count,),) = run(
            "select count(*) from parcels join limits using (segment) where not stalled and ? - moment >= most",
            [now],
        ).fetchall()
        if count:
            run(
                "update parcels set stalled = true from limits where limits.segment = parcels.segment "
                "and not stalled and ? - moment >= most",
                [now],
            )
        opened += count
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ((live,),) = run("select count(*) from parcels").fetchall()
    connection.close()
    note = "polled hourly; quantiles of one hour only"
    return Measured(len(world), wall, cpu, Counts(opened, closed, live), note)


def _duckdb_batch(connection: Any, batch: pa.Table) -> int:
    connection.register("batch", batch)
    run = connection.execute
    run("create or replace temp table scans as select *, row_number() over () as place from batch")
    ((closed,),) = run(
        "select count(distinct number) from scans join parcels using (number) where stalled"
    ).fetchall()
    run(
        "select lane, before, approx_quantile(gap, 0.99) from ("
        " select s.lane as lane, s.moment - coalesce(lag(s.moment) over way, p.moment) as gap,"
        " coalesce(lag(g.segment) over way, p.segment) as before"
        " from scans s left join parcels p using (number) left join segments g on g.status = s.status"
        " window way as (partition by s.number order by s.place)) where gap is not null group by all"
    ).fetchall()
    run(
        "create or replace temp table newest as select number, last(moment order by place) as moment,"
        " last(lane order by place) as lane, last(status order by place) as status from scans group by number"
    )
    run("delete from parcels where number in (select number from newest where status = ?)", [DELIVERED])
    run(
        "insert or replace into parcels select number, moment, lane, segment, false"
        " from newest join segments using (status)"
    )
    connection.unregister("batch")
    return int(closed)


APPLY = """
local closed = 0
for place = 1, #ARGV, 4 do
    local number, status, at, lane = ARGV[place], ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    local known = redis.call('HMGET', 'p:' .. number, 'stalled', 'at')
    if known[1] == '1' then closed = closed + 1 end
    if status == KEYS[1] then
        if known[2] then
            redis.call('DEL', 'p:' .. number)
            redis.call('ZREM', 'due', number)
        end
    else
        local segment = redis.call('HGET', 'segments', status)
        local most = redis.call('HGET', 'limits', segment)
        redis.call('HSET', 'p:' .. number, 'at', at, 'lane', lane, 'segment', segment, 'stalled', '0')
        redis.call('ZADD', 'due', at + most, number)
    end
end
return closed
"""
SWEEP = """
local due = redis.call('ZRANGEBYSCORE', 'due', '-inf', ARGV[1])
for place = 1, #due do
    redis.call('ZREM', 'due', due[place])
    redis.call('HSET', 'p:' .. due[place], 'stalled', '1')
end
return #due
"""


def redis_lua(world: World) -> Measured:
    """A hash a parcel and one sorted set of deadlines, 500 scans a script; the work is the server's."""
    return asyncio.run(_redis_lua(world))


async def _redis_lua(world: World) -> Measured:
    numbers, status = world.numbers(), world.status.tolist()
    at, lane = world.at.tolist(), world.lane.tolist()
    async with valkey() as embedded:
        client = redis.Redis(unix_socket_path=str(embedded.socket), protocol=2)
        client.config_set("appendonly", "no")
        client.hset("limits", mapping=LIMIT_MS)  # type: ignore[arg-type]
        client.hset("segments", mapping=SEGMENT)  # type: ignore[arg-type]
        apply, sweep = client.register_script(APPLY), client.register_script(SWEEP)
        opened = closed = 0
        server = _server_cpu(client)
        cpu, wall = time.process_time(), time.perf_counter()
        for start, end, now in hours(world):
            for first in range(start, end, 500):
                arguments: list[Any] = []
                for row in range(first, min(first + 500, end)):
                    arguments += (numbers[row], status[row], at[row], lane[row])
                closed += apply(keys=[DELIVERED], args=arguments)
            opened += sweep(args=[now])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu + _server_cpu(client) - server
        live = sum(1 for _ in client.scan_iter("p:*", count=10_000))
        client.close()
    note = "cpu of server and client; learns no quantile"
    return Measured(len(world), wall, cpu, Counts(opened, closed, live), note)


def _server_cpu(client: Any) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_sys"] + info["used_cpu_user"])


@dataclass(slots=True)
class _Known:
    at: int
    segment: int


def bytewax(world: World) -> Measured:
    """A stateful map a parcel. It is not woken by time: a stall is found when the parcel moves, or at the end."""
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.operators import StatefulLogic
    from bytewax.testing import TestingSink, TestingSource, run_main

    marks = [mark for _, _, mark in hours(world)]
    final = marks[-1]

    def stalled(known: _Known, now: int) -> bool:
        due = known.at + LIMIT_MS[known.segment]
        return (due + HOUR_MS - 1) // HOUR_MS * HOUR_MS <= now

    class Parcel(StatefulLogic[tuple[int, int], tuple[int, int, int], _Known | None]):
        def __init__(self, known: _Known | None) -> None:
            self.known = known

        def on_item(self, value: tuple[int, int]) -> tuple[list[tuple[int, int, int]], bool]:
            status, at = value
            late = self.known is not None and stalled(self.known, at)
            told = [(1, 1, 0)] if late else []
            if status == DELIVERED:
                return told, True
            self.known = _Known(at, SEGMENT[status])
            return told, False

        def on_eof(self) -> tuple[list[tuple[int, int, int]], bool]:
            assert self.known is not None
            return [(int(stalled(self.known, final)), 0, 1)], True

        def snapshot(self) -> _Known | None:
            return self.known

    items = list(
        zip(world.numbers(), zip(world.status.tolist(), world.at.tolist(), strict=True), strict=True)
    )
    flow = Dataflow("stalls")
    told: list[Any] = []
    scans = op.input("scans", flow, TestingSource(items, batch_size=1000))
    found = op.stateful("parcels", scans, Parcel)
    op.output("stalls", found, TestingSink(told))
    cpu, wall = time.process_time(), time.perf_counter()
    run_main(flow)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    opened, closed, live = (sum(change[place] for _, change in told) for place in range(3))
    note = "no sweep, learns no quantile"
    return Measured(len(world), wall, cpu, Counts(opened, closed, live), note)
