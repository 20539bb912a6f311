"""What metrics show of the daemon's state: gauges, and counters by totals that others keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from detectors.findings import Instant
from monitor.engine import Engine
from monitor.incidents import Incidents
from monitor.loop import Checkpoints, Loop
from monitor.metrics import OTHER_FEEDS, Metrics
from monitor.minor import to_major
from monitor.notifications import Notifications
from notifier.ledger import Ledger

PLACES: Final = frozenset(
    {"facility_congested", "feed_silent", "complaint_spike", "carrier_degraded", "backlog_forecast"}
)


@dataclass(slots=True)
class Gauges:
    metrics: Metrics
    engine: Engine
    incidents: Incidents
    notifications: Notifications
    loop: Loop
    checkpoints: Checkpoints
    ledger: Ledger
    uptime: Callable[[], float]
    totals: dict[str, dict[str, int]] = field(default_factory=dict)  # as metrics have them
    unread: int = 0  # likewise

    @property
    def open_findings(self) -> Mapping[str, int]:
        """Episodes that are open, by kind: those of parcels, and places as far as they are incidents."""
        counts = {str(kind): count for kind, count in self.engine.episodes.counts().items()}
        for (family, _phase), count in self.incidents.counts().items():
            if family in PLACES:
                counts[family] = counts.get(family, 0) + count
        return counts

    def refresh(self, now: Instant, *, shadow: bool, down: Mapping[str, float]) -> None:
        """When somebody asks for metrics: what memory knows. `down`: seconds by channel."""
        gauge = self.metrics.gauge
        gauge("live_parcels").set(self.engine.live_parcels)
        ahead = (now - self.loop.pipeline.now) / 1000 if self.loop.pipeline.now else 0.0
        gauge("stream_lag_seconds").set(max(0.0, ahead))
        gauge("clock_behind_seconds").set(max(0.0, -ahead))
        if self.checkpoints.written is not None:
            gauge("checkpoint_age_seconds").set(self.uptime() - self.checkpoints.written)
        gauge("table_load").set(self.engine.table_load)
        gauge("open_findings").clear()
        for kind, count in self.open_findings.items():
            gauge("open_findings").labels(kind=kind).set(count)
        for name, known in self.engine.feeds().items():
            feed = self.loop.feed_labels.of(name)
            if known["newest_received"] and feed != OTHER_FEEDS:
                gauge("feed_age_seconds").labels(feed=feed).set(
                    max(0.0, (self.loop.pipeline.now - known["newest_received"]) / 1000)
                )
        states: dict[str, int] = {"pending": 0, "firing": 0}
        for (_, phase), count in self.incidents.counts().items():
            states[phase] = states.get(phase, 0) + count
        for state, count in states.items():
            gauge("open_incidents").labels(state=state).set(count)
        gauge("shadow").set(shadow)
        for channel, seconds in down.items():
            gauge("channel_down_seconds").labels(channel=channel).set(seconds)
        held = {reason.value: count for reason, count in self.notifications.held_counts.items()}
        self._run_on("notifications_held", "reason", held)
        for detector, error in self.engine.calibration().items():
            gauge("detector_calibration_error").labels(detector=detector).set(error)
        self._run_on("event_outcomes", "outcome", self.engine.outcomes())
        for detector, counts in self.engine.uncounted().items():
            self._run_on("uncounted", "reason", counts, detector=detector)
        self.metrics.counter("unread_rows").inc(self.engine.place.dropped_rows - self.unread)
        self.unread = self.engine.place.dropped_rows

    def _run_on(self, name: str, label: str, totals: Mapping[str, int], **others: str) -> None:
        """A counter by what was added to totals that others keep."""
        kept = "/".join((name, *others.values()))
        counter, before = self.metrics.counter(name), self.totals.get(kept, {})
        for value, total in totals.items():  # also 0: what begins at its first number has not grown
            counter.labels(**{label: value}, **others).inc(total - before.get(value, 0))
        self.totals[kept] = dict(totals)

    async def ask_store(self, now: Instant, lag: int) -> None:
        """Each few seconds: what only the store knows. `lag`: milliseconds that the engine is behind the stream's end."""
        gauge = self.metrics.gauge
        gauge("stream_lag_entries").set(await self.loop.stream.length() if lag else 0)
        for state, count in (await self.ledger.counts()).items():
            gauge("outbox_entries").labels(state=state).set(count)
        oldest = await self.ledger.oldest_due()
        gauge("outbox_oldest_seconds").set(max(0.0, (now - oldest) / 1000) if oldest is not None else 0)
        used, most = await self.loop.stream.memory()
        gauge("store_used_bytes").set(used)
        gauge("store_limit_bytes").set(most)
        switches = await self.ledger.switches()
        gauge("ledger_hold").set("hold" in switches)
        currency = self.loop.pipeline.pack.currency
        for scope, (_spent, left) in (await self.ledger.budgets(currency, now)).items():
            gauge("budget_left_minor_units").labels(scope=scope, currency=currency).set(left)
            gauge("budget_left").labels(scope=scope, currency=currency).set(to_major(left, currency))
