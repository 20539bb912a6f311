"""`python -m benchmarks.speed.restart`: from the start of `forestall run` to /readyz, with a million live parcels.

The checkpoint is one of the daemon's own: an engine filled with scans of the last hours, of which 3 % stall, so that
open episodes are in it, too. Beside it the same start with an empty data folder, and how long this machine takes for a
Python that imports nothing but numpy: what the wall clock says, and what the processor worked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from config.detection import DetectionSettings
from config.settings import EngineSettings, IncidentSettings
from monitor.checkpoint import Checkpoint, CheckpointFolder, pack
from monitor.columns import Scans
from monitor.engine import Engine
from monitor.engine.engine import no_scans
from monitor.engine.warming import warm_kernels
from monitor.incidents import Incidents
from monitor.names import Names
from monitor.vocabulary import Status
from tests.faults.process import TOKEN, Process, free_port

BATCH = 50_000
HOUR = 3_600_000
STALLED = 0.03


@dataclass(frozen=True, slots=True)
class Start:
    wall: float
    cpu: float


def scans(rng: np.random.Generator, rows: int, now: int) -> Scans:
    empty = no_scans()
    one = Scans(**{name: np.zeros(rows, getattr(empty, name).dtype) for name in Scans.__slots__})
    one.key0 = rng.integers(40**11, 40**12, rows, dtype=np.uint64)
    old = rng.random(rows) < STALLED
    one.occurred = now - np.where(old, 60 * HOUR, rng.integers(0, 6 * HOUR, rows))
    one.received = one.occurred
    one.status[:] = Status.DEPARTED
    one.carrier[:] = rng.integers(1, 9, rows)
    one.region[:] = rng.integers(1, 300, rows)
    one.facility[:] = rng.integers(1, 4000, rows)
    one.event = rng.integers(1, 2**63, rows).astype(np.uint64)
    one.source[:] = 1
    return one


def filled(parcels: int, now: int, most: int) -> tuple[Engine, int]:
    """The engine, and how many episodes are open in it."""
    names = Names()
    names.carriers.codes(f"carrier-{n}" for n in range(8))
    names.sources.code("feed")
    names.regions.codes(f"{11 + n % 31}{1 + n // 31:02d}00" for n in range(300))
    names.facilities.codes(f"hub-{n}" for n in range(4000))
    engine = Engine(EngineSettings(max_live_parcels=most), DetectionSettings(), names)
    rng = np.random.default_rng(5)
    engine.tick(now - 120_000)
    for start in range(0, parcels, BATCH):
        engine.stage.feed_scans(scans(rng, min(BATCH, parcels - start), now), engine.now)
    engine.tick(now)
    return engine, len(engine.episodes)


def write_checkpoint(folder: Path, parcels: int, most: int) -> str:
    now = time.time_ns() // 1_000_000 - 1000
    engine, episodes = filled(parcels, now, most)
    parts = {"engine": engine.dump(), "incidents": pack(Incidents(IncidentSettings()).state())}
    size = CheckpointFolder(folder / "checkpoints").write(Checkpoint(now, {"0": "0-0"}, parts))
    return f"{engine.live_parcels:,} live parcels, {episodes:,} open episodes, {size / 2**20:.0f} MiB"


def daemon_in(folder: Path, most: int) -> Process:
    port = free_port()
    config = folder / "forestall.toml"
    config.write_text(
        f'data_dir = "{folder}"\n[store]\nallow_unsafe_folder = true\n[http]\nport = {port}\ntoken = "{TOKEN}"\n'
        f"[engine]\nmax_live_parcels = {most}\n",
        encoding="utf-8",
    )
    return Process(config, folder / "log", port)


def start(daemon: Process) -> Start:
    began = time.perf_counter()
    daemon.start()
    try:
        while not ready(daemon.port):
            assert daemon.alive, daemon.log.read_text(encoding="utf-8")[-2000:]
            time.sleep(0.02)
        wall = time.perf_counter() - began
        assert daemon.running is not None
        text = Path(f"/proc/{daemon.running.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return Start(wall, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    finally:
        daemon.kill()


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def bare() -> Start:
    """A Python with numpy and nothing else."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Start(time.perf_counter() - began, cpu)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.speed.restart", description=__doc__)
    parser.add_argument("--parcels", type=int, default=1_000_000)
    parser.add_argument("--most", type=int, default=4_000_000, help="max_live_parcels")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    warm_kernels(time.monotonic)
    with tempfile.TemporaryDirectory(prefix="fr") as name:
        full, empty = Path(name) / "full", Path(name) / "empty"
        full.mkdir()
        empty.mkdir()
        print(write_checkpoint(full, options.parcels, options.most), flush=True)
        for _ in range(options.times):
            with_parcels, without = (
                start(daemon_in(full, options.most)),
                start(daemon_in(empty, options.most)),
            )
            python = bare()
            print(
                f"ready after {with_parcels.wall:.1f} s ({with_parcels.cpu:.1f} s CPU); with nothing to load "
                f"{without.wall:.1f} s ({without.cpu:.1f} s); a Python with numpy {python.wall:.2f} s "
                f"({python.cpu:.2f} s); load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
