"""From changes of incidents to alerts for the ledger: who is told, when, with what words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from detectors.findings import Instant
from monitor.approvals import ask
from monitor.incidents import Incidents, Transition
from monitor.notifications import Held, Notifications
from monitor.notifications.proposals import Desk, propose
from notifier.actions import Decided, Outcome, Proposal

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Notices:
    incidents: Incidents
    notifications: Notifications
    desk: Desk
    approvers: tuple[str, ...] = ()  # channels that hear of what waits for a person
    locale: str = "zh-CN"
    two_above: Callable[[], int] = lambda: 0  # minor units; above it an approval takes two people
    shadow: Callable[[], bool] = lambda: False  # nothing leaves

    def reload(self, desk: Desk, approvers: tuple[str, ...], locale: str) -> None:
        """For what is said from now on."""
        self.desk, self.approvers, self.locale = desk, approvers, locale

    def advance(self, transitions: Sequence[Transition], now: Instant) -> list[Proposal]:
        self.notifications.observe(transitions)
        for receiver, route, _ in self.notifications.reroute(self.incidents.firing, now):
            log.info("notifications.route_gone", route=route, receiver=receiver)
        due = self.notifications.due(now, self.incidents.get, shadow=self.shadow())
        return [propose(one, self.desk) for one in due]

    def answered(self, decisions: Sequence[Decided], now: Instant) -> None:
        """The ledger's answers to what `advance` proposed: to be told is not to be told of, where they are a no."""
        for one in decisions:
            if one.outcome is Outcome.SUPPRESSED:
                without = self.notifications.shadowed if self.shadow() else self.notifications.refused
                without(one.proposal.cause, Held(one.reason.value), now)

    def ask(self, decisions: Sequence[Decided], now: Instant) -> list[Proposal]:
        """What waits for a person's word, for the approvers' chats."""
        return ask(decisions, self.desk, self.approvers, self.locale, now, two_above=self.two_above())
