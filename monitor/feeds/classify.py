"""Complaints without category, reason or severity get them from their text; those with them teach.

The texts of the latest complaints stay in memory only, so that a person can correct a reading by the complaint's id.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from detectors.text import CATEGORIES, CORRECTION, SEVERITIES, UNKNOWN, ComplaintReader
from monitor.feeds.base import Event

REMEMBERED: Final = 5000
MOST_REASONS: Final = 200


class NotRemembered(LookupError):  # noqa: N818 - an answer to a person
    """The complaint's text is not at hand any more: send it along."""


class Classifier:
    def __init__(self) -> None:
        self._reader = ComplaintReader()
        self._categories: dict[str, str] = {}  # the shop's own reasons to their categories
        self._texts: OrderedDict[str, str] = OrderedDict()

    def fill(self, event: Event) -> None:
        text = event.get("text")
        if not isinstance(text, str) or not text.strip():
            return
        complaint = str(event.get("complaint_id", ""))
        self._teach(complaint, event, text)
        self._remember(complaint, text)
        reading = self._reader.read(text)
        if event.get("reason") is None and event.get("category") in {None, UNKNOWN} and reading.reason:
            event["reason"] = reading.reason
            event["category"] = self._categories.get(reading.reason, reading.category)
        event.setdefault("category", UNKNOWN)
        severity = event.get("severity", "general")
        if severity in SEVERITIES:  # anger raises what the shop says, and never lowers it
            event["severity"] = max(severity, reading.severity, key=SEVERITIES.index)

    def correct(
        self,
        complaint_id: str,
        *,
        reason: str | None = None,
        category: str | None = None,
        severity: str | None = None,
        text: str | None = None,
    ) -> None:
        """What a person says it was. Raises `NotRemembered`."""
        said = text or self._texts.get(complaint_id)
        if said is None:
            raise NotRemembered(f"the text of complaint {complaint_id} is not remembered: send it along")
        self._own(reason, category)
        self._reader.learn(said, reason=reason, severity=severity, weight=CORRECTION)

    def _teach(self, complaint: str, event: Mapping[str, Any], text: str) -> None:
        """Each complaint once: a ticket is sent again with every change."""
        if event.get("reason") and self._texts.get(complaint) != text:
            self._own(event["reason"], event.get("category"))
            self._reader.learn(text, reason=event["reason"])

    def _own(self, reason: str | None, category: str | None) -> None:
        if reason and category and reason not in CATEGORIES and len(self._categories) < MOST_REASONS:
            self._categories[reason] = category

    def _remember(self, complaint: str, text: str) -> None:
        self._texts[complaint] = text
        self._texts.move_to_end(complaint)
        if len(self._texts) > REMEMBERED:
            self._texts.popitem(last=False)

    def state(self) -> dict[str, Any]:
        """Plain values, and no text: for `classifier.msgpack` beside the checkpoint."""
        return {"reader": self._reader.state(), "categories": dict(self._categories)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._reader.restore(state["reader"])
        self._categories = dict(state["categories"])
