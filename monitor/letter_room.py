"""How much of the store dead letters may take, and which of them go when they would take more.

They share the store with the event stream and with money, so their bound is in bytes, as the store counts them. Whoever
has the most letters loses its oldest first: a sender gone wrong does not push out what others have.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from notifier.store import Store, StoreRefusedError

SHARE: Final = 0.05  # of the store's maxmemory
MOST_BYTES: Final = 64 << 20  # they are for people to look at
CHECK_BYTES: Final = 1 << 20
KEPT_SHARE: Final = (
    0.75  # of the bound, when letters had to go: to look through all of them is not done each time
)
OVERHEAD: Final = 200  # bytes of a letter beside its payload
PAGE: Final = 100


class Held(NamedTuple):
    """What one letter takes."""

    id: str
    feed: str
    size: int


def surplus(letters: Sequence[Held], room: float) -> list[Held]:
    """Which of `letters` (the oldest first) must go so that the rest fits into `room` bytes."""
    level = _level(_by_feed(letters), room)
    left = _by_feed(letters)
    gone: list[Held] = []
    for letter in letters:
        if left[letter.feed] > level:
            left[letter.feed] -= letter.size
            gone.append(letter)
    return gone


def _by_feed(letters: Sequence[Held]) -> Counter[str]:
    held: Counter[str] = Counter()
    for letter in letters:
        held[letter.feed] += letter.size
    return held


def _level(held: Mapping[str, int], room: float) -> float:
    """What each feed may have so that all together fit: who has less leaves its part to the others."""
    sizes = sorted(held.values())
    for place, size in enumerate(sizes):
        each = room / (len(sizes) - place)
        if size > each:
            return each
        room -= size
    return sizes[-1] if sizes else 0.0


@dataclass(slots=True)
class Room:
    """Of the stream of dead letters `key`."""

    store: Store
    key: str
    _unchecked: int = 0
    _every: int = 0  # bytes that may come between two looks; the first is at once
    _coming: int = 0  # bytes on their way
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def made(self, coming: int) -> AsyncIterator[Counter[str]]:
        """Room for `coming` bytes, which are written within. Who lost how many letters for it."""
        self._coming += coming
        try:
            async with self._looking:  # two at once would each make the room that both need
                gone = await self._make(coming)
            yield gone
        finally:
            self._coming -= coming

    async def _make(self, added: int) -> Counter[str]:
        self._unchecked += added
        if self._unchecked < self._every:
            return Counter()
        most, used = await self._most(), await self._used()
        coming = self._coming
        gone: Counter[str] = Counter()
        if used + coming > most:
            gone = await self._drop(used, max(KEPT_SHARE * most - coming, 0.0))
            used = await self._used()
        while used + coming > most:  # small letters share their memory with others that stay
            more = await self._drop_oldest_half()
            if not more:
                break
            gone += more
            used = await self._used()
        self._unchecked, self._every = 0, min(CHECK_BYTES, most // 8)
        return gone

    async def _most(self) -> int:
        most = int((await self.store.info("memory")).get("maxmemory", "0"))
        return min(int(SHARE * most), MOST_BYTES) if most > 0 else MOST_BYTES

    async def _used(self) -> int:
        try:
            # Of all of its nodes: letters are of very different sizes.
            return await self.store.call("MEMORY", "USAGE", self.key, "SAMPLES", 0) or 0
        except StoreRefusedError:  # some providers do not have the command
            return sum(letter.size for letter in await self._held())

    async def _drop(self, used: int, room: float) -> Counter[str]:
        letters = await self._held()
        said = sum(letter.size for letter in letters)
        return await self._delete(surplus(letters, room * said / used if used else room))

    async def _drop_oldest_half(self) -> Counter[str]:
        letters = await self._held()
        return await self._delete(letters[: (len(letters) + 1) // 2])

    async def _delete(self, letters: Sequence[Held]) -> Counter[str]:
        for start in range(0, len(letters), 1000):
            await self.store.stream_delete(self.key, *(one.id for one in letters[start : start + 1000]))
        return Counter(one.feed for one in letters)

    async def _held(self) -> list[Held]:
        """The oldest first."""
        found: list[Held] = []
        start = "-"
        while page := await self.store.stream_range(self.key, start, count=PAGE):
            for entry in page:
                size = OVERHEAD + sum(map(len, entry.fields))
                found.append(Held(entry.id, (entry.get(b"feed") or b"").decode(), size))
            start = f"({page[-1].id}"
        return found
