"""Which facilities are jammed: what `facility_congested` says of places changes how their parcels are judged.

In a jam a slow parcel is no chance any more: its stall opens after a shorter margin, and what it took teaches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from detectors.findings import Finding, Kind, State, SubjectType
from monitor.engine.stage import ParcelStage


class Jams:
    def __init__(self, stage: ParcelStage) -> None:
        self._stage = stage
        self._open: set[int] = set()

    def hear(self, findings: Iterable[Finding]) -> bool:
        """Whether a jam began: limits are lower there now. When one ends they are higher, which waiting parcels find out."""
        jammed, before = self._stage.world.jammed, set(self._open)
        for finding in findings:
            if (
                finding.kind is not Kind.FACILITY_CONGESTED
                or finding.subject.type is not SubjectType.FACILITY
            ):
                continue
            facility = self._stage.names.facilities.known(finding.subject.id)
            if finding.state is State.CLOSED:
                self._open.discard(facility)
                jammed[facility] = 0
            elif facility:
                self._open.add(facility)
                jammed[facility] = 1
        return not self._open <= before

    def state(self) -> list[int]:
        return sorted(self._open)

    def restore(self, state: Iterable[int]) -> None:
        self._open = set(state)
        self._stage.world.jammed[:] = 0
        self._stage.world.jammed[sorted(self._open)] = 1
