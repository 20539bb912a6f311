"""Our engine on decoded columns: the parcel stage alone, and with every detector of the registry."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.speed.job import LIMIT_HOURS, Counts, Measured, World, hours
from config.calendars import CalendarRule
from config.detection import DetectionSettings, SegmentLimits, StallSettings
from config.settings import EngineSettings
from detectors import registry
from detectors.findings import State
from monitor import collector
from monitor.columns import Batch, Scans
from monitor.engine import Engine
from monitor.engine.engine import no_scans

FRAME = 5000


def fixed_limits() -> DetectionSettings:
    """The job's limits, on wall-clock time; everything else as usual."""
    limits = {
        segment.name.lower(): SegmentLimits(floor_hours=hours_, default_hours=hours_, ceiling_hours=hours_)
        for segment, hours_ in LIMIT_HOURS.items()
    }
    # Legs within a segment count like it, and a jam shortens nothing.
    limits |= {"origin": limits["facility"], "station": limits["delivery"], "again": limits["delivery"]}
    limits["cleared"] = limits["facility"]
    return DetectionSettings(
        stalls=StallSettings(jam_margin_hours=1000, onward_share=0, patience_hours=1440, **limits),
        calendars=(CalendarRule(),),
        lost_days=50,
        learning_hours=0,
    )


def settings_for(world: World) -> EngineSettings:
    """As a platform would have them, whose table fills."""
    return EngineSettings(
        max_live_parcels=max(len(world) // 4, 10_000), huge_pages="always", tick_seconds=3600
    )


def rows(scans: Scans, start: int, stop: int) -> Scans:
    return Scans(**{name: getattr(scans, name)[start:stop] for name in Scans.__slots__})


def parcel_stage(world: World) -> Measured:
    return _run(world, place=(), parcel=())


def main_detectors(world: World) -> Measured:
    """Stalls, broken promises, losses, silent feeds, jammed facilities."""
    place = [
        registry.place(name, {"timezone": "Asia/Shanghai"}) for name in ("feed_silent", "facility_congested")
    ]
    return _run(world, place=place, parcel=())


def all_detectors(world: World) -> Measured:
    return _run(world, place=None, parcel=None)


@contextmanager
def as_in_the_daemon() -> Iterator[None]:
    """With its collector of garbage."""
    before = gc.get_threshold()
    collector.look_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run(world: World, place: Sequence[Any] | None, parcel: Sequence[Any] | None) -> Measured:
    names, scans = world.scans()
    engine = Engine(settings_for(world), fixed_limits(), names, place=place, parcel=parcel)
    engine.tick(int(world.at[0]) - 1)
    engine.feed(Batch(no_scans()))
    opened = closed = 0
    with as_in_the_daemon():
        cpu, wall = time.process_time(), time.perf_counter()
        for start, end, now in hours(world):
            for first in range(start, end, FRAME):
                for finding in engine.feed(Batch(rows(scans, first, min(first + FRAME, end)))):
                    closed += finding.detector == "stall"
            for finding in engine.tick(now):
                opened += finding.detector == "stall" and finding.state is State.OPENED
        return Measured(
            len(world),
            time.perf_counter() - wall,
            time.process_time() - cpu,
            Counts(opened, closed, engine.live_parcels),
        )
