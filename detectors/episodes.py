"""The open episodes of a place detector: opened once, updated when something changed, closed with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from detectors.deferred import Deferred
from detectors.findings import CloseReason, Evidence, Finding, Instant, Kind, State, Subject, SubjectType


class Episode(msgspec.Struct, gc=False):
    subject: Subject
    started_at: Instant
    opened_at: Instant
    seen_at: Instant  # when the condition last held
    score: float
    evidence: Evidence


def _written(evidence: Evidence | Callable[[], Evidence]) -> Evidence:
    known = evidence() if callable(evidence) else evidence
    return known if isinstance(known, Deferred) else dict(known)


class Episodes:
    """Bounded: beyond `limit` open episodes nothing new opens until one closes."""

    def __init__(self, detector: str, kind: Kind, *, limit: int = 20_000, step: float = 0.1) -> None:
        self.detector = detector
        self.kind = kind
        self._limit = limit
        self._step = step
        self._open: dict[Subject, Episode] = {}

    def __contains__(self, subject: Subject) -> bool:
        return subject in self._open

    def __len__(self) -> int:
        return len(self._open)

    def get(self, subject: Subject) -> Episode | None:
        return self._open.get(subject)

    def all(self) -> Iterable[Episode]:
        return tuple(self._open.values())

    def hold(
        self,
        subject: Subject,
        *,
        started_at: Instant,
        now: Instant,
        score: float,
        evidence: Evidence | Callable[[], Evidence],
        news: bool = False,
    ) -> Finding | None:
        """The condition holds: opens, or updates when the score moved by a step or there is `news`.

        Evidence that costs something to write is given as a function, which is called when there is a finding; what that or
        the caller gives as `Deferred` is written out when somebody reads it.
        """
        episode = self._open.get(subject)
        if episode is None:
            if len(self._open) >= self._limit:
                return None
            episode = Episode(subject, started_at, now, now, score, _written(evidence))
            self._open[subject] = episode
            return self._finding(episode, now, State.OPENED)
        if not news and self.goes_on(episode, score, now):
            return None
        episode.seen_at = now
        episode.score = score
        episode.evidence = _written(evidence)
        return self._finding(episode, now, State.UPDATED)

    def goes_on(self, episode: Episode, score: float, now: Instant) -> bool:
        """As `hold` of an open episode without news: whether that would be no finding, which it then has taken in."""
        if abs(score - episode.score) >= self._step:
            return False
        episode.seen_at = now
        return True

    def close(
        self, subject: Subject, now: Instant, reason: CloseReason, evidence: Evidence | None = None
    ) -> Finding | None:
        episode = self._open.pop(subject, None)
        if episode is None:
            return None
        if evidence is not None:
            episode.evidence = _written(evidence)
        return self._finding(episode, now, State.CLOSED, reason)

    def _finding(
        self, episode: Episode, now: Instant, state: State, reason: CloseReason | None = None
    ) -> Finding:
        return Finding(
            detector=self.detector,
            kind=self.kind,
            subject=episode.subject,
            started_at=episode.started_at,
            opened_at=episode.opened_at,
            as_of=now,
            state=state,
            score=round(episode.score, 6),
            evidence=_written(episode.evidence),
            close_reason=reason,
        )

    def state(self) -> list[list[Any]]:
        return [
            [
                str(e.subject.type),
                e.subject.id,
                e.started_at,
                e.opened_at,
                e.seen_at,
                e.score,
                dict(e.evidence),
            ]
            for e in self._open.values()
        ]

    def restore(self, rows: Iterable[Iterable[Any]]) -> None:
        self._open.clear()
        for kind, name, started_at, opened_at, seen_at, score, evidence in rows:
            subject = Subject(SubjectType(kind), name)
            known: Mapping[str, Any] = evidence
            self._open[subject] = Episode(subject, started_at, opened_at, seen_at, score, dict(known))
