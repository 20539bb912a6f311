"""What the census counts of waiting parcels, read by the ways there are: lanes, and carriers of parcels without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.tables import I64
from monitor.engine.stage import ParcelStage


class Counts(NamedTuple):
    """Numbers by cell and way: the code of a lane, or -1 less the code of a carrier."""

    cells: I64
    ways: I64
    numbers: I64


def read(stage: ParcelStage) -> Counts:
    cells = np.flatnonzero(stage.waited.by_age)
    lanes, carriers = _parts(stage)
    numbers = np.concatenate([stage.waited.by_lane[cells, part] for part in (lanes, carriers)], axis=1)
    ways = np.concatenate([np.arange(lanes.stop), -1 - np.arange(carriers.stop - carriers.start)])
    seen = np.flatnonzero(numbers.any(axis=0))
    return Counts(cells, ways[seen], numbers[:, seen].astype(np.int64))


def begin(stage: ParcelStage) -> None:
    """From nothing: what was counted is no longer needed."""
    cells = np.flatnonzero(stage.waited.by_age)
    for part in _parts(stage):
        stage.waited.by_lane[cells, part] = 0
    stage.waited.by_age[:] = 0


def state(stage: ParcelStage) -> list[bytes]:
    return [part.astype(np.int64).tobytes() for part in read(stage)]


def restore(stage: ParcelStage, saved: Sequence[bytes]) -> None:
    cells, ways, flat = (np.frombuffer(part, np.int64) for part in saved)
    numbers = flat.reshape(len(cells), len(ways))
    places = np.where(ways < 0, len(stage.world.lanes) - 1 - ways, ways)
    stage.waited.by_lane[cells[:, None], places] = numbers
    stage.waited.by_age[cells] = numbers.sum(axis=1)


def _parts(stage: ParcelStage) -> tuple[slice, slice]:
    """Of the counts by lane those in use: it has room for all there may be."""
    first = len(stage.world.lanes)
    return slice(stage.lane_count + 1), slice(first, first + len(stage.names.carriers) + 1)
