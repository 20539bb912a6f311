"""All incidents: findings and what people decide go in, transitions come out. Pure; the time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from config.settings import IncidentRule, IncidentSettings
from detectors.findings import Finding, Instant, State, SubjectType
from monitor.incidents.grouping import (
    GATHERED,
    NOWHERE,
    SCATTERED,
    Member,
    explanations,
    member_of,
    own_group,
    wider_group,
)
from monitor.incidents.incident import Incident, is_anchor
from monitor.incidents.matchers import parse_all
from monitor.incidents.muting import WHY, Muting
from monitor.incidents.records import Command, Group, Mute, Phase, Transition, View, Why
from monitor.incidents.silences import Silences, preview, silence_of

COMMANDS = 10_000


class Incidents:
    """Wiring: `advance(findings, now)` once a tick, also with no findings (time alone confirms, resolves, escalates);
    `apply(command)` when a person acted; `state()`/`restore()` with the checkpoint. `incident_of(finding_id)` names
    the incident of a finding, for budgets an incident and for "why was I not told".
    """

    def __init__(self, settings: IncidentSettings) -> None:
        self._open: dict[Group, Incident] = {}
        self._by_id: dict[str, Incident] = {}
        self._anchored: dict[tuple[str, SubjectType, str], Group] = {}  # places that explain parcels
        self._where: dict[str, Group] = {}
        self._loose: dict[Group, dict[str, None]] = {}  # what is scattered, by the place it would be of
        self._history: list[View] = []
        self._applied: dict[str, None] = {}
        self.silences = Silences()
        self._out: list[Transition] = []
        self._expected: list[Command] = []
        self.reload(settings)

    def reload(self, settings: IncidentSettings) -> None:
        """New rules for the incidents that are there: nothing is forgotten, nothing is told twice."""
        self._settings = settings
        self._muting = Muting(settings, self.silences)
        for incident in self._open.values():
            incident.severity = self._rule(incident).severity
            incident.dirty = True

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
                self._opened(finding, now, known)
            elif finding.state is State.CLOSED:
                self._closed(finding)
            else:
                self._updated(finding)
        self._settle(now)
        return self._drain()

    def apply(self, command: Command) -> list[Transition]:
        """Raises KeyError for an unknown incident and ValueError for a silence that cannot be."""
        if command.id in self._applied:
            return []
        if command.verb == "silence":
            self.silences.put(silence_of(command.silence))
        elif command.verb == "expire":
            self.silences.expire(command.note, command.at)
        else:
            self._decide(self._by_id[command.incident_id], command)
        self._muting.stale = True
        self._applied[command.id] = None
        while len(self._applied) > COMMANDS:
            del self._applied[next(iter(self._applied))]
        self._settle(command.at)
        return self._drain()

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
        return [incident.view() for incident in self._open.values()]

    def firing(self) -> list[View]:
        return [i.view() for i in self._open.values() if i.phase is Phase.FIRING]

    def history(self) -> list[View]:
        """Resolved, the newest last."""
        return list(self._history)

    def get(self, incident_id: str) -> View | None:
        incident = self._by_id.get(incident_id)
        if incident is not None:
            return incident.view()
        return next((view for view in reversed(self._history) if view.incident_id == incident_id), None)

    def members(self, incident_id: str, limit: int = 100, offset: int = 0) -> list[tuple[str, Member]]:
        incident = self._by_id.get(incident_id)
        found = list(incident.members.items()) if incident else []
        return found[offset : offset + limit]

    def incident_of(self, finding_id: str) -> str | None:
        """None where it is one of a carrier's scattered findings: they have no cause in common to budget for."""
        group = self._where.get(finding_id)
        if group is not None and group.family in SCATTERED and group.place.type is SubjectType.CARRIER:
            return None
        incident = self._open.get(group) if group else None
        return incident.incident_id if incident else None

    def mutes_of(self, finding_id: str) -> tuple[tuple[Mute, str], ...]:
        group = self._where.get(finding_id)
        incident = self._open.get(group) if group else None
        return incident.mutes if incident else ()

    def counts(self) -> dict[tuple[str, str], int]:
        """By family and phase, for the metrics."""
        counts: dict[tuple[str, str], int] = {}
        for group, incident in self._open.items():
            key = (group.family, incident.phase.value)
            counts[key] = counts.get(key, 0) + 1
        return counts

    def preview(self, matchers: Iterable[str]) -> list[View]:
        """What a silence with these matchers would hide now."""
        return preview(parse_all(matchers), self.firing())

    def maintenance(self, now: Instant) -> tuple[str, ...]:
        return self._muting.calendar.names(now)

    # the checkpoint

    def state(self) -> dict[str, Any]:
        return {
            "version": 1,
            "open": [incident.plain() for incident in self._open.values()],
            "silences": [silence.plain() for silence in self.silences.all()],
            "applied": list(self._applied),
            "history": [msgspec.to_builtins(view) for view in self._history],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        if state["version"] != 1:
            raise ValueError(f"incidents of version {state['version']} are not readable here")
        self._open, self._by_id, self._where, self._anchored, self._loose = {}, {}, {}, {}, {}
        for plain in state["open"]:
            incident = Incident.of_plain(plain)
            self._insert(incident)
            for finding_id in (*incident.members, *incident.anchors):
                self._where[finding_id] = incident.group
            for finding_id, member in incident.members.items():
                self._loosen(finding_id, member, incident.group)
        self.silences.clear()
        for plain in state["silences"]:
            self.silences.put(silence_of(plain))
        self._applied = dict.fromkeys(state["applied"])
        self._history = [msgspec.convert(plain, View) for plain in state["history"]]
        self._muting.stale = True

    # findings

    def _opened(self, finding: Finding, now: Instant, amounts: Mapping[str, tuple[int, str]]) -> None:
        finding_id = finding.finding_id
        if finding_id in self._where:
            return
        member = member_of(finding, *amounts.get(finding_id, (0, "")))
        if is_anchor(finding):
            incident = self._incident(own_group(member), now)
            fresh = not incident.anchored
            incident.add_anchor(finding)
            incident.relabel()
            self._where[finding_id] = incident.group
            if fresh:
                self._stand(incident)
                self._gather(incident, now)
            return
        if len(self._where) >= self._settings.max_members:
            incident = self._incident(self._target(member), now)
            incident.untracked += 1
            incident.total += 1
            incident.dirty = True
        else:
            self._put(finding_id, member, now)

    def _put(self, finding_id: str, member: Member, now: Instant) -> None:
        group = self._target(member)
        fresh = group not in self._open
        incident = self._incident(group, now)
        incident.add(finding_id, member, new=True)
        self._where[finding_id] = incident.group
        self._loosen(finding_id, member, incident.group)
        if fresh and incident.group == group:
            self._collect(incident)

    def _loosen(self, finding_id: str, member: Member, group: Group) -> None:
        own = own_group(member)
        if group != own and group == wider_group(member, own):
            self._loose.setdefault(own, {})[finding_id] = None

    def _tighten(self, finding_id: str, member: Member) -> None:
        """It is scattered no more: closed, explained, or of a place of its own."""
        own = own_group(member)
        ids = self._loose.get(own)
        if ids is not None:
            ids.pop(finding_id, None)
            if not ids:
                del self._loose[own]

    def _collect(self, incident: Incident) -> None:
        """Of what was scattered, all that is of the new incident's own place, whichever carrier's it was."""
        emptied: dict[Group, None] = {}
        for key in sorted(self._loose.pop(incident.group, {})):
            scattered = self._open[self._where[key]]
            member = scattered.remove(key)
            if member is not None:
                incident.add(key, member, new=True)
                self._where[key] = incident.group
                emptied[scattered.group] = None
        for group in emptied:
            scattered = self._open[group]
            if not scattered.open and scattered.phase is Phase.PENDING:
                del self._open[group]  # nobody heard of it, and nothing passed
                del self._by_id[scattered.incident_id]

    def _updated(self, finding: Finding) -> None:
        """News of an episode that no incident holds (a person closed it) opens nothing."""
        group = self._where.get(finding.finding_id)
        if group is not None and is_anchor(finding):
            self._open[group].add_anchor(finding)

    def _closed(self, finding: Finding) -> None:
        group = self._where.pop(finding.finding_id, None)
        if group is not None:
            incident = self._open[group]
            if incident.anchors.pop(finding.finding_id, None) is None:
                member = incident.remove(finding.finding_id)
                if member is not None:
                    self._tighten(finding.finding_id, member)
            incident.dirty = True
            return
        if not is_anchor(finding):
            beyond = self._open.get(self._target(member_of(finding)))
            if beyond is not None and beyond.untracked:
                beyond.untracked -= 1
                beyond.dirty = True

    def _target(self, member: Member) -> Group:
        if self._anchored:
            for key in explanations(member):
                group = self._anchored.get(key)
                if group is not None:
                    return group
        own = own_group(member)
        wide = wider_group(member, own)
        if wide == own or own in self._open:
            return own
        there = len(self._loose.get(own, ()))
        rule = self._settings.rules.get(own.family) or IncidentRule()
        return own if there + 1 >= rule.min_members else wide

    def _incident(self, group: Group, now: Instant) -> Incident:
        incident = self._open.get(group)
        if incident is None and len(self._open) >= self._settings.max_incidents:
            group = Group(group.family, NOWHERE)
            incident = self._open.get(group)
        if incident is None:
            incident = Incident(group, now, "warning")
            incident.severity = self._rule(incident).severity
            incident.write(now, Why.OPENED)
            incident.relabel()
            self._insert(incident)
        return incident

    def _insert(self, incident: Incident) -> None:
        self._open[incident.group] = incident
        self._by_id[incident.incident_id] = incident
        if incident.anchored:
            self._stand(incident)

    def _stand(self, incident: Incident) -> None:
        place = incident.group.place
        if place.id:
            self._anchored[incident.group.family, place.type, place.id] = incident.group

    def _gather(self, cause: Incident, now: Instant) -> None:
        """Parcels that the new incident of a place explains leave the incidents they had."""
        place = cause.group.place
        of, name = place.type.value, place.id
        if place.type is SubjectType.LANE:  # a lane may be all ways to a destination
            of, name = "carrier", name.partition("|")[0]
        for incident in list(self._open.values()):
            if incident is cause or not (incident.group.family in GATHERED or incident.anchored):
                continue
            moving = [
                (key, member)
                for key, member in incident.members.items()
                if getattr(member, of, "") == name and self._target(member) == cause.group
            ]
            if len(moving) == len(incident.members) and moving:
                cause.take_all(incident)
            else:
                for key, member in moving:
                    incident.remove(key)
                    cause.add(key, member, new=True)
            self._where.update(dict.fromkeys((key for key, _ in moving), cause.group))
            for key, member in moving:
                self._tighten(key, member)
            if moving and not incident.open and not incident.anchored:
                self._end(incident, Why.CAUSE_FOUND, now, note=cause.incident_id)

    # time

    def _settle(self, now: Instant) -> None:
        for incident in list(self._open.values()):
            if incident.dirty or (incident.wake is not None and incident.wake <= now):
                self._step(incident, now)
        if self._muting.due(now):
            self._mute(now)

    def _step(self, incident: Incident, now: Instant) -> None:
        rule = self._rule(incident)
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
        del self._open[incident.group]
        del self._by_id[incident.incident_id]
        place = incident.group.place
        self._anchored.pop((incident.group.family, place.type, place.id), None)
        self._muting.stale = True
        if incident.fired_at is not None:
            self._history.append(replace(incident.view(), sample=()))
            del self._history[: -self._settings.history or None]
        if why is Why.CLOSED_BY_PERSON:
            for key in (*incident.anchors, *incident.members):
                self._where.pop(key, None)
            for key, member in incident.members.items():
                self._tighten(key, member)
            return
        for key, member in list(incident.members.items()):  # they stand for themselves again
            self._tighten(key, member)
            self._put(key, member, now)
        if incident.untracked and not incident.anchored:
            self._incident(incident.group, now).untracked += incident.untracked

    def _mute(self, now: Instant) -> None:
        firing = [i for i in self._open.values() if i.phase is Phase.FIRING]
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
            if command.until is None or command.until <= at:
                raise ValueError("a snooze needs an end in the future")
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

    def _rule(self, incident: Incident) -> IncidentRule:
        return self._settings.rules.get(incident.group.family) or IncidentRule()

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
