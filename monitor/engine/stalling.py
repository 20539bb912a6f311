"""Stalls that the sweep found, as findings: worked out by column, since a jam or a storm brings thousands in one tick.

What a finding says is kept as one row of bytes, and read out when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.deferred import Deferred
from detectors.findings import Finding, Instant, Kind, State, Subject, SubjectType
from detectors.survival import Usual
from monitor.engine import wording
from monitor.engine.episodes import STALL
from monitor.engine.layout import ORDER, SLOT, Records, SlotRow
from monitor.engine.stage import ParcelStage
from monitor.vocabulary import Segment

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
# Chosen by what was true in simulated worlds, see docs/detection.md.
STOPPED: Final = 0.97  # a slow parcel where nothing moves
ALONE: Final = 0.4  # lost by one that stands still alone there, though it was under way
JAMMED: Final = 0.99  # in a jam, one that has waited for as long as would be a stall without it
CROWD: Final = 4  # stalled parcels that make a jam sure, however little one of them has waited
COMPANY: Final = 2  # likewise, from which on they raise the odds where nobody speaks of a jam
OF_STOCK: Final = (
    0.1  # fewer stalled than this of what is there are no company: so many always are in a large hub
)
FEW: Final = 0.3  # cases of a lane that halve the odds
UNKNOWN: Final = 0.1  # cases that stand for what a lane without any borrows
# where a lane's own cases matter: not whether a shop hands its parcels over, or a customer fetches one
_MOVING: Final = np.array([Segment.FACILITY, Segment.LINEHAUL, Segment.CUSTOMS, Segment.DELIVERY])
_UNDER_WAY: Final = np.array([Segment.FACILITY, Segment.LINEHAUL])  # what one facility can hold up
# what a storm does not stop: the shop's own work, and customers who fetch their parcels
_INDOORS: Final = {Segment.NONE, Segment.FULFILMENT, Segment.COLLECTION, Segment.REFUND}
_OUTDOORS: Final = np.array([segment not in _INDOORS for segment in Segment])
_SOONER: Final = ("", wording.PATIENCE, wording.STILL)

# What is to be said of a stall: the slot as it was, how long it stood, what was usual then. Times in seconds.
_SAID: Final = np.dtype(
    [
        ("slot", SLOT),
        ("age", "u4"),
        ("expected", "f4"),  # 0: not known
        ("limit", "u4"),
        ("cases", "i8"),
        ("sooner", "u1"),  # of _SOONER
        ("learning", "?"),
    ]
)
Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]
# The evidence of a slot: what is known of where it is.
Known: TypeAlias = Callable[[SlotRow], dict[str, Any]]


class Stalls:
    def __init__(self, stage: ParcelStage, timezone: str, known: Known) -> None:
        self._stage = stage
        self._timezone = timezone
        self._known = known

    def opened(self, rows: Records, numbers: Sequence[str], learning: Bools, now: Instant) -> list[Finding]:
        """Of rows of DUE, in their order; `numbers` and `learning` beside them."""
        jammed, stopped = self._jammed(rows["slot"]), self._in_stop(rows)
        said = self._said(rows, jammed | stopped, learning)
        scores = self._scores(rows, said, jammed, stopped)
        told, width, write = said.tobytes(), _SAID.itemsize, self._written
        slots = rows["slot"]
        kinds = SubjectType.PARCEL, SubjectType.ORDER
        # Few scores differ, and rounding one costs as much as two findings.
        rounded = {score: round(score, 6) for score in set(scores.tolist())}
        opened = State.OPENED
        return [
            Finding(
                STALL,
                KIND_OF[segment],
                Subject(kinds[ordered], number),
                last * 1000,
                now,
                now,
                opened,
                rounded[score],
                Deferred(write, told[place : place + width]),
            )
            for number, segment, ordered, last, score, place in zip(
                numbers,
                slots["segment"].tolist(),
                ((slots["state"] & ORDER) != 0).tolist(),
                slots["last_scan"].tolist(),
                scores.tolist(),
                range(0, len(told), width),
                strict=True,
            )
        ]

    def _said(self, rows: Records, still: Bools, learning: Bools) -> Records:
        learned = self._stage.learned
        way, leg = rows["way"].astype(np.int64), rows["leg"].astype(np.int64)
        said = np.zeros(len(rows), _SAID)
        said["slot"] = rows["slot"]
        said["age"] = rows["age"]
        said["limit"] = learned.limit[way, leg]
        said["learning"] = learning
        middle = learned.median[way, leg]
        said["expected"] = middle
        said["cases"] = np.where(middle > 0, np.rint(learned.cases[way, leg]), 0)
        said["sooner"] = np.where(said["age"] < said["limit"], np.where(still, 2, 1), 0)
        return said

    def _scores(self, rows: Records, said: Records, jammed: Bools, stopped: Bools) -> Floats:
        learned = self._stage.learned
        legs = rows["leg"]
        present = set(legs.tolist())
        sure, ceiling = np.zeros(max(present) + 1), np.zeros(max(present) + 1)
        for leg in present:
            sure[leg], ceiling[leg] = learned.probability_stuck(leg), learned.ceiling(leg)
        company = self._company(rows["slot"])
        sure_here = self._here(sure[legs], rows, company)
        waited = np.minimum(said["age"] / np.maximum(said["limit"], 1), 1.0)  # of a stall without hurry
        scores = np.where(said["expected"] > 0, sure_here, 0.5) * waited
        in_jam = np.minimum(1.0 - (1.0 - waited) ** 2 * np.minimum(CROWD / company, 1.0), JAMMED)
        scores = np.where(jammed, np.maximum(scores, in_jam), scores)
        under_way = np.isin(rows["slot"]["segment"], _UNDER_WAY) & (rows["slot"]["facility"] != 0)
        in_stop = np.where(under_way, np.minimum(1.0 - ALONE / company, JAMMED), STOPPED)
        scores = np.where(stopped, np.maximum(scores, in_stop), scores)
        # the operator's word: in a jam nothing is rare any more
        found: Floats = np.where(rows["age"] >= ceiling[legs], np.maximum(scores, 0.5), scores)
        return found

    def _here(self, sure: Floats, rows: Records, company: Floats) -> Floats:
        """Less where a lane has hardly any cases of its own, as its limit is then what others need; more where others stand
        still beside it.
        """
        cases = self._stage.learned.cases[rows["way"].astype(np.int64), rows["leg"].astype(np.int64)]
        segment = rows["slot"]["segment"]
        odds = sure / np.maximum(1.0 - sure, 1e-9)
        odds = np.where(np.isin(segment, _MOVING), odds * (cases + UNKNOWN) / (cases + FEW), odds)
        odds = np.where(np.isin(segment, _UNDER_WAY), odds * np.maximum(company / COMPANY, 1.0), odds)
        found: Floats = odds / (1.0 + odds)
        return found

    def _company(self, slots: Records) -> Floats:
        """How many stand still at each one's facility, or left it last, itself included; 1 where nobody knows the facility."""
        there = self._stage.world.facilities[slots["facility"]]
        stalled = np.maximum(there["stalled"], 1.0)
        share = stalled / (stalled + np.maximum(there["stock"], 0))
        found: Floats = 1.0 + (stalled - 1.0) * np.minimum(share / OF_STOCK, 1.0)
        return np.where(slots["facility"] != 0, found, 1.0)

    def _jammed(self, slots: Records) -> Bools:
        found: Bools = (slots["segment"] == Segment.FACILITY) & (
            self._stage.world.jammed[slots["facility"]] != 0
        )
        return found

    def _in_stop(self, rows: Records) -> Bools:
        """As `in_stop` of the kernels."""
        world = self._stage.world
        if not world.stopped[0]:
            return np.zeros(len(rows), np.bool_)
        slots, zones = rows["slot"], world.places["zone"]
        segments, here = slots["segment"], zones[slots["region"]]
        ahead = np.where(segments == Segment.LINEHAUL, zones[slots["destination"]], 0)
        relay = np.where(ahead != 0, world.via[rows["way"]], 0)
        still = np.zeros(len(rows), np.bool_)
        for zone in (here, ahead, relay):  # of zone 0, `stopped` is whether any is
            still |= (world.stopped[zone] != 0) & (zone != 0)
        found: Bools = still & _OUTDOORS[segments]
        return found

    def _written(self, told: bytes) -> dict[str, Any]:
        row, age, expected, limit, cases, sooner, learning = np.frombuffer(told, _SAID)[0].item()
        slot = SlotRow._make(row)
        evidence = self._known(slot)
        usual = Usual(expected or None, limit, cases)
        wording.stalled(evidence, slot.segment, usual, age, _SOONER[sooner], self._timezone)
        if learning:
            evidence["learning"] = True
        return evidence
