"""The event stream: the log of truth, in shards.

An entry holds one field: `e` (one event as JSON), `batch` (NDJSON), `arrow` (an Arrow IPC stream) or `tick` (a moment
in milliseconds). Events of one parcel are in one shard; ticks are in every shard, and `Reader` hands out what all
shards hold before a tick, then the tick: so one machine with many shards sees what one shard would show it.

The stream is trimmed by id only, up to what a checkpoint covers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias
from zlib import crc32

from monitor.times import LATEST
from notifier.store import Script, Store

Kind: TypeAlias = Literal["e", "batch", "arrow", "tick", "other"]
Positions: TypeAlias = dict[int, str]  # shard -> id of the last entry taken

BEGIN: Final = "0-0"
READ_BYTES: Final = 8_000_000  # what one read aims at; half of it costs 25 ns more an event of NDJSON
MUCH_BYTES: Final = 500_000  # then there is likely more: from here on another way of reading is cheaper
PAGE: Final = 100
CROWDED_SHARE: Final = 0.5  # intake stops at 0.85
MOST_ENTRIES: Final = 200  # small ones may be followed by great ones, and all of a read is in memory
_ENDS: Final = Script.load(Path(__file__).with_name("stream_ends.lua"))
_KINDS: Final[dict[bytes, Kind]] = {b"e": "e", b"batch": "batch", b"arrow": "arrow", b"tick": "tick"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry. `kind` "other": it has none of our fields."""

    kind: Kind
    data: bytes
    id: str = ""
    shard: int = 0


@dataclass(slots=True)
class Step:
    """What comes next: frames of events, then perhaps a tick; `positions` are those after all of it."""

    frames: list[Frame]
    tick: int | None
    positions: Positions


class EventStream:
    def __init__(self, store: Store, shards: int = 1) -> None:
        self.store = store
        self.shards = shards

    def key(self, shard: int) -> str:
        return self.store.key("events", shard)

    def shard_of(self, subject: str) -> int:
        """`subject`: the tracking number, else the order, else the customer."""
        return crc32(subject.encode()) % self.shards if self.shards > 1 else 0

    async def append(self, kind: Kind, data: bytes, shard: int = 0) -> str:
        """Durable when it returns, if the store is configured for it. The id of the entry."""
        return await self.store.stream_add(self.key(shard), {kind: data})

    async def append_many(self, frames: Iterable[Frame]) -> list[str]:
        """All or none; each frame to its own shard."""
        pipeline = self.store.pipeline()
        for frame in frames:
            pipeline.add(self.key(frame.shard), {frame.kind: frame.data})
        return [entry.decode() for entry in await pipeline.run()]

    async def tick(self, now: int) -> None:
        """The same tick in every shard, together."""
        await self.append_many(Frame("tick", b"%d" % now, shard=shard) for shard in range(self.shards))

    async def trim(self, positions: Mapping[int, str], keep_ms: int = 0) -> int:
        """Drops what lies before the positions (of a checkpoint that is on the disk) and is older than `keep_ms`."""
        dropped = 0
        oldest = ""
        if keep_ms:
            seconds, _ = await self.store.call("TIME")
            oldest = f"{int(seconds) * 1000 - keep_ms}-0"
        for shard, position in positions.items():
            end = oldest if oldest and _after(position, oldest) else position
            dropped += await self.store.stream_trim(self.key(shard), end)
        return dropped

    async def drop_ticks(self, positions: Mapping[int, str], after: int) -> int:
        """Takes out the ticks behind the positions that are of a moment after `after`; how many, of all shards."""
        dropped = 0
        for shard, begin in positions.items():
            position = begin
            while entries := await self.store.stream_range(self.key(shard), f"({position}", count=PAGE):
                frames = [_frame(entry.fields, entry.id, shard) for entry in entries]
                ids = [frame.id for frame in frames if frame.kind == "tick" and int(frame.data) > after]
                dropped += await self.store.stream_delete(self.key(shard), *ids)
                position = entries[-1].id
        return dropped

    async def crowded(self, share: float = CROWDED_SHARE, more: int = 0) -> bool:
        """Whether over that share of the store's memory would be in use with so many bytes more. By default: whether what is
        only useful should make room.
        """
        used, most = await self.memory()
        return most > 0 and used + more > share * most

    async def memory(self) -> tuple[int, int]:
        """Bytes that the store uses, and its `maxmemory`; 0: none is set."""
        info = await self.store.info("memory")
        return int(info.get("used_memory", "0")), int(info.get("maxmemory", "0"))

    async def length(self) -> int:
        """Entries kept, of all shards."""
        return sum([await self.store.stream_length(self.key(shard)) for shard in range(self.shards)])

    async def ends(self) -> Positions:
        """The newest entry of each shard, `BEGIN` where there never was one."""
        return {shard: (await self._ids(shard))[1] for shard in range(self.shards)}

    async def lag_ms(self, positions: Mapping[int, str]) -> int:
        """How much older the positions are than the newest entries, by the store's clock; 0: all is taken."""
        ends = await self.ends()
        behind = [
            (end, positions.get(shard, BEGIN))
            for shard, end in ends.items()
            if _after(end, positions.get(shard, BEGIN))
        ]
        return max((_clock(end) - _clock(position) for end, position in behind), default=0)

    async def damage(self, positions: Mapping[int, str]) -> str | None:
        """What is wrong with the stream for one who goes on from these positions; None where all is there.

        A stream that ends before the position was restored from an older copy; one whose oldest entry is newer
        lost events that nobody has taken (`trim` keeps the entry of the position itself).
        """
        for shard, position in positions.items():
            if position == BEGIN:
                continue
            oldest, newest = await self._ids(shard)
            if _after(position, newest):
                return (
                    f"event stream {shard} ends at {newest}, before our position {position}: restored or lost"
                )
            if _after(oldest, position):
                return f"event stream {shard} begins at {oldest}, beyond our position {position}: events are lost"
        return None

    async def trimmed(self) -> bool | None:
        """Whether entries are gone that were written to it, so that what is known cannot all be learned from it again.
        None where there never were any, or the server does not count them.
        """
        found = [await self.store.script(_ENDS, [self.key(shard)]) for shard in range(self.shards)]
        gone = [int(count) for _, newest, count in found if newest != BEGIN.encode()]
        if not gone or min(gone) < 0:
            return None
        return max(gone) > 0

    async def _ids(self, shard: int) -> tuple[str, str]:
        oldest, newest, _ = await self.store.script(_ENDS, [self.key(shard)])
        return oldest.decode(), newest.decode()


