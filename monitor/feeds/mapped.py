"""What a mapping reads pushes with: those of webhooks, pages of lists, lines of files and topics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from config.regions import Regions
from monitor.feeds.base import NOTHING, Parsed, Push, Unreadable
from monitor.feeds.canonical import Drafts
from monitor.feeds.mapping import MappingOptions, read, records
from monitor.vocabulary import DeadReason


def alone(record: Any, push: Push, options: MappingOptions) -> Push:
    """A push of this record and no other, to be read by the same mapping."""
    for name in reversed(options.records.split(".") if options.records else ()):
        record = {name: record}
    return Push(msgspec.json.encode(record), NOTHING, NOTHING, push.received_at)


class Mapped:
    def __init__(self, name: str, options: MappingOptions, places: Regions) -> None:
        self._name = name
        self._options = options
        self._places = places
        self._zone = ZoneInfo(options.timezone)

    def parse(self, push: Push) -> Parsed:
        body = self._body(push)
        drafts = Drafts(self._name, self._places, push)
        for record in records(body, self._options):
            read(record, self._options, self._zone, drafts)
        if not drafts.parsed.events and not drafts.parsed.dead:
            drafts.dead(DeadReason.MISSING_FIELD, "records", body)
        return drafts.parsed

    def split(self, push: Push) -> Sequence[Push]:
        found = list(records(self._body(push), self._options))
        return [alone(one, push, self._options) for one in found] if len(found) > 1 else [push]

    def _body(self, push: Push) -> Any:
        try:
            return msgspec.json.decode(push.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unreadable(DeadReason.MALFORMED_JSON) from None
