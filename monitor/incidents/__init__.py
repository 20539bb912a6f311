"""Incidents: what belongs together is one thing for people.

    findings | Incidents.advance -> transitions | records -> incidents.ndjson
                                                | Notifications (monitor/notifications) -> ops alerts

`book` holds them, `grouping` says what belongs together, `silences` what is kept quiet.
"""

from monitor.incidents.book import Incidents
from monitor.incidents.records import Command, Entry, Group, Mute, Phase, Transition, View, Why, records
from monitor.incidents.silences import Silence

__all__ = [
    "Command",
    "Entry",
    "Group",
    "Incidents",
    "Mute",
    "Phase",
    "Silence",
    "Transition",
    "View",
    "Why",
    "records",
]
