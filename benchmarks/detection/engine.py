"""The production engine over recorded events, without policy: for tables about what detectors find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from config.settings import Settings
from detectors.findings import Finding
from detectors.interfaces import ParcelDetector, PlaceDetector
from monitor.decode import Decoder
from monitor.engine import Engine
from monitor.names import Names
from monitor.replay import FRAME, Recording
from monitor.stream import Frame


def found_in(
    files: Sequence[Path],
    tick_seconds: int,
    *,
    place: Sequence[PlaceDetector] = (),
    parcel: Sequence[ParcelDetector] = (),
) -> list[Finding]:
    """In the order in which they come; ticks each `tick_seconds` of event time, to the end of the events."""
    settings = Settings.model_validate({"engine": {"sweep_seconds": max(60, tick_seconds)}})
    paced = settings.engine.model_copy(update={"tick_seconds": tick_seconds})
    names = Names()
    engine = Engine(paced, settings.detection, names, place=place, parcel=parcel)
    decoder, recording = Decoder(names), Recording.load(files)
    step = tick_seconds * 1000
    tick = int(recording.received[0]) // step * step + step
    found: list[Finding] = []
    start = 0
    while start < len(recording.lines):
        upto = int(recording.received.searchsorted(tick, side="right"))
        for begin in range(start, upto, FRAME):
            data = b"\n".join(recording.lines[begin : min(begin + FRAME, upto)])
            for decoded in decoder.decode([Frame("batch", data)]):
                found += engine.feed(decoded.batch)
        start = upto
        found += engine.tick(tick)
        tick += step
    return found
