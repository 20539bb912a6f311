"""Run by `test_warming` in an interpreter of its own: warms, then lives through a world of all sorts. Says which kernels
it needed beyond those; with `--later` likewise of a process that has not loaded what can come later, and then which those are.
"""

from __future__ import annotations

import gc
import io
import sys
import time
from collections.abc import Callable, Sequence

import polars as pl
from numba.core.dispatcher import Dispatcher

from config.detection import DetectionSettings
from config.settings import EngineSettings
from monitor.decode import Decoder
from monitor.engine import Engine, rehearsal
from monitor.engine.warming import warm_kernels
from monitor.linerows import PRESENCE
from monitor.names import Names
from monitor.simulate import World
from monitor.stream import Frame

HOUR = 3_600_000
START = 1_773_277_200_000
DAYS = 8


def known() -> set[str]:
    """Every kernel that was compiled or loaded, with the types of its arguments; the compiler's own are parts of ours."""
    kernels = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {
        f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__} {types}"
        for kernel in kernels
        if not kernel.py_func.__module__.startswith("numba.")
        for types in (*kernel.stats.cache_hits, *kernel.stats.cache_misses)
    }


def frames(lines: Sequence[bytes], number: int) -> list[Frame]:
    """By turns one of NDJSON, one event an entry, one of Arrow; and a line that is none."""
    if number % 3 == 0:
        return [Frame("batch", b"\n".join(lines))]
    if number % 3 == 1:
        return [Frame("e", line) for line in lines] + [Frame("batch", b"\n".join([*lines[:20], b"{"]))]
    scans = [line for line in lines if b'"tracking"' in line]
    if not scans:
        return []
    out = io.BytesIO()
    pl.read_ndjson(io.BytesIO(b"\n".join(scans))).write_ipc_stream(out)
    return [Frame("arrow", out.getvalue())]


def live() -> Engine:
    names = Names()
    settings = EngineSettings(max_live_parcels=20_000), DetectionSettings(learning_hours=0)
    engine, decoder = Engine(*settings, names), Decoder(names)
    world = World(1, START, parcels_per_day=120, history_days=6)
    for number, moment in enumerate(range(world.begin, world.begin + DAYS * 24 * HOUR, HOUR)):
        for decoded in decoder.decode(frames(world.until(moment), number)):
            engine.feed(decoded.batch)
        engine.tick(moment)
    assert engine.live_parcels > 100
    Engine(*settings, Names()).load(engine.dump())
    return engine


def say_new(before: set[str]) -> None:
    for kernel in sorted(known() - before):
        sys.stdout.write(f"{kernel[:200]}\n")  # the types of a world fill a page


def rehearse(parts: Sequence[Callable[[], None]]) -> None:
    for part in parts:
        part()


def main() -> None:
    if "--later" not in sys.argv:
        warm_kernels(time.monotonic)
        before = known()
        live()
        say_new(before)
        return
    rehearse(rehearsal.parts(arrow=True))
    before = known()
    with PRESENCE.away():
        live()
    say_new(before)
    sys.stdout.write("later:\n")
    before = known()
    rehearse(rehearsal.later())
    say_new(before)


if __name__ == "__main__":
    main()
