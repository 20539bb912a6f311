"""The parcel stage: the table's arrays and the learned durations, worked on by the kernels.

    scans, orders -> marks (episodes that ended), endings (parcels that ended), oddities
    sweep of a bucket -> dues (stalled, promise passed, lost, leaving)

Nothing here knows what a finding is. `monitor.engine.plain.PlainStage` does the same with dictionaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from config import calendars
from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors import survival, transit
from detectors.tables import I64
from monitor.columns import Scans
from monitor.engine.kernels import census, hastening, repeats, state, sweep
from monitor.engine.kernels import orders as order_kernels
from monitor.engine.kernels import scans as scan_kernels
from monitor.engine.kernels.table import ABSENT, bucket_of_key, find
from monitor.engine.kernels.told import ScanColumns, Told
from monitor.engine.layout import (
    BACKGROUND,
    BUCKETS,
    CLEARED,
    DAY,
    DUE,
    ENDING,
    FACILITY,
    FAR,
    FEED,
    HOUR,
    LANE,
    LEGS,
    MARK,
    ODDITY,
    ORIGIN,
    PASSED,
    REGION,
    SEGMENTS,
    SLOT,
    BackgroundRow,
    Outcome,
    Records,
    SlotRow,
)
from monitor.engine.pages import Pages
from monitor.engine.places import MAX_ZONES, Places
from monitor.engine.records import copied, joined
from monitor.events import Complaint, Order
from monitor.names import Names
from monitor.vocabulary import Nameless, Segment, Status

CHUNK: Final = 8192  # rows a kernel call: bounds the rows handed up and the time away from the loop
MAX_REGION_PAIRS: Final = 1 << 18
FIRST_SIZE: Final = 64  # slots of a bucket at the start
PACED: Final = 64  # carriers whose week may be learned; the first ones heard of
HOLD_SECONDS: Final = 60  # between two looks at a parcel that is held back


_columns_of = attrgetter(*ScanColumns._fields)


class Live(NamedTuple):
    """Live parcels: where in the table each lies, and of its slot what most looks ask for. Columns that the next look
    overwrites.
    """

    places: Any
    accepted: Any
    promised: Any
    lane: Any
    carrier: Any
    segment: Any


_LIVE: Final = (np.uint32, np.uint32, np.uint32, np.uint32, np.uint16, np.uint8)


class Notices(NamedTuple):
    """What a batch gave rise to, as records of the layout of the same name, in stream order."""

    marks: Records
    endings: Records
    oddities: Records


@dataclass(frozen=True, slots=True)
class Known:
    """One slot, copied."""

    slot: SlotRow
    background: BackgroundRow


def _room(rows: int) -> Told:
    """For what so many rows of a batch may give rise to."""
    return Told(
        marks=np.zeros(2 * rows, MARK),
        endings=np.zeros(rows, ENDING),
        oddities=np.zeros(2 * rows, ODDITY),
        written=np.zeros(3, np.int64),
    )


def _notices(told: Told) -> Notices:
    marks, endings, oddities = told.written.tolist()
    return Notices(
        copied(told.marks[:marks]), copied(told.endings[:endings]), copied(told.oddities[:oddities])
    )


def _power(number: float) -> int:
    return 1 << max(int(np.ceil(np.log2(number))), 4)


def new_table(max_slots: int, remembered: int, pages: Pages) -> state.Table:
    # 0.75 at the most, and room for the most crowded of 256 random buckets.
    mean = max_slots / BUCKETS
    room = int((mean + 4 * mean**0.5) / 0.75) + FIRST_SIZE
    lines = _power(1.5 * max(remembered // BUCKETS, 16)) // repeats.PLACES
    due = pages.zeros(BUCKETS * room, np.dtype(np.uint32))
    due.reshape(BUCKETS, room)[:, :FIRST_SIZE] = FAR  # the rest when a bucket grows: memory untouched is free
    return state.Table(
        slots=pages.zeros(BUCKETS * room, SLOT),
        background=pages.zeros(BUCKETS * room, BACKGROUND),
        room=room,
        size=np.full(BUCKETS, min(FIRST_SIZE, room), np.int64),
        used=np.zeros(BUCKETS, np.int64),
        due=due,
        soonest=np.full(BUCKETS, FAR, np.uint32),
        promises=np.zeros(BUCKETS, np.uint8),
        lingering=np.zeros(BUCKETS, np.uint8),
        seen=pages.zeros(BUCKETS * lines * 2 * repeats.PLACES, np.dtype(np.uint64)).reshape(
            BUCKETS, lines, 2, repeats.PLACES
        ),
        seen_count=np.zeros((BUCKETS, 2), np.int64),
        seen_young=np.zeros(BUCKETS, np.uint8),
        spare=np.zeros(room + 1, SLOT),
        spare_background=np.zeros(room + 1, BACKGROUND),
        mixed=np.zeros(scan_kernels.WINDOW, np.uint64),
        found=np.zeros(scan_kernels.WINDOW, np.int64),
    )


def new_world(
    places: Places, worked: calendars.Worked, learned: survival.Durations, rules: Mapping[int, int]
) -> state.World:
    lanes = len(learned.limit)
    return state.World(
        places=places.table,
        calendar=places.calendar,
        worked=worked,
        lane_keys=np.zeros(_power(2 * lanes), np.uint64),
        lane_codes=np.zeros(_power(2 * lanes), np.uint32),
        lanes=np.zeros(lanes, LANE),
        limit=learned.limit,
        quick=learned.quick,
        ceiling=learned.ceiling,
        median=learned.median,
        ends=learned.ends,
        news=learned.news,
        passed=np.zeros((lanes, SEGMENTS), PASSED),
        relays=np.zeros((lanes, state.RELAY_ZONES), np.float32),
        via=np.zeros(lanes, np.uint16),
        facilities=np.zeros(places.facility_limit + 1, FACILITY),
        jammed=np.zeros(places.facility_limit + 1, np.uint8),
        stopped=np.zeros(MAX_ZONES, np.uint8),
        stop_from=np.zeros(MAX_ZONES, np.uint32),
        stop_until=np.zeros(MAX_ZONES, np.uint32),
        feeds=np.zeros(places.source_limit + 1, FEED),
        region_keys=np.zeros(2 * MAX_REGION_PAIRS, np.uint64),
        region_codes=np.zeros(2 * MAX_REGION_PAIRS, np.uint32),
        regions=np.zeros(MAX_REGION_PAIRS, REGION),
        hold=np.zeros(places.source_limit + 1, np.uint8),
        outage_from=np.zeros((places.source_limit + 1, state.OUTAGES), np.uint32),
        outage_until=np.zeros((places.source_limit + 1, state.OUTAGES), np.uint32),
        quiet_from=np.zeros(places.source_limit + 1, np.uint32),
        quiet_until=np.zeros(places.source_limit + 1, np.uint32),
        hiding=np.zeros((PACED, places.source_limit + 1), np.int32),
        voice=np.zeros(len(places.calendar), np.uint16),
        outcomes=np.zeros(len(Outcome), np.int64),
        counts=np.zeros(state.COUNTS, np.int64),
        rules=np.array([rules[number] for number in range(state.RULES)], np.int64),
    )


def with_room(worked: calendars.Worked) -> calendars.Worked:
    """Room for learned calendars after those of the rules; a calendar's number is one byte."""
    rows = min(len(worked) + PACED, 256)
    found = np.zeros((rows, worked.shape[1]), worked.dtype)
    found[: len(worked)] = worked
    return found


