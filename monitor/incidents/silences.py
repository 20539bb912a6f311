"""What keeps incidents quiet although they fire: silences by people, the calendar, and other incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from config.settings import InhibitRule, Maintenance
from detectors.findings import Instant
from monitor.incidents.matchers import Matcher, match_all, parse_all
from monitor.incidents.records import View

KEPT_AFTER_END = 5 * 86_400_000  # an expired silence stays visible that long


@dataclass(frozen=True, slots=True)
class Silence:
    silence_id: str
    matchers: tuple[Matcher, ...]
    starts_at: Instant
    ends_at: Instant
    author: str
    comment: str

    def active(self, now: Instant) -> bool:
        return self.starts_at <= now < self.ends_at

    def hides(self, labels: Mapping[str, str]) -> bool:
        return match_all(self.matchers, labels)

    def plain(self) -> dict[str, Any]:
        return {
            "silence_id": self.silence_id,
            "matchers": [str(matcher) for matcher in self.matchers],
            "starts_at": self.starts_at,
            "ends_at": self.ends_at,
            "author": self.author,
            "comment": self.comment,
        }


def silence_of(plain: Mapping[str, Any]) -> Silence:
    """Raises ValueError where a silence would hide everything, never end, or has nobody who answers for it."""
    matchers = parse_all(plain["matchers"])
    if not matchers or all(matcher.matches({}) for matcher in matchers):
        raise ValueError("a silence needs at least one matcher that asks for something")
    if not str(plain.get("author", "")).strip() or not str(plain.get("comment", "")).strip():
        raise ValueError("a silence needs an author and a reason")
    starts_at, ends_at = int(plain["starts_at"]), int(plain["ends_at"])
    if ends_at <= starts_at:
        raise ValueError("a silence must end after it starts")
    return Silence(
        str(plain.get("silence_id") or plain["id"]),
        matchers,
        starts_at,
        ends_at,
        str(plain["author"]),
        str(plain["comment"]),
    )


class Silences:
    """Expired, never deleted; a silence written again under its id replaces the old one."""

    def __init__(self) -> None:
        self._all: dict[str, Silence] = {}

    def put(self, silence: Silence) -> None:
        self._all[silence.silence_id] = silence

    def runs(self, silence_id: str, now: Instant) -> bool:
        """Also of one that has yet to begin."""
        silence = self._all.get(silence_id)
        return silence is not None and silence.ends_at > now

    def expire(self, silence_id: str, now: Instant) -> bool:
        if not self.runs(silence_id, now):
            return False
        silence = self._all[silence_id]
        self._all[silence_id] = replace(silence, starts_at=min(silence.starts_at, now - 1), ends_at=now)
        return True

    def clear(self) -> None:
        self._all = {}

    def all(self) -> tuple[Silence, ...]:
        return tuple(self._all.values())

    def hiding(self, labels: Mapping[str, str], now: Instant) -> Silence | None:
        return next((s for s in self._all.values() if s.active(now) and s.hides(labels)), None)

    def next_change(self, now: Instant) -> Instant | None:
        edges = [edge for s in self._all.values() for edge in (s.starts_at, s.ends_at) if edge > now]
        return min(edges, default=None)

    def forget(self, now: Instant) -> None:
        self._all = {key: s for key, s in self._all.items() if s.ends_at + KEPT_AFTER_END > now}


def preview(matchers: Sequence[Matcher], views: Iterable[View]) -> list[View]:
    """What a silence with these matchers would hide at once."""
    return [view for view in views if match_all(matchers, view.labels)]


class Calendar:
    """Maintenance windows; a yearly one repeats on its dates in UTC."""

    def __init__(self, windows: Iterable[Maintenance]) -> None:
        self._windows = [(window, parse_all(window.match)) for window in windows]

    def running(self, labels: Mapping[str, str], now: Instant) -> str | None:
        return next(
            (
                window.name
                for window, matchers in self._windows
                if _within(window, now) and match_all(matchers, labels)
            ),
            None,
        )

    def names(self, now: Instant) -> tuple[str, ...]:
        return tuple(window.name for window, _ in self._windows if _within(window, now))


def _within(window: Maintenance, now: Instant) -> bool:
    starts, ends = window.starts_at, window.ends_at
    moment = datetime.fromtimestamp(now / 1000, UTC)
    if not window.yearly:
        return starts <= moment < ends
    length = ends - starts
    for year in (moment.year - 1, moment.year):
        try:
            begins = starts.astimezone(UTC).replace(year=year)
        except ValueError:  # 29 February
            continue
        if begins <= moment < begins + length:
            return True
    return False


class Inhibitor:
    """An incident that matches both sides of a rule is muted only by one that does not: never by itself."""

    def __init__(self, rules: Iterable[InhibitRule]) -> None:
        self._rules = [(parse_all(rule.source), parse_all(rule.target), rule.equal) for rule in rules]

    def muted_by(self, labels: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
        """From (incident, labels) of all that fire: the muted incident and the one that mutes it."""
        muted: dict[str, str] = {}
        for source, target, equal in self._rules:
            every: dict[tuple[str, ...], str] = {}
            one_sided: dict[tuple[str, ...], str] = {}
            for incident, has in labels:
                if match_all(source, has):
                    key = tuple(has.get(name, "") for name in equal)
                    every.setdefault(key, incident)
                    if not match_all(target, has):
                        one_sided.setdefault(key, incident)
            if not every:
                continue
            for incident, has in labels:
                if incident in muted or not match_all(target, has):
                    continue
                sources = one_sided if match_all(source, has) else every
                by = sources.get(tuple(has.get(name, "") for name in equal))
                if by is not None:
                    muted[incident] = by
        return muted
