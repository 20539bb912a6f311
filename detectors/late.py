"""`late_predicted`: a parcel that will probably miss its promise, said while there is still time to say it.

Waiting makes the judgement better: every day some doubtful parcels arrive. So an episode opens at the last useful
moment, `lead_days` before the promise, when the odds pass `open_score`; a day earlier it takes `early_score`, and
before that only what is all but sure. The life table of `detectors/transit.py` adds when the parcel will come.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.calibration import Calibration
from detectors.clock import DAY, HOUR, offset_of, promise_ends, stamp
from detectors.findings import Instant
from detectors.interfaces import Verdict
from detectors.lateness import FAR, Known, Lateness, WorkingDays, carrier_codes, days_out, lane_codes
from detectors.progress import Progress
from detectors.tables import Table, table_of
from detectors.transit import QUANTILES, Transit

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

EVENING: Final = 20 * HOUR  # by then nearly all that arrives on a day has arrived
_COLLECTED: Final = 12  # monitor.vocabulary.Status, which detectors do not import
_DELIVERED: Final = 13
_FORWARD: Final = frozenset(range(7))  # segments up to delivery
_NOT_HANDED: Final = -1
_PENDING: Final = 200_000
_KEEP_A_LOOK: Final = 256


class LatePredicted:
    name = "late_predicted"

    def __init__(
        self,
        *,
        timezone: str = "Asia/Shanghai",
        days_off: Collection[int] = (),
        lead_days: int = 2,
        open_score: float = 0.3,
        early_score: float = 0.45,
        sure_score: float = 0.9,
        close_score: float = 0.15,
        ready_cases: int = 300,
        every_hours: float = 3.0,
    ) -> None:
        """`days_off`: public holidays as local days since 1970; weekends need not be named."""
        self.every = int(every_hours * HOUR)
        self._timezone = timezone
        self._lead = lead_days
        self._open, self._early, self._sure, self._close = open_score, early_score, sure_score, close_score
        self._ready = ready_cases
        self._odds = Lateness(WorkingDays(frozenset(days_off)))
        self._progress = Progress()
        self._record = Calibration(open_score)
        self._transit = Transit()
        self._cases = 0
        self._forgot_at: Instant | None = None
        self._pending: dict[str, dict[str, Any]] = {}  # passed their promise on a day that is not over yet

    # -- judging

    def look(self, table: Table | pl.DataFrame, now: Instant) -> Sequence[Verdict]:
        parcels = table_of(table).frame()
        frame = parcels.filter(
            pl.col("promised").is_not_null()
            & (pl.col("ordered").is_not_null() | pl.col("accepted").is_not_null())
            & pl.col("segment").is_in(list(_FORWARD))
        )
        offset = offset_of(now, self._timezone)
        self._pass_time(now, offset)
        self._watch(parcels, now, offset)
        if frame.is_empty():
            return []
        known = self._known(frame, now, offset)
        left = known.promised - known.today
        judged = np.nonzero((left >= 0) & (left <= FAR))[0]
        if not len(judged) or self._cases < self._ready:
            self._remember(frame, known, judged, now)
            return []
        logit = self._odds.logit(known.take(judged)) + self._way(frame, judged, left[judged], now)
        probability = np.full(len(frame), np.nan)
        probability[judged] = self._record.apply(logit)
        self._remember(frame, known, judged, now)
        near = left[judged] <= self._lead + 1
        self._record.keep(frame["tracking_number"].gather(judged[near]).to_list(), logit[near])
        return self._verdicts(parcels, frame, known, probability, now)

    def _verdicts(
        self, parcels: pl.DataFrame, frame: pl.DataFrame, known: Known, probability: F64, now: Instant
    ) -> list[Verdict]:
        offset = offset_of(now, self._timezone)
        left = known.promised - known.today
        need = np.where(
            left <= self._lead, self._open, np.where(left == self._lead + 1, self._early, self._sure)
        )
        opened = frame["open"].fill_null(value=False).to_numpy()
        newly = ~opened & (probability >= need)
        ended = opened & (probability < self._close)
        fresh_day = (now + offset - EVENING) % DAY < self.every
        moved = opened & ~ended & np.isfinite(probability) & fresh_day
        rows = np.nonzero(newly | ended | moved)[0]
        if not len(rows):
            return []
        position = {name: row for row, name in enumerate(parcels["tracking_number"])}
        quantiles = self._quantiles(frame[rows], now)
        out = []
        for index, (row, values) in enumerate(zip(rows, frame[rows].iter_rows(named=True), strict=True)):
            evidence = self._evidence(values, float(probability[row]), int(left[row]), quantiles[index], now)
            score = round(float(probability[row]), 6)
            out.append(Verdict(position[values["tracking_number"]], not bool(ended[row]), score, evidence))
        return out

    def interval(
        self, row: Mapping[str, Any], now: Instant
    ) -> tuple[Instant, Instant, Instant, Instant] | None:
        """Delivery time at 10, 50, 90 and 95 % for one row of `parcels`; none before hand-over or while not ready."""
        times = self._times(row, now)
        return None if times is None else (times["p10"], times["p50"], times["p90"], times["p95"])

    def expected(self, row: Mapping[str, Any], now: Instant) -> tuple[Instant, Instant, Instant] | None:
        """At 5, 50 and 95 %."""
        times = self._times(row, now)
        return None if times is None else (times["p5"], times["p50"], times["p95"])

    def _times(self, row: Mapping[str, Any], now: Instant) -> dict[str, Instant] | None:
        if row.get("accepted") is None or row["accepted"] > now or self._transit.cases < self._ready:
            return None
        frame = pl.DataFrame(
            {name: [row.get(name)] for name in ("carrier", "origin", "destination", "accepted")}
        )
        return _named(self._quantiles(frame, now)[0])

    def probability(self, parcels: pl.DataFrame, now: Instant) -> F64:
        """P(late) by row, NaN where nothing can be said: for benchmarks and the parcel page."""
        out = np.full(len(parcels), np.nan)
        usable = parcels["promised"].is_not_null() & (
            parcels["ordered"].is_not_null() | parcels["accepted"].is_not_null()
        )
        rows = np.nonzero(usable.to_numpy())[0]
        if len(rows) and self._cases >= self._ready:
            frame = parcels[rows]
            known = self._known(frame, now, offset_of(now, self._timezone))
            left = known.promised - known.today
            logit = self._odds.logit(known) + self._way(frame, np.arange(len(frame)), left, now)
            out[rows] = np.where((left >= 0) & (left <= FAR), self._record.apply(logit), np.nan)
        return out

    # -- learning

    def learn(self, table: Table | pl.DataFrame, now: Instant) -> None:
        """Rows with `ended` null passed their promise still open; rows with it ended, and teach how long it took."""
        finished = table_of(table).frame()
        offset = offset_of(now, self._timezone)
        self._pass_time(now, offset)
        ended = finished.filter(
            pl.col("ended").is_not_null() & pl.col("status").is_in([_COLLECTED, _DELIVERED])
        )
        self._learn_durations(ended, offset)
        for name in finished.filter(pl.col("ended").is_not_null())["tracking_number"]:
            self._pending.pop(name, None)
        for row in finished.filter(pl.col("ended").is_null()).iter_rows(named=True):
            if len(self._pending) < _PENDING and row["promised"] is not None:
                self._pending[row["tracking_number"]] = row
        over = [name for name, row in self._pending.items() if promise_ends(row["promised"], offset) <= now]
        rows = [self._pending.pop(name) for name in over]
        missed = pl.DataFrame(rows, schema=finished.schema) if rows else finished.clear()
        self._learn_labels(ended, missed, offset)

    def _learn_durations(self, ended: pl.DataFrame, offset: int) -> None:
        timed = ended.filter(pl.col("accepted").is_not_null() & (pl.col("ended") > pl.col("accepted")))
        if timed.is_empty():
            return
        carrier, lane = self._names(timed)
        ends = timed["ended"].to_numpy().astype(np.float64)
        self._transit.end(ends - timed["accepted"].to_numpy(), carrier, lane, ends + offset)

    def _learn_labels(self, ended: pl.DataFrame, missed: pl.DataFrame, offset: int) -> None:
        kept = ended.filter(
            pl.col("promised").is_not_null()
            & (pl.col("ordered").is_not_null() | pl.col("accepted").is_not_null())
        )
        on_time = _ends_of(kept["promised"], offset) >= kept["ended"].to_numpy()
        late_known = missed.filter(pl.col("ordered").is_not_null() | pl.col("accepted").is_not_null())
        frame = pl.concat([kept.filter(pl.Series(on_time)), late_known])
        if frame.is_empty():
            return
        label = np.concatenate(
            [np.zeros(int(on_time.sum()), dtype=bool), np.ones(len(late_known), dtype=bool)]
        )
        known = self._known(frame, 0, offset)
        end_day = _days(frame["ended"].fill_null(2**52), offset)
        rows, parcel = days_out(known, np.minimum(end_day - 1, known.promised))
        self._odds.learn(rows, label[parcel])
        self._progress.learn(frame["tracking_number"].to_list(), label.tolist())
        self._record.learn(frame["tracking_number"].to_list(), label.tolist())
        self._cases += len(frame)

    def _pass_time(self, now: Instant, offset: int) -> None:
        self._transit.pass_time(now, offset)
        if self._forgot_at is None:
            self._forgot_at = now
        days = min((now - self._forgot_at) / DAY, 60.0)
        if days >= 1.0:
            self._odds.forget(days)
            self._progress.forget(self._progress.oldest(), days)
            self._record.pass_time(days)
            self._forgot_at = now

    def _watch(self, parcels: pl.DataFrame, now: Instant, offset: int) -> None:
        """Parcels seen under way are time waited."""
        under_way = parcels.filter(
            pl.col("accepted").is_not_null()
            & (pl.col("accepted") <= now)
            & pl.col("segment").is_in(list(_FORWARD))
        )
        if under_way.is_empty():
            return
        carrier, lane = self._names(under_way)
        age = now - under_way["accepted"].to_numpy().astype(np.float64)
        self._transit.wait(age, carrier, lane, now + offset, float(self.every))

    def _remember(self, frame: pl.DataFrame, known: Known, judged: I64, now: Instant) -> None:
        left = known.promised[judged] - known.today[judged]
        some = judged[left <= 10][:_KEEP_A_LOOK]
        if len(some):
            part = frame[some]
            age = now - part["segment_since"].fill_null(now).to_numpy().astype(np.float64)
            segment = part["segment"].fill_null(0).to_numpy().astype(np.int64)
            near = known.take(some)
            names = part["tracking_number"].to_list()
            self._progress.keep(names, segment, age, near.promised - near.today, self._odds.logit(near))

    # -- columns

    def _known(self, frame: pl.DataFrame, now: Instant, offset: int) -> Known:
        """The promise counts as the day in whose evening it ends; today is yesterday until the evening."""
        promised = _ends_of(frame["promised"], offset) - 1
        accepted = frame["accepted"]
        today = np.full(len(frame), (now + offset - EVENING) // DAY, dtype=np.int64)
        ordered = _days(frame["ordered"].fill_null(accepted), offset)
        handed = np.where(accepted.is_null().to_numpy(), _NOT_HANDED, _days(accepted.fill_null(0), offset))
        handed = np.where((now > 0) & (handed > today), np.maximum(today, ordered), handed)
        return Known(
            today,
            np.minimum(ordered, np.where(handed >= 0, handed, ordered)),
            handed,
            (promised + offset) // DAY,
            lane_codes(_lanes(frame)),
            carrier_codes(frame["carrier"].fill_null("").to_list()),
        )

    def _way(self, frame: pl.DataFrame, rows: I64, left: I64, now: Instant) -> F64:
        part = frame[rows]
        age = now - part["segment_since"].fill_null(now).to_numpy().astype(np.float64)
        return self._progress.correction(part["segment"].fill_null(0).to_numpy().astype(np.int64), age, left)

    def _names(self, frame: pl.DataFrame) -> tuple[I64, I64]:
        return self._transit.names(frame["carrier"].fill_null("").to_list(), _lanes(frame))

    def _quantiles(self, frame: pl.DataFrame, now: Instant) -> F64:
        carrier, lane = self._names(frame)
        accepted = frame["accepted"].fill_null(now).to_numpy().astype(np.float64)
        local = now + offset_of(now, self._timezone)
        return now + self._transit.remaining(np.maximum(now - accepted, 0.0), carrier, lane, local)

    def _evidence(
        self, row: Mapping[str, Any], probability: float, left: int, arrival: F64, now: Instant
    ) -> dict[str, Any]:
        number, since = row["tracking_number"], row["accepted"] or row["ordered"]
        quantiles = _named(arrival)
        promise, likely = stamp(row["promised"], self._timezone), stamp(quantiles["p50"], self._timezone)
        chance = round(100 * probability)
        return {
            "carrier": row["carrier"],
            "lane": "-".join(str(row[end]) for end in ("origin", "destination") if row[end]) or None,
            "facility": row["facility"],
            "region": row["destination"],
            "feed": row["feed"],
            "segment": row["segment"],
            "since": since,
            "age_hours": round((now - since) / HOUR, 1),
            "expected_hours": round((quantiles["p50"] - since) / HOUR, 1),
            "limit_hours": round((row["promised"] - since) / HOUR, 1),
            "cases": self._cases,
            "promised": row["promised"],
            "days_left": left,
            **quantiles,
            "zh": f"包裹 {number} 有 {chance}% 的可能赶不上 {promise} 的承诺，预计 {likely} 送达",
            "en": f"parcel {number} will miss its promise of {promise} with {chance} %, expected {likely}",
        }

    def state(self) -> dict[str, Any]:
        return {
            "odds": self._odds.state(),
            "progress": self._progress.state(),
            "record": self._record.state(),
            "transit": self._transit.state(),
            "cases": self._cases,
            "forgot_at": self._forgot_at,
            "pending": self._pending,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._odds.restore(state["odds"])
        self._progress.restore(state["progress"])
        self._record.restore(state["record"])
        self._transit.restore(state["transit"])
        self._cases = int(state["cases"])
        self._forgot_at = state["forgot_at"]
        self._pending = {str(name): dict(row) for name, row in state["pending"].items()}


def _days(times: pl.Series, offset: int) -> I64:
    return (times.to_numpy().astype(np.int64) + offset) // DAY


def _ends_of(promised: pl.Series, offset: int) -> I64:
    at = promised.to_numpy().astype(np.int64)
    midnight = (at % DAY == 0) | ((at + offset) % DAY == 0)
    return np.where(midnight, at + DAY, at)


def _named(times: F64) -> dict[str, Instant]:
    return {f"p{round(100 * q)}": int(at) for q, at in zip(QUANTILES, times, strict=True)}


def _lanes(frame: pl.DataFrame) -> list[str]:
    names = (pl.col(name).fill_null("") for name in ("carrier", "origin", "destination"))
    return frame.select(pl.concat_str(names, separator="|")).to_series().to_list()
