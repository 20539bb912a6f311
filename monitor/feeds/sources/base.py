"""The contract of a source, and what reads its records: canonical events as they are, or foreign ones through a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from config.regions import Regions
from monitor.feeds.base import Parsed, Push
from monitor.feeds.batch import Submits
from monitor.feeds.canonical import Drafts
from monitor.feeds.mapping import MappingOptions, read, records

_LINES = msgspec.json.Encoder()


class Source(Protocol):
    """Raises `IntakeBusyError` where the store is slow: nothing is lost, `run` is called again."""

    name: str

    async def run(self, now: int) -> int:
        """Takes what is there, durably, and says how many records that were."""
        ...

    def state(self) -> Mapping[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class Records:
    """Lines of JSON into intake. What a mapping cannot read goes there as it is, and intake parks it with a reason."""

    def __init__(self, name: str, options: MappingOptions | None, places: Regions, intake: Submits) -> None:
        self._name = name
        self._options = options
        self._zone = ZoneInfo(options.timezone) if options else None
        self._places = places
        self._intake = intake

    async def take(self, lines: Sequence[bytes], now: int) -> None:
        data = b"\n".join(lines) + b"\n" if self._options is None else self._mapped(lines, now)
        if data.strip():
            await self._intake.submit(data, now, self._name if self._options is None else "")

    def _mapped(self, lines: Sequence[bytes], now: int) -> bytes:
        drafts = Drafts(self._name, self._places, Push(b"", {}, {}, now))
        unreadable: list[bytes] = []
        assert self._options is not None and self._zone is not None  # noqa: S101, PT018 - see `take`
        for line in lines:
            try:
                body = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                unreadable.append(line.replace(b"\n", b" "))
                continue
            for record in records(body, self._options):
                read(record, self._options, self._zone, drafts)
        return self._together(drafts.parsed, unreadable)

    @staticmethod
    def _together(parsed: Parsed, unreadable: Sequence[bytes]) -> bytes:
        foreign = [*unreadable, *(dead.raw.replace(b"\n", b" ") for dead in parsed.dead)]
        return bytes(_LINES.encode_lines(parsed.events)) + b"".join(line + b"\n" for line in foreign)
