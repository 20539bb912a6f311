"""What is to be said of stalls that the sweep found, and how sure they are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from monitor.engine.kernels.codes import CUSTOMS, DELIVERY, FACILITY, LINEHAUL
from monitor.engine.kernels.compiled import inlined, kernel, whole
from monitor.engine.kernels.state import World
from monitor.engine.kernels.waiting import in_jam, in_stop

# Chosen by what was true in simulated worlds, see docs/detection.md.
STOPPED: Final = 0.97  # a slow parcel where nothing moves
ALONE: Final = 0.4  # lost by one that stands still alone there, though it was under way
JAMMED: Final = 0.99  # in a jam, one that has waited for as long as would be a stall without it
CROWD: Final = 4  # stalled parcels that make a jam sure, however little one of them has waited
COMPANY: Final = 2  # likewise, from which on they raise the odds where nobody speaks of a jam
OF_STOCK: Final = (
    0.1  # fewer stalled than this of what is there are no company: so many always are in a large hub
)
FEW: Final = np.float32(0.3)  # cases of a lane that halve the odds
UNKNOWN: Final = np.float32(0.1)  # cases that stand for what a lane without any borrows
UNSURE: Final = 0.5
# Why a stall did not wait for its limit; 0: it did.
PATIENT: Final = 1
STILL: Final = 2


@kernel
def weigh(
    world: World, rows: Any, learning: Any, cases: Any, sure: Any, ceiling: Any, said: Any, scores: Any
) -> None:
    """Of rows of DUE what `said` holds of each (`monitor.engine.stalling`), and its score.

    `cases` [lane, leg], `sure` and `ceiling` [leg] as in `detectors.survival`; `learning`, one element a row, is passed
    on.
    """
    for number in range(len(rows)):
        row, one = rows[number], said[number]
        slot = row.slot
        expected, known = world.median[row.way, row.leg], cases[row.way, row.leg]
        jammed, stopped = in_jam(world, slot), in_stop(world, slot)
        one.slot = slot
        one.age = row.age
        one.limit = world.limit[row.way, row.leg]
        one.learning = learning[number]
        one.expected = expected
        one.cases = whole(np.rint(known)) if expected > 0 else 0
        one.sooner = 0
        if one.age < one.limit:
            one.sooner = STILL if jammed or stopped else PATIENT
        company = _company(world, slot)
        waited = min(one.age / max(one.limit, 1), 1.0)  # of a stall without hurry
        left = 1.0 - waited
        score = (_here(sure[row.leg], slot, known, company) if expected > 0 else UNSURE) * waited
        if jammed:
            score = max(score, min(1.0 - left * left * min(CROWD / company, 1.0), JAMMED))
        if stopped:
            under_way = _under_way(slot) and slot.facility != 0
            score = max(score, min(1.0 - ALONE / company, JAMMED) if under_way else STOPPED)
        if row.age >= ceiling[row.leg]:  # the operator's word: in a jam nothing is rare any more
            score = max(score, UNSURE)
        scores[number] = score


@inlined
def _under_way(slot: Any) -> bool:
    """What one facility can hold up."""
    return slot.segment in (FACILITY, LINEHAUL)


@inlined
def _here(sure: float, slot: Any, cases: Any, company: float) -> float:
    """Less where a lane has hardly any cases of its own, as its limit is then what others need; more where others stand
    still beside it. Its own cases do not matter for whether a shop hands its parcels over, or a customer fetches one.
    """
    odds = sure / max(1.0 - sure, 1e-9)
    if slot.segment in (FACILITY, LINEHAUL, CUSTOMS, DELIVERY):
        odds = odds * (cases + UNKNOWN) / (cases + FEW)
    if _under_way(slot):
        odds *= max(company / COMPANY, 1.0)
    return odds / (1.0 + odds)


@inlined
def _company(world: World, slot: Any) -> float:
    """How many stand still at its facility, or left it last, itself included; 1 where nobody knows the facility."""
    if slot.facility == 0:
        return 1.0
    there = world.facilities[slot.facility]
    stalled = max(there.stalled, 1.0)
    share = stalled / (stalled + max(there.stock, 0))
    return 1.0 + (stalled - 1.0) * min(share / OF_STOCK, 1.0)
