"""Which groups an incident belongs to: routes in their order, and steps of escalation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from config.settings import EscalationStep, NotifySettings, Route
from monitor.incidents.matchers import match_all, parse_all
from monitor.notifications.groups import GroupKey

ESCALATION = "escalation-"


class Routing:
    """Raises ValueError for a matcher that cannot be."""

    def __init__(self, settings: NotifySettings, escalation: tuple[EscalationStep, ...] = ()) -> None:
        self._routes = [(route, parse_all(route.match)) for route in settings.routes]
        self._by_name = {route.name: route for route in settings.routes}
        self._escalation = escalation
        self.mark = _mark(settings.routes, escalation)

    def groups_of(self, labels: Mapping[str, str]) -> Iterator[tuple[GroupKey, int]]:
        """And how many milliseconds each waits for company."""
        for route, matchers in self._routes:
            if not match_all(matchers, labels):
                continue
            values = "\0".join(f"{name}={labels.get(name, '')}" for name in route.group_by)
            for receiver in route.receivers:
                yield (receiver, route.name, values), 1000 * route.group_wait_seconds
            if not route.go_on:
                break

    def escalated(self, level: int, incident_id: str) -> Iterator[GroupKey]:
        for receiver in self._escalation[level - 1].receivers:
            yield receiver, f"{ESCALATION}{level}", f"incident={incident_id}"

    def knows(self, key: GroupKey) -> bool:
        """Whether anybody is told by that route, or step, now."""
        receiver, name, _ = key
        if name.startswith(ESCALATION):
            level = int(name.removeprefix(ESCALATION))
            return level <= len(self._escalation) and receiver in self._escalation[level - 1].receivers
        return name in self._by_name and receiver in self._by_name[name].receivers

    def route(self, key: GroupKey) -> Route:
        route = self._by_name.get(key[1])
        return route or Route(name="gone", receivers=(key[0],), match=(), group_wait_seconds=0)

    def mention(self, name: str) -> tuple[str, ...]:
        if not name.startswith(ESCALATION):
            return ()
        level = int(name.removeprefix(ESCALATION))
        return self._escalation[level - 1].mention if level <= len(self._escalation) else ()


def _mark(routes: tuple[Route, ...], escalation: tuple[EscalationStep, ...]) -> str:
    """Of all that decides who is told: another one means that what fires has to be looked at again."""
    told_by = [(one.name, one.match, one.group_by, one.receivers, one.go_on) for one in routes]
    steps = [step.receivers for step in escalation]
    return hashlib.sha256(msgspec.json.encode([told_by, steps])).hexdigest()[:16]
