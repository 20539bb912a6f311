"""The place stage: totals of the parcel stage and rows of sign-offs, oddities and complaints, handed to the detectors
of `detectors.registry` when each is due.

Totals only ever run on; a detector's window is the difference of two readings, one kept for each detector and frame
it wants. Rows wait in logs that each detector reads from where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.findings import Finding, Instant
from detectors.interfaces import Doubts, PlaceDetector, Window
from monitor.engine.complaints import COMPLAINT, ComplaintLog
from monitor.engine.endings import EndingLog, by_status
from monitor.engine.kernels.places import changes_of_facilities, changes_of_regions
from monitor.engine.layout import FACILITY, FEED, ODDITY, PASSED, REGION, Records
from monitor.engine.record_table import RecordTable
from monitor.engine.records import copied
from monitor.engine.rows import RowLog
from monitor.engine.stage import ParcelStage
from monitor.engine.windows import Frames, Totals
from monitor.vocabulary import Status

TOTALS: Final = {"feeds": FEED, "facilities": FACILITY, "lanes": PASSED, "regions": REGION}
MANY: Final = 50_000  # rows for which a detector does not wait until it is due
_CHANGING: Final = ("arrived", "departed", "delivered")
_STANDING: Final = ("stock", "stalled")
_SIGNED: Final = by_status({Status.DELIVERED, Status.COLLECTED})


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
        self._doubting = [detector for detector in detectors if isinstance(detector, Doubts)]
        self._ever_busy = np.zeros(1, bool)  # by code, with room for more
        self._busy = np.zeros(0, np.int64)  # codes
        self._readings: dict[str, Records] = {}  # of this moment
        self._tables: dict[tuple[str, int], tuple[Records | None, RecordTable]] = {}
        self.endings = EndingLog(self._readers("signoffs"))
        self._oddities = RowLog(ODDITY, self._readers("oddities"))
        self._complaints = ComplaintLog(self._readers("complaints"))
        self._logs: dict[str, RowLog | ComplaintLog] = {
            "signoffs": self.endings,
            "oddities": self._oddities,
            "complaints": self._complaints,
        }

    def _readers(self, frame: str) -> list[str]:
        return [name for name, due in self._due.items() if frame in due.detector.wants]

    @property
    def dropped_rows(self) -> int:
        """That went before a detector read them."""
        return sum(log.dropped for log in self._logs.values())

    def take(self, endings: Records, oddities: Records, complaints: Sequence[COMPLAINT]) -> None:
        self.endings.append(endings)
        self._oddities.append(oddities)
        if complaints:
            self._complaints.append(complaints)

    def doubted(self) -> set[str]:
        """Names of feeds that a detector doubts."""
        return {feed for detector in self._doubting for feed in detector.doubted()}

    def run(self, now: Instant) -> list[Finding]:
        """The detectors that are due, in the order of the registry. `every` counts from the epoch, not from the start.
        One for which many rows wait is due at once: a window of a platform's sign-offs would stop the loop for seconds.
        """
        found: list[Finding] = []
        self._readings.clear()
        self._tables.clear()
        for name, due in self._due.items():
            every = due.detector.every
            if now // every == due.ran_at // every and self._waiting(name, due) < MANY:
                continue
            found += due.detector.run(self._window(due, now))
            due.ran_at = now
        return found

    def _waiting(self, name: str, due: _Due) -> int:
        wants = due.detector.wants
        return max((log.waiting(name) for frame, log in self._logs.items() if frame in wants), default=0)

    def _window(self, due: _Due, now: Instant) -> Window:
        wants = due.detector.wants
        name = due.detector.name
        tables: dict[str, RecordTable | pl.DataFrame] = {}
        if "signoffs" in wants and self.endings.waiting(name):
            tables["signoffs"] = self._signed(name)
        if "oddities" in wants and len(odd := self._oddities.read(name)):
            tables["oddities"] = self._frames.oddities(odd)
        if "complaints" in wants:
            tables["complaints"] = self._complaints.read(name)
        tables |= {frame: self._total(frame, due) for frame in TOTALS if frame in wants}
        return Window(since=due.ran_at or now, until=now, **tables)

    def _signed(self, reader: str) -> RecordTable:
        """Of the endings that a reader has not seen; all at once, as a batch has too few for a pass of its own."""
        ended = self.endings.columns(reader)
        signed = _SIGNED[ended["status"]]
        return self._frames.signoffs(ended, self._stage.world.lanes).only(signed)

    def _total(self, frame: str, due: _Due) -> RecordTable:
        """Detectors that last ran at the same moment see the same table."""
        if frame not in self._readings:
            self._readings[frame] = self._reading(frame)
        now, before = self._readings[frame], due.seen.get(frame)
        due.seen[frame] = now
        shared = (frame, id(before))
        if shared not in self._tables:  # `before` is kept for as long as its identity stands for it
            self._tables[shared] = (before, self._changed(frame, now, before))
        return self._tables[shared][1]

    def _changed(self, frame: str, now: Records, before: Records | None) -> RecordTable:
        world = self._stage.world
        change = _Difference(now, before)
        if frame == "feeds":
            codes = np.flatnonzero(now["first"] > 0)
            return self._frames.feeds(change.totals(codes[codes > 0]))
        if frame == "facilities":
            return self._frames.facilities(now, self._facilities(now, before))
        if frame == "lanes":
            lanes, segments = np.nonzero(change.all_of("finished") > 0)
            return self._frames.lanes(world.lanes, change.totals(lanes, segments))
        return self._frames.regions(world.regions, _regions(now, before))

    def _facilities(self, now: Records, before: Records | None) -> Totals:
        """Of those that ever held or moved anything: the column of names seldom changes, and is the same array then."""
        if len(self._ever_busy) < len(now):
            more = np.zeros(2 * len(now) - len(self._ever_busy), np.bool_)
            self._ever_busy = np.concatenate([self._ever_busy, more])
        codes, columns = (
            np.empty(len(now), np.int64),
            np.empty((len(_CHANGING) + len(_STANDING), len(now)), np.int64),
        )
        found = changes_of_facilities(
            now, now[:0] if before is None else before, self._ever_busy, codes, columns
        )
        if not np.array_equal(codes[:found], self._busy):
            self._busy = codes[:found]
        busy = self._busy
        changes = dict(zip(_CHANGING, columns[:, :found], strict=False))
        levels = dict(zip(_STANDING, columns[len(_CHANGING) :, :found], strict=True))
        return Totals((busy,), levels.__getitem__, changes.__getitem__)

    def _reading(self, frame: str) -> Records:
        """A copy of the running totals, as far as they are in use."""
        world, names = self._stage.world, self._stage.names
        if frame == "feeds":
            return copied(world.feeds[: len(names.sources) + 1])
        if frame == "facilities":
            return copied(world.facilities[: len(names.facilities) + 1])
        if frame == "lanes":
            return copied(world.passed[: self._stage.lane_count + 1])
        return copied(world.regions[: self._stage.region_pairs + 1])

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
            "signoffs": self.endings.state(),
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
                frame: self._shaped(frame, np.frombuffer(seen, TOTALS[frame]).copy())
                for frame, seen in saved["seen"].items()
            }
        busy = state.get("ever_busy", [])
        self._ever_busy = np.zeros(max(busy, default=0) + 1, bool)
        self._ever_busy[busy] = True
        self.endings.restore(state["signoffs"])
        self._oddities.restore(state["oddities"])
        self._complaints.restore(state["complaints"])

    def _shaped(self, frame: str, flat: Records) -> Records:
        return flat.reshape(-1, self._stage.world.passed.shape[1]) if frame == "lanes" else flat


def _regions(now: Records, before: Records | None) -> Totals:
    codes, columns = np.empty(len(now), np.int64), np.empty((3, len(now)), np.int64)
    found = changes_of_regions(now, now[:0] if before is None else before, codes, columns)
    moved = codes[:found]
    known = dict(zip(("shipped", "delivered", "live"), columns[:, :found], strict=True))
    return Totals(
        (moved,), lambda name: known[name] if name == "live" else now[name][moved], known.__getitem__
    )


class _Difference:
    """What was added to each total since an earlier reading, which may have fewer rows.

    A field is taken out of the records whole before some of it is chosen: fields lie apart and askew, and to choose among
    them costs eight times as much.
    """

    def __init__(self, now: Records, before: Records | None) -> None:
        self._now, self._before = now, now[:0] if before is None else before
        self._changes: dict[str, npt.NDArray[Any]] = {}

    def all_of(self, name: str) -> npt.NDArray[Any]:
        change = self._changes.get(name)
        if change is None:
            change = self._changes[name] = np.array(self._now[name])
            change[: len(self._before)] -= self._before[name]
        return change

    def totals(self, *place: npt.NDArray[np.int64]) -> Totals:
        return Totals(place, partial(self._level, place), partial(self._change, place))

    def _level(self, place: tuple[npt.NDArray[np.int64], ...], name: str) -> Any:
        return np.array(self._now[name])[place]

    def _change(self, place: tuple[npt.NDArray[np.int64], ...], name: str) -> Any:
        return self.all_of(name)[place]
