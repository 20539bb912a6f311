"""The usual of a quantity, by key and hour of the week: robust, and learned from a stream in bounded memory.

Per key a level (a running median on the log scale) and a scale of its deviations; over all keys one weekly curve,
from which each key's own curve departs as its own weeks come in. Steps are clipped, so a jam teaches
little, yet a lasting change is learned within some weeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.clock import HOURS_A_WEEK
from detectors.plain import pack, unpack

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

LEVEL_DAYS: Final = 7.0  # memory of a key's level
CURVE_WEEKS: Final = 4.0  # memory of its weekly curve
SCALE_FLOOR: Final = 0.1  # a constant stream still deviates by this: a tenth
CLIP: Final = 2.0
_OWN_HOUR: Final = 0.04  # days: an hour of its own, once, weighs as much as the common curve


class Rhythm:
    """Values must be finite and not negative; keys beyond `capacity` get no row (index -1) and are never judged."""

    def __init__(self, capacity: int = 50_000) -> None:
        self._capacity = capacity
        self._rows: dict[str, int] = {}
        self._level = np.zeros(0)
        self._scale = np.zeros(0)
        self._days = np.zeros(0)
        self._own = np.zeros((0, HOURS_A_WEEK), dtype=np.float32)
        self._own_days = np.zeros((0, HOURS_A_WEEK), dtype=np.float32)
        self._shared = np.zeros(HOURS_A_WEEK)
        self._shared_days = np.zeros(HOURS_A_WEEK)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._rows)

    def rows(self, keys: Sequence[str]) -> I64:
        for key in keys:
            if key not in self._rows and len(self._rows) < self._capacity:
                self._rows[key] = len(self._rows)
        self._grow(len(self._rows))
        return np.array([self._rows.get(key, -1) for key in keys], dtype=np.int64)

    def days(self, rows: I64) -> F64:
        """How long each key has been learned, in days."""
        return np.where(rows >= 0, self._days[rows], 0.0) if len(self._days) else np.zeros(len(rows))

    def log_usual(self, rows: I64, hour: int) -> F64:
        own = self._own_days[rows, hour].astype(np.float64)
        trust = own / (own + _OWN_HOUR)
        shared = self._shared[hour]
        return np.asarray(
            self._level[rows] + shared + trust * (self._own[rows, hour] - shared), dtype=np.float64
        )

    def seen(self, rows: I64, hour: int) -> npt.NDArray[np.bool_]:
        """Whether this hour of the week was there before: until then a Monday evening looks like a jam."""
        return np.asarray(self._own_days[rows, hour] >= 0.5 / 24)

    def usual(self, rows: I64, hour: int) -> F64:
        return np.maximum(np.expm1(self.log_usual(rows, hour)), 0.0)

    def week(self, rows: I64) -> F64:
        """The usual of every hour of the week, one row a key."""
        own = self._own_days[rows].astype(np.float64)
        trust = own / (own + _OWN_HOUR)
        log = self._level[rows][:, None] + self._shared + trust * (self._own[rows] - self._shared)
        return np.maximum(np.expm1(log), 0.0)

    def scale(self, rows: I64) -> F64:
        return np.maximum(self._scale[rows], SCALE_FLOOR)

    def learn(self, rows: I64, hour: int, values: F64, days: float, weight: F64 | None = None) -> None:
        """`days`: how much time the values stand for; `weight` below 1 for what looks wrong."""
        good = (rows >= 0) & np.isfinite(values) & (values >= 0)
        rows, values = rows[good], values[good]
        if not len(rows) or not days > 0:
            return
        share = np.ones(len(rows)) if weight is None else weight[good]
        seen = np.log1p(values)
        fresh = self._days[rows] == 0
        self._level[rows[fresh]] = seen[fresh] - self._shared[hour]
        scale = self.scale(rows)
        # the first day, and an hour's first two weeks, find their place nearly without a clip
        fresh_hour = self._own_days[rows, hour] < 2.0 / 24
        young = np.where((self._days[rows] < 1.0) | fresh_hour, 1.0, scale)
        miss = np.clip(seen - self.log_usual(rows, hour), -CLIP * young, CLIP * young)
        step = share * days
        self._days[rows] += days
        self._level[rows] += miss * np.minimum(1.0, step / np.minimum(self._days[rows], LEVEL_DAYS))
        self._learn_curves(rows, hour, miss, step, days)
        spread = 1.25 * np.abs(miss)
        self._scale[rows] += (spread - self._scale[rows]) * np.minimum(
            1.0, step / np.minimum(self._days[rows], LEVEL_DAYS)
        )

    def _learn_curves(self, rows: I64, hour: int, miss: F64, step: F64, days: float) -> None:
        memory = CURVE_WEEKS / 24  # an hour of the week is seen for 1/24 day a week
        self._shared_days[hour] += days
        gain = min(1.0, days / min(max(self._shared_days[hour], days), memory))
        self._shared[hour] += gain * float(np.median(miss))
        self._own_days[rows, hour] += np.float32(days)
        own_gain = np.minimum(1.0, step / np.minimum(self._own_days[rows, hour].astype(np.float64), memory))
        self._own[rows, hour] += (own_gain * miss).astype(np.float32)

    def _grow(self, size: int) -> None:
        have = len(self._level)
        if size <= have:
            return
        room = max(size, min(self._capacity, have * 2), 16)
        more = room - have
        self._level = np.concatenate([self._level, np.zeros(more)])
        self._scale = np.concatenate([self._scale, np.zeros(more)])
        self._days = np.concatenate([self._days, np.zeros(more)])
        blank = np.zeros((more, HOURS_A_WEEK), dtype=np.float32)
        self._own = np.concatenate([self._own, blank])
        self._own_days = np.concatenate([self._own_days, blank])

    def state(self) -> dict[str, Any]:
        size = len(self._rows)
        arrays = {name: pack(getattr(self, f"_{name}")[:size]) for name in _PER_KEY}
        return {
            "keys": list(self._rows),
            "shared": pack(self._shared),
            "shared_days": pack(self._shared_days),
            **arrays,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rows = {str(key): row for row, key in enumerate(state["keys"])}
        self._shared = unpack(state["shared"])
        self._shared_days = unpack(state["shared_days"])
        for name in _PER_KEY:
            setattr(self, f"_{name}", unpack(state[name]))


_PER_KEY: Final = ("level", "scale", "days", "own", "own_days")
