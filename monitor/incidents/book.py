"""All incidents: findings and what people decide go in, transitions come out. Pure; the time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from config.settings import IncidentRule, IncidentSettings
from detectors.findings import Finding, Instant, State
from monitor.incidents.grouping import Member
from monitor.incidents.incident import LABELS, Incident
from monitor.incidents.matchers import parse_all
from monitor.incidents.muting import WHY, Muting
from monitor.incidents.records import Command, Mute, Phase, Transition, View, Why
from monitor.incidents.roster import Roster
from monitor.incidents.silences import Silences, preview, silence_of

COMMANDS = 10_000


class Incidents:
    """Wiring: `advance(findings, now)` once a tick, also with no findings (time alone confirms, resolves, escalates);
    `apply(command)` when a person acted; `state()`/`restore()` with the checkpoint. `incident_of(finding_id)` names
    the incident of a finding, for budgets an incident and for "why was I not told".
    """

    def __init__(self, settings: IncidentSettings) -> None:
        self.roster = Roster(settings)
        self._history: list[View] = []
        self._applied: dict[str, None] = {}
        self.silences = Silences()
        self._out: list[Transition] = []
        self._expected: list[Command] = []
        self.reload(settings)

    def reload(self, settings: IncidentSettings) -> None:
        """New rules for the incidents that are there: nothing is forgotten, nothing is told twice. Raises ValueError for a
        matcher that cannot be, with the old rules in force.
        """
        self._muting = Muting(settings, self.silences)
        self._settings = settings
        self.roster.reload(settings)

    def advance(
        self,
        findings: Sequence[Finding],
        now: Instant,
        amounts: Mapping[str, tuple[int, str]] | None = None,
    ) -> list[Transition]:
        """`amounts`: by finding id, what the order behind it is worth, in minor units, and the currency."""
        self._remember(now)
        known = amounts or {}
        for finding in findings:
            if finding.state is State.OPENED:
                for emptied, cause in self.roster.opened(finding, now, known):
                    self._end(emptied, Why.CAUSE_FOUND, now, note=cause.incident_id)
            elif finding.state is State.CLOSED:
                self.roster.closed(finding)
            else:
                self.roster.updated(finding)
        self._settle(now)
        return self._drain()

    def apply(self, command: Command) -> list[Transition]:
        """Raises KeyError for an unknown incident or silence and ValueError for a silence that cannot be."""
        if command.id in self._applied:
            return []
        self.check(command)
        if command.verb == "silence":
            self.silences.put(silence_of(command.silence))
        elif command.verb == "expire":
            self.silences.expire(command.note, command.at)
        else:
            self._decide(self.roster.by_id[command.incident_id], command)
        self._muting.stale = True
        self._applied[command.id] = None
        while len(self._applied) > COMMANDS:
            del self._applied[next(iter(self._applied))]
        self._settle(command.at)
        return self._drain()

    def check(self, command: Command) -> None:
        """Raises as `apply` does for what is unknown or cannot be, and changes nothing."""
        if command.verb == "silence":
            silence_of(command.silence)
        elif command.verb == "expire":
            if not self.silences.runs(command.note, command.at):
                raise KeyError(command.note)
        elif command.incident_id not in self.roster.by_id:
            raise KeyError(command.incident_id)
        elif command.verb == "snooze" and (command.until is None or command.until <= command.at):
            raise ValueError("a snooze needs an end in the future")

    def expect(self, commands: Iterable[Command]) -> None:
        """After a restart: decisions made since the checkpoint, to be made again when the clock comes to them."""
        self._expected = sorted((*self._expected, *commands), key=lambda command: command.at)

    def _remember(self, now: Instant) -> None:
        while self._expected and self._expected[0].at <= now:
            command = self._expected.pop(0)
            try:
                said = self.apply(command)
            except (KeyError, ValueError):
                continue  # it was refused then as well, or its incident is over
            self._out.extend(said)

    # what others read

    def views(self) -> list[View]:
        """The incidents that are pending or fire, in the order in which they opened."""
        return [incident.view() for incident in self.roster.open.values()]

    def firing(self) -> list[View]:
        return [i.view() for i in self.roster.open.values() if i.phase is Phase.FIRING]

    def history(self) -> list[View]:
        """Resolved, the newest last."""
        return list(self._history)

    def get(self, incident_id: str) -> View | None:
        incident = self.roster.by_id.get(incident_id)
        if incident is not None:
            return incident.view()
        return next((view for view in reversed(self._history) if view.incident_id == incident_id), None)

    def members(self, incident_id: str, limit: int = 100, offset: int = 0) -> list[tuple[str, Member]]:
        incident = self.roster.by_id.get(incident_id)
        found = list(incident.members.items()) if incident else []
        return found[offset : offset + limit]

    def incident_of(self, finding_id: str) -> str | None:
        """None where it is one of a carrier's scattered findings: they have no cause in common to budget for."""
        return self.roster.incident_of(finding_id)

    def counts(self) -> dict[tuple[str, str], int]:
        """By family and phase, for the metrics."""
        counts: dict[tuple[str, str], int] = {}
        for group, incident in self.roster.open.items():
            key = (group.family, incident.phase.value)
            counts[key] = counts.get(key, 0) + 1
        return counts

    def preview(self, matchers: Iterable[str]) -> list[View]:
        """What a silence with these matchers would hide now. Raises ValueError where one can never match."""
        asked = parse_all(matchers)
        for matcher in asked:
            if matcher.label not in LABELS:
                known = ", ".join(sorted(LABELS))
                raise ValueError(f"no incident has a label {matcher.label!r}; there are: {known}")
        return preview(asked, self.firing())

    def maintenance(self, now: Instant) -> tuple[str, ...]:
        return self._muting.calendar.names(now)

    # the checkpoint

    def state(self) -> dict[str, Any]:
        return {
            "version": 1,
            "open": self.roster.plain(),
            "silences": [silence.plain() for silence in self.silences.all()],
            "applied": list(self._applied),
            "history": [msgspec.to_builtins(view) for view in self._history],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if state["version"] != 1:
            raise ValueError(f"incidents of version {state['version']} are not readable here")
        self.roster.restore(state["open"])
        self.silences.clear()
        for plain in state["silences"]:
            self.silences.put(silence_of(plain))
        self._applied = dict.fromkeys(state["applied"])
        self._history = [msgspec.convert(plain, View) for plain in state["history"]]
        self._muting.stale = True

    # time

    def _settle(self, now: Instant) -> None:
        for incident in list(self.roster.open.values()):
            if incident.dirty or (incident.wake is not None and incident.wake <= now):
                self._step(incident, now)
        if self._muting.due(now):
            self._mute(now)

    def _step(self, incident: Incident, now: Instant) -> None:
        rule = self.roster.rule(incident)
        if incident.dirty:
            before = incident.labels
            incident.relabel()
            self._muting.stale |= before != incident.labels
        incident.dirty, incident.wake = False, None
        incident.weigh(rule.min_members, now)
        if incident.phase is Phase.PENDING:
            self._step_pending(incident, rule, now)
        else:
            self._step_firing(incident, rule, now)

    def _step_pending(self, incident: Incident, rule: IncidentRule, now: Instant) -> None:
        if not incident.anchors and (incident.anchored or not incident.open):
            self._end(incident, Why.PASSED, now)
        elif incident.strong_since is not None:
            due = incident.strong_since + 1000 * rule.for_seconds
            if now < due:
                incident.wake = due
                return
            incident.phase, incident.fired_at, incident.said = Phase.FIRING, now, incident.open
            self._muting.stale = True
            incident.recall_series(now)
            incident.sample_series(now)
            self._say(incident, Phase.PENDING, Why.CONFIRMED, now)
            incident.wake = self._next_escalation(incident)

    def _step_firing(self, incident: Incident, rule: IncidentRule, now: Instant) -> None:
        incident.sample_series(now)
        if incident.weak_since is not None:
            due = incident.weak_since + 1000 * rule.keep_firing_seconds
            if now >= due:
                self._end(incident, Why.RECOVERED, now)
                return
            incident.wake = due
        if incident.open >= 2 * max(incident.said, 5):
            incident.said = incident.open
            self._say(incident, Phase.FIRING, Why.GREW, now)
        if incident.acknowledged_by is None and not incident.mutes:
            self._escalate(incident, now)
            later = self._next_escalation(incident)
            incident.wake = min((at for at in (incident.wake, later) if at is not None), default=None)

    def _escalate(self, incident: Incident, now: Instant) -> None:
        for level, step in enumerate(self._settings.escalation, start=1):
            if level > incident.escalation and now - (incident.fired_at or now) >= 1000 * step.after_seconds:
                incident.escalation = level
                self._say(incident, Phase.FIRING, Why.ESCALATED, now, note=str(level))

    def _next_escalation(self, incident: Incident) -> Instant | None:
        steps = self._settings.escalation[incident.escalation :]
        if not steps or incident.fired_at is None:
            return None
        return incident.fired_at + 1000 * steps[0].after_seconds

    def _end(self, incident: Incident, why: Why, now: Instant, by: str = "", note: str = "") -> None:
        old, incident.phase, incident.resolved_at = incident.phase, Phase.RESOLVED, now
        self._say(incident, old, why, now, by, note)
        self.roster.remove(incident)
        self._muting.stale = True
        if incident.fired_at is not None:
            self._history.append(replace(incident.view(), sample=()))
            del self._history[: -self._settings.history or None]
        if why is Why.CLOSED_BY_PERSON:
            self.roster.forget(incident)
            return
        for key, member in list(incident.members.items()):  # they stand for themselves again
            self.roster.tighten(key, member)
            self.roster.put(key, member, now)
        if incident.untracked and not incident.anchored:
            self.roster.incident(incident.group, now).untracked += incident.untracked

    def _mute(self, now: Instant) -> None:
        firing = [i for i in self.roster.open.values() if i.phase is Phase.FIRING]
        for incident, new in self._muting.changes(firing, now):
            old, incident.mutes = incident.mutes, new
            incident.dirty |= not new  # escalation was held back
            for mute, by in new:
                if mute in WHY and mute not in {was for was, _ in old}:
                    self._say(incident, Phase.FIRING, WHY[mute], now, note=by)
            if not new:
                woke = old[0][0] is Mute.SNOOZED
                self._say(incident, Phase.FIRING, Why.WOKE if woke else Why.HEARD_AGAIN, now)

    # people

    def _decide(self, incident: Incident, command: Command) -> None:
        phase, at, by, note = incident.phase, command.at, command.by, command.note
        if command.verb == "acknowledge":
            incident.acknowledged_by = by
            self._say(incident, phase, Why.ACKNOWLEDGED, at, by, note)
        elif command.verb == "snooze":
            incident.snoozed_until = command.until
            self._say(incident, phase, Why.SNOOZED, at, by, str(command.until))
        elif command.verb == "resolve":
            incident.note = note
            self._end(incident, Why.CLOSED_BY_PERSON, at, by, note)
        elif command.verb == "note":
            incident.note = note
            self._say(incident, phase, Why.NOTE, at, by, note)
        else:
            raise ValueError(f"unknown verb {command.verb!r}")

    # words

    def _say(
        self, incident: Incident, old: Phase, why: Why, at: Instant, by: str = "", note: str = ""
    ) -> None:
        incident.write(at, why, by, note)
        self._out.append(
            Transition(
                incident.incident_id,
                incident.group.fingerprint,
                old,
                incident.phase,
                why,
                at,
                incident.view(),
                by,
                note,
            )
        )

    def _drain(self) -> list[Transition]:
        out, self._out = self._out, []
        return out