def rules_of(engine: EngineSettings, detection: DetectionSettings) -> dict[int, int]:
    return {
        state.MAX_SLOTS: engine.max_live_parcels,
        state.HISTORY_SECONDS: engine.history_days * DAY,
        state.LOST_SECONDS: round(detection.lost_days * DAY),
        state.LOST_ABROAD_SECONDS: round(detection.lost_days_abroad * DAY),
        state.FORGET_SECONDS: round(detection.forget_days * DAY),
        state.FINISHED_SECONDS: round(detection.finished_days * DAY),
        state.REUSE_SECONDS: round(detection.reuse_days * DAY),
        state.TOO_FAST_SECONDS: round(detection.too_fast_minutes * 60),
        state.SEEN_LIMIT: max(detection.remembered_events // BUCKETS, 16),
        state.CALENDAR_START: calendars.EPOCH,
        state.HOLD_SECONDS: HOLD_SECONDS,
        state.PATIENCE_SECONDS: round(detection.stalls.patience_hours * HOUR),
        state.PREORDER_SECONDS: round(detection.stalls.preorder_days * DAY),
    }


class ParcelStage:
    def __init__(self, engine: EngineSettings, detection: DetectionSettings, names: Names) -> None:
        self.names = names
        self.places = Places(names, detection.calendars, detection.lane_level)
        self._pages = Pages(engine.huge_pages)
        self.table = new_table(engine.max_live_parcels, detection.remembered_events, self._pages)
        onward = {int(Segment.FACILITY): int(Segment.LINEHAUL)}
        jammed = (int(Segment.FACILITY), ORIGIN, CLEARED)
        self.learned = survival.Durations(detection.max_lanes, LEGS, detection.stalls, onward, jammed)
        self.world = new_world(
            self.places,
            with_room(calendars.compiled(detection.calendars)),
            self.learned,
            rules_of(engine, detection),
        )
        ways = len(self.world.lanes) + names.carriers.limit + 1
        self.waited = state.Waited(
            by_age=np.zeros(transit.BINS, np.int64), by_lane=np.zeros((transit.BINS, ways), np.uint32)
        )
        self._clocks = np.zeros(len(self.world.worked), np.int64)
        self._places = np.zeros(self.table.room + 1, np.int64)
        self._live = Live(*(np.empty(0, kind) for kind in _LIVE))
        self._dues = np.zeros(2 * self.table.room, DUE)
        self._told = _room(CHUNK)

    # -- in ----------------------------------------------------------------------------------------------------

    def feed_scans(self, scans: Scans, now: int) -> Notices:
        """`now` in milliseconds: the last tick."""
        self.places.follow()
        if self._pages.left:
            self._pages.follow(float(self.table.size.sum()) / (BUCKETS * self.table.room))
        columns = ScanColumns._make(_columns_of(scans))
        parts = [
            self._chunk(columns, start, min(start + CHUNK, len(scans)), now)
            for start in range(0, len(scans), CHUNK)
        ]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return _notices(_room(0))
        return Notices(*(joined(kind, kind[0].dtype) for kind in zip(*parts, strict=True)))

    def _chunk(self, columns: ScanColumns, start: int, stop: int, now: int) -> Notices:
        scan_kernels.apply_scans(self.table, self.world, columns, start, stop, now, self._told)
        return _notices(self._told)

    def feed_orders(self, rows: Records) -> Notices:
        """Rows of ORDER_ROW."""
        self.places.follow()
        told = _room(len(rows))
        order_kernels.apply_orders(self.table, self.world, rows, told)
        return _notices(told)

    def hear(self, told: Iterable[Order | Complaint], kind: Nameless) -> None:
        """Feeds spoke of orders or complaints, whatever becomes of them; what they say of scans the kernel counts.

        `kind` is the feed of those that name no source.
        """
        for source, events in groupby(told, key=attrgetter("source")):
            times = [(one.occurred_at, one.received_at) for one in events]
            feed = self.world.feeds[self.names.sources.code(source or kind)]
            feed["events"] += len(times)
            feed["newest_occurred"] = max(int(feed["newest_occurred"]), *(occurred for occurred, _ in times))
            feed["newest_received"] = max(int(feed["newest_received"]), *(received for _, received in times))
            feed["first"] = int(feed["first"]) or times[0][1]

    # -- time --------------------------------------------------------------------------------------------------

    def sweep(self, buckets: Sequence[int] | I64, now: int) -> Records:
        """Rows of DUE of some buckets, in no particular order; `now` in seconds."""
        numbers = np.asarray(buckets, np.int64)
        parts: list[Records] = []
        start = 0
        while start < len(numbers):
            start, written = sweep.sweep_buckets(
                self.table, self.world, numbers, start, now, self._places, self._dues
            )
            if written:
                parts.append(copied(self._dues[:written]))
        return joined(parts, DUE)

    def hasten(self, buckets: Sequence[int], now: int) -> None:
        """Before a sweep: a jam or a stop began, and what waits there is to be looked at; `now` in seconds."""
        hastening.hasten(self.table, self.world, np.array(buckets, np.int64), now)

    def census(self, buckets: Sequence[int], now: int) -> None:
        numbers = np.array(buckets, np.int64)
        still = self.learned.counting
        census.census(self.table, self.world, numbers, now, self._clocks, self._places, still, self.waited)

    def live_parcels(self, buckets: Any, *, only_promised: bool) -> Live:
        """Those of some buckets (an array), or those of them with a promise, as they lie in the table."""
        if only_promised:
            buckets = buckets[self.table.promises[buckets] != 0]
        used = int(self.table.used[buckets].sum()) + 1
        if len(self._live.places) < used:  # kept: fresh memory costs more than to fill it
            room = used + used // 4
            self._live = Live(*(np.empty(room, kind) for kind in _LIVE))
        rows = sweep.find_live(self.table, buckets, only_promised, *self._live)
        return Live(*(column[:rows] for column in self._live))

    def estimate(self, now: int) -> None:
        """What is usual, as far as there is news of it, for the sweep to come; `now` in milliseconds."""
        lanes = self.world.lanes[: self.lane_count + 1]
        ways = lanes["origin"].astype(np.int64) * MAX_ZONES + lanes["destination"]
        self.learned.refresh(now, lanes["carrier"], ways, self.lane_count)

    # -- asked -------------------------------------------------------------------------------------------------

    @property
    def lane_count(self) -> int:
        return int(self.world.counts[state.LANES])

    @property
    def region_pairs(self) -> int:
        return int(self.world.counts[state.REGION_PAIRS])

    @property
    def live(self) -> int:
        return int(self.world.counts[state.LIVE_PARCELS])

    def view(self, key: tuple[int, int]) -> Known | None:
        index = find(self.table, np.uint64(key[0]), np.uint64(key[1]))
        if index == ABSENT:
            return None
        return Known(
            SlotRow(*self.table.slots[index].item()), BackgroundRow(*self.table.background[index].item())
        )

    def told_by(self, slot: SlotRow) -> int:
        """As `told_by` of the kernels."""
        if slot.segment == Segment.PICKUP and slot.status == Status.UNKNOWN:
            return int(self.world.voice[slot.carrier]) or slot.source
        return slot.source

    def set_open(self, key: tuple[int, int], bit: int, *, on: bool) -> None:
        """A parcel detector's episode begins or ends."""
        index = find(self.table, np.uint64(key[0]), np.uint64(key[1]))
        if index != ABSENT:
            before = int(self.table.slots[index]["open"])
            self.table.slots[index]["open"] = before | bit if on else before & ~bit

    # -- the checkpoint ----------------------------------------------------------------------------------------

    def used_slots(self, bucket: int) -> tuple[Records, Records]:
        """Copies of the slots in use and their background, in no particular order."""
        used = int(self.table.used[bucket])
        slots, background = np.zeros(used, SLOT), np.zeros(used, BACKGROUND)
        sweep.copy_used(self.table, bucket, slots, background)
        return slots, background

    def put_slots(self, bucket: int, slots: Records, background: Records) -> bool:
        """Instead of what is in the bucket; totals are not touched. False when there is no room for all."""
        entered: int = sweep.replace(self.table, bucket, slots, background)
        return entered == len(slots)

    def seen(self, bucket: int) -> list[Any]:
        """The ids of events that the bucket remembers, the older generation first."""
        young = int(self.table.seen_young[bucket])
        ids = [self.table.seen[bucket, :, generation].ravel() for generation in (1 - young, young)]
        return [generation[generation != 0] for generation in ids]

    def put_seen(self, bucket: int, generations: Sequence[Any]) -> None:
        self.table.seen[bucket] = 0
        self.table.seen_young[bucket] = 1
        limit = int(
            self.world.rules[state.SEEN_LIMIT]
        )  # less than what was remembered, if the settings changed
        for generation, known in enumerate(generations):
            ids = known[:limit]
            repeats.remember(self.table.seen, bucket, generation, ids)
            self.table.seen_count[bucket, generation] = len(ids)


__all__ = ["Known", "Notices", "ParcelStage", "bucket_of_key"]