@dataclass(slots=True)
class Reader:
    """Takes the stream in order from `positions`. Positions never run ahead of what was handed out."""

    stream: EventStream
    positions: Positions = field(default_factory=dict)
    _waiting: dict[int, deque[Frame]] = field(default_factory=dict)
    _count: int = 8
    _much: bool = False  # came with the last read

    def __post_init__(self) -> None:
        for shard in range(self.stream.shards):
            self.positions.setdefault(shard, BEGIN)
            self._waiting[shard] = deque()

    async def next(self, *, seconds: float | None = None) -> Step:
        """Waits up to `seconds` where there is nothing; the step is empty if nothing came."""
        empty = [shard for shard, frames in self._waiting.items() if not frames]
        if empty:
            await self._fetch(empty, seconds if len(empty) == len(self._waiting) else None)
        frames: list[Frame] = []
        for waiting in self._waiting.values():
            while waiting and waiting[0].kind != "tick":
                frames.append(self._take(waiting))
        tick = None
        if all(waiting and waiting[0].kind == "tick" for waiting in self._waiting.values()):
            tick = max([int(self._take(waiting).data) for waiting in self._waiting.values()])
        elif not frames and empty and len(empty) < len(self._waiting):
            # Some shards stand before a tick that has not reached the others: it is on its way.
            await self._fetch([shard for shard, waiting in self._waiting.items() if not waiting], seconds)
        return Step(frames, tick, dict(self.positions))

    def _take(self, waiting: deque[Frame]) -> Frame:
        frame = waiting.popleft()
        self.positions[frame.shard] = frame.id
        return frame

    async def _fetch(self, shards: list[int], seconds: float | None) -> None:
        keys = {self.stream.key(shard): shard for shard in shards}
        positions = {key: self.positions[shard] for key, shard in keys.items()}
        found = {}
        if self._much:
            found = await self.stream.store.stream_take(positions, count=self._count)
        if not found:
            found = await self.stream.store.stream_read(positions, count=self._count, seconds=seconds)
        size = 0
        for key, entries in found.items():
            shard = keys[key]
            frames = [_frame(entry.fields, entry.id, shard) for entry in entries]
            self._waiting[shard].extend(frames)
            size += sum(len(frame.data) for frame in frames)
            mean = 1 + sum(len(frame.data) for frame in frames) // len(frames)
            self._count = max(1, min(MOST_ENTRIES, READ_BYTES // mean, 4 * self._count))
        self._much = size >= MUCH_BYTES


def reached(positions: Mapping[int, str], ends: Mapping[int, str]) -> bool:
    """Whether everything up to `ends` was taken."""
    return not any(_after(end, positions.get(shard, BEGIN)) for shard, end in ends.items())


def _frame(fields: list[bytes], entry_id: str, shard: int) -> Frame:
    for place in range(0, len(fields), 2):
        kind = _KINDS.get(fields[place])
        if kind is not None and (kind != "tick" or _is_moment(fields[place + 1])):
            return Frame(kind, fields[place + 1], entry_id, shard)
    return Frame("other", b" ".join(fields), entry_id, shard)


def _is_moment(text: bytes) -> bool:
    return text.isdigit() and len(text) <= 13 and int(text) < LATEST


def _clock(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _after(entry_id: str, other: str) -> bool:
    def parts(text: str) -> tuple[int, int]:
        first, _, second = text.partition("-")
        return int(first), int(second or 0)

    return parts(entry_id) > parts(other)
