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
from detectors.clock import DAY, HOUR, is_date, offset_of
from detectors.deferred import Deferred
from detectors.findings import Instant
from detectors.interfaces import SCHEMAS, Verdict, Waiting
from detectors.late_words import late_evidence, named_quantiles
from detectors.lateness import FAR, Known, Lateness, WorkingDays, carrier_code, days_out, lane_code
from detectors.outcomes import Outcomes
from detectors.progress import Progress
from detectors.tables import F64, I64, LANE, SECOND, Rows, Table, table_of
from detectors.transit import FORWARD, Transit

EVENING: Final = 20 * HOUR  # by then nearly all that arrives on a day has arrived
_COLLECTED: Final = 12  # monitor.vocabulary.Status, which detectors do not import
_DELIVERED: Final = 13
_NOT_HANDED: Final = -1
_A_SECOND: Final = 1_000  # parcels taught
_AT_ONCE: Final = 20_000
_KEEP_A_LOOK: Final = 256


class LatePredicted:
    name = "late_predicted"
    only_promised = True

    def __init__(
        self,
        *,
        timezone: str = "Asia/Shanghai",
        days_off: Collection[int] = (),
        lead_days: int = 2,
        open_score: float = 0.35,
        early_score: float = 0.5,
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
        self._outcomes = Outcomes()
        self._taught_at: Instant = 0
        self._codes = Codes()

    # -- judging

    def look(self, parcels: Table | pl.DataFrame, now: Instant) -> Sequence[Verdict]:
        table = table_of(parcels)
        offset = offset_of(now, self._timezone)
        self._pass_time(now, offset)
        self._teach(now)
        judged = self._promised(table, now, offset)
        if not len(judged):
            return []
        part = table.take(judged)
        known = self._known(part, now, offset, self._codes)
        left = known.promised - known.today
        self._remember(part, known, left, now)
        if self._cases < self._ready:
            return []
        logit = self._odds.logit(known) + self._way(part, left, now)
        self._keep(part, logit, left)
        if not self._record.ready:  # it is held to its record before it speaks
            return []
        return self._verdicts(part, judged, self._record.apply(logit), left, now)

    def _promised(self, table: Table, now: Instant, offset: int) -> I64:
        """Rows under way whose promise is ahead and near enough to be judged."""
        promised = table.seconds("promised")
        rows = np.flatnonzero(promised)
        if not len(rows):
            return rows
        left = _day_of(promised[rows] * np.int64(SECOND), offset) - _today(now, offset)
        rows = rows[(left >= 0) & (left <= FAR) & (table.narrow("segment")[rows] < FORWARD)]
        part = table.take(rows)
        return rows[(part.seconds("accepted") > 0) | (part.seconds("ordered") > 0)]

    def _keep(self, part: Table, logit: F64, left: I64) -> None:
        """Of those spoken of soon, what is said now, to be held against what comes."""
        said = np.flatnonzero((left <= self._lead + 1) & (logit >= self._record.threshold))
        if len(said):
            some = part.take(said)
            order = np.argsort(some.rank(), kind="stable")
            self._record.keep(_texts(some.labels("tracking_number", order)), logit[said[order]])

    def _verdicts(self, part: Table, judged: I64, probability: F64, left: I64, now: Instant) -> list[Verdict]:
        """`judged` are the rows of `part` in the table that was given."""
        need = np.where(
            left <= self._lead, self._open, np.where(left == self._lead + 1, self._early, self._sure)
        )
        opened = part.whole("open") != 0
        newly = ~opened & (probability >= need)
        ended = opened & (probability < self._close)
        fresh_day = (now + offset_of(now, self._timezone) - EVENING) % DAY < self.every
        moved = opened & ~ended & fresh_day
        rows = np.flatnonzero(newly | ended | moved)
        if not len(rows):
            return []
        some = part.take(rows)
        quantiles = self._quantiles(some, now)
        out = []
        for index, values in enumerate(some.frame().iter_rows(named=True)):
            row = rows[index]
            chance = float(probability[row])
            told = (values, chance, int(left[row]), quantiles[index], now, self._cases, self._timezone)
            evidence, score = Deferred(late_evidence, *told), round(chance, 6)
            out.append(Verdict(int(judged[row]), not bool(ended[row]), score, evidence))
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
        carrier, *ends = (row.get(name) or "" for name in ("carrier", "origin", "destination"))
        rows = self._transit.names([carrier], ["|".join((carrier, *ends))])
        age = np.array([float(now - row["accepted"])])
        return named_quantiles(
            now + self._transit.remaining(age, *rows, now + offset_of(now, self._timezone))[0]
        )

    def calibration_error(self) -> float | None:
        return self._record.error()

    def probability(self, parcels: Table | pl.DataFrame, now: Instant) -> F64:
        """P(late) by row, NaN where nothing can be said: for benchmarks and the parcel page."""
        table, offset = table_of(parcels), offset_of(now, self._timezone)
        out = np.full(len(table), np.nan)
        rows = np.flatnonzero(
            (table.whole("promised") > 0) & ((table.whole("ordered") > 0) | (table.whole("accepted") > 0))
        )
        if len(rows) and self._cases >= self._ready:
            part = table.take(rows)
            known = self._known(part, now, offset, Codes())
            left = known.promised - known.today
            logit = self._odds.logit(known) + self._way(part, left, now)
            out[rows] = np.where((left >= 0) & (left <= FAR), self._record.apply(logit), np.nan)
        return out

    # -- learning

    def waited(self, waiting: Waiting, now: Instant) -> None:
        offset = offset_of(now, self._timezone)
        self._pass_time(now, offset)
        self._transit.wait(waiting, now + offset)

    def learn(self, finished: Table | pl.DataFrame, now: Instant) -> None:
        """Rows with `ended` null passed their promise still open; rows with it ended, and teach how long it took."""
        table = table_of(finished)
        offset = offset_of(now, self._timezone)
        self._pass_time(now, offset)
        ended, status = table.whole("ended"), table.narrow("status")
        over = ended > 0
        arrived = over & ((status == _DELIVERED) | (status == _COLLECTED))
        part = _chosen(table, arrived)
        self._learn_durations(part, offset)
        if len(self._outcomes):
            self._outcomes.over(table.labels("tracking_number", np.flatnonzero(over)))
        if not over.all():
            self._passed(_chosen(table, ~over), offset)
        self._arrived(part, offset)
        self._teach(now)

    def _passed(self, table: Table, offset: int) -> None:
        part = table.take(np.flatnonzero((table.seconds("promised") > 0) & _told(table)))
        known = self._known(part, 0, offset, self._codes)
        names = _texts(part.labels("tracking_number"))
        self._outcomes.passed(known, _day_over(known, offset), _lot(part), names)

    def _arrived(self, part: Table, offset: int) -> None:
        """In time, near enough to the promise to have been judged; or late, where its passing was not told: what comes in
        after a silence would teach of those in time alone.
        """
        if not part.seconds("promised").any():
            return
        promised = part.whole("promised")
        days = (part.whole("ended") + offset) // DAY
        near = days > _day_of(promised, offset) - FAR
        in_time = near & (_ends_of(promised, offset) >= part.whole("ended"))
        unheard = (part.narrow("unheard") != 0) & (days > _day_of(promised, offset))
        told = (promised > 0) & _told(part)
        for rows, late in ((np.flatnonzero(told & in_time), False), (np.flatnonzero(told & unheard), True)):
            if len(rows):
                some = part.take(rows)
                known = self._known(some, 0, offset, self._codes)
                over, lot, names = _day_over(known, offset), _lot(some), self._names(some)
                self._outcomes.arrived(known, days[rows], over, lot, names, late=late)

    def _names(self, part: Table) -> list[str]:
        """Empty for those of whom nothing is kept."""
        kept, said = self._progress, self._record
        return [
            name if name in kept or name in said else "" for name in _texts(part.labels("tracking_number"))
        ]

    def _learn_durations(self, ended: Table, offset: int) -> None:
        known = (ended.whole("accepted") > 0) & (ended.whole("ended") > ended.whole("accepted"))
        if not known.any():
            return
        part = _chosen(ended, known)
        carrier, lane = self._transit.rows_of(part.coded("carrier"), part.coded(LANE))
        self._transit.end(part.whole("accepted"), part.whole("ended"), carrier, lane, offset)

    def _teach(self, now: Instant) -> None:
        """What is due, some at a time: a platform's day would stop the loop."""
        left = int(min(now - self._taught_at, DAY) // 1000) * _A_SECOND if self._taught_at else 0
        self._taught_at = max(now, self._taught_at)
        while left > 0 and (taught := self._outcomes.take(now, min(left, _AT_ONCE))) is not None:
            rows, parcel = days_out(taught.known, np.minimum(taught.ended - 1, taught.known.promised))
            late = taught.late
            self._odds.learn(rows, late[parcel])
            self._progress.learn(taught.names, late.tolist())
            self._record.learn(taught.names, late.tolist())
            self._cases += len(taught)
            left -= len(taught)

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

    def _remember(self, part: Table, known: Known, left: I64, now: Instant) -> None:
        near = np.flatnonzero(left <= 10)
        if not len(near):
            return
        some = near[_first(part.take(near).rank(), _KEEP_A_LOOK)]
        few, known = part.take(some), known.take(some)
        names = _texts(few.labels("tracking_number"))
        segment, age = few.whole("segment"), _age(few, now)
        self._progress.keep(names, segment, age, left[some], self._odds.logit(known))

    # -- columns

    def _known(self, part: Table, now: Instant, offset: int, codes: Codes) -> Known:
        """The promise counts as the day in whose evening it ends; today is yesterday until the evening."""
        accepted, ordered = part.whole("accepted"), part.whole("ordered")
        today = np.full(len(part), _today(now, offset))
        ordered = (np.where(ordered > 0, ordered, accepted) + offset) // DAY
        handed = np.where(accepted > 0, (accepted + offset) // DAY, _NOT_HANDED)
        handed = np.where((now > 0) & (handed > today), np.maximum(today, ordered), handed)
        return Known(
            today,
            np.minimum(ordered, np.where(handed >= 0, handed, ordered)),
            handed,
            _day_of(part.whole("promised"), offset),
            codes.lane.of(part.coded(LANE), lane_code, lane_code("")),
            codes.carrier.of(part.coded("carrier"), carrier_code, carrier_code("")),
        )

    def _way(self, part: Table, left: I64, now: Instant) -> F64:
        return self._progress.correction(part.whole("segment"), _age(part, now), left)

    def _quantiles(self, part: Table, now: Instant) -> F64:
        carrier, lane = self._transit.rows_of(part.coded("carrier"), part.coded(LANE))
        accepted = part.whole("accepted")
        accepted = np.where(accepted > 0, accepted, now).astype(np.float64)
        local = now + offset_of(now, self._timezone)
        return now + self._transit.remaining(np.maximum(now - accepted, 0.0), carrier, lane, local)

    def state(self) -> dict[str, Any]:
        return {
            "odds": self._odds.state(),
            "progress": self._progress.state(),
            "record": self._record.state(),
            "transit": self._transit.state(),
            "cases": self._cases,
            "forgot_at": self._forgot_at,
            "outcomes": self._outcomes.state(),
            "taught_at": self._taught_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._odds.restore(state["odds"])
        self._progress.restore(state["progress"])
        self._record.restore(state["record"])
        self._transit.restore(state["transit"])
        self._cases = int(state["cases"])
        self._forgot_at = state["forgot_at"]
        if "outcomes" in state:
            self._outcomes.restore(state["outcomes"])
            self._taught_at = int(state["taught_at"])
        elif state["pending"]:  # as they were kept before those in time were, too
            passed = [dict(row) for row in state["pending"].values()]
            offset = offset_of(max(row["promised"] for row in passed), self._timezone)
            self._passed(table_of(pl.DataFrame(passed, schema=dict(SCHEMAS["finished"]))), offset)


class Codes:
    """Cells of names in the tables of the odds, by the codes of one vocabulary."""

    def __init__(self) -> None:
        self.lane, self.carrier = Rows(), Rows()


def _chosen(table: Table, wanted: npt.NDArray[np.bool_]) -> Table:
    return table if wanted.all() else table.take(np.flatnonzero(wanted))


def _first(rank: npt.NDArray[Any], count: int) -> npt.NDArray[np.intp]:
    """The places of the lowest, in their order."""
    if len(rank) <= count:
        return np.argsort(rank, kind="stable")
    lowest = np.argpartition(rank, count)[:count]
    return lowest[np.argsort(rank[lowest], kind="stable")]


def _today(now: Instant, offset: int) -> int:
    return (now + offset - EVENING) // DAY


def _ends_of(promised: I64, offset: int) -> I64:
    return np.asarray(promised + DAY * is_date(promised, offset))


def _day_of(promised: I64, offset: int) -> I64:
    return (_ends_of(promised, offset) - 1 + offset) // DAY


def _age(part: Table, now: Instant) -> F64:
    """In the segment, in milliseconds."""
    since = part.whole("segment_since")
    return (now - np.where(since > 0, since, now)).astype(np.float64)


def _texts(labels: Sequence[str | None]) -> list[str]:
    return [label or "" for label in labels]


def _told(table: Table) -> npt.NDArray[np.bool_]:
    """It is known when they set out."""
    return np.asarray((table.seconds("ordered") > 0) | (table.seconds("accepted") > 0))


def _day_over(known: Known, offset: int) -> I64:
    """The midnight after the last day of the promise."""
    return (known.promised + 1) * DAY - offset


def _lot(part: Table) -> I64:
    return part.whole("ordered") + 3 * part.whole("accepted")
