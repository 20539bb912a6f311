"""Which firing incidents are kept quiet now, by what, and when that may change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from config.settings import IncidentSettings
from detectors.findings import Instant
from monitor.incidents.incident import Incident
from monitor.incidents.records import Mute, Why
from monitor.incidents.silences import Calendar, Inhibitor, Silences

CALENDAR_STEP = 60_000
WHY: Mapping[Mute, Why] = {
    Mute.INHIBITED: Why.INHIBITED,
    Mute.SILENCED: Why.SILENCED,
    Mute.MAINTENANCE: Why.MAINTENANCE,
}
Mutes = tuple[tuple[Mute, str], ...]


class Muting:
    """Set `stale` when an incident fires, ends or changes its labels, or a person silenced something."""

    def __init__(self, settings: IncidentSettings, silences: Silences) -> None:
        self.calendar = Calendar(settings.maintenance)
        self.stale = True
        self._planned = bool(settings.maintenance)
        self._silences = silences
        self._inhibitor = Inhibitor(settings.inhibit)
        self._wake: Instant | None = None

    def due(self, now: Instant) -> bool:
        return self.stale or (self._wake is not None and now >= self._wake)

    def changes(self, firing: Sequence[Incident], now: Instant) -> list[tuple[Incident, Mutes]]:
        self._silences.forget(now)
        inhibited = self._inhibitor.muted_by([(i.incident_id, i.labels) for i in firing])
        changed = []
        for incident in firing:
            mutes = tuple(self._of(incident, inhibited.get(incident.incident_id), now))
            if mutes != incident.mutes:
                changed.append((incident, mutes))
        edges = [self._silences.next_change(now), *(i.snoozed_until for i in firing)]
        if self._planned:
            edges.append(now + CALENDAR_STEP)
        self._wake = min((edge for edge in edges if edge is not None and edge > now), default=None)
        self.stale = False
        return changed

    def _of(self, incident: Incident, inhibitor: str | None, now: Instant) -> Iterator[tuple[Mute, str]]:
        if inhibitor is not None:
            yield Mute.INHIBITED, inhibitor
        silence = self._silences.hiding(incident.labels, now)
        if silence is not None:
            yield Mute.SILENCED, silence.silence_id
        window = self.calendar.running(incident.labels, now)
        if window is not None:
            yield Mute.MAINTENANCE, window
        if incident.snoozed_until is not None and incident.snoozed_until > now:
            yield Mute.SNOOZED, str(incident.snoozed_until)
