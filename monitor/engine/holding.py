"""When the stalls of a feed's parcels are held back: while it is silent, and until it has caught up.

* The feed tells of most scans hours later, in batches, and the next one is awaited (`batches`).
* A detector doubts the feed: held, but not for longer than `catch_up_limit_hours` on doubt alone. What a feed says is
  late is told hours before its silence is sure: a promise passes at midnight, the sign-off of the evening is hidden.
* `feed_silent` opened: the feed's parcels are held from its last word on.
* It speaks again: held for `settle_minutes`, as what waited does not come at once.
* `feed_silent` closed, or the daemon itself was down (a tick that jumped): held until the feed tells of something that happened
  after that moment, or nearly now; at most `catch_up_limit_hours`.

What silences hid does not count as a parcel's own standing still: the spans of a feed's last ones are left in
`outage_from/until`. Once `backlog_hours` have passed and the backlog is in (as many events as are usual in these hours, and
`HEARD` of those expected in the silence), nothing is hidden any more: who moved in the silence has been heard of, who
was not heard of stood still, and the span is taken away. A promise may have passed meanwhile: `quiet_from/until`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from config.detection import DetectionSettings
from detectors.clock import offset_of
from detectors.findings import Finding, Instant, Kind, State
from monitor.columns import Scans
from monitor.engine.batches import Batches
from monitor.engine.layout import HOUR
from monitor.engine.stage import ParcelStage

HEARD: Final = 0.5  # what is expected is known only roughly, and of a backlog mostly all comes or nothing
JUMP_MS = 300_000  # a tick later than this means that the daemon was down


class _Backlog(NamedTuple):
    """Of a feed that speaks again `since`: in, once it has told of so many events in all."""

    since: Instant
    events: float


class Holding:
    def __init__(
        self, stage: ParcelStage, detection: DetectionSettings, tick_seconds: int, timezone: str
    ) -> None:
        self._stage, self._timezone = stage, timezone
        self._jump = max(JUMP_MS, 3000 * tick_seconds)
        self._recent = round(detection.catch_up_minutes * 60_000)
        self._limit = round(detection.catch_up_limit_hours * HOUR * 1000)
        self._settle = round(detection.settle_minutes * 60_000)
        self._backlog = round(detection.backlog_hours * HOUR * 1000)
        self._batches = Batches(stage.places.source_limit + 1, detection.look_hours)
        self._silent: set[int] = set()
        self._before: dict[int, int] = {}  # events that a silent feed had told of
        self._awaited: dict[int, _Backlog] = {}
        self._doubted: dict[int, Instant] = {}  # feed to the moment when doubt began
        self._settling: dict[int, Instant] = {}  # feed to the moment until which its backlog may come
        self._catching: dict[int, Instant] = {}  # feed to the moment from which it has to catch up

    @property
    def held(self) -> int:
        """Feeds, as of the last `settle`."""
        return int(np.count_nonzero(self._stage.world.hold))

    @property
    def silent(self) -> bool:
        """Whether any feed is."""
        return bool(self._silent)

    def count(self, scans: Scans, now: Instant) -> None:
        """Every batch of scans that the engine is fed."""
        self._batches.count(scans, now, offset_of(now, self._timezone))

    def jumped(self, before: Instant, now: Instant) -> None:
        """Two ticks in a row."""
        if before and now - before > self._jump:
            for feed in range(1, len(self._stage.names.sources) + 1):
                self._catching[feed] = now

    def hear(self, findings: Iterable[Finding], now: Instant) -> bool:
        """Whether a feed spoke again."""
        world, spoke = self._stage.world, False
        for finding in findings:
            if finding.kind is not Kind.FEED_SILENT:
                continue
            feed = self._stage.names.sources.known(finding.subject.id)
            if finding.state is State.CLOSED:
                self._silent.discard(feed)
                self._await(feed, finding, now)
                self._catching[feed] = now
                self._settling[feed] = now + self._settle
                spoke = True
            elif feed not in self._silent:
                self._silent.add(feed)
                self._before[feed] = int(world.feeds[feed]["events"])
                self._awaited.pop(feed, None)
                for spans, begins in (
                    (world.outage_from, finding.started_at // 1000),
                    (world.outage_until, 0),
                ):
                    spans[feed, 1:] = spans[feed, :-1]
                    spans[feed, 0] = begins
                world.quiet_from[feed] = finding.started_at // 1000
        return spoke

    def _await(self, feed: int, finding: Finding, now: Instant) -> None:
        before, expected = self._before.pop(feed, None), finding.evidence.get("expected_events")
        if before is not None and expected is not None:
            usual_since = self._backlog / max(now - finding.started_at, 1)  # times what the silence hid
            self._awaited[feed] = _Backlog(now, before + (HEARD + usual_since) * float(expected))

    def _hear_out(self, now: Instant) -> None:
        """Whose backlog is in: the last silence of such a feed hides nothing any more."""
        world = self._stage.world
        for feed, one in list(self._awaited.items()):
            if now - one.since < self._backlog:
                continue
            del self._awaited[feed]
            if int(world.feeds[feed]["events"]) >= one.events:
                for spans in (world.outage_from, world.outage_until):
                    spans[feed] = [*spans[feed, 1:], 0]

    def doubt(self, names: Collection[str], now: Instant) -> None:
        """The feeds that are doubted now, by name."""
        feeds = {self._stage.names.sources.known(name) for name in names}
        for feed in self._doubted.keys() - feeds:
            del self._doubted[feed]
            self._settling[feed] = now + self._settle
        for feed in feeds:
            self._doubted.setdefault(feed, now)

    def settle(self, now: Instant) -> None:
        """Before a sweep: which feeds' parcels may be judged."""
        world = self._stage.world
        for feed, since in list(self._catching.items()):
            newest = int(world.feeds[feed]["newest_occurred"])
            if newest >= min(since, now - self._recent) or now - since > self._limit:
                del self._catching[feed]
        for feed in self._silent:
            world.outage_until[feed, 0] = now // 1000
        world.quiet_until[np.array([*self._silent, *self._awaited], np.int64)] = now // 1000
        self._hear_out(now)
        world.hold[:] = 0
        self._settling = {feed: until for feed, until in self._settling.items() if now < until}
        doubted = [feed for feed, since in self._doubted.items() if now - since <= self._limit]
        awaited = self._batches.unheard(len(self._stage.names.sources) + 1, now)
        held = [*self._silent, *self._catching, *self._settling, *doubted, *awaited]
        world.hold[np.array(held, np.int64)] = 1

    def state(self) -> dict[str, Any]:
        world = self._stage.world
        feeds = len(self._stage.names.sources) + 1
        return {
            "batches": self._batches.state(feeds),
            "silent": sorted(self._silent),
            "catching": sorted(self._catching.items()),
            "doubted": sorted(self._doubted.items()),
            "settling": sorted(self._settling.items()),
            "before": sorted(self._before.items()),
            "awaited": [[feed, *one] for feed, one in sorted(self._awaited.items())],
            "quiet": [world.quiet_from[:feeds].tolist(), world.quiet_until[:feeds].tolist()],
            "outages": [world.outage_from[:feeds].tolist(), world.outage_until[:feeds].tolist()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if "batches" in state:  # younger than the format
            self._batches.restore(state["batches"])
        self._silent = set(state["silent"])
        self._catching = dict(state["catching"])
        self._doubted = dict(state.get("doubted", ()))
        self._settling = dict(state.get("settling", ()))
        self._before = dict(state.get("before", ()))
        self._awaited = {feed: _Backlog(*one) for feed, *one in state.get("awaited", ())}
        world = self._stage.world
        for edge, moments in zip((world.quiet_from, world.quiet_until), state.get("quiet", ()), strict=False):
            edge[: len(moments)] = moments
        for spans, known in zip((world.outage_from, world.outage_until), state["outages"], strict=True):
            rows = np.array(known, np.uint32).reshape(len(known), -1)  # one column in checkpoints of before
            spans[: len(rows), : rows.shape[1]] = rows
        if "quiet" not in state:  # younger than the format
            world.quiet_from[:] = world.outage_from[:, 0]
