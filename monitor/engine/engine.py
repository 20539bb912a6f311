"""The engine: batches and ticks in, findings out. Deterministic, without a clock of its own.

feed: orders -> scans -> marks close episodes; endings, oddities, complaints -> place stage
tick: place detectors -> holding -> sweep of the buckets due -> dues open episodes -> parcel detectors look
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from config import calendars
from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors import registry
from detectors.findings import Finding, Instant
from detectors.interfaces import Arrivals, Calibrated, Counts, ParcelDetector, PlaceDetector
from detectors.survival import WHOLE_WAY
from detectors.tables import I64
from monitor import packing
from monitor.columns import Batch, Scans
from monitor.engine import dumping
from monitor.engine.complaints import Complaints
from monitor.engine.episodes import ParcelEpisodes
from monitor.engine.holding import Holding
from monitor.engine.jams import Jams
from monitor.engine.judging import Judge
from monitor.engine.layout import BUCKETS, DUE, FINISHED, HOUR, LIFE, Outcome, Records, SlotRow, What
from monitor.engine.order_rows import order_rows
from monitor.engine.pacing import Pacing
from monitor.engine.place_stage import PlaceStage
from monitor.engine.stage import ParcelStage
from monitor.engine.stops import Stops
from monitor.engine.watching import Watching
from monitor.engine.whereabouts import Whereabouts
from monitor.engine.windows import Frames
from monitor.names import Names
from monitor.vocabulary import Nameless, Segment, Status

SWEEPS_A_CENSUS: Final = 3  # where sweeps are sliced
_LEAVE: Final = np.uint8(What.LEAVE)
_QUANTILES: Final = (0.05, 0.5, 0.95)
_ALL_BUCKETS: Final = np.arange(BUCKETS)


@dataclass(frozen=True, slots=True)
class ParcelView:
    """What an order page or `explain` may know of a live or just ended parcel. Times in milliseconds."""

    tracking_number: str
    status: Status
    segment: Segment
    finished: bool
    since: Instant
    last_scan: Instant
    carrier: str | None
    lane: str | None
    facility: str | None
    region: str | None
    feed: str | None
    ordered: Instant | None
    accepted: Instant | None
    promised: Instant | None
    estimated: Instant | None  # the carrier's own word
    expected: (
        tuple[Instant, Instant, Instant] | None
    )  # 5 %, half and 95 % of such parcels are delivered by then
    findings: tuple[Finding, ...]


class Engine:
    def __init__(
        self,
        settings: EngineSettings,
        detection: DetectionSettings,
        names: Names,
        *,
        timezone: str = "Asia/Shanghai",
        tables: Mapping[str, Any] | None = None,
        place: Sequence[PlaceDetector] | None = None,
        parcel: Sequence[ParcelDetector] | None = None,
    ) -> None:
        """`place`, `parcel`: detectors to run instead of every one of the registry; `tables`: what the registry's may
        ask for by name (parents, neighbours, names of regions).
        """
        shop = {"timezone": timezone, **(tables or {})}
        if place is None:
            options = {
                "feed_silent": {
                    **detection.feed_silence.model_dump(),
                    "weekday": partial(calendars.weekday_worked, detection.calendars[-1]),
                },
                "signature_suspect": {"paid_on_delivery": detection.paid_on_delivery_feeds},
            }
            place = [registry.place(name, shop, **options.get(name, {})) for name in registry.PLACE]
        if parcel is None:
            options = {
                "late_predicted": {
                    "every_hours": detection.look_hours,
                    "days_off": calendars.days_off(detection.calendars[-1]),
                }
            }
            parcel = [registry.parcel(name, shop, **options.get(name, {})) for name in registry.PARCEL]
        self.names = names
        self._timezone = timezone
        self.now: Instant = 0
        self.stage = ParcelStage(settings, detection, names)
        frames = Frames(names, self.stage.places)
        self.frames = frames
        self.place = PlaceStage(self.stage, frames, place)
        self.episodes = ParcelEpisodes()
        self.where = Whereabouts(names, self.stage.places, self.stage.world.lanes)
        self.judge = Judge(
            self.stage,
            self.episodes,
            self.where,
            [detector.name for detector in parcel],
            timezone,
            round(detection.learning_hours * HOUR * 1000),
        )
        self._arrivals = [detector for detector in parcel if isinstance(detector, Arrivals)]
        self._calibrated = {one.name: one for one in (*place, *parcel) if isinstance(one, Calibrated)}
        census_ms = round(detection.stalls.census_hours * HOUR * 1000)
        self._counts = {one.name: one for one in (*place, *parcel) if isinstance(one, Counts)}
        self._uncounted_before: dict[str, Mapping[str, int]] = {}
        ended = self.place.endings
        self.watching = Watching(
            self.stage, frames, self.judge, self.where, self.episodes, parcel, census_ms, ended
        )
        self.holding = Holding(self.stage, detection, settings.tick_seconds, timezone)
        self.jams = Jams(self.stage)
        self.stops = Stops(self.stage, timezone)
        self.pacing = Pacing(self.stage, detection.calendars)
        self.complaints = Complaints(self.stage)
        self._history_days = settings.history_days
        self._sweep_ms = settings.sweep_seconds * 1000
        self._refresh_ms = round(detection.refresh_minutes * 60_000)
        self._census_ms = census_ms
        self.census_at: Instant = 0
        self.census_left: set[int] = set()
        self.hasten_left: set[int] = set()
        self._outcomes_before = np.zeros(len(Outcome), np.int64)

    # -- in ----------------------------------------------------------------------------------------------------

    def feed(self, batch: Batch) -> list[Finding]:
        found: list[Finding] = []
        self.stage.hear(batch.orders, Nameless.ORDER)
        self.stage.hear(batch.complaints, Nameless.COMPLAINT)
        complaints = self.complaints.rows(batch.complaints)
        if batch.orders:
            rows = order_rows(
                batch.orders, self.names, self.now, self._history_days, self._timezone, batch.parcels
            )
            told = self.stage.feed_orders(rows)
            found += self.judge.marks(told.marks, self.now)
            self.place.take(told.endings, told.oddities, ())
            self._release(rows["parcel0"], rows["parcel1"])
            self._release(rows["order0"], rows["order1"])
        if len(batch.scans):
            scans = _of_feeds(batch.scans, self.names)
            self.holding.count(scans, self.now)
            told = self.stage.feed_scans(scans, self.now)
            found += self.judge.marks(told.marks, self.now)
            self.place.take(told.endings, told.oddities, ())
            self._release(batch.scans.key0, batch.scans.key1)
        self.place.take(_NO_ROWS, _NO_ROWS, complaints)
        return found

    def _release(self, key0: Any, key1: Any) -> None:
        """Hashed keys that did not stay in the table, such as parcels first heard of when delivered."""
        if not self.names.sides or not len(key0) or key0.max() < packing.HASHED:
            return
        for row in np.flatnonzero(key0 >= np.uint64(packing.HASHED)).tolist():
            key = int(key0[row]), int(key1[row])
            if self.stage.view(key) is None:
                self.names.release(*key)

    # -- time --------------------------------------------------------------------------------------------------

    def tick(self, now: Instant) -> list[Finding]:
        """The moment that the stream tells. One that is not later than the last changes nothing."""
        before = self.now
        if now <= before:
            return []
        self.now = now
        self.stage.places.follow()
        self.holding.jumped(before, now)
        found = self.place.run(now)
        spoke = self.holding.hear(found, now)
        self.holding.doubt(self.place.doubted(), now)
        if self.jams.hear(found) | self.stops.pass_time(now):
            self.hasten_left = set(range(BUCKETS))
        self.holding.settle(now)
        if spoke:
            self.pacing.hear_feeds(now)
        if now // self._refresh_ms != self.stage.learned.estimated_at // self._refresh_ms:
            self.pacing.pass_time(now)
            self.stage.estimate(now)
        if not self.census_left and self._is_census_due(now):
            self.census_at = now
            self.census_left = set(range(BUCKETS))
        buckets = self._buckets_due(before, now)
        found += self.watching.look(buckets, now)
        self.watching.learn(now)
        return found + self._sweep(buckets, now)

    def _is_census_due(self, now: Instant) -> bool:
        """Half as often where little was learned since the last one, and no feed hides anything."""
        since = now - self.census_at
        if since < self._census_ms or since >= 2 * self._census_ms:
            return since >= self._census_ms
        return self.holding.silent or self.stage.learned.grown(self.stage.lane_count)

    def _buckets_due(self, before: Instant, now: Instant) -> I64:
        """Each bucket has its moment within every `sweep_seconds`; a late tick sweeps all whose moment passed."""
        if not before or now - before >= self._sweep_ms:
            return _ALL_BUCKETS
        first = (before * BUCKETS // self._sweep_ms) + 1
        last = now * BUCKETS // self._sweep_ms
        return np.arange(first, last + 1) % BUCKETS

    def _sweep(self, buckets: I64, now: int) -> list[Finding]:
        seconds = now // 1000
        counting = _of_these(buckets, self.census_left)
        if len(buckets) < BUCKETS:  # a slice, which must not take long
            counting = counting[: -(-len(buckets) // SWEEPS_A_CENSUS)]
        if counting:
            self.stage.census(counting, seconds)
            self.census_left.difference_update(counting)
            if not self.census_left:
                self.stage.learned.finish_census(self.stage.lane_count)
                self.watching.waited(now)
                self.pacing.hear_census(now)
                self.stops.hear_census()
        if self.hasten_left:
            hastened = _of_these(buckets, self.hasten_left)
            self.stage.hasten(hastened, seconds)
            self.hasten_left.difference_update(hastened)
        dues = self.stage.sweep(buckets, seconds)
        return self._judge_dues(dues, now) if len(dues) else []

    def _judge_dues(self, dues: Records, now: Instant) -> list[Finding]:
        self.watching.passed(dues)
        found = self.judge.dues(dues, now)
        gone = (dues["what"] & _LEAVE) != 0
        if gone.any():
            slots = dues[gone]["slot"]
            hashed = slots[slots["key0"] >= np.uint64(packing.HASHED)]
            for key0, key1 in zip(hashed["key0"].tolist(), hashed["key1"].tolist(), strict=True):
                self.names.release(key0, key1)
        return found

    # -- asked -------------------------------------------------------------------------------------------------

    @property
    def live_parcels(self) -> int:
        """Parcels and orders that are under way."""
        return self.stage.live

    @property
    def table_load(self) -> float:
        return float(self.stage.table.used.sum()) / float(self.stage.world.rules[0])

    def outcomes(self) -> dict[str, int]:
        """Events by what became of them, since this engine began or was loaded; names are a metric's labels."""
        counts = self.stage.world.outcomes - self._outcomes_before
        counts[Outcome.DUPLICATE] += self.complaints.repeated
        return {outcome.name.lower(): int(counts[outcome]) for outcome in Outcome}

    def calibration(self) -> dict[str, float]:
        """By detector, as far as it is known; see `detectors.interfaces.Calibrated`."""
        errors = {name: one.calibration_error() for name, one in self._calibrated.items()}
        return {name: error for name, error in errors.items() if error is not None}

    def uncounted(self) -> dict[str, dict[str, int]]:
        """By detector and reason, since this engine began or was loaded; see `detectors.interfaces.Counts`."""
        return {
            name: {reason: number - before.get(reason, 0) for reason, number in one.uncounted().items()}
            for name, one in self._counts.items()
            for before in [self._uncounted_before.get(name, {})]
        }

    def feeds(self) -> dict[str, Mapping[str, int]]:
        """Per feed: events, newest_occurred, newest_received, live, and held (1 while its stalls are held back)."""
        return {
            name: {
                "events": int(row["events"]),
                "newest_occurred": int(row["newest_occurred"]),
                "newest_received": int(row["newest_received"]),
                "live": int(row["live"]),
                "held": int(self.stage.world.hold[code]),
            }
            for code, name in enumerate(self.names.sources.texts())
            if name is not None
            for row in [self.stage.world.feeds[code]]
        }

    def parcel(self, tracking_number: str) -> ParcelView | None:
        known = self.stage.view(self.names.key(tracking_number))
        if known is None:
            return None
        slot, background = known.slot, known.background
        evidence = self.where.of(slot)
        finished = slot.state & LIFE == FINISHED
        return ParcelView(
            tracking_number=tracking_number,
            status=Status(slot.status),
            segment=Segment(slot.segment),
            finished=finished,
            since=slot.segment_since * 1000,
            last_scan=slot.last_scan * 1000,
            carrier=evidence.get("carrier"),
            lane=evidence.get("lane"),
            facility=evidence.get("facility"),
            region=evidence.get("region"),
            feed=evidence.get("feed"),
            ordered=background.ordered * 1000 or None,
            accepted=slot.accepted * 1000 or None,
            promised=slot.promised * 1000 or None,
            estimated=background.estimated * 1000 or None,
            expected=None if finished else self._expected(slot, slot.accepted * 1000),
            findings=tuple(self.judge.findings_of(slot.key, self.now)),
        )

    def _expected(self, slot: SlotRow, accepted: Instant) -> tuple[Instant, Instant, Instant] | None:
        """By today's speed where a detector knows it, else by what the lane has needed."""
        if not accepted or self.now < accepted:
            return None
        way, zones = self.stage.world.lanes[slot.lane], self.stage.places.zones
        row = {
            "carrier": self.names.carriers.text(slot.carrier),
            "origin": zones.text(int(way["origin"])),
            "destination": zones.text(int(way["destination"])),
            "accepted": accepted,
        }
        for detector in self._arrivals:
            if (known := detector.expected(row, self.now)) is not None:
                return known
        times = self.stage.learned.remaining(slot.lane, WHOLE_WAY, (self.now - accepted) / 1000, _QUANTILES)
        if times is None:
            return None
        low, middle, high = (accepted + round(seconds * 1000) for seconds in times)
        return low, middle, high

    # -- the checkpoint ----------------------------------------------------------------------------------------

    def dump(self, position: str = "") -> bytes:
        """Everything, with the stream position that it stands for; see `monitor.engine.dumping`."""
        return dumping.dump(self, position)

    def copying(self, position: str = "") -> Generator[None, None, Callable[[], bytes]]:
        """As `dump`, in steps; see `monitor.engine.dumping`."""
        return dumping.copying(self, position)

    def load(self, data: bytes) -> str:
        """Into a fresh engine; returns the position. Raises `dumping.DumpError` with the reason."""
        position = dumping.load(self, data)
        self._outcomes_before = self.stage.world.outcomes.copy()
        self._uncounted_before = {name: dict(one.uncounted()) for name, one in self._counts.items()}
        return position


def _of_feeds(scans: Scans, names: Names) -> Scans:
    """Those that name no source as of one feed, or nobody would notice its silence."""
    if scans.source.all():
        return scans
    nameless = np.uint16(names.sources.code(Nameless.TRACKING))
    return replace(scans, source=np.where(scans.source == 0, nameless, scans.source))


def _of_these(buckets: I64, left: set[int]) -> list[int]:
    return [bucket for bucket in buckets.tolist() if bucket in left] if left else []


_NO_ROWS: Final = np.zeros(0, DUE)


def no_scans() -> Scans:
    """An empty column batch, for batches of orders and complaints alone."""
    kinds = {
        **dict.fromkeys(("key0", "key1", "event"), np.uint64),
        **dict.fromkeys(("occurred", "received", "estimated"), np.int64),
        **dict.fromkeys(("status", "delivered_to"), np.uint8),
        **dict.fromkeys(("carrier", "source"), np.uint16),
        **dict.fromkeys(("region", "facility", "courier"), np.uint32),
        **dict.fromkeys(("latitude", "longitude"), np.float32),
    }
    return Scans(**{name: np.zeros(0, kind) for name, kind in kinds.items()})
