"""How long the parcels of a stream without an engine have waited."""

from __future__ import annotations

import numpy as np

from detectors.findings import Instant
from detectors.interfaces import Waiting
from detectors.tables import LANE, Coded, Table
from detectors.transit import BIN, BINS, FORWARD


def waiting_in(parcels: Table, now: Instant, span: int) -> Waiting:
    """As the engine counts its parcels, of a table of `parcels`; `span` in milliseconds, as `Waiting` has it."""
    accepted, segment = parcels.whole("accepted"), parcels.narrow("segment")
    rows = np.flatnonzero((accepted > 0) & (accepted <= now) & (segment < FORWARD))
    lane = parcels.coded(LANE)
    ways, first, way = np.unique(lane.codes[rows], return_index=True, return_inverse=True)
    cells, cell = np.unique(np.minimum((now - accepted[rows]) // BIN, BINS - 1), return_inverse=True)
    counts = np.zeros((len(cells), len(ways)), np.int64)
    np.add.at(counts, (cell, way), 1)
    carrier = parcels.coded("carrier")
    known = Coded(carrier.codes[rows[first]], carrier.texts), Coded(ways, lane.texts)
    return Waiting(cells, counts, *known, span)
