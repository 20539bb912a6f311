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
JAMMED: Final = 0.85  # a slow parcel in a jam; 97 of 100 such stalls were true in simulated worlds
STOPPED: Final = 0.9  # likewise where nothing moves
IMPATIENT: Final = 0.38  # told as its promise passed; so many were true in simulated worlds
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
# The evidence of a slot: what is known of where it is.
Known: TypeAlias = Callable[[SlotRow], dict[str, Any]]


class Stalls:
    def __init__(self, stage: ParcelStage, timezone: str, known: Known) -> None:
        self._stage = stage
        self._timezone = timezone
        self._known = known

    def opened(self, rows: Records, numbers: Sequence[str], learning: Bools, now: Instant) -> list[Finding]:
        """Of rows of DUE, in their order; `numbers` and `learning` beside them."""
        jammed, stopped = self._jammed(rows["slot"]), self._in_stop(rows["slot"])
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

    def _scores(self, rows: Records, said: Records, jammed: Bools, stopped: Bools) -> npt.NDArray[np.float64]:
        learned = self._stage.learned
        legs = rows["leg"]
        present = set(legs.tolist())
        sure, ceiling = np.zeros(max(present) + 1), np.zeros(max(present) + 1)
        for leg in present:
            sure[leg], ceiling[leg] = learned.probability_stuck(leg), learned.ceiling(leg)
        scores = np.where(said["expected"] > 0, sure[legs], 0.5)
        scores = np.where(said["age"] < said["limit"], np.minimum(scores, IMPATIENT), scores)
        scores = np.where(jammed, np.maximum(scores, JAMMED), scores)
        scores = np.where(stopped, np.maximum(scores, STOPPED), scores)
        # the operator's word: in a jam nothing is rare any more
        return np.where(rows["age"] >= ceiling[legs], np.maximum(scores, 0.5), scores)

    def _jammed(self, slots: Records) -> Bools:
        found: Bools = (slots["segment"] == Segment.FACILITY) & (
            self._stage.world.jammed[slots["facility"]] != 0
        )
        return found

    def _in_stop(self, slots: Records) -> Bools:
        """As `in_stop` of the kernels."""
        world = self._stage.world
        if not world.stopped[0]:
            return np.zeros(len(slots), np.bool_)
        zones, segments = world.places["zone"], slots["segment"]
        here = zones[slots["region"]]
        ahead = np.where(segments == Segment.LINEHAUL, zones[slots["destination"]], 0)
        # of zone 0, `stopped` is whether any is
        still = ((world.stopped[here] != 0) & (here != 0)) | ((world.stopped[ahead] != 0) & (ahead != 0))
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
