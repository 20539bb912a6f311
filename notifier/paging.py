"""A sorted set page by page, by score and member: members may come and go between two pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from notifier.store import Store

PAGE: Final = 500


async def pages(
    store: Store, key: str, low: int, high: int | None = None, size: int = PAGE
) -> AsyncIterator[list[str]]:
    """Members from `low` to `high` inclusive (None: to the end), each once. What stays in the set all the time is
    never passed over, which an offset into the whole cannot promise.
    """
    last: tuple[bytes, int] | None = None  # the member read last, and its place among those of its score
    at = low
    while True:
        offset = last[1] if last is not None else 0
        top = "+inf" if high is None else high
        found = await store.call(
            "ZRANGEBYSCORE", key, at, top, "WITHSCORES", "LIMIT", offset, size + (last is not None)
        )
        if last is not None and (not found or found[0][0] != last[0]):
            found, last = await _after(store, key, at, last[0], top, size)
        elif last is not None:
            del found[0]
        if not found:
            return
        yield [member.decode() for member, _ in found]
        newest = int(found[-1][1])
        ties = sum(int(score) == newest for _, score in found)
        before = last[1] + 1 if last is not None and newest == at else 0
        at, last = newest, (found[-1][0], before + ties - 1)


async def _after(
    store: Store, key: str, score: int, member: bytes, top: int | str, size: int
) -> tuple[list[tuple[bytes, float]], tuple[bytes, int] | None]:
    """Something came or went among those of `score`: find the place again, which is behind all smaller members."""
    offset = 0
    while True:
        found = await store.call("ZRANGEBYSCORE", key, score, top, "WITHSCORES", "LIMIT", offset, size)
        for place, (one, at) in enumerate(found):
            if int(at) > score or one > member:
                return found[place:], (member, offset + place - 1)
        offset += len(found)
        if len(found) < size:
            return [], None
