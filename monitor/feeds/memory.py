"""What one push of a feed must remember for another: fulfilments to parcels.

Kept in the store, so that a restart forgets nothing, and both ways round: an event may come before the push that explains
it, and waits here until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from monitor.feeds.base import Event, Pending
from notifier.store import Store

KEEP_MS: Final = 120 * 86_400_000


class Memory(Protocol):
    async def learn(self, feed: str, learned: Mapping[str, Sequence[Mapping[str, str]]]) -> None: ...
    async def recall(self, feed: str, links: Iterable[str]) -> dict[str, list[dict[str, str]]]: ...
    async def wait(self, feed: str, pending: Iterable[Pending]) -> None: ...
    async def waiting(self, feed: str, links: Iterable[str]) -> list[Pending]: ...
    async def done(self, feed: str, links: Iterable[str]) -> None: ...


class StoreMemory:
    def __init__(self, store: Store, keep_ms: int = KEEP_MS) -> None:
        self._store = store
        self._keep = keep_ms

    def _known(self, feed: str, link: str) -> str:
        return self._store.key("feed", feed, "known", link)

    def _waits(self, feed: str, link: str) -> str:
        return self._store.key("feed", feed, "waits", link)

    async def learn(self, feed: str, learned: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
        pipeline = self._store.pipeline()
        for link, fields in learned.items():
            pipeline.call("SET", self._known(feed, link), msgspec.json.encode(fields), "PX", self._keep)
        await pipeline.run()

    async def recall(self, feed: str, links: Iterable[str]) -> dict[str, list[dict[str, str]]]:
        asked = list(dict.fromkeys(links))
        if not asked:
            return {}
        found = await self._store.call("MGET", *(self._known(feed, link) for link in asked))
        return {link: _fields(value) for link, value in zip(asked, found, strict=True) if value}

    async def wait(self, feed: str, pending: Iterable[Pending]) -> None:
        pipeline = self._store.pipeline()
        for link, event in pending:
            key = self._waits(feed, link)
            pipeline.call("HSET", key, event["event_id"], msgspec.json.encode(event))
            pipeline.call("PEXPIRE", key, self._keep)
        await pipeline.run()

    async def waiting(self, feed: str, links: Iterable[str]) -> list[Pending]:
        asked = list(links)
        pipeline = self._store.pipeline(atomic=False)
        for link in asked:
            pipeline.call("HVALS", self._waits(feed, link))
        found = await pipeline.run()
        return [
            Pending(link, msgspec.json.decode(value, type=Event))
            for link, values in zip(asked, found, strict=True)
            for value in values
        ]

    async def done(self, feed: str, links: Iterable[str]) -> None:
        await self._store.delete(*(self._waits(feed, link) for link in links))


def _fields(value: bytes) -> list[dict[str, str]]:
    """Kept for months: those from before know of one parcel a fulfilment."""
    found = msgspec.json.decode(value, type=list[dict[str, str]] | dict[str, str])
    return found if isinstance(found, list) else [found]
