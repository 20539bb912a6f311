"""Late before it is late, and the bound on transit time, on Olist: ours beside the floor, split in time.

The floor is one table P(late | days to the promise, days since hand-over), smoothed, learned online. Both are
run over all months in order and judged on the last ones only; labels come at delivery or the day after the promise.
A row judges what is still out at the end of a day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.detection import olist
from benchmarks.detection.tables import Options, show
from benchmarks.detection.waiting import waiting_in
from detectors.clock import DAY, HOUR
from detectors.late import LatePredicted
from detectors.tables import table_of

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
TEST_FROM = int(np.datetime64("2017-11-01").astype("datetime64[D]").astype(int))
EVERY = 6 * HOUR
RECALLS = (0.656, 0.842)


@dataclass(slots=True)
class Judged:
    """One row a parcel and day on which it was out at the day's end."""

    row: I64
    left: I64
    ours: F64
    floor: F64


class Floor:
    def __init__(self) -> None:
        self.cases, self.late = np.zeros((47, 72)), np.zeros((47, 72))

    def look(self, left: I64, age: I64) -> F64:
        smooth = [_smooth(table) for table in (self.late, self.cases)]
        return np.asarray(((smooth[0] + 0.1) / (smooth[1] + 1.0))[left, age])

    def learn(self, left: I64, age: I64, late: F64) -> None:
        np.add.at(self.cases, (left, age), 1.0)
        np.add.at(self.late, (left, age), late)

    def week(self) -> None:
        self.cases *= 0.97
        self.late *= 0.97


def _smooth(table: F64) -> F64:
    wide = np.pad(table, 1, mode="symmetric")
    parts = (wide[i : i + table.shape[0], j : j + table.shape[1]] for i in range(3) for j in range(3))
    return np.asarray(sum(parts, np.zeros_like(table)))


def replay(frame: pl.DataFrame, *, every: int = EVERY) -> tuple[Judged, F64]:
    """Also the 95 % bound given at hand-over, in milliseconds, NaN where not ready."""
    detector = LatePredicted(timezone="UTC", days_off=olist.days_off(), every_hours=every / HOUR)
    row_of = {name: row for row, name in enumerate(frame["tracking_number"])}
    bounds = np.full(len(frame), np.nan)
    days: list[tuple[I64, I64, F64]] = []
    accepted = frame["accepted"].to_numpy()
    promise = frame["promised"].to_numpy() // DAY
    for now, finished, parcels in olist.looks(frame, every):
        detector.learn(finished, now)
        detector.waited(waiting_in(table_of(parcels), now, every), now)
        detector.look(parcels, now)
        for values in parcels.filter(pl.col("accepted") > now - every).iter_rows(named=True):
            interval = detector.interval(values, max(values["accepted"], now - every))
            if interval is not None:
                bounds[row_of[values["tracking_number"]]] = interval[3] - values["accepted"]
        if now % DAY == 0 and len(parcels):
            rows = np.array([row_of[name] for name in parcels["tracking_number"]])
            left = promise[rows] - (now // DAY - 1)
            near = (left >= 0) & (left < 45)
            days.append((rows[near], left[near], detector.probability(parcels, now - 1)[near]))
    row, left, ours = (np.concatenate(part) for part in zip(*days, strict=True))
    age = np.minimum(promise[row] - left - accepted[row] // DAY, 71)
    return Judged(row, left, ours, _floor(frame, row, left, np.maximum(age, 0))), bounds


def _floor(frame: pl.DataFrame, row: I64, left: I64, age: I64) -> F64:
    promise = frame["promised"].to_numpy() // DAY
    ended = frame["ended"].fill_null(2**52).to_numpy() // DAY
    late = frame["late"].to_numpy().astype(np.float64)
    label_day = np.minimum(ended, promise + 1)[row]
    today = promise[row] - left
    table, out = Floor(), np.zeros(len(row))
    by_label, by_day = np.argsort(label_day, kind="stable"), np.argsort(today, kind="stable")
    for day in range(int(today.min()), int(today.max()) + 1):
        if day % 7 == 0:
            table.week()
        learnt = by_label[slice(*np.searchsorted(label_day[by_label], [day, day + 1]))]
        table.learn(left[learnt], age[learnt], late[row[learnt]])
        seen = by_day[slice(*np.searchsorted(today[by_day], [day, day + 1]))]
        out[seen] = table.look(left[seen], age[seen])
    return out


def average_precision(score: F64, truth: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    precision = hits / np.arange(1, len(order) + 1)
    return float((precision * truth[order]).sum() / max(hits[-1], 1))


def precision_at(score: F64, truth: npt.NDArray[np.bool_], total: int, recall: float) -> float:
    """Of the smallest set of highest scores that catches this share of all `total` late parcels."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    at = int(np.searchsorted(hits / total, recall))
    return float(hits[at] / (at + 1)) if at < len(hits) else float("nan")


def monthly_error(frame: pl.DataFrame, bounds: F64) -> tuple[float, list[tuple[str, float]]]:
    """Share of parcels above their bound by month of hand-over; the undelivered count as above."""
    took = frame["ended"].fill_null(2**52).to_numpy() - frame["accepted"].to_numpy()
    month = frame["accepted"].cast(pl.Datetime("ms")).dt.strftime("%Y-%m").to_numpy()
    given = np.isfinite(bounds)
    months = [name for name in np.unique(month[given]) if (given & (month == name)).sum() >= 200]
    shares = [(str(name), float((took > bounds)[given & (month == name)].mean())) for name in months]
    return float(np.mean([abs(share - 0.05) for _, share in shares])), shares


def table(options: Options) -> None:
    folder = options.data / "olist"
    if not folder.exists():
        print(f"late: no {folder}")
        return
    frame = olist.orders(folder).filter(pl.col("ended").is_null() | (pl.col("ended") >= pl.col("accepted")))
    judged, bounds = replay(frame)
    late = frame["late"].to_numpy()
    tested = (frame["ordered"].to_numpy() // DAY >= TEST_FROM) & frame["ended"].is_not_null().to_numpy()
    total = int((late & tested).sum())
    keep = tested[judged.row]
    rows: list[tuple[object, ...]] = []
    for name, score in (("floor: one table", judged.floor), ("ours", judged.ours)):
        ap = {k: keep & (judged.left == k) for k in (7, 5, 3, 2)}
        cells = [average_precision(score[at], late[judged.row[at]]) for at in ap.values()]
        two = ap[2]
        cells += [precision_at(score[two], late[judged.row[two]], total, recall) for recall in RECALLS]
        rows.append((name, *cells))
    base = [float(late[judged.row[keep & (judged.left == k)]].mean()) for k in (7, 5, 3, 2)]
    rows.append(("share late among those still out", *base, "", ""))
    columns = ("", "AP 7 days before", "AP 5", "AP 3", "AP 2", *(f"precision at recall {r}" for r in RECALLS))
    show(
        f"Olist in transit, bought from 2017-11: {tested.sum()} parcels, {total} late; recall of all late, "
        "alarms on the second day before the promise",
        columns,
        rows,
    )
    error, shares = monthly_error(frame, bounds)
    show(
        f"Olist, 95 % bound on transit time given at hand-over: mean monthly error {error:.4f}",
        ("month", *(month for month, _ in shares)),
        [("above the bound", *(share for _, share in shares))],
    )
