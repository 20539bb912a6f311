"""Ten million live parcels: resident memory, a full sweep, the longest slice. `python -m benchmarks.speed.memory`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.speed.job import START_MS
from benchmarks.speed.ours import fixed_limits
from config.settings import EngineSettings
from monitor.columns import Scans
from monitor.engine import Engine
from monitor.engine.engine import SWEEPS_A_CENSUS, no_scans
from monitor.engine.layout import BUCKETS
from monitor.engine.stage import ParcelStage
from monitor.names import Names
from monitor.vocabulary import Status

BATCH = 50_000
SECOND = 1000
SMALL_FRAMES = 1000


def resident_gib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**30


def fill(engine: Engine, parcels: int) -> None:
    rng = np.random.default_rng(5)
    empty = no_scans()
    sizes = {name: getattr(empty, name).dtype for name in Scans.__slots__}
    for start in range(0, parcels, BATCH):
        rows = min(BATCH, parcels - start)
        scans = Scans(**{name: np.zeros(rows, kind) for name, kind in sizes.items()})
        scans.key0 = rng.integers(40**11, 40**12, rows, dtype=np.uint64)
        scans.occurred = START_MS + rng.integers(0, 86_400, rows) * SECOND
        scans.received = scans.occurred
        scans.status[:] = Status.DEPARTED
        scans.carrier[:] = rng.integers(1, 9, rows)
        scans.region[:] = rng.integers(1, 300, rows)
        scans.facility[:] = rng.integers(1, 4000, rows)
        scans.event = rng.integers(1, 2**63, rows).astype(np.uint64)
        scans.source[:] = 1
        scans.courier[:] = 1  # touches the background of every slot, as a real world would
        engine.stage.feed_scans(scans, engine.now)
    for _ in range(SMALL_FRAMES):  # a table's pages are moved some with each
        engine.stage.feed_scans(empty, engine.now)


def slices(stage: ParcelStage, now: int) -> None:
    """A pass over all buckets of each kind, and the longest second: of so many buckets, all as slow as the slowest."""
    swept = -(-BUCKETS // 60)
    counted = -(-swept // SWEEPS_A_CENSUS)

    def sweep(bucket: int) -> None:
        stage.table.soonest[bucket] = 0
        stage.sweep([bucket], now)

    passes: tuple[tuple[str, Callable[[int], None], int], ...] = (
        ("a full sweep, nothing due (all buckets looked at)", sweep, swept),
        ("a census of every parcel", lambda bucket: stage.census([bucket], now), counted),
        ("a sweep after a census", sweep, swept),
        ("a jam begins", lambda bucket: stage.hasten([bucket], now), swept),
    )
    for name, run, together in passes:
        run(0)  # loads the kernel
        times = []
        for bucket in range(BUCKETS):
            start = time.perf_counter(), time.process_time()
            run(bucket)
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        walls, cpus = zip(*times, strict=True)
        print(
            f"{name}: {sum(walls) * 1e3:.0f} ms ({sum(cpus) * 1e3:.0f} ms CPU); "
            f"a second's {together} buckets at most {max(walls) * together * 1e3:.1f} ms "
            f"({max(cpus) * together * 1e3:.1f} ms CPU)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.speed.memory", description=__doc__)
    parser.add_argument("--parcels", type=int, default=10_000_000)
    parser.add_argument("--room", type=int, help="max_live_parcels; as many as there are parcels")
    args = parser.parse_args()
    parcels, room = args.parcels, args.room or args.parcels
    names = Names()
    names.carriers.codes(f"carrier-{n}" for n in range(8))
    names.sources.code("feed")
    names.regions.codes(f"{11 + n % 31}{1 + n // 31:02d}00" for n in range(300))
    names.facilities.codes(f"hub-{n}" for n in range(4000))
    engine = Engine(EngineSettings(max_live_parcels=room), fixed_limits(), names, place=(), parcel=())
    stage = engine.stage
    engine.tick(START_MS + 86_400_000)
    before = resident_gib()
    cpu = time.process_time()
    fill(engine, parcels)
    cpu = time.process_time() - cpu
    print(f"{engine.live_parcels:,} live parcels, filled in {cpu:.1f} s of CPU")
    print(f"resident {resident_gib():.2f} GiB, {before:.2f} of it before the first parcel")
    slices(stage, START_MS // 1000 + 86_400)
    steps, longest = engine.copying("0-0"), 0.0
    while True:
        start_wall = time.perf_counter()
        try:
            next(steps)
        except StopIteration as end:
            seal = end.value
            break
        longest = max(longest, time.perf_counter() - start_wall)
    start_cpu = time.process_time()
    data = seal()
    sealed = time.process_time() - start_cpu
    print(
        f"dump {len(data) / 1e6:.0f} MB: copied in steps of at most {longest * 1e3:.1f} ms, sealed in {sealed:.1f} s of CPU"
    )
    print(f"resident with that dump: {resident_gib():.2f} GiB")


if __name__ == "__main__":
    main()
