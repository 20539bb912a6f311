"""Sign-offs made together: how many others of the same courier within the minute, also across windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.clock import HOUR
from detectors.findings import Instant
from detectors.signoff_features import NEAR

_SCHEMA: Final = {
    "tracking_number": pl.String,
    "courier": pl.String,
    "occurred": pl.Int64,
    "received": pl.Int64,
}
_COURIER: Final = 10_000_000_000_000  # milliseconds since 1970 stay below it


class Gestures:
    def __init__(self, *, kept_hours: float = 6.0, capacity: int = 100_000) -> None:
        self._kept = int(kept_hours * HOUR)
        self._capacity = capacity
        self._recent = pl.DataFrame(schema=_SCHEMA)

    def together(self, frame: pl.DataFrame, now: Instant) -> tuple[npt.NDArray[np.float64], dict[str, float]]:
        """Counts by row of `frame`, and those of earlier sign-offs that the new ones joined."""
        fresh = frame.select(_SCHEMA.keys())
        known = pl.concat([self._recent, fresh])
        alone = known["courier"].is_null().to_numpy()
        codes = known["courier"].rank("dense").fill_null(0).to_numpy().astype(np.int64)
        keys = codes * _COURIER + known["occurred"].to_numpy()
        ordered = np.sort(keys[~alone])
        count = np.searchsorted(ordered, keys + NEAR, "right") - np.searchsorted(ordered, keys - NEAR) - 1.0
        count = np.where(alone, 0.0, count)
        before = len(self._recent)
        new = np.sort(keys[before:][~alone[before:]])
        old = keys[:before]
        joined = np.searchsorted(new, old + NEAR, "right") > np.searchsorted(new, old - NEAR)
        rows = np.flatnonzero(joined & ~alone[:before] & (count[:before] >= 2))
        names = self._recent["tracking_number"]
        grown = {names[int(row)]: float(count[row]) for row in rows}
        self._recent = known.filter(pl.col("received") > now - self._kept).tail(self._capacity)
        return count[before:], grown

    def state(self) -> dict[str, Any]:
        return {name: self._recent[name].to_list() for name in _SCHEMA}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._recent = pl.DataFrame({name: state[name] for name in _SCHEMA}, schema=_SCHEMA)
