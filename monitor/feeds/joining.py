"""An event and the push that explains it, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.feeds.base import Event
from monitor.feeds.canonical import digest


def joined(event: Event, explained: Sequence[Mapping[str, str]]) -> list[Event]:
    """One event for each set of fields. The first keeps the id; the others' follow from their fields, so that the same
    push gives the same ids again.
    """
    return [
        {**event, **fields, "event_id": _id(event, fields) if place else event["event_id"]}
        for place, fields in enumerate(explained)
    ]


def _id(event: Event, fields: Mapping[str, str]) -> str:
    return f"{event['event_id']}.{digest(part for pair in sorted(fields.items()) for part in pair)}"
