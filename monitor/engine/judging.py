"""From what the parcel stage hands up to findings: dues open episodes, marks close them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from msgspec.structs import replace

from detectors.deferred import Deferred
from detectors.findings import CloseReason, Evidence, Finding, Instant, Kind, State, Subject, SubjectType
from monitor.engine import wording
from monitor.engine.episodes import LOST, PROMISE, STALL, Key, ParcelEpisodes
from monitor.engine.layout import (
    DETECTOR_BIT,
    ORDER,
    Ended,
    Open,
    Records,
    SlotRow,
    What,
)
from monitor.engine.records import chosen, taken
from monitor.engine.stage import ParcelStage
from monitor.engine.stalling import Stalls
from monitor.engine.whereabouts import Whereabouts

_STALL, _PROMISE, _LOST, _LEAVE = int(What.STALL), int(What.PROMISE), int(What.LOST), int(What.LEAVE)
_REASONS: Final[dict[int, CloseReason]] = {
    Ended.MOVED: CloseReason.MOVED,
    Ended.DELIVERED: CloseReason.DELIVERED,
    Ended.FINISHED: CloseReason.FINISHED,
}
CERTAIN: Final = (
    0.99  # the promise has passed, or the carrier says so itself: a fact, but for the feed's own errors
)
LIKELY_LOST: Final = 0.9


# What adds to the evidence what a finding is about, and its arguments after the evidence. No closure: thousands wait.
Say: TypeAlias = tuple[Callable[..., None], *tuple[Any, ...]]


class Judge:
    def __init__(
        self,
        stage: ParcelStage,
        episodes: ParcelEpisodes,
        where: Whereabouts,
        watchers: list[str],
        timezone: str,
        learning_ms: int,
    ) -> None:
        """`watchers`: names of the parcel detectors, in the order of their bits."""
        self._stage = stage
        self._episodes = episodes
        self._bits = {int(Open.STALL): STALL, int(Open.PROMISE): PROMISE, int(Open.LOST): LOST} | {
            DETECTOR_BIT << number: name for number, name in enumerate(watchers)
        }
        self._timezone = timezone
        self._where = where
        self._stalls = Stalls(stage, timezone, where)
        self._learning = learning_ms
        self._first = stage.world.feeds["first"]  # a view, so always the present one
        # By all that a slot's open bits can be.
        self._named = [tuple(name for bit, name in self._bits.items() if bits & bit) for bits in range(256)]

    # -- closing -----------------------------------------------------------------------------------------------

    def marks(self, marks: Records, now: Instant) -> list[Finding]:
        """In stream order."""
        found: list[Finding] = []
        close, named = self._episodes.close, self._named
        for key0, key1, _at, closed, reason, lost in marks.tolist():
            key = (key0, key1)
            why = CloseReason.SUPERSEDED if lost else _REASONS[reason]
            found += close(key, named[closed], now, why)
            if lost:
                found += self._said_lost(key, now)
        return found

    def _said_lost(self, key: Key, now: Instant) -> Iterator[Finding]:
        known = self._stage.view(key)
        if known is None:
            return
        number = self._stage.names.unpack(*key)
        started = known.slot.last_scan * 1000
        said = (wording.said_lost, self._timezone)
        yield self._open(known.slot, number, LOST, Kind.PRESUMED_LOST, started, now, CERTAIN, said)

    # -- opening -----------------------------------------------------------------------------------------------

    def dues(self, dues: Records, now: Instant) -> list[Finding]:
        """Sorted by key, so that where a parcel lies in the table changes nothing."""
        # most leave long after their end
        said = chosen(dues, (dues["what"] != _LEAVE) | (dues["slot"]["open"] != 0))
        if not len(said):
            return []
        key0, key1 = (np.ascontiguousarray(said["slot"][name]) for name in ("key0", "key1"))
        order = np.lexsort((key1, key0))
        rows, key0, key1 = taken(said, order), key0[order], key1[order]
        numbers = self._stage.names.unpack_many(key0, key1)
        keys = list(zip(key0.tolist(), key1.tolist(), strict=True))
        what = np.ascontiguousarray(rows["what"])
        if (what == _STALL).all():
            stalls = self._stalled(rows, numbers, now)
            self._episodes.open_all(keys, stalls)
            return stalls
        stall = (what & _STALL) != 0
        stalls = self._stalled(
            chosen(rows, stall), [numbers[row] for row in np.flatnonzero(stall).tolist()], now
        )
        return self._mixed(rows, keys, numbers, iter(stalls), now)

    def _stalled(self, rows: Records, numbers: Sequence[str], now: Instant) -> list[Finding]:
        if not len(rows):
            return []
        first = self._first[rows["slot"]["source"]]
        return self._stalls.opened(rows, numbers, (first > 0) & (now - first < self._learning), now)

    def _mixed(
        self,
        rows: Records,
        keys: Sequence[Key],
        numbers: Sequence[str],
        stalls: Iterator[Finding],
        now: Instant,
    ) -> list[Finding]:
        """Rows of which some say something else than that a parcel stands still."""
        found: list[Finding] = []
        for row, (key, number, what) in enumerate(zip(keys, numbers, rows["what"].tolist(), strict=True)):
            if what != _STALL:
                slot, limit = SlotRow._make(rows[row]["slot"].item()), int(rows[row]["age"])
                found += self._other(slot, number, what, limit, now)
            if what & _STALL:
                stall = next(stalls)
                self._episodes.open(key, stall)
                found.append(stall)
        return found

    def _other(self, slot: SlotRow, number: str, what: int, limit: int, now: Instant) -> Iterator[Finding]:
        if what & _LEAVE:
            yield from self._episodes.close(slot.key, self._named[slot.open], now, CloseReason.EXPIRED)
            return
        if what & _PROMISE:
            yield self._promise(slot, number, now)
        if what & _LOST:
            yield from self._episodes.close(slot.key, (STALL,), now, CloseReason.SUPERSEDED)
            yield self._lost(slot, number, limit, now)

    def _promise(self, slot: SlotRow, number: str, now: Instant) -> Finding:
        promised = slot.promised * 1000
        said = (wording.promise_broken, promised, now, slot.segment, self._timezone)
        return self._open(slot, number, PROMISE, Kind.PROMISE_BROKEN, promised, now, CERTAIN, said)

    def _lost(self, slot: SlotRow, number: str, limit: int, now: Instant) -> Finding:
        said = (wording.presumed_lost, now, limit, self._timezone)
        return self._open(
            slot, number, LOST, Kind.PRESUMED_LOST, slot.last_scan * 1000, now, LIKELY_LOST, said
        )

    def watched(
        self, slot: SlotRow, detector: str, now: Instant, score: float, evidence: Evidence
    ) -> Finding:
        """A parcel detector's episode, named like the detector."""
        number = self._stage.names.unpack(*slot.key)
        return self._open(
            slot,
            number,
            detector,
            Kind(detector),
            slot.last_scan * 1000,
            now,
            score,
            (dict.update, evidence),
        )

    def _open(
        self,
        slot: SlotRow,
        number: str,
        detector: str,
        kind: Kind,
        started_at: Instant,
        now: Instant,
        score: float,
        say: Say,
    ) -> Finding:
        finding = Finding(
            detector,
            kind,
            Subject(SubjectType.ORDER if slot.state & ORDER else SubjectType.PARCEL, number),
            started_at,
            now,
            now,
            State.OPENED,
            round(score, 6),
            Deferred(_written, self._where, slot, say, self._is_learning(slot.source, now)),
        )
        self._episodes.open((slot.key0, slot.key1), finding)
        return finding

    def _is_learning(self, source: int, now: Instant) -> bool:
        first: int = self._first.item(source)
        return first > 0 and now - first < self._learning

    def findings_of(self, key: Key, now: Instant) -> list[Finding]:
        """What is open of a parcel."""
        return [
            replace(one, as_of=now, state=State.OPENED) for _, one in sorted(self._episodes.of(key).items())
        ]


def _written(where: Whereabouts, slot: SlotRow, say: Say, learning: bool) -> dict[str, Any]:
    evidence = where.of(slot)
    add, *arguments = say
    add(evidence, *arguments)
    if learning:
        evidence["learning"] = True
    return evidence
