"""The catalogue of metrics: an API that dashboards and alert rules are written against.

Every name, type and label stands in `CATALOGUE`; nothing else creates a metric. Labels have few values: detector,
kind, reason, channel, feed; never a parcel, an order or a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the catalogue. `name` is without the namespace and, for counters, without `_total`."""

    type: str
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = SECONDS


MOST_FEEDS: Final = 200
OTHER_FEEDS: Final = "other"
_FEED: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


class FeedLabels:
    """Names of feeds as label values: senders choose them, so only so many, and none that looks like a person's address."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def of(self, name: str | None) -> str:
        if not name:
            return "unknown"
        if name not in self._known:
            if len(self._known) >= MOST_FEEDS or not _FEED.fullmatch(name):
                return OTHER_FEEDS
            self._known.add(name)
        return name


CATALOGUE: Final = (
    Metric("counter", "events", "Events that the engine took from the stream.", ("feed", "kind")),
    Metric(
        "counter",
        "event_outcomes",
        "What the engine made of events: applied, duplicate, out_of_order, table_full ...",
        ("outcome",),
    ),
    Metric(
        "counter", "unread_rows", "Sign-offs, odd scans and complaints that no detector could read in time."
    ),
    Metric("counter", "deadletter", "Events that could not be read, by reason.", ("reason",)),
    Metric(
        "counter",
        "deadletter_unkept",
        "Dead letters that were not kept, or no longer, by why: poisoned, number, room, age, person, cut.",
        ("why",),
    ),
    Metric(
        "counter", "rejected_signatures", "Webhooks refused because their signature was wrong.", ("feed",)
    ),
    Metric("counter", "unknown_codes", "Provider codes without an entry in the feed's table.", ("feed",)),
    Metric(
        "counter", "unplaced", "Places that a feed named and that are in no region of the table.", ("feed",)
    ),
    Metric(
        "counter",
        "fields_left_out",
        "Optional fields of events whose value was out of its range: the event was taken without.",
        ("feed", "field"),
    ),
    Metric(
        "counter",
        "pushes_skipped",
        "Pushes that became no event though nothing is wrong with them: topic, test, told_by_the_order.",
        ("feed", "reason"),
    ),
    Metric(
        "counter",
        "poller_troubles",
        "Questions of pollers that brought no whole answer: network, rate, auth, server, refused, too_large, shape, "
        "stuck, unordered.",
        ("poller", "trouble"),
    ),
    Metric("counter", "poller_refused", "Parcels about which a provider answered nothing.", ("poller",)),
    Metric("counter", "intake_requests", "Requests to the intake by answer.", ("route", "status")),
    Metric("histogram", "intake_seconds", "From request to durable.", ("route",)),
    Metric(
        "gauge",
        "stream_lag_entries",
        "Entries that the stream keeps while the engine is behind its end, 0 otherwise.",
    ),
    Metric("gauge", "stream_lag_seconds", "How far the engine's clock is behind the wall clock."),
    Metric(
        "gauge",
        "clock_behind_seconds",
        "How far the wall clock is behind the engine's, whose time stands meanwhile.",
    ),
    Metric("histogram", "batch_seconds", "Time to take one batch through decode, engine, policy and ledger."),
    Metric("histogram", "sweep_seconds", "Time of one slice of the sweep, place detectors included."),
    Metric("gauge", "live_parcels", "Parcels and orders that the engine follows."),
    Metric("gauge", "table_load", "Share of the parcel table in use."),
    Metric(
        "gauge",
        "feed_age_seconds",
        "Since the feed's newest event was received, by the engine's clock.",
        ("feed",),
    ),
    Metric("counter", "findings", "Changes of episodes.", ("detector", "kind", "state")),
    Metric(
        "counter",
        "uncounted",
        "What a detector had to leave out: new places beyond its limit (no_room), complaints without a place (no_place).",
        ("detector", "reason"),
    ),
    Metric("gauge", "open_findings", "Episodes that are open.", ("kind",)),
    Metric("gauge", "open_incidents", "Incidents by state.", ("state",)),
    Metric("counter", "incident_transitions", "Changes of incidents by reason.", ("reason",)),
    Metric(
        "gauge",
        "detector_calibration_error",
        "Mean gap between stated and observed probability.",
        ("detector",),
    ),
    Metric(
        "counter",
        "notifications_held",
        "Times a receiver was not told of an incident when it could have been.",
        ("reason",),
    ),
    Metric("counter", "answers", "What people said of alerts: useful or noise, by rule.", ("rule", "answer")),
    Metric("counter", "actions", "Decisions.", ("kind", "decision", "reason", "arm")),
    Metric(
        "counter", "deliveries", "Attempts to send, by classified answer.", ("channel", "answer", "cause")
    ),
    Metric("gauge", "outbox_entries", "Outbox entries by state.", ("state",)),
    Metric("gauge", "outbox_oldest_seconds", "Age of the oldest entry that should have been sent."),
    Metric(
        "gauge",
        "channel_down_seconds",
        "For how long all that a channel was asked was refused.",
        ("channel",),
    ),
    Metric("counter", "spent_minor_units", "Money committed, in minor units.", ("currency",)),
    Metric("gauge", "budget_left_minor_units", "Money left, in minor units.", ("scope", "currency")),
    Metric("counter", "spent", "Money committed, in whole units: 19.9 CNY, 1990 JPY.", ("currency",)),
    Metric("gauge", "budget_left", "Money left, in whole units of its currency.", ("scope", "currency")),
    Metric("gauge", "store_used_bytes", "Memory that the store uses."),
    Metric("gauge", "store_limit_bytes", "Memory that the store may use (maxmemory); 0: no limit."),
    Metric("gauge", "ledger_hold", "1 while nothing may be spent."),
    Metric("gauge", "shadow", "1 while everything is decided and nothing leaves."),
    Metric("gauge", "checkpoint_age_seconds", "Since the last checkpoint."),
    Metric("histogram", "checkpoint_seconds", "Time to write a checkpoint."),
    Metric("gauge", "checkpoint_bytes", "Size of the last checkpoint."),
    Metric("counter", "schedule_missed", "Runs of a job that were late, merged or skipped.", ("job",)),
    Metric("counter", "schedule_failed", "Runs of a job that raised.", ("job",)),
    Metric("gauge", "config_reload_success", "1 if the last reload of the config succeeded."),
    Metric("gauge", "config_reload_timestamp_seconds", "When the config was last loaded."),
    Metric("gauge", "ready", "1 when the store answers and the lag is under the limit."),
    Metric("info", "build", "The version that runs."),
)


class Metrics:
    """The catalogue, made in a registry of its own: `metrics["events"].labels(...)` would be untyped, so one
    accessor per type.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, process: bool = True) -> None:
        self.registry = registry or CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._infos: dict[str, Info] = {}
        for metric in CATALOGUE:
            self._create(metric)
        if process:
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
            GCCollector(registry=self.registry)

    def counter(self, name: str) -> Counter:
        return self._counters[name]

    def gauge(self, name: str) -> Gauge:
        return self._gauges[name]

    def histogram(self, name: str) -> Histogram:
        return self._histograms[name]

    def values(self, name: str, label: str) -> dict[str, float]:
        """A gauge's present values by one label."""
        return {
            sample.labels[label]: sample.value
            for family in self._gauges[name].collect()
            for sample in family.samples
        }

    def info(self, name: str, values: Mapping[str, str]) -> None:
        self._infos[name].info(dict(values))

    def _create(self, metric: Metric) -> None:
        labels, registry = metric.labels, self.registry
        if metric.type == "counter":
            self._counters[metric.name] = Counter(
                metric.name, metric.help, labels, namespace="forestall", registry=registry
            )
        elif metric.type == "gauge":
            self._gauges[metric.name] = Gauge(
                metric.name, metric.help, labels, namespace="forestall", registry=registry
            )
        elif metric.type == "histogram":
            self._histograms[metric.name] = Histogram(
                metric.name,
                metric.help,
                labels,
                namespace="forestall",
                registry=registry,
                buckets=metric.buckets,
            )
        else:
            self._infos[metric.name] = Info(
                metric.name, metric.help, namespace="forestall", registry=registry
            )
