"""Parcel detectors at work: the sweep brings them each live parcel every so often, endings teach them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.clock import DAY
from detectors.deferred import Deferred
from detectors.findings import CloseReason, Finding, Instant
from detectors.interfaces import ParcelDetector, Verdict, Waits
from detectors.tables import I64
from monitor.engine import waited
from monitor.engine.endings import EndingLog, by_status
from monitor.engine.episodes import ParcelEpisodes
from monitor.engine.judging import Judge
from monitor.engine.layout import BUCKETS, DETECTOR_BIT, ENDING, Records, SlotRow, What
from monitor.engine.records import joined
from monitor.engine.stage import ParcelStage
from monitor.engine.whereabouts import Whereabouts
from monitor.engine.windows import Frames
from monitor.vocabulary import Status

MOST = 5  # bits of slot.open that are left for parcel detectors
_PROMISE = np.uint8(What.PROMISE)  # an enumeration's member is asked for its type at every use
LONGEST = 2 * DAY  # between two censuses: what a longer pause hides is not known
_READER = "parcels"  # of endings
_ENDS = by_status({Status.DELIVERED, Status.COLLECTED, Status.RETURNED, Status.LOST})


def _rank(ranked: tuple[int, Verdict]) -> int:
    return ranked[0]


def _merged(where: Whereabouts, slot: SlotRow, evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {**where.of(slot), **evidence}


class Watching:
    def __init__(
        self,
        stage: ParcelStage,
        frames: Frames,
        judge: Judge,
        where: Whereabouts,
        episodes: ParcelEpisodes,
        detectors: Sequence[ParcelDetector],
        census_ms: int,
        endings: EndingLog,
    ) -> None:
        if len(detectors) > MOST:
            raise ValueError(f"at most {MOST} parcel detectors fit a slot, not {len(detectors)}")
        self._stage = stage
        self._frames = frames
        self._judge = judge
        self._where = where
        self._episodes = episodes
        self._detectors = detectors
        self._waiters = [detector for detector in detectors if isinstance(detector, Waits)]
        self._census_ms = census_ms
        self._counted_at: Instant = 0
        self._looked = {detector.name: np.zeros(BUCKETS, np.int64) for detector in detectors}
        self._endings = endings
        if detectors:
            endings.add_reader(_READER)
        self._broken: list[Records] = []  # since then

    def passed(self, dues: Records) -> None:
        """Parcels whose promise passed while they were on their way teach at that moment."""
        if not self._detectors:
            return
        broken = (dues["what"] & _PROMISE) != 0
        if not broken.any():
            return
        late = dues["slot"][broken]
        rows = np.zeros(len(late), ENDING)
        for name in (
            "key0",
            "key1",
            "accepted",
            "promised",
            "destination",
            "lane",
            "carrier",
            "source",
            "status",
        ):
            rows[name] = late[name]
        for row in rows:
            known = self._stage.view((int(row["key0"]), int(row["key1"])))
            row["ordered"] = known.background.ordered if known else 0
        self._broken.append(rows)

    def learn(self, now: Instant) -> None:
        if not self._detectors or not (self._broken or self._endings.waiting(_READER)):
            return
        ended = self._endings.columns(_READER, self._broken)
        self._broken.clear()
        # of those that passed their promise the status is that of the way
        over = _ENDS[ended["status"]] | (ended["occurred"] == 0)
        frame = self._frames.finished(ended, self._stage.world.lanes).only(over)
        if not len(frame):
            return
        for detector in self._detectors:
            detector.learn(frame, now)

    def waited(self, now: Instant) -> None:
        """Tells of the census that is complete."""
        counted = waited.read(self._stage)
        waited.begin(self._stage)
        span = min(now - self._counted_at, LONGEST) if self._counted_at else self._census_ms
        self._counted_at = now
        waiting = self._frames.waiting(counted, self._stage.world.lanes, span)
        for detector in self._waiters:
            detector.waited(waiting, now)

    def look(self, buckets: I64, now: Instant) -> list[Finding]:
        """Brings the parcels of these buckets to each detector that has not seen them for its `every`."""
        found: list[Finding] = []
        for number, detector in enumerate(self._detectors):
            looked = self._looked[detector.name]
            due = buckets[now - looked[buckets] >= detector.every]
            if not len(due):
                continue
            looked[due] = now
            live = self._stage.live_parcels(due, only_promised=detector.only_promised)
            if not len(live.places):
                continue
            bit = DETECTOR_BIT << number
            stage, slots = self._stage, self._stage.table.slots
            table = self._frames.parcels(live, slots, stage.table.background, stage.world.lanes, bit)
            verdicts = list(detector.look(table, now))
            if verdicts:
                # Where a parcel lies in the table changes nothing.
                ranks = table.take(np.array([one.row for one in verdicts])).rank().tolist()
                verdicts = [one for _, one in sorted(zip(ranks, verdicts, strict=True), key=_rank)]
            for verdict in verdicts:
                slot = SlotRow(*slots[live.places[verdict.row]].item())
                found += self._act(slot, bit, detector.name, verdict, now)
        return found

    def _act(self, slot: SlotRow, bit: int, name: str, verdict: Verdict, now: Instant) -> list[Finding]:
        opened = name in self._episodes.of(slot.key)
        if not verdict.open:
            if not opened:
                return []
            self._stage.set_open(slot.key, bit, on=False)
            return self._episodes.close(slot.key, (name,), now, CloseReason.RECOVERED)
        if self._stage.world.hold[self._stage.told_by(slot)]:
            return []  # nor is what is open made surer by what its feed hides
        if opened:
            merged = Deferred(_merged, self._where, slot, verdict.evidence)
            return [self._episodes.update(slot.key, name, round(verdict.score, 6), merged, now)]
        self._stage.set_open(slot.key, bit, on=True)
        return [self._judge.watched(slot, name, now, verdict.score, verdict.evidence)]

    def state(self) -> dict[str, Any]:
        rows = joined(self._broken, ENDING)
        return {
            "detectors": {detector.name: detector.state() for detector in self._detectors},
            "looked": {name: looked.tolist() for name, looked in self._looked.items()},
            "endings": rows.tobytes(),
            "waited": waited.state(self._stage),
            "counted_at": self._counted_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for detector in self._detectors:
            if detector.name in state["detectors"]:
                detector.restore(state["detectors"][detector.name])
                self._looked[detector.name] = np.array(state["looked"][detector.name], np.int64)
        rows = np.frombuffer(state["endings"], ENDING)  # before they had one log, all that waited
        self._broken = [rows.copy()] if len(rows) else []
        if "waited" in state:  # younger than the format
            waited.restore(self._stage, state["waited"])
        self._counted_at = state.get("counted_at", 0)
