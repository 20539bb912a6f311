"""A feed that has fallen silent: what it usually says at this hour of the week tells how improbable so long a silence is.

How much it says when, and how long it is quiet after such an hour, is learned between runs (`feed_habits`): an
aggregator that is polled every six hours is not silent for six, nor a shop over night. Both must agree: the silence is
longer than what is usual after such an hour (by half of what the longest usual wait missed), and the events expected in
it make nothing at all improbable (a negative binomial's zero, as feeds come in bursts).

A feed is doubted long before: what is improbable by one in a hundred, and longer than usual, is enough to wait with what
its parcels' customers would be told, not enough to alarm anybody.

A silence teaches nothing while it lasts. If no backlog follows it nothing was missing, and it was a habit after all: a
shop that closes at weekends from now on is called silent at the first ones, and not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from detectors.clock import DAY, HOUR, MINUTE, stamp
from detectors.episodes import Episodes
from detectors.feed_habits import LONGEST, Habits
from detectors.findings import CloseReason, Finding, Instant, Kind, Subject, SubjectType
from detectors.interfaces import Window

DISPERSION: Final = 0.3  # of the negative binomial: variance = mean + DISPERSION * mean squared
DOUBT: Final = 0.01  # so improbable a silence is doubted
READY_WORDS: Final = 5  # windows with events: of a feed that comes in batches, several of them
LONGEST_STEP: Final = 6 * HOUR  # a wider window (the daemon was down) teaches nothing
BACKLOG: Final = 2 * HOUR  # in which it comes, or does not
GONE: Final = 21 * DAY  # of a silent feed on which no parcel hangs
HEARD: Final = 0.5  # of a backlog: mostly all of it comes or nothing


class _Return(NamedTuple):
    """From a silence: a habit, if by a moment the feed has told of no more than so many events in all."""

    since: Instant
    until: Instant
    known_at: Instant
    events: float


@dataclass(slots=True)
class _Feed:
    heard_at: Instant  # the end of the last window with events
    first: Instant
    habits: Habits
    events: int = 0
    words: int = 0  # windows with events
    learned_to: Instant = 0
    back: _Return | None = None


class FeedSilent:
    name = "feed_silent"
    wants = frozenset({"feeds"})

    def __init__(
        self,
        *,
        every: int = MINUTE,
        timezone: str = "Asia/Shanghai",
        weekday: Callable[[int], int] | None = None,
        floor_minutes: float = 45,
        surprise: float = 1e-4,
        ready_events: int = 200,
        ready_hours: float = 24,
    ) -> None:
        """`weekday` of a local day (days since 1970), if public holidays are to be known: Monday is 0."""
        self.every = every
        self._timezone = timezone
        self._weekday = weekday
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
            feed = self._feeds.get(name)
            if feed is None:
                if not events:
                    continue
                feed = self._feeds[name] = _Feed(window.until, window.until, self._habits())
                feed.learned_to = window.since
            silent = Subject(SubjectType.FEED, name) in self._episodes
            finding = self._judge(name, feed, events, live, window)
            if finding is not None:
                found.append(finding)
            self._learn(feed, events, window, silent=silent)
            if finding is not None and finding.close_reason is CloseReason.EXPIRED:
                del self._feeds[name]  # should it speak again, it is a new one
        return found

    def _habits(self) -> Habits:
        return Habits(self._timezone, self._weekday)

    def _judge(self, name: str, feed: _Feed, events: int, live: int, window: Window) -> Finding | None:
        subject, now = Subject(SubjectType.FEED, name), window.until
        if events:
            self._doubted.discard(name)
            return self._over(name, feed, live, window) if subject in self._episodes else None
        silence = now - feed.heard_at
        if subject in self._episodes and not live and silence >= GONE:
            return self._gone(name, feed, now)
        if silence < self._floor or subject in self._episodes or not self._ready(feed, now):
            return None
        usual, slack = feed.habits.usual_wait(feed.heard_at) * HOUR, feed.habits.slack(feed.heard_at) * HOUR
        if silence < usual + slack / 2:
            return None
        expected = feed.habits.expected(feed.heard_at, now)
        chance = (1 + DISPERSION * expected) ** (-1 / DISPERSION)
        if chance <= max(DOUBT, self._surprise):
            self._doubted.add(name)
        if silence < usual + slack or expected < feed.habits.missed or chance > self._surprise:
            return None
        return self._episodes.hold(
            subject,
            started_at=feed.heard_at,
            now=now,
            score=1.0 - chance,
            evidence=self._evidence(name, feed, expected, live, now),
        )

    def _gone(self, name: str, feed: _Feed, now: Instant) -> Finding | None:
        """Renamed, replaced or no longer connected: nothing hangs on it any more, and nobody has brought it back."""
        self._doubted.discard(name)
        since, days = stamp(feed.heard_at, self._timezone), GONE // DAY
        evidence = {
            "feed": name,
            "since": feed.heard_at,
            "age_hours": round((now - feed.heard_at) / HOUR, 2),
            "live_parcels": 0,
            "zh": f"数据源 {name} 自 {since} 起没有任何消息，已逾 {days} 天，也没有在途包裹依赖它：视为已停用",
            "en": f"feed {name} has said nothing since {since}, for over {days} days, and no live parcel hangs on it: taken as"
            " no longer in use",
        }
        return self._episodes.close(Subject(SubjectType.FEED, name), now, CloseReason.EXPIRED, evidence)

    def _over(self, name: str, feed: _Feed, live: int, window: Window) -> Finding | None:
        """Its evidence is of the whole silence: what comes now is held against what was expected in it."""
        now, habits = window.until, feed.habits
        expected = habits.expected(feed.heard_at, now)
        backlog = HEARD * expected + habits.expected(now, now + BACKLOG)
        feed.back = _Return(feed.heard_at, window.since, now + BACKLOG, feed.events + backlog)
        evidence = self._evidence(name, feed, expected, live, now)
        return self._episodes.close(Subject(SubjectType.FEED, name), now, CloseReason.RECOVERED, evidence)

    def _ready(self, feed: _Feed, now: Instant) -> bool:
        heard = feed.events >= self._ready_events and feed.words >= READY_WORDS
        return heard and now - feed.first >= self._ready_hours * HOUR

    def _learn(self, feed: _Feed, events: int, window: Window, *, silent: bool) -> None:
        """Hours without a word are learned when the feed speaks again: a silence must not teach that it is usual."""
        if silent or not 0 < window.until - window.since <= LONGEST_STEP:
            feed.learned_to = window.until
        if events:
            self._hear(feed, events, window)
        if feed.back is not None and window.until >= feed.back.known_at:
            self._know(feed, feed.back)
            feed.back = None

    def _hear(self, feed: _Feed, events: int, window: Window) -> None:
        now, last, habits = window.until, feed.heard_at, feed.habits
        heeded = feed.learned_to <= last  # since its last word
        if feed.learned_to < window.since:
            habits.learn(0, feed.learned_to, window.since)
            feed.learned_to = window.since
        if feed.learned_to < now:
            habits.learn(events, window.since, now)
        if heeded and now > last:
            habits.wait(last, now)
            if now - last >= self._floor:
                habits.miss(last, now)
        feed.heard_at = feed.learned_to = now
        feed.events += events
        feed.words += 1

    def _know(self, feed: _Feed, back: _Return) -> None:
        """Whether a backlog came. What it hid is no habit; what hid nothing is."""
        if feed.events <= back.events and back.until - back.since <= LONGEST:
            feed.habits.rest(back.since, back.until)
            feed.habits.wait(back.since, back.until)

    def _evidence(self, name: str, feed: _Feed, expected: float, live: int, now: Instant) -> dict[str, Any]:
        silence = (now - feed.heard_at) / HOUR
        since = stamp(feed.heard_at, self._timezone)
        zh, en = _held(live)
        return {
            "feed": name,
            "since": feed.heard_at,
            "age_hours": round(silence, 2),
            "expected_events": round(expected, 1),
            "usual_gap_hours": round(feed.habits.usual_wait(feed.heard_at), 2),
            "cases": feed.events,
            "live_parcels": live,
            "zh": f"数据源 {name} 自 {since} 起没有任何消息（{silence:.1f} 小时），平时此间约 {expected:,.0f} 条；{zh}",
            "en": f"feed {name} has said nothing since {since} ({silence:.1f} hours), where some {expected:,.0f} events"
            f" are usual; {en}",
        }

    def state(self) -> dict[str, Any]:
        return {
            "known": {
                name: {
                    "heard_at": one.heard_at,
                    "first": one.first,
                    "events": one.events,
                    "words": one.words,
                    "learned_to": one.learned_to,
                    "back": list(one.back) if one.back else None,
                    "habits": one.habits.state(),
                }
                for name, one in self._feeds.items()
            },
            "doubted": sorted(self._doubted),
            "episodes": self._episodes.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, saved in state.get("known", {}).items():
            feed = _Feed(saved["heard_at"], saved["first"], self._habits())
            feed.events, feed.words, feed.learned_to = saved["events"], saved["words"], saved["learned_to"]
            feed.back = _Return(*saved["back"]) if saved["back"] else None
            feed.habits.restore(saved["habits"])
            self._feeds[name] = feed
        for name, row in state.get("feeds", {}).items():
            self._feeds[name] = self._before_habits(row)
        self._doubted = set(state.get("doubted", ()))
        self._episodes.restore(state["episodes"])

    def _before_habits(self, saved: list[Any]) -> _Feed:
        """Of a checkpoint that knew one usual gap for all hours."""
        heard, first, events, _rate, _hours, curve, curve_hours, longest, *_ = saved
        feed = _Feed(heard, first, self._habits(), events, READY_WORDS, heard)
        feed.habits.adopt(curve, curve_hours, longest)
        return feed


def _held(live: int) -> tuple[str, str]:
    if live:
        return f"其 {live:,} 件包裹暂不判停滞", f"stalls of its {live:,} parcels are held back"
    return "此间的消息可能没有收到", "what it would have told of may be missing"
