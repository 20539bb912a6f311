"""Open episodes of parcels and orders, and the findings that open, update and close them.

The table holds a bit an episode; what was said when it opened is kept here, for as long as it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from detectors.deferred import Deferred
from detectors.findings import CloseReason, Finding, Instant, Kind, State, Subject, SubjectType

STALL: Final = "stall"
PROMISE: Final = "promise"
LOST: Final = "lost"
CHUNK: Final = 500  # parcels a piece of the state
Key = tuple[int, int]
_CLOSED: Final = State.CLOSED  # to ask an enumeration for a member takes as long as to close an episode


class ParcelEpisodes:
    """The finding that opened each, or the last that updated it."""

    def __init__(self) -> None:
        # Nearly always one a key: that alone, as each object more is fetched from memory when it closes.
        self._open: dict[Key, Finding | tuple[Finding, ...]] = {}

    def __len__(self) -> int:
        return sum(map(len, map(_each, self._open.values())))

    def of(self, key: Key) -> Mapping[str, Finding]:
        return {one.detector: one for one in _each(self._open.get(key, ()))}

    def open(self, key: Key, finding: Finding) -> None:
        others = [one for one in _each(self._open.get(key, ())) if one.detector != finding.detector]
        self._open[key] = (*others, finding) if others else finding

    def open_all(self, keys: Iterable[Key], findings: Iterable[Finding]) -> None:
        """As `open`, of many."""
        enter = self._open.setdefault
        for key, finding in zip(keys, findings, strict=True):
            if enter(key, finding) is not finding:
                self.open(key, finding)

    def update(
        self, key: Key, detector: str, score: float, evidence: Mapping[str, Any], now: Instant
    ) -> Finding:
        known = self.of(key)[detector]
        fresh = replace(known, as_of=now, state=State.UPDATED, score=score, evidence=evidence)
        self.open(key, fresh)
        return fresh

    def close(self, key: Key, detectors: Sequence[str], now: Instant, reason: CloseReason) -> list[Finding]:
        """Those of `detectors` that are open, in this order."""
        known = self._open.pop(key, ())
        if isinstance(known, Finding) and known.detector in detectors:
            return [replace(known, as_of=now, state=_CLOSED, close_reason=reason)]
        episodes = _each(known)
        ended = [one for one in episodes if one.detector in detectors]
        for one in episodes:
            if one.detector not in detectors:
                self.open(key, one)
        if len(ended) > 1:
            ended.sort(key=lambda one: detectors.index(one.detector))
        return [replace(one, as_of=now, state=_CLOSED, close_reason=reason) for one in ended]

    def counts(self) -> dict[Kind, int]:
        found: dict[Kind, int] = {}
        for episodes in self._open.values():
            for episode in _each(episodes):
                found[episode.kind] = found.get(episode.kind, 0) + 1
        return found

    def state(self) -> Iterator[list[list[Any]]]:
        """Rows by key, some at a time: there are thousands of them in a jam."""
        keys = sorted(self._open)
        for start in range(0, len(keys), CHUNK):
            yield [
                _row(key, detector, one)
                for key in keys[start : start + CHUNK]
                for detector, one in sorted(self.of(key).items())
            ]

    def restore(self, rows: Iterable[Iterable[Any]]) -> None:
        self._open.clear()
        for key0, key1, detector, kind, subject, name, started_at, opened_at, score, evidence in rows:
            finding = Finding(
                detector=detector,
                kind=Kind(kind),
                subject=Subject(SubjectType(subject), name),
                started_at=started_at,
                opened_at=opened_at,
                as_of=opened_at,
                state=State.OPENED,
                score=score,
                evidence=evidence,
            )
            self.open((key0, key1), finding)


def _each(known: Finding | tuple[Finding, ...]) -> tuple[Finding, ...]:
    return known if isinstance(known, tuple) else (known,)


def _row(key: Key, detector: str, one: Finding) -> list[Any]:
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
