"""From changes of incidents to alerts for the ledger: who is told, when, with what words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detectors.findings import Instant
from monitor.incidents import Incidents, Transition
from monitor.notifications import Notifications
from monitor.notifications.proposals import Desk, propose
from notifier.actions import Proposal


@dataclass(slots=True)
class Notices:
    incidents: Incidents
    notifications: Notifications
    desk: Desk

    def advance(self, transitions: Sequence[Transition], now: Instant) -> list[Proposal]:
        self.notifications.observe(transitions)
        return [propose(one, self.desk) for one in self.notifications.due(now, self.incidents.get)]
