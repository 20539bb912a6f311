"""The contract of a source, and what reads its records: canonical events as they are, or foreign ones through a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from config.regions import Regions
from monitor.feeds.base import NOTHING, Dead, Parsed, Push, Read, Unreadable
from monitor.feeds.desk import AT_ONCE, Desk
from monitor.feeds.mapped import Mapped
from monitor.feeds.mapping import MappingOptions
from monitor.letters import Format


class Source(Protocol):
    """Raises `IntakeBusyError` where the store is slow: nothing is lost, `run` is called again."""

    name: str
    of_complaints: bool  # with texts to be read

    async def run(self, now: int) -> int:
        """Takes what is there, durably, and says how many records that were."""
        ...

    def state(self) -> Mapping[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...
    def close(self) -> None: ...


class RecordReader:
    """Reads one record of a file or a topic, wrapped as a push, by the source's mapping."""

    repeats = False

    def __init__(self, name: str, kind: str, options: MappingOptions, places: Regions) -> None:
        self.name = name
        self.kind = kind
        self._mapped = Mapped(name, options, places)

    def parse(self, push: Push) -> Parsed:
        return self._mapped.parse(push)

    def split(self, push: Push) -> Sequence[Push]:
        return self._mapped.split(push)

    def read(self, line: bytes, now: int) -> list[Read]:
        push = Push(line, NOTHING, NOTHING, now)
        try:
            parsed = self.parse(push)
        except Unreadable as error:
            return [Read(push, Parsed(dead=[Dead(error.reason, str(error), line)]))]
        parts = self.split(push) if parsed.dead or parsed.unknown else ()
        return [Read(one, self.parse(one)) for one in parts] or [Read(push, parsed)]


class Records:
    """Lines of JSON to where pushes go; without a mapping they are canonical events. `desk` None: nothing is taken."""

    def __init__(
        self, name: str, kind: str, options: MappingOptions | None, places: Regions, desk: Desk | None
    ) -> None:
        self._name = name
        self._desk = desk
        self._reader = RecordReader(name, kind, options, places) if options else None
        self.of_complaints = options is not None and options.event == "complaint"
        if desk is not None:
            desk.add_sender(name, kind)
            if self._reader is not None:
                desk.add_reader(self._reader, Format.RECORD)

    async def take(self, lines: Sequence[bytes], now: int) -> int:
        """How many were refused: they are dead letters."""
        assert self._desk is not None, "a source that was built to be checked takes nothing"  # noqa: S101
        if self._reader is None:
            data = b"\n".join(lines) + b"\n"
            return await self._desk.take_lines(self._name, data, now) if data.strip() else 0
        refused = 0
        for start in range(0, len(lines), AT_ONCE):
            some = lines[start : start + AT_ONCE]
            reads = [read for line in some if line.strip() for read in self._reader.read(line, now)]
            await self._desk.take_all(self._reader, reads, now)
            refused += sum(len(parsed.dead) for _, parsed in reads)
        return refused
