"""The scorer of the Numenta Anomaly Benchmark, standard profile, and its windowed Gaussian detector.

A window's first alarm earns up to 1, more the earlier it comes; a missed window costs 1; an alarm outside costs 0.11,
less shortly after a window. The first 15 % of a file (at most 750 rows) are not judged. A set's score is scaled so
that silence is 0 and all windows found at their first row are 100.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

F64 = npt.NDArray[np.float64]
FALSE_ALARM, MISS = 0.11, 1.0


@dataclass(frozen=True, slots=True)
class File:
    name: str
    minutes: npt.NDArray[np.int64]  # since 1970, local as written
    values: F64
    windows: tuple[tuple[int, int], ...]  # first and last row

    @property
    def probation(self) -> int:
        return int(min(np.floor(0.15 * len(self.values)), 0.15 * 5000))


def load(folder: Path, names: Sequence[str]) -> list[File]:
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    return [_load(folder, name, labels[name]) for name in names]


def _load(folder: Path, name: str, windows: list[list[str]]) -> File:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    stamps = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    at = {stamp: index for index, stamp in enumerate(stamps)}
    spans = tuple((at[_moment(begin)], at[_moment(end)]) for begin, end in windows)
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  the files have no zone
    minutes = np.array([(stamp - epoch).total_seconds() // 60 for stamp in stamps], dtype=np.int64)
    return File(name, minutes, np.array([float(row["value"]) for row in rows]), spans)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:19])


def weight(position: npt.NDArray[np.float64] | float) -> Any:
    """Of an alarm at this place: -1 is the left edge of a window, 0 the right one, beyond 3 is far away."""
    place = np.asarray(position, dtype=np.float64)
    return np.where(place > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(place, 3))) - 1)


def score(file: File, alarms: npt.NDArray[np.bool_]) -> float:
    """Not scaled: between minus the number of windows (and worse) and their number."""
    rows = np.arange(len(alarms))
    inside = np.zeros(len(alarms), dtype=np.bool_)
    judged = rows >= file.probation
    total = 0.0
    outside = np.full(len(alarms), -1.0)
    for first, last in file.windows:
        inside[first : last + 1] = True
        width = last - first + 1
        outside[last + 1 :] = weight((rows[last + 1 :] - last) / (width - 1))
        if last < file.probation:
            continue
        hits = np.flatnonzero(alarms[first : last + 1] & judged[first : last + 1])
        earliest = float(weight(-(width - hits[0]) / width) / weight(-1.0)) if len(hits) else -MISS
        total += earliest
    return total + FALSE_ALARM * float(outside[alarms & ~inside & judged].sum())


def scaled(files: Sequence[File], alarms: Sequence[npt.NDArray[np.bool_]]) -> float:
    windows = sum(sum(last >= file.probation for _, last in file.windows) for file in files)
    total = sum(score(file, marks) for file, marks in zip(files, alarms, strict=True))
    return 100 * (total + windows) / (2 * windows)


def windowed_gaussian(values: F64, window: int = 6400, step: int = 100) -> F64:
    """NAB's own baseline: how far the value lies in a normal distribution of the window before it, 0.5 to 1."""
    said = np.zeros(len(values))
    mean, spread = 0.0, 1.0
    begin = 0
    for row, value in enumerate(values):
        if row:
            said[row] = ndtr(abs(value - mean) / spread)
        if row < window:
            known = values[: row + 1]
        elif (row + 1 - window) % step == 0:
            begin += step
            known = values[begin : begin + window]
        else:
            continue
        mean, spread = float(known.mean()), float(known.std()) or 1e-6
    return said
