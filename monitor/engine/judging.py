"""From what the parcel stage hands up to findings: dues open episodes, marks close them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from msgspec.structs import replace

from detectors.deferred import Deferred
from detectors.findings import CloseReason, Evidence, Finding, Instant, Kind, State, Subject, SubjectType
from detectors.survival import Usual
from monitor.engine import wording
from monitor.engine.episodes import LOST, PROMISE, STALL, Key, ParcelEpisodes
from monitor.engine.kernels import state
from monitor.engine.layout import (
    ABROAD,
    DETECTOR_BIT,
    HISTORY,
    ORDER,
    Ended,
    Open,
    Records,
    SlotRow,
    What,
)
from monitor.engine.stage import ParcelStage
from monitor.vocabulary import Segment

_STALL, _PROMISE, _LOST, _LEAVE = int(What.STALL), int(What.PROMISE), int(What.LOST), int(What.LEAVE)
_SEGMENT_NAMES: Final = [segment.name.lower() for segment in Segment]
KIND_OF: Final[dict[int, Kind]] = {
    Segment.FULFILMENT: Kind.FULFILMENT_STALLED,
    Segment.PICKUP: Kind.PICKUP_STALLED,
    Segment.FACILITY: Kind.FACILITY_STALLED,
    Segment.LINEHAUL: Kind.LINEHAUL_STALLED,
    Segment.CUSTOMS: Kind.CUSTOMS_STALLED,
    Segment.DELIVERY: Kind.DELIVERY_STALLED,
    Segment.COLLECTION: Kind.COLLECTION_STALLED,
    Segment.RETURN: Kind.RETURN_STALLED,
    Segment.REFUND: Kind.REFUND_STALLED,
}
# what a storm does not stop: the shop's own work, and customers who fetch their parcels
_INDOORS: Final = (Segment.NONE, Segment.FULFILMENT, Segment.COLLECTION, Segment.REFUND)
_REASONS: Final[dict[int, CloseReason]] = {
    Ended.MOVED: CloseReason.MOVED,
    Ended.DELIVERED: CloseReason.DELIVERED,
    Ended.FINISHED: CloseReason.FINISHED,
}
CERTAIN: Final = (
    0.99  # the promise has passed, or the carrier says so itself: a fact, but for the feed's own errors
)
LIKELY_LOST: Final = 0.9
JAMMED: Final = 0.85  # a slow parcel in a jam; 97 of 100 such stalls were true in simulated worlds
STOPPED: Final = 0.9  # likewise where nothing moves
IMPATIENT: Final = 0.38  # told as its promise passed; so many were true in simulated worlds


# What adds to the evidence what a finding is about, and its arguments after the evidence. No closure: thousands wait.
Say: TypeAlias = tuple[Callable[..., None], *tuple[Any, ...]]


class Mark(NamedTuple):
    key0: int
    key1: int
    at: int
    closed: int
    reason: int
    lost: int


class Judge:
    def __init__(
        self,
        stage: ParcelStage,
        episodes: ParcelEpisodes,
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
        self._learning = learning_ms
        self._first = stage.world.feeds["first"]  # a view, so always the present one
        self._named_by: dict[int, Sequence[str]] = {}
        self._lanes: dict[int, str | None] = {}

    # -- closing -----------------------------------------------------------------------------------------------

    def marks(self, marks: Records, now: Instant) -> list[Finding]:
        """In stream order."""
        found: list[Finding] = []
        for mark in map(Mark._make, marks.tolist()):
            key = (mark.key0, mark.key1)
            reason = CloseReason.SUPERSEDED if mark.lost else _REASONS[mark.reason]
            found += self._episodes.close(key, self._named(mark.closed), now, reason)
            if mark.lost:
                found += self._said_lost(key, now)
        return found

    def _named(self, bits: int) -> Sequence[str]:
        known = self._named_by.get(bits)
        if known is None:
            known = self._named_by[bits] = tuple(name for bit, name in self._bits.items() if bits & bit)
        return known

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
        rows = dues[np.lexsort((dues["slot"]["key1"], dues["slot"]["key0"]))]
        usual = iter(self._usual(rows[(rows["what"] & _STALL) != 0]))
        numbers = self._stage.names.unpack_many(
            np.ascontiguousarray(rows["slot"]["key0"]), np.ascontiguousarray(rows["slot"]["key1"])
        )
        found: list[Finding] = []
        for number, (row, what, age, _way, leg) in zip(numbers, rows.tolist(), strict=True):
            slot = SlotRow._make(row)
            if what & _LEAVE:
                found += self._episodes.close(slot.key, self._named(slot.open), now, CloseReason.EXPIRED)
                continue
            if what & _PROMISE:
                found.append(self._promise(slot, number, now))
            if what & _LOST:
                found += self._episodes.close(slot.key, (STALL,), now, CloseReason.SUPERSEDED)
                found.append(self._lost(slot, number, now))
            if what & _STALL:
                found.append(self._stall(slot, number, age, leg, next(usual), now))
        return found

    def _usual(self, rows: Records) -> list[Usual]:
        if not len(rows):
            return []
        return self._stage.learned.usual(*(rows[name].astype(np.int64) for name in ("way", "leg")))

    def _stall(self, slot: SlotRow, number: str, age: int, leg: int, usual: Usual, now: Instant) -> Finding:
        score = 0.5 if usual.expected is None else self._stage.learned.probability_stuck(leg)
        sooner = ""
        if age < usual.limit:
            score, sooner = min(score, IMPATIENT), wording.PATIENCE
        if slot.segment == Segment.FACILITY and self._stage.world.jammed[slot.facility]:
            score, sooner = max(score, JAMMED), wording.STILL
        if self._in_stop(slot):
            score, sooner = max(score, STOPPED), wording.STILL
        if age >= self._stage.learned.ceiling(leg):
            score = max(score, 0.5)  # the operator's word: in a jam nothing is rare any more
        said = (
            wording.stalled,
            slot.segment,
            usual,
            age,
            sooner if age < usual.limit else "",
            self._timezone,
        )
        return self._open(slot, number, STALL, KIND_OF[slot.segment], slot.last_scan * 1000, now, score, said)

    def _in_stop(self, slot: SlotRow) -> bool:
        """As `in_stop` of the kernels."""
        world = self._stage.world
        if not world.stopped[0] or slot.segment in _INDOORS:
            return False
        ends = (slot.region, slot.destination) if slot.segment == Segment.LINEHAUL else (slot.region,)
        zones = [int(world.places[end]["zone"]) for end in ends]
        return any(zone and world.stopped[zone] for zone in zones)

    def _promise(self, slot: SlotRow, number: str, now: Instant) -> Finding:
        promised = slot.promised * 1000
        said = (wording.promise_broken, promised, now, slot.segment, self._timezone)
        return self._open(slot, number, PROMISE, Kind.PROMISE_BROKEN, promised, now, CERTAIN, said)

    def _lost(self, slot: SlotRow, number: str, now: Instant) -> Finding:
        rules = self._stage.world.rules
        limit = rules[state.LOST_ABROAD_SECONDS if slot.state & ABROAD else state.LOST_SECONDS]
        said = (wording.presumed_lost, now, int(limit), self._timezone)
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
            Deferred(self._written, slot, say, self._is_learning(slot.source, now)),
        )
        self._episodes.open((slot.key0, slot.key1), finding)
        return finding

    def _written(self, slot: SlotRow, say: Say, learning: bool) -> dict[str, Any]:
        evidence = self.evidence(slot)
        add, *arguments = say
        add(evidence, *arguments)
        if learning:
            evidence["learning"] = True
        return evidence

    def _is_learning(self, source: int, now: Instant) -> bool:
        first: int = self._first.item(source)
        return first > 0 and now - first < self._learning

    def evidence(self, slot: SlotRow) -> dict[str, Any]:
        """What is known of where it is; absent is left out."""
        names = self._stage.names
        known: dict[str, Any] = {
            "carrier": names.carriers.text(slot.carrier),
            "lane": self.lane(slot.lane),
            "facility": names.facilities.text(slot.facility),
            "region": names.regions.text(slot.region),
            "destination": names.regions.text(slot.destination),
            "feed": names.sources.text(slot.source),
        }
        found = {name: value for name, value in known.items() if value is not None}
        found["segment"] = _SEGMENT_NAMES[slot.segment]
        found["since"] = slot.last_scan * 1000
        if slot.state & HISTORY:
            found["history"] = True
        return found

    def lane(self, code: int) -> str | None:
        if code not in self._lanes:
            way = self._stage.world.lanes[code]
            zones = self._stage.places.zones
            origin, destination = zones.text(int(way["origin"])), zones.text(int(way["destination"]))
            known = origin is not None or destination is not None
            self._lanes[code] = f"{origin or '?'}>{destination or '?'}" if known else None
        return self._lanes[code]

    def forget(self) -> None:
        """After the lanes were loaded anew."""
        self._lanes.clear()

    def findings_of(self, key: Key, now: Instant) -> list[Finding]:
        """What is open of a parcel."""
        return [
            replace(one, as_of=now, state=State.OPENED) for _, one in sorted(self._episodes.of(key).items())
        ]
