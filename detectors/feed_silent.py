"""A feed that has fallen silent: its usual volume by hour of the week says how improbable so long a silence is.

The volume is learned in slices between runs, and so is the longest usual *gap* between slices with events: an
aggregator that is polled every six hours is not silent for six. Both must agree: the silence is longer than one and a half times the longest usual gap, and the events expected in it
make nothing at all improbable (a negative binomial's zero, as feeds come in bursts).

A feed is doubted long before: what is improbable by one in a hundred, and longer than its mean gap, is enough to wait
with what its parcels' customers would be told, not enough to alarm anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from detectors.clock import HOUR, HOURS_A_WEEK, MINUTE, hour_of_week, stamp
from detectors.episodes import Episodes
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window

DISPERSION: Final = 0.3  # of the negative binomial: variance = mean + DISPERSION * mean squared
MEMORY_HOURS: Final = 24 * 21.0
DOUBT: Final = 0.01  # so improbable a silence is doubted
MEAN_GAP: Final = 0.05  # weight of a new gap in the mean of gaps
GAP_MEMORY: Final = 0.98  # a gap counts this much less with each later one
SLACK: Final = 1.5
LONGEST_STEP: Final = 6 * HOUR  # a wider window (the daemon was down) teaches nothing


@dataclass(slots=True)
class _Feed:
    heard_at: Instant  # the end of the last window with events
    first: Instant
    events: int = 0
    rate: float = 0.0  # events an hour, over all hours
    hours: float = 0.0
    curve: list[float] = field(default_factory=lambda: [0.0] * HOURS_A_WEEK)
    curve_hours: list[float] = field(default_factory=lambda: [0.0] * HOURS_A_WEEK)
    longest: float = 0.0  # usual gap, hours: fades, and rises to any longer one
    gap: float = 0.0  # mean, hours
    learned_to: Instant = 0


class FeedSilent:
    name = "feed_silent"
    wants = frozenset({"feeds"})

    def __init__(
        self,
        *,
        every: int = MINUTE,
        timezone: str = "Asia/Shanghai",
        floor_minutes: float = 45,
        surprise: float = 1e-4,
        ready_events: int = 200,
        ready_hours: float = 24,
    ) -> None:
        self.every = every
        self._timezone = timezone
        self._floor = floor_minutes * MINUTE
        self._surprise = surprise
        self._ready_events = ready_events
        self._ready_hours = ready_hours
        self._feeds: dict[str, _Feed] = {}
        self._episodes = Episodes(self.name, Kind.FEED_SILENT)
        self._doubted: set[str] = set()

    def doubted(self) -> Collection[str]:
        return frozenset(self._doubted)

    def run(self, window: Window) -> list[Finding]:
        found: list[Finding] = []
        feeds = window.table("feeds")
        counts = (feeds.whole(name).tolist() for name in ("events", "live"))
        for name, events, live in sorted(zip(feeds.labels("feed"), *counts, strict=True)):
            if name is None:
                continue
            feed = self._feeds.setdefault(name, _Feed(window.until, window.until, learned_to=window.since))
            silent = Subject(SubjectType.FEED, name) in self._episodes
            finding = self._judge(name, feed, events, live, window.until)
            if finding is not None:
                found.append(finding)
            self._learn(feed, events, window, silent=silent)
        return found

    def _judge(self, name: str, feed: _Feed, events: int, live: int, now: Instant) -> Finding | None:
        subject = Subject(SubjectType.FEED, name)
        if events:
            self._doubted.discard(name)
            return self._over(name, feed, live, now) if subject in self._episodes else None
        if subject in self._episodes or not self._ready(feed, now):
            return None
        silence = now - feed.heard_at
        if silence < max(self._floor, SLACK * feed.gap * HOUR):
            return None
        expected = self._expected(feed, feed.heard_at, now)
        chance = (1 + DISPERSION * expected) ** (-1 / DISPERSION)
        if chance <= max(DOUBT, self._surprise):
            self._doubted.add(name)
        if silence < SLACK * feed.longest * HOUR or chance > self._surprise:
            return None
        return self._episodes.hold(
            subject,
            started_at=feed.heard_at,
            now=now,
            score=1.0 - chance,
            evidence=self._evidence(name, feed, expected, live, now),
        )

    def _over(self, name: str, feed: _Feed, live: int, now: Instant) -> Finding | None:
        """Its evidence is of the whole silence: what comes now is held against what was expected in it."""
        expected = self._expected(feed, feed.heard_at, now)
        evidence = self._evidence(name, feed, expected, live, now)
        return self._episodes.close(Subject(SubjectType.FEED, name), now, CloseReason.RECOVERED, evidence)

    def _ready(self, feed: _Feed, now: Instant) -> bool:
        return feed.events >= self._ready_events and now - feed.first >= self._ready_hours * HOUR

    def _rate(self, feed: _Feed, hour: int) -> float:
        """Events an hour: the hour's own, drawn towards the feed's overall rate by two hours' worth."""
        own = feed.curve_hours[hour]
        return (feed.curve[hour] + 2.0 * feed.rate) / (own + 2.0)

    def _expected(self, feed: _Feed, start: Instant, end: Instant) -> float:
        total = 0.0
        at = start
        while at < end:
            step = min(end, (at // HOUR + 1) * HOUR)
            total += self._rate(feed, hour_of_week(at, self._timezone)) * (step - at) / HOUR
            at = step
            if total > 1e6:
                break
        return total

    def _learn(self, feed: _Feed, events: int, window: Window, *, silent: bool) -> None:
        """Hours without a word are learned when the feed speaks again: a silence must not teach that it is usual."""
        step = window.until - window.since
        if silent or not 0 < step <= LONGEST_STEP:
            feed.learned_to = window.until
        if not events:
            return
        gap = window.until - feed.heard_at
        if not silent and gap <= LONGEST_STEP * 4:
            feed.longest = max(gap / HOUR, feed.longest * GAP_MEMORY)
            feed.gap += (gap / HOUR - feed.gap) * (MEAN_GAP if feed.gap else 1.0)
        feed.heard_at = window.until
        feed.events += events
        while feed.learned_to < window.since:
            end = min(window.since, (feed.learned_to // HOUR + 1) * HOUR)
            self._learn_slice(feed, 0, feed.learned_to, end)
            feed.learned_to = end
        if feed.learned_to < window.until:
            self._learn_slice(feed, events, window.since, window.until)
        feed.learned_to = window.until

    def _learn_slice(self, feed: _Feed, events: int, start: Instant, end: Instant) -> None:
        hours = (end - start) / HOUR
        feed.hours = min(feed.hours + hours, MEMORY_HOURS)
        feed.rate += (events / hours - feed.rate) * hours / feed.hours
        slot = hour_of_week(end - 1, self._timezone)
        # An hour of the week is kept for some four visits.
        fade = 1.0 - hours / 4.0 if feed.curve_hours[slot] >= 4.0 else 1.0
        feed.curve[slot] = feed.curve[slot] * fade + events
        feed.curve_hours[slot] = feed.curve_hours[slot] * fade + hours

    def _evidence(self, name: str, feed: _Feed, expected: float, live: int, now: Instant) -> dict[str, Any]:
        silence = (now - feed.heard_at) / HOUR
        since = stamp(feed.heard_at, self._timezone)
        return {
            "feed": name,
            "since": feed.heard_at,
            "age_hours": round(silence, 2),
            "expected_events": round(expected, 1),
            "usual_gap_hours": round(feed.longest, 2),
            "cases": feed.events,
            "live_parcels": live,
            "zh": f"数据源 {name} 自 {since} 起没有任何消息（{silence:.1f} 小时），平时此间约 {expected:,.0f} 条；"
            f"其 {live:,} 件包裹暂不判停滞",
            "en": f"feed {name} has said nothing since {since} ({silence:.1f} hours), where some {expected:,.0f} events"
            f" are usual; stalls of its {live:,} parcels are held back",
        }

    def state(self) -> dict[str, Any]:
        return {
            "feeds": {
                name: [
                    one.heard_at,
                    one.first,
                    one.events,
                    one.rate,
                    one.hours,
                    one.curve,
                    one.curve_hours,
                    one.longest,
                    one.gap,
                    one.learned_to,
                ]
                for name, one in self._feeds.items()
            },
            "doubted": sorted(self._doubted),
            "episodes": self._episodes.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, saved in state["feeds"].items():
            heard, first, events, rate, hours, curve, curve_hours, longest, *later = saved
            gap, learned_to = later or (longest, heard)  # a checkpoint from before these two
            self._feeds[name] = _Feed(
                heard, first, events, rate, hours, list(curve), list(curve_hours), longest, gap, learned_to
            )
        self._doubted = set(state.get("doubted", ()))
        self._episodes.restore(state["episodes"])
