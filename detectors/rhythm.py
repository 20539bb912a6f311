"""The usual of a quantity, by key and hour of the week: robust, and learned from a stream in bounded memory.

Per key a level (a running median on the log scale) and a scale of its deviations; over all keys one weekly curve,
from which each key's own curve departs as its own weeks come in. Steps are clipped, so a jam teaches
little, yet a lasting change is learned within some weeks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors import rhythm_kernels as kernels
from detectors.clock import HOURS_A_WEEK
from detectors.index import Index
from detectors.plain import pack, unpack
from detectors.tables import Coded

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

LEVEL_DAYS: Final = 7.0  # memory of a key's level
CURVE_WEEKS: Final = 4.0  # memory of its weekly curve
SCALE_FLOOR: Final = 0.1  # a constant stream still deviates by this: a tenth
CLIP: Final = 2.0
_SEEN: Final = 0.5  # an hour of the week that was there for half an hour was seen
_OWN: Final = 0.96  # an hour of its own, once, weighs about as much as the common curve
_YOUNG: Final = 2.0  # weeks in which an hour finds its place
_FIRST: Final = 256  # keys


class Rhythm:
    """Values must be finite and not negative; keys beyond `capacity` get no row (index -1) and are never judged. What is
    said here of hours of the week holds of stretches of `hours`, where these are more than one.
    """

    def __init__(self, capacity: int = 50_000, names: Index | None = None, *, hours: int = 1) -> None:
        """`names` may be those of another one, whose keys then have the same rows here."""
        self._capacity = capacity
        self.hours, self.slots = hours, HOURS_A_WEEK // hours
        self._day = hours / 24  # for which an hour of the week is seen a week
        self._names = Index(capacity) if names is None else names
        self._level = np.zeros(0)
        self._scale = np.zeros(0)
        self._days = np.zeros(0)
        self._own = np.zeros((self.slots, 0), dtype=np.float32)
        self._own_days = np.zeros((self.slots, 0), dtype=np.float32)
        self._shared = np.zeros(self.slots)
        self._shared_days = np.zeros(self.slots)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def own_hour(self) -> float:
        """Days of an hour of the week after which a key's own curve weighs as much as that of all."""
        return _OWN * self._day

    @property
    def _seen_days(self) -> float:
        return _SEEN * self._day

    @property
    def names(self) -> Index:
        """Of the keys, by row."""
        return self._names

    def key(self, row: int) -> str:
        return self._names.name(row)

    def row(self, key: str) -> int:
        """Entered where it is new; -1 where there is no room for it."""
        row = self._names.number(key)
        self.follow()
        return row

    def rows(self, keys: Iterable[str]) -> I64:
        return np.array([self.row(key) for key in keys], dtype=np.int64)

    def rows_of(self, column: Coded) -> I64:
        """As `rows`, of a column; not to be written to."""
        rows = self._names.of(column)
        self.follow()
        return rows

    def follow(self) -> None:
        """Keys that were entered by another one of these names."""
        self._grow(len(self._names))

    def renew(self, rows: I64) -> None:
        """Nothing is known of these any more."""
        for name in _PER_KEY:
            getattr(self, f"_{name}")[..., rows] = 0

    def days(self, rows: I64) -> F64:
        """How long each key has been learned, in days."""
        return np.where(rows >= 0, self._days[rows], 0.0) if len(self._days) else np.zeros(len(rows))

    def ages(self) -> F64:
        """As `days`, of every key; not to be written to."""
        return self._days[: len(self)]

    def usual(self, rows: I64, *hours: int) -> F64:
        """The largest of these hours of the week."""
        log = kernels.log_usual(
            rows, np.array(hours), self._level, self._own, self._own_days, self._shared, self.own_hour
        )
        return np.asarray(np.maximum(np.expm1(log), 0.0))

    def seen(self, rows: I64, *hours: int) -> npt.NDArray[np.bool_]:
        """Whether these hours of the week were there before: until then a Monday evening looks like a jam."""
        return np.asarray(kernels.seen(rows, np.array(hours), self._own_days, self._seen_days))

    def around(self, hours: Sequence[int], ready_days: float) -> tuple[F64, npt.NDArray[np.bool_]]:
        """Of every key the largest usual of these hours, and whether all of them were seen and so many days learned."""
        size = len(self)
        log, ready = np.empty(size), np.empty(size, np.bool_)
        kernels.around(
            size,
            np.array(hours),
            self._level,
            self._own,
            self._own_days,
            self._shared,
            self.own_hour,
            self._seen_days,
            log,
            ready,
        )
        return np.maximum(np.expm1(log), 0.0), ready & (self._days[:size] >= ready_days)

    def week(self, rows: I64) -> F64:
        """The usual of every hour of the week, one row a key."""
        own = self._own_days[:, rows].T.astype(np.float64)
        trust = own / (own + self.own_hour)
        log = self._level[rows][:, None] + self._shared + trust * (self._own[:, rows].T - self._shared)
        return np.maximum(np.expm1(log), 0.0)

    def levels(self) -> F64:
        """Of each key, on the log scale."""
        return self._level

    def curves(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], F64]:
        """By hour of the week, then key: each key's own, how long it was learned (days), and the curve of all."""
        return self._own, self._own_days, self._shared

    def scale(self, rows: I64) -> F64:
        return np.maximum(self._scale[rows], SCALE_FLOOR)

    def scales(self) -> F64:
        """As `scale`, of every key."""
        return np.maximum(self._scale[: len(self)], SCALE_FLOOR)

    def learn(self, rows: I64, hour: int, values: F64, days: float, weight: F64 | None = None) -> None:
        """`days`: how much time the values stand for; `weight` below 1 for what looks wrong."""
        share = np.ones(len(rows)) if weight is None else weight
        if not kernels.all_good(rows, values):
            good = (rows >= 0) & (values >= 0) & (values < np.inf)
            rows, values, share = rows[good], values[good], share[good]
        if not len(rows) or not days > 0:
            return
        missed = kernels.learn(
            rows,
            hour,
            values,
            days,
            share,
            self._level,
            self._scale,
            self._days,
            self._own,
            self._own_days,
            float(self._shared[hour]),
            SCALE_FLOOR,
            CLIP,
            self.own_hour,
            LEVEL_DAYS,
            CURVE_WEEKS * self._day,
            _YOUNG * self._day,
        )
        self._shared_days[hour] += days
        gain = min(1.0, days / min(max(self._shared_days[hour], days), CURVE_WEEKS * self._day))
        self._shared[hour] += gain * missed

    def _grow(self, size: int) -> None:
        have = len(self._level)
        if size <= have:
            return
        room = max(size, min(self._capacity, have * 4), _FIRST)
        for name in _PER_KEY:
            narrow = getattr(self, f"_{name}")
            wide = np.zeros((*narrow.shape[:-1], room), narrow.dtype)  # what is not used yet costs no memory
            wide[..., :have] = narrow
            setattr(self, f"_{name}", wide)

    def state(self) -> dict[str, Any]:
        size = len(self)
        arrays = {name: pack(getattr(self, f"_{name}")[..., :size].T) for name in _PER_KEY}
        return {
            "keys": list(self._names.names()),
            "shared": pack(self._shared),
            "shared_days": pack(self._shared_days),
            **arrays,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._names.restore(state["keys"])
        arrays = {name: unpack(state[name]) for name in (*_PER_KEY, "shared", "shared_days")}
        for curve in ("own", "shared"):
            days = f"{curve}_days"
            if arrays[curve].shape[-1] != self.slots:  # of a checkpoint that knew every hour
                arrays[curve], arrays[days] = _folded(arrays[curve], arrays[days], self.slots)
        for name, array in arrays.items():
            setattr(self, f"_{name}", np.ascontiguousarray(array.T))


def _folded(curve: npt.NDArray[Any], days: npt.NDArray[Any], slots: int) -> tuple[Any, Any]:
    """Hours of the week (the last axis) as stretches of some: their mean by the days that each was learned."""
    shape = (*curve.shape[:-1], slots, -1)
    parts, weights = curve.reshape(shape), days.reshape(shape)
    learned = weights.sum(axis=-1)
    mean = (parts * weights).sum(axis=-1) / np.maximum(learned, 1e-9)
    return mean.astype(curve.dtype), learned.astype(days.dtype)


_PER_KEY: Final = ("level", "scale", "days", "own", "own_days")  # in checkpoints by key, then hour
