"""Compiles every kernel by one small batch and one tick: the first start says what it waits for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors.backlog import stocks
from detectors.clock import HOURS_A_WEEK
from monitor.columns import Batch
from monitor.decode import Decoder, warm
from monitor.engine.engine import Engine
from monitor.names import Names
from monitor.stream import Frame

_NIGHT = "2026-01-05T0{hour}:00:00Z"


def warm_kernels(uptime: Callable[[], float]) -> float:
    """Seconds it took: some tenths where the compiled kernels were cached, half a minute where not."""
    began = uptime()
    warm()
    names = Names(places=1000, sides=1000)
    engine = Engine(EngineSettings(max_live_parcels=1000), DetectionSettings(), names)
    moment = 1_767_571_200_000
    for batch in _batches(names):
        engine.feed(batch)
        moment += 60_000
        engine.tick(moment)
    engine.parcel("WARM1")
    week = np.ones((1, HOURS_A_WEEK))
    stocks(week, week, week, np.zeros((1, 2)), np.ones(1), 0)  # else compiled when a facility is a week old
    Engine(EngineSettings(max_live_parcels=1000), DetectionSettings(), names).load(engine.dump())
    return uptime() - began


def _batches(names: Names) -> list[Batch]:
    order = '{"kind":"order","event_id":"o","source":"w","occurred_at":"%s","order_id":"W1","customer_id":"c","status":"paid"}'
    scan = (
        '{"kind":"tracking","event_id":"e%d","source":"w","occurred_at":"%s","tracking_number":"WARM1","carrier":"w",'
        '"status":"%s","region":"420100","facility":"H"}'
    )
    lines = [order % _NIGHT.format(hour=0)]
    lines += [
        scan % (row, _NIGHT.format(hour=row), status)
        for row, status in enumerate(
            ("accepted", "departed", "arrived", "out_for_delivery", "delivered"), start=1
        )
    ]
    frame = Frame("batch", "\n".join(lines).encode())
    return [decoded.batch for decoded in Decoder(names).decode([frame])]
