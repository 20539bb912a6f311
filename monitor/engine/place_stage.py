"""The place stage: totals of the parcel stage and rows of sign-offs, oddities and complaints, handed to the detectors
of `detectors.registry` when each is due.

Totals only ever run on; a detector's window is the difference of two readings, one kept for each detector and frame
it wants. Rows wait in logs that each detector reads from where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from detectors.findings import Finding, Instant
from detectors.interfaces import Doubts, PlaceDetector, Window, empty
from monitor.engine.complaints import COMPLAINT, ComplaintLog
from monitor.engine.layout import ENDING, FACILITY, FEED, ODDITY, PASSED, REGION, Records
from monitor.engine.rows import RowLog
from monitor.engine.stage import ParcelStage
from monitor.engine.windows import Frames
from monitor.vocabulary import Status

TOTALS: Final = {"feeds": FEED, "facilities": FACILITY, "lanes": PASSED, "regions": REGION}
_SIGNED: Final = np.array([status in {Status.DELIVERED, Status.COLLECTED} for status in Status])


@dataclass(slots=True)
class _Due:
    """One detector, when it last ran, and the totals it saw then."""

    detector: PlaceDetector
    ran_at: Instant = 0
    seen: dict[str, Records] = field(default_factory=dict)


class PlaceStage:
    def __init__(self, stage: ParcelStage, frames: Frames, detectors: Sequence[PlaceDetector]) -> None:
        self._stage = stage
        self._frames = frames
        self._due = {detector.name: _Due(detector) for detector in detectors}
        self._ever_busy = np.zeros(1, bool)
        self._signoffs = RowLog(ENDING, self._readers("signoffs"))
        self._oddities = RowLog(ODDITY, self._readers("oddities"))
        self._complaints = ComplaintLog(self._readers("complaints"))

    def _readers(self, frame: str) -> list[str]:
        return [name for name, due in self._due.items() if frame in due.detector.wants]

    @property
    def dropped_rows(self) -> int:
        return self._signoffs.dropped + self._oddities.dropped + self._complaints.dropped

    def take(self, endings: Records, oddities: Records, complaints: Sequence[COMPLAINT]) -> None:
        if len(endings) and self._signoffs.is_read:
            self._signoffs.append(endings[_SIGNED[endings["status"]]])
        self._oddities.append(oddities)
        self._complaints.append(complaints)

    def doubted(self) -> set[str]:
        """Names of feeds that a detector doubts."""
        doubting = (due.detector for due in self._due.values() if isinstance(due.detector, Doubts))
        return {feed for detector in doubting for feed in detector.doubted()}

    def run(self, now: Instant) -> list[Finding]:
        """The detectors that are due, in the order of the registry. `every` counts from the epoch, not from the start."""
        found: list[Finding] = []
        for due in self._due.values():
            every = due.detector.every
            if now // every == due.ran_at // every:
                continue
            found += due.detector.run(self._window(due, now))
            due.ran_at = now
        return found

    def _window(self, due: _Due, now: Instant) -> Window:
        wants = due.detector.wants
        name = due.detector.name
        world = self._stage.world
        logs: dict[str, pl.DataFrame] = {}
        if "signoffs" in wants:
            signed = self._signoffs.read(name)
            logs["signoffs"] = (
                self._frames.signoffs(signed, world.lanes) if len(signed) else _NOTHING["signoffs"]
            )
        if "oddities" in wants:
            odd = self._oddities.read(name)
            logs["oddities"] = self._frames.oddities(odd) if len(odd) else _NOTHING["oddities"]
        if "complaints" in wants:
            logs["complaints"] = self._complaints.read(name)
        totals = {frame: self._total(frame, due) for frame in TOTALS if frame in wants}
        return Window(
            since=due.ran_at or now,
            until=now,
            **{frame: (totals | logs).get(frame, _NOTHING[frame]) for frame in _FRAMES},
        )

    def _total(self, frame: str, due: _Due) -> pl.DataFrame:
        now = self._reading(frame)
        before = due.seen.get(frame)
        due.seen[frame] = now
        change = _difference(now, before)
        world = self._stage.world
        if frame == "feeds":
            codes = np.flatnonzero(now["first"] > 0)
            codes = codes[codes > 0]
            return self._frames.feeds(codes, now[codes], change["events"][codes])
        if frame == "facilities":
            known = self._busy(now)
            return self._frames.facilities(known, now[known], change[known])
        if frame == "lanes":
            lanes, segments = np.nonzero(change["finished"] > 0)
            return self._frames.lanes(
                world.lanes[lanes], segments, now[lanes, segments], change[lanes, segments]
            )
        moved = np.flatnonzero(_any(change, "shipped", "delivered") | _any(now, "live"))
        moved = moved[moved > 0]
        return self._frames.regions(now[moved], change[moved])

    def _busy(self, facilities: Records) -> Any:
        """Codes of those that ever held or moved anything: the column of names seldom changes."""
        busy = _any(facilities, "arrived", "delivered", "stalled")
        busy[: len(self._ever_busy)] |= self._ever_busy
        busy[0] = False
        self._ever_busy = busy
        return np.flatnonzero(busy)

    def _reading(self, frame: str) -> Records:
        """A copy of the running totals, as far as they are in use."""
        world, names = self._stage.world, self._stage.names
        if frame == "feeds":
            return np.array(world.feeds[: len(names.sources) + 1])
        if frame == "facilities":
            return np.array(world.facilities[: len(names.facilities) + 1])
        if frame == "lanes":
            return np.array(world.passed[: self._stage.lane_count + 1])
        return np.array(world.regions[: self._stage.region_pairs + 1])

    def state(self) -> dict[str, Any]:
        return {
            "detectors": {
                name: {
                    "state": due.detector.state(),
                    "ran_at": due.ran_at,
                    "seen": {frame: seen.tobytes() for frame, seen in due.seen.items()},
                }
                for name, due in self._due.items()
            },
            "ever_busy": np.flatnonzero(self._ever_busy).tolist(),
            "signoffs": self._signoffs.state(),
            "oddities": self._oddities.state(),
            "complaints": self._complaints.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, due in self._due.items():
            if (saved := state["detectors"].get(name)) is None:
                continue
            due.detector.restore(saved["state"])
            due.ran_at = saved["ran_at"]
            due.seen = {
                frame: self._shaped(frame, np.frombuffer(seen, TOTALS[frame]))
                for frame, seen in saved["seen"].items()
            }
        busy = state.get("ever_busy", [])
        self._ever_busy = np.zeros(max(busy, default=0) + 1, bool)
        self._ever_busy[busy] = True
        self._signoffs.restore(state["signoffs"])
        self._oddities.restore(state["oddities"])
        self._complaints.restore(state["complaints"])

    def _shaped(self, frame: str, flat: Records) -> Records:
        return flat.reshape(-1, self._stage.world.passed.shape[1]) if frame == "lanes" else flat


_FRAMES: Final = ("feeds", "facilities", "lanes", "regions", "signoffs", "oddities", "complaints")
_NOTHING: Final = {frame: empty(frame) for frame in _FRAMES}
_LEVELS: Final = frozenset({"newest_occurred", "newest_received", "first", "region", "carrier"})


def _difference(now: Records, before: Records | None) -> Records:
    """What was added since an earlier reading, which may have fewer rows; names and newest times stay as they are."""
    change = now.copy()
    if before is None:
        return change
    rows = len(before)
    for name in now.dtype.names or ():
        if name not in _LEVELS:
            change[name][:rows] -= before[name]
    return change


def _any(rows: Records, *fields: str) -> Any:
    found = rows[fields[0]] > 0
    for name in fields[1:]:
        found = found | (rows[name] > 0)
    return found
