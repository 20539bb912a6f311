"""`carrier_degraded`: a carrier, or one of its lanes, has become lastingly slower, and since when.

The residual of a finished leg is the log of its duration over the learned median of its lane and segment; batches
of some twenty legs have a mean that should stay where it was. Page and Hinkley's test (river) finds the shift. A lane
is measured beyond its carrier's way to that destination, that beyond its carrier, and a carrier beyond the others: a
carrier in trouble is one finding and not a hundred, and a holiday slows them all. It must be slower than it was itself,
too: where another one recovers, those beside it have not changed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from detectors.clock import DAY, HOUR, stamp
from detectors.episodes import Episode, Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window
from detectors.river_adapter import NOT_READY, Drift
from detectors.tables import I64, Table
from detectors.watches import LEVELS, NOBODY, Watches, count

SHORTEST: Final = DAY
BATCH: Final = 20.0  # legs
LONGEST: Final = 3 * DAY  # a batch that does not fill is judged by then, from five legs on
FEWEST: Final = 5.0
MATERIAL: Final = math.log(1.15)  # slower than this part is nobody's business
PAUSE: Final = 14 * DAY  # a carrier of which nothing ended for so long begins anew
CALM: Final = 2  # batches back near the usual end an episode
_SEGMENTS: Final = (
    ("", ""), ("发货", "fulfilment"), ("揽收", "pickup"), ("中转", "facility"), ("干线", "linehaul"), ("清关", "customs"),
    ("派送", "delivery"), ("待取", "collection"), ("退货", "return"), ("退款", "refund"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Moved:
    """What ended since the last run: rows of the table, and of each its watches, one a level."""

    table: Table
    rows: I64
    watches: I64

    def worst(self, watch: int, level: int) -> tuple[int, int, int]:
        """Of one watch: its slowest segment, and how many parcels are on their way and stand still."""
        mine = self.rows[self.watches[:, level] == watch]
        slowest = mine[np.argmax(self.table.number("residual")[mine])]
        opened, stalled = (int(self.table.whole(name)[mine].sum()) for name in ("open", "stalled"))
        return int(self.table.whole("segment")[slowest]), opened, stalled


class CarrierDegraded:
    name = "carrier_degraded"
    every = 3 * HOUR
    wants = frozenset({"lanes"})

    def __init__(self, *, timezone: str = "Asia/Shanghai", capacity: int = 20_000) -> None:
        self._timezone = timezone
        self._watches = Watches(capacity, _drift)
        self._episodes = Episodes(self.name, Kind.CARRIER_DEGRADED)

    def run(self, window: Window) -> list[Finding]:
        now = window.until
        moved = self._moved(window.table("lanes"), now)
        found = [
            finding
            for watch in self._count(moved, now)
            if (finding := self._judge(watch, moved, now)) is not None
        ]
        return found + self._expire(now)

    def _moved(self, table: Table, now: Instant) -> _Moved:
        known = (table.narrow("finished") > 0) & np.isfinite(table.number("residual"))
        rows = np.flatnonzero(known)
        if not len(rows):
            return _Moved(table, rows, np.zeros((0, LEVELS), np.int64))
        watches = self._watches.of(table if known.all() else table.take(rows), now)
        named = watches[:, 0] != NOBODY
        return _Moved(table, rows, watches) if named.all() else _Moved(table, rows[named], watches[named])

    def _count(self, moved: _Moved, now: Instant) -> list[int]:
        """Adds to the batches, and names those that are full: carriers first, then by name."""
        if not len(moved.rows):
            return []
        self._begin_anew(moved, now)
        finished = moved.table.whole("finished")[moved.rows].astype(np.float64)
        residual = moved.table.number("residual")[moved.rows]
        size, rows = len(self._watches), self._watches.rows
        count(
            moved.watches, finished, residual, float(finished.sum()), float(residual.sum()), rows[:size], now
        )
        waited = now - rows["began"][:size]
        need = np.where(waited < LONGEST, BATCH, FEWEST)
        legs, seen = rows["legs"][:size], rows["seen"][:size]
        full = np.flatnonzero((seen == now) & (waited >= SHORTEST) & (legs >= need)).tolist()
        keys, level = self._watches.keys, self._watches.level
        return sorted(full, key=lambda watch: (level[watch], keys[watch].split("|")))

    def _begin_anew(self, moved: _Moved, now: Instant) -> None:
        """Carriers after a pause, with their lanes: what was usual before it says nothing of a change since."""
        carriers = moved.watches[:, 0]
        seen = self._watches.rows["seen"][carriers]
        for watch in np.unique(carriers[(seen > 0) & (now - seen > PAUSE)]).tolist():
            for own in self._watches.of_carrier(watch):
                if _subject(self._watches.keys[own]) not in self._episodes:
                    self._watches.restart(own, now)

    def _judge(self, watch: int, moved: _Moved, now: Instant) -> Finding | None:
        row, drift = self._watches.rows[watch], self._watches.drift(watch)
        peers = row["peer_total"] / row["peer_legs"] if row["peer_legs"] >= FEWEST else 0.0
        own = float(row["total"] / row["legs"])
        value = own - float(peers)
        began, legs = int(row["began"]), float(row["legs"])
        row["legs"] = row["total"] = row["peer_legs"] = row["peer_total"] = 0.0
        subject = _subject(self._watches.keys[watch])
        row["batches"] += 1
        episode = self._episodes.get(subject)
        mean, spread = drift.mean, drift.spread
        answer = drift.update(value, began)
        if answer is NOT_READY:
            row["own"] += (own - row["own"]) / drift.seen
        if episode is not None:
            return self._follow(watch, moved, value, now, episode)
        slower = min(value - mean, own - float(row["own"]))
        if answer != 1 or slower < MATERIAL:
            return None
        row["since"], row["usual"], row["slower"], row["calm"] = drift.began, mean, slower, 0
        score = _score((value - mean) / spread, legs)
        evidence = self._evidence(watch, moved, score)
        return self._episodes.hold(subject, started_at=drift.began, now=now, score=score, evidence=evidence)

    def _follow(
        self, watch: int, moved: _Moved, value: float, now: Instant, episode: Episode
    ) -> Finding | None:
        row = self._watches.rows[watch]
        row["slower"] += 0.3 * (value - row["usual"] - row["slower"])
        row["calm"] = row["calm"] + 1 if value - row["usual"] < MATERIAL / 2 else 0
        evidence = self._evidence(watch, moved, episode.score)
        if row["calm"] >= CALM:
            row["since"] = now
            return self._episodes.close(episode.subject, now, CloseReason.RECOVERED, evidence)
        changed = abs(row["slower"] - math.log(float(episode.evidence["factor"]))) > 0.2
        return self._episodes.hold(
            episode.subject,
            started_at=episode.started_at,
            now=now,
            score=episode.score,
            evidence=evidence,
            news=bool(changed),
        )

    def _expire(self, now: Instant) -> list[Finding]:
        closed = (
            self._episodes.close(episode.subject, now, CloseReason.EXPIRED)
            for episode in self._episodes.all()
            if now - episode.seen_at > 14 * DAY
        )
        return [finding for finding in closed if finding is not None]

    def _evidence(self, watch: int, moved: _Moved, score: float) -> dict[str, Any]:
        row = self._watches.rows[watch]
        carrier, *ends = self._watches.keys[watch].split("|")
        factor = math.exp(row["slower"])
        segment, opened, stalled = moved.worst(watch, self._watches.level[watch])
        zh, en = _SEGMENTS[segment] if segment < len(_SEGMENTS) else ("", "")
        where = "-".join(ends)
        began = int(row["since"])
        since = stamp(began, self._timezone)
        return {
            "carrier": carrier,
            "lane": where or None,
            "region": ends[-1] if ends else None,
            "segment": segment,
            "factor": round(factor, 3),
            "usual": round(math.exp(row["usual"]), 3),
            "since": began,
            "open": opened,
            "stalled": stalled,
            "cases": round(int(row["batches"]) * BATCH),
            "confidence": round(score, 3),
            "zh": f"承运商 {carrier}{'（' + where + '）' if where else ' '}自 {since} 起变慢，时长约为平时的 {factor:.2f} 倍，最慢环节：{zh}",
            "en": f"carrier {carrier}{' to ' + where if where else ''} is slower since {since}: legs take {factor:.2f} times the usual, worst in {en}",
        }

    def state(self) -> dict[str, Any]:
        return {"watches": self._watches.state(), "episodes": self._episodes.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._watches.restore(state["watches"])
        self._episodes.restore(state["episodes"])


def _drift(key: str) -> Drift:
    """Many lanes are tested: each must speak louder than a carrier."""
    return Drift(ready=7, threshold=9.0 if "|" in key else 5.0)


def _subject(key: str) -> Subject:
    return Subject(SubjectType.LANE if "|" in key else SubjectType.CARRIER, key)


def _score(deviations: float, legs: float) -> float:
    """The test has already spoken: what is left is how far the last batch stands out."""
    return float(1.0 / (1.0 + math.exp(-(0.6 + 0.5 * max(deviations, 0.0) * min(legs / BATCH, 1.0)))))
