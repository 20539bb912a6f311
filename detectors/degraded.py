"""`carrier_degraded`: a carrier, or one of its lanes, has become lastingly slower, and since when.

The residual of a finished leg is the log of its duration over the learned median of its lane and segment; batches
of some twenty legs have a mean that should stay where it was. Page and Hinkley's test (river) finds the shift. A lane
is judged by what it has beyond its carrier, so a carrier in trouble is one finding and not a hundred, and a carrier
by what it has beyond the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from detectors.clock import DAY, stamp
from detectors.episodes import Episode, Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window
from detectors.river_adapter import Drift

SHORTEST: Final = DAY
BATCH: Final = 20.0  # legs
LONGEST: Final = 3 * DAY  # a batch that does not fill is judged by then, from five legs on
FEWEST: Final = 5.0
MATERIAL: Final = math.log(1.15)  # slower than this part is nobody's business
ALL: Final = "*"
CALM: Final = 2  # batches back near the usual end an episode
_SEGMENTS: Final = (
    ("", ""), ("发货", "fulfilment"), ("揽收", "pickup"), ("中转", "facility"), ("干线", "linehaul"), ("清关", "customs"),
    ("派送", "delivery"), ("待取", "collection"), ("退货", "return"), ("退款", "refund"),
)  # fmt: skip


_PLAIN: Final = (
    "legs", "total", "began", "since", "usual", "slower", "batches", "calm", "peer_legs", "peer_total", "seen",
)  # fmt: skip


@dataclass(slots=True)
class Watch:
    """One carrier or lane: the batch that fills, the test, and what was usual before a change."""

    drift: Drift
    legs: float = 0.0
    total: float = 0.0
    began: Instant = 0
    since: Instant = 0  # the last moment at which nothing spoke for a change
    usual: float = 0.0
    slower: float = 0.0  # now, over `usual`; averaged over batches
    batches: int = 0
    calm: int = 0
    peer_legs: float = 0.0  # of what stands above, without its own, over the same batch
    peer_total: float = 0.0
    seen: Instant = 0

    def state(self) -> list[Any]:
        return [*(getattr(self, name) for name in _PLAIN), self.drift.state()]

    @classmethod
    def of(cls, key: str, state: list[Any]) -> Watch:
        *plain, tested = state
        watch = cls(_drift(key))
        for name, value in zip(_PLAIN, plain, strict=True):
            setattr(watch, name, value)
        watch.drift.restore(tested)
        return watch


class CarrierDegraded:
    name = "carrier_degraded"
    every = 3_600_000
    wants = frozenset({"lanes"})

    def __init__(self, *, timezone: str = "Asia/Shanghai", capacity: int = 20_000) -> None:
        self._timezone = timezone
        self._capacity = capacity
        self._watches: dict[str, Watch] = {}
        self._episodes = Episodes(self.name, Kind.CARRIER_DEGRADED)

    def run(self, window: Window) -> list[Finding]:
        now, found = window.until, []
        sums = self._sums(window.lanes)
        for key, row in sums.items():
            if key == ALL:
                continue
            watch = self._watch(key, now)
            watch.legs += row["finished"]
            watch.total += row["residual"]
            above = sums[_parent(key)]
            watch.peer_legs += above["finished"] - row["finished"]
            watch.peer_total += above["residual"] - row["residual"]
            watch.seen = now
            waited = now - watch.began
            full = waited >= SHORTEST and watch.legs >= (BATCH if waited < LONGEST else FEWEST)
            if full and (finding := self._judge(key, watch, row, now)) is not None:
                found.append(finding)
        found += self._expire(now)
        return found

    def _sums(self, frame: pl.DataFrame) -> dict[str, Mapping[str, Any]]:
        """All, carriers, carriers to a destination, lanes; each with its slowest segment."""
        good = frame.filter(
            (pl.col("finished") > 0) & pl.col("residual").is_finite() & pl.col("carrier").is_not_null()
        )
        if good.is_empty():
            return {}
        sums = [
            pl.col("finished").sum(),
            pl.col("residual").sum(),
            pl.col("open").sum(),
            pl.col("stalled").sum(),
        ]
        worst = pl.col("segment").sort_by("residual", descending=True).first()
        out: dict[str, Mapping[str, Any]] = {ALL: good.select(*sums, worst).row(0, named=True)}
        for names in (["carrier"], ["carrier", "destination"], ["carrier", "origin", "destination"]):
            grouped = good.drop_nulls(names).group_by(names).agg(*sums, worst).sort(names)
            out |= {"|".join(str(row[name]) for name in names): row for row in grouped.iter_rows(named=True)}
        return out

    def _watch(self, key: str, now: Instant) -> Watch:
        watch = self._watches.get(key)
        if watch is None:
            if len(self._watches) >= self._capacity:
                for old in sorted(self._watches, key=lambda one: self._watches[one].seen)[
                    : self._capacity // 4
                ]:
                    del self._watches[old]
            watch = self._watches[key] = Watch(_drift(key), began=now, since=now)
        if watch.legs == 0:
            watch.began = now
        return watch

    def _judge(self, key: str, watch: Watch, row: Mapping[str, Any], now: Instant) -> Finding | None:
        peers = watch.peer_total / watch.peer_legs if watch.peer_legs >= FEWEST else 0.0
        value = watch.total / watch.legs - peers
        began, legs = watch.began, watch.legs
        watch.legs = watch.total = watch.peer_legs = watch.peer_total = 0.0
        subject = _subject(key)
        watch.batches += 1
        episode = self._episodes.get(subject)
        mean, spread = watch.drift.mean, watch.drift.spread
        answer = watch.drift.update(value)
        if episode is not None:
            return self._follow(key, watch, row, value, now, episode)
        if watch.drift.quiet():
            watch.since = began
        if answer != 1 or value - mean < MATERIAL:
            return None
        watch.usual, watch.slower, watch.calm = mean, value - mean, 0
        score = _score((value - mean) / spread, legs)
        evidence = self._evidence(key, watch, row, score)
        return self._episodes.hold(subject, started_at=watch.since, now=now, score=score, evidence=evidence)

    def _follow(
        self, key: str, watch: Watch, row: Mapping[str, Any], value: float, now: Instant, episode: Episode
    ) -> Finding | None:
        watch.slower += 0.3 * (value - watch.usual - watch.slower)
        watch.calm = watch.calm + 1 if value - watch.usual < MATERIAL / 2 else 0
        evidence = self._evidence(key, watch, row, episode.score)
        if watch.calm >= CALM:
            watch.since = now
            return self._episodes.close(episode.subject, now, CloseReason.RECOVERED, evidence)
        changed = abs(watch.slower - math.log(float(episode.evidence["factor"]))) > 0.2
        return self._episodes.hold(
            episode.subject,
            started_at=episode.started_at,
            now=now,
            score=episode.score,
            evidence=evidence,
            news=changed,
        )

    def _expire(self, now: Instant) -> list[Finding]:
        closed = (
            self._episodes.close(episode.subject, now, CloseReason.EXPIRED)
            for episode in self._episodes.all()
            if now - episode.seen_at > 14 * DAY
        )
        return [finding for finding in closed if finding is not None]

    def _evidence(self, key: str, watch: Watch, row: Mapping[str, Any], score: float) -> dict[str, Any]:
        carrier, *ends = key.split("|")
        factor = math.exp(watch.slower)
        segment = int(row["segment"] or 0)
        zh, en = _SEGMENTS[segment] if segment < len(_SEGMENTS) else ("", "")
        where = "-".join(ends)
        since = stamp(watch.since, self._timezone)
        return {
            "carrier": carrier,
            "lane": where or None,
            "region": ends[-1] if ends else None,
            "segment": segment,
            "factor": round(factor, 3),
            "usual": round(math.exp(watch.usual), 3),
            "since": watch.since,
            "open": int(row["open"] or 0),
            "stalled": int(row["stalled"] or 0),
            "cases": round(watch.batches * BATCH),
            "confidence": round(score, 3),
            "zh": f"承运商 {carrier}{'（' + where + '）' if where else ''}自 {since} 起变慢，时长约为平时的 {factor:.2f} 倍，最慢环节：{zh}",
            "en": f"carrier {carrier}{' to ' + where if where else ''} is slower since {since}: legs take {factor:.2f} times the usual, worst in {en}",
        }

    def state(self) -> dict[str, Any]:
        watches = {key: watch.state() for key, watch in self._watches.items()}
        return {"watches": watches, "episodes": self._episodes.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._watches = {str(key): Watch.of(str(key), list(saved)) for key, saved in state["watches"].items()}
        self._episodes.restore(state["episodes"])


def _drift(key: str) -> Drift:
    """Many lanes are tested: each must speak louder than a carrier."""
    return Drift(ready=7, threshold=9.0 if "|" in key else 5.0)


def _parent(key: str) -> str:
    """A lane is measured beyond its carrier's way to that destination, that beyond its carrier, and a carrier beyond
    the others: a holiday slows them all.
    """
    parts = key.split("|")
    return {1: ALL, 2: parts[0]}.get(len(parts), f"{parts[0]}|{parts[-1]}")


def _subject(key: str) -> Subject:
    return Subject(SubjectType.LANE if "|" in key else SubjectType.CARRIER, key)


def _score(deviations: float, legs: float) -> float:
    """The test has already spoken: what is left is how far the last batch stands out."""
    return float(1.0 / (1.0 + math.exp(-(0.6 + 0.5 * max(deviations, 0.0) * min(legs / BATCH, 1.0)))))
