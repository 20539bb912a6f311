"""Open episodes of parcels and orders, and the findings that open, update and close them.

The table holds a bit an episode; what was said when it opened is kept here, for as long as it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from detectors.findings import CloseReason, Finding, Instant, Kind, State, Subject, SubjectType
from monitor.engine.deferred import Deferred

STALL: Final = "stall"
PROMISE: Final = "promise"
LOST: Final = "lost"
CHUNK: Final = 500  # parcels a piece of the state
Key = tuple[int, int]


class Episode(msgspec.Struct, frozen=True, gc=False):
    kind: Kind
    subject: Subject
    started_at: Instant
    opened_at: Instant
    score: float
    evidence: Mapping[str, Any]

    def finding(
        self, detector: str, now: Instant, state: State, reason: CloseReason | None = None
    ) -> Finding:
        return Finding(
            detector=detector,
            kind=self.kind,
            subject=self.subject,
            started_at=self.started_at,
            opened_at=self.opened_at,
            as_of=now,
            state=state,
            score=self.score,
            evidence=self.evidence,
            close_reason=reason,
        )


class ParcelEpisodes:
    def __init__(self) -> None:
        self._open: dict[Key, dict[str, Episode]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def of(self, key: Key) -> Mapping[str, Episode]:
        return self._open.get(key, {})

    def open(self, key: Key, detector: str, episode: Episode) -> Finding:
        self._open.setdefault(key, {})[detector] = episode
        return episode.finding(detector, episode.opened_at, State.OPENED)

    def update(
        self, key: Key, detector: str, score: float, evidence: Mapping[str, Any], now: Instant
    ) -> Finding:
        known = self._open[key][detector]
        fresh = Episode(known.kind, known.subject, known.started_at, known.opened_at, score, evidence)
        self._open[key][detector] = fresh
        return fresh.finding(detector, now, State.UPDATED)

    def close(self, key: Key, detectors: Iterable[str], now: Instant, reason: CloseReason) -> list[Finding]:
        """Those of `detectors` that are open, in this order."""
        episodes = self._open.get(key)
        if episodes is None:
            return []
        found = [
            episodes.pop(detector).finding(detector, now, State.CLOSED, reason)
            for detector in detectors
            if detector in episodes
        ]
        if not episodes:
            del self._open[key]
        return found

    def counts(self) -> dict[Kind, int]:
        found: dict[Kind, int] = {}
        for episodes in self._open.values():
            for episode in episodes.values():
                found[episode.kind] = found.get(episode.kind, 0) + 1
        return found

    def state(self) -> Iterator[list[list[Any]]]:
        """Rows by key, some at a time: there are thousands of them in a jam."""
        keys = sorted(self._open)
        for start in range(0, len(keys), CHUNK):
            yield [
                _row(key, detector, one)
                for key in keys[start : start + CHUNK]
                for detector, one in sorted(self._open[key].items())
            ]

    def restore(self, rows: Iterable[Iterable[Any]]) -> None:
        self._open.clear()
        for key0, key1, detector, kind, subject, name, started_at, opened_at, score, evidence in rows:
            self._open.setdefault((key0, key1), {})[detector] = Episode(
                Kind(kind), Subject(SubjectType(subject), name), started_at, opened_at, score, evidence
            )


def _row(key: Key, detector: str, one: Episode) -> list[Any]:
    said = one.evidence
    return [
        *key,
        detector,
        str(one.kind),
        str(one.subject.type),
        one.subject.id,
        one.started_at,
        one.opened_at,
        one.score,
        said.plain() if isinstance(said, Deferred) else dict(said),
    ]
