"""Which incident holds which open finding: its own place's, that of a cause, or a carrier's scattered ones. No phases here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from config.settings import IncidentRule, IncidentSettings
from detectors.findings import Finding, Instant, SubjectType
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
from monitor.incidents.records import Group, Phase, Why


class Roster:
    """`open` has the incidents that are pending or fire, in the order in which they opened."""

    def __init__(self, settings: IncidentSettings) -> None:
        self.open: dict[Group, Incident] = {}
        self.by_id: dict[str, Incident] = {}
        self.loose: dict[Group, dict[str, None]] = {}  # what is scattered, by the place it would be of
        self._anchored: dict[tuple[str, SubjectType, str], Group] = {}  # places that explain parcels
        self._where: dict[str, Group] = {}
        self.reload(settings)

    def reload(self, settings: IncidentSettings) -> None:
        self._settings = settings
        for incident in self.open.values():
            incident.severity = self.rule(incident).severity
            incident.dirty = True

    def rule(self, incident: Incident) -> IncidentRule:
        return self._settings.rules.get(incident.group.family) or IncidentRule()

    def holding(self, finding_id: str) -> Incident | None:
        group = self._where.get(finding_id)
        return self.open.get(group) if group else None

    def incident_of(self, finding_id: str) -> str | None:
        """None where it is one of a carrier's scattered findings: they have no cause in common to budget for."""
        group = self._where.get(finding_id)
        if group is not None and group.family in SCATTERED and group.place.type is SubjectType.CARRIER:
            return None
        incident = self.holding(finding_id)
        return incident.incident_id if incident else None

    # findings

    def opened(
        self, finding: Finding, now: Instant, amounts: Mapping[str, tuple[int, str]]
    ) -> list[tuple[Incident, Incident]]:
        """Incidents that were emptied by it, each with the one whose cause explains it."""
        finding_id = finding.finding_id
        if finding_id in self._where:
            return []
        member = member_of(finding, *amounts.get(finding_id, (0, "")))
        if is_anchor(finding):
            return self._stands(finding, member, now)
        if len(self._where) >= self._settings.max_members:
            self.untracked(self._target(member), 1, now)
        else:
            self.put(finding_id, member, now)
        return []

    def updated(self, finding: Finding) -> None:
        """News of an episode that no incident holds (a person closed it) opens nothing."""
        group = self._where.get(finding.finding_id)
        if group is not None and is_anchor(finding):
            self.open[group].add_anchor(finding)

    def closed(self, finding: Finding) -> None:
        group = self._where.pop(finding.finding_id, None)
        if group is not None:
            incident = self.open[group]
            if not incident.close_anchor(finding):
                member = incident.remove(finding.finding_id)
                if member is not None:
                    self.tighten(finding.finding_id, member)
            incident.dirty = True
            return
        if not is_anchor(finding):
            beyond = self.open.get(self._target(member_of(finding)))
            if beyond is not None and beyond.untracked:
                beyond.untracked -= 1
                beyond.dirty = True

    def untracked(self, group: Group, count: int, now: Instant) -> None:
        """Beyond the bound of those known one by one."""
        incident = self.incident(group, now)
        incident.untracked += count
        incident.total += count
        incident.dirty = True

    def put(self, finding_id: str, member: Member, now: Instant) -> None:
        group = self._target(member)
        fresh = group not in self.open
        incident = self.incident(group, now)
        incident.add(finding_id, member, new=True)
        self._where[finding_id] = incident.group
        self._loosen(finding_id, member, incident.group)
        if fresh and incident.group == group:
            self._collect(incident)

    def forget(self, incident: Incident) -> None:
        """Its findings are nobody's any more: a person closed it."""
        for key in (*incident.anchors, *incident.members):
            self._where.pop(key, None)
        for key, member in incident.members.items():
            self.tighten(key, member)

    def tighten(self, finding_id: str, member: Member) -> None:
        """It is scattered no more: closed, explained, or of a place of its own."""
        own = own_group(member)
        ids = self.loose.get(own)
        if ids is not None:
            ids.pop(finding_id, None)
            if not ids:
                del self.loose[own]

    # incidents

    def incident(self, group: Group, now: Instant) -> Incident:
        """The open one of that group, or a new one."""
        incident = self.open.get(group)
        if incident is None and len(self.open) >= self._settings.max_incidents:
            group = Group(group.family, NOWHERE)
            incident = self.open.get(group)
        if incident is None:
            incident = Incident(group, now, "warning")
            incident.severity = self.rule(incident).severity
            incident.write(now, Why.OPENED)
            incident.relabel()
            self._insert(incident)
        return incident

    def remove(self, incident: Incident) -> None:
        del self.open[incident.group]
        del self.by_id[incident.incident_id]
        place = incident.group.place
        self._anchored.pop((incident.group.family, place.type, place.id), None)

    def _insert(self, incident: Incident) -> None:
        self.open[incident.group] = incident
        self.by_id[incident.incident_id] = incident
        if incident.anchored:
            self._stand(incident)

    # causes

    def _stands(self, finding: Finding, member: Member, now: Instant) -> list[tuple[Incident, Incident]]:
        incident = self.incident(own_group(member), now)
        fresh = not incident.anchored
        incident.add_anchor(finding)
        incident.relabel()
        self._where[finding.finding_id] = incident.group
        if not fresh:
            return []
        self._stand(incident)
        return [(emptied, incident) for emptied in self._gather(incident)]

    def _stand(self, incident: Incident) -> None:
        place = incident.group.place
        if place.id:
            self._anchored[incident.group.family, place.type, place.id] = incident.group

    def _gather(self, cause: Incident) -> Iterator[Incident]:
        """Parcels that the new incident of a place explains leave the incidents they had; those left with none."""
        place = cause.group.place
        of, name = place.type.value, place.id
        if place.type is SubjectType.LANE:  # a lane may be all ways to a destination
            of, name = "carrier", name.partition("|")[0]
        for incident in list(self.open.values()):
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
                self.tighten(key, member)
            if moving and not incident.open and not incident.anchored:
                yield incident

    # scattered findings

    def _target(self, member: Member) -> Group:
        if self._anchored:
            for key in explanations(member):
                group = self._anchored.get(key)
                if group is not None:
                    return group
        own = own_group(member)
        wide = wider_group(member, own)
        if wide == own or own in self.open:
            return own
        there = len(self.loose.get(own, ()))
        rule = self._settings.rules.get(own.family) or IncidentRule()
        return own if there + 1 >= rule.min_members else wide

    def _loosen(self, finding_id: str, member: Member, group: Group) -> None:
        own = own_group(member)
        if group != own and group == wider_group(member, own):
            self.loose.setdefault(own, {})[finding_id] = None

    def _collect(self, incident: Incident) -> None:
        """Of what was scattered, all that is of the new incident's own place, whichever carrier's it was."""
        emptied: dict[Group, None] = {}
        for key in sorted(self.loose.pop(incident.group, {})):
            scattered = self.open[self._where[key]]
            member = scattered.remove(key)
            if member is not None:
                incident.add(key, member, new=True)
                self._where[key] = incident.group
                emptied[scattered.group] = None
        for group in emptied:
            scattered = self.open[group]
            if not scattered.open and scattered.phase is Phase.PENDING:
                del self.open[group]  # nobody heard of it, and nothing passed
                del self.by_id[scattered.incident_id]

    # the checkpoint

    def plain(self) -> list[Any]:
        return [incident.plain() for incident in self.open.values()]

    def restore(self, plain: Sequence[Any]) -> None:
        self.open, self.by_id, self._where, self._anchored, self.loose = {}, {}, {}, {}, {}
        for one in plain:
            incident = Incident.of_plain(one)
            self._insert(incident)
            for finding_id in (*incident.members, *incident.anchors):
                self._where[finding_id] = incident.group
            for finding_id, member in incident.members.items():
                self._loosen(finding_id, member, incident.group)
