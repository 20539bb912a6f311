"""Stalls that the sweep found, as findings: worked out by column, since a jam or a storm brings thousands in one tick.

What a finding says is kept as one row of bytes, and read out when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.deferred import Deferred
from detectors.findings import Finding, Instant, Kind, State, Subject, SubjectType
from detectors.survival import Usual
from monitor.engine import wording
from monitor.engine.episodes import STALL
from monitor.engine.kernels import stalls
from monitor.engine.layout import ORDER, SLOT, Records, SlotRow
from monitor.engine.stage import ParcelStage
from monitor.engine.whereabouts import Whereabouts
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
_SOONER: Final = ("", wording.PATIENCE, wording.STILL)

# What is to be said of a stall: the slot as it was, how long it stood, what was usual then. Times in seconds.
_SAID: Final = np.dtype(
    [
        ("slot", SLOT),
        ("age", "u4"),
        ("expected", "f4"),  # 0: not known
        ("limit", "u4"),
        ("cases", "i8"),
        ("sooner", "u1"),  # a code of `stalls`, by _SOONER
        ("learning", "?"),
    ]
)
Bools: TypeAlias = npt.NDArray[np.bool_]


class Stalls:
    def __init__(self, stage: ParcelStage, timezone: str, where: Whereabouts) -> None:
        self._stage = stage
        self._written = partial(_written, where, timezone)

    def opened(self, rows: Records, numbers: Sequence[str], learning: Bools, now: Instant) -> list[Finding]:
        """Of rows of DUE, in their order; `numbers` and `learning` beside them."""
        learned, said, scores = self._stage.learned, np.zeros(len(rows), _SAID), np.empty(len(rows))
        stalls.weigh(
            self._stage.world, rows, learning, learned.cases, learned.sure, learned.ceiling, said, scores
        )
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


def _written(where: Whereabouts, timezone: str, told: bytes) -> dict[str, Any]:
    row, age, expected, limit, cases, sooner, learning = np.frombuffer(told, _SAID)[0].item()
    slot = SlotRow._make(row)
    evidence = where.of(slot)
    wording.stalled(
        evidence, slot.segment, Usual(expected or None, limit, cases), age, _SOONER[sooner], timezone
    )
    if learning:
        evidence["learning"] = True
    return evidence
