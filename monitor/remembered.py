"""What was known when a finding was judged, kept until no restart can come back to it.

The directory is always at the end of what was taken; a checkpoint is not. A batch that is taken again after a crash
would be judged by tickets, orders and contacts of batches that came after it, and what policy refused the first time
could be claimed the second. So what the directory answers is written down before anything is done about it, and is
the answer again when the same change of the same episode is judged again: decisions depend on the stream alone.

One sorted set by the engine's time, as in `monitor.decisions`. Each checkpoint drops what lies before the oldest one
that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from detectors.findings import Finding, Instant
from monitor.policy import OrderFacts
from notifier.store import Store

CHUNK: Final = 500  # findings a member
PAGE: Final = 100  # members a read
_ROWS: Final = msgspec.msgpack.Decoder(list[tuple[str, OrderFacts | None]])


class Remembered:
    """Empty, and without any cost of reading, but in the time in which a restart catches up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = store.key("judged")
        self._known: dict[str, OrderFacts | None] = {}
        self._until: Instant = -1  # the newest moment of what is known

    async def recall(self, since: Instant) -> int:
        """Before the stream is taken again from a checkpoint of the time `since`; how many answers there are."""
        offset = 0
        while True:
            found = await self._store.call(
                "ZRANGEBYSCORE", self._key, since, "+inf", "WITHSCORES", "LIMIT", offset, PAGE
            )
            for member, at in found:
                for name, facts in _ROWS.decode(member):
                    self._known.setdefault(name, facts)
                self._until = max(self._until, int(at))
            if len(found) < PAGE:
                return len(self._known)
            offset += PAGE

    def before(self, findings: Iterable[Finding], now: Instant) -> dict[str, OrderFacts | None]:
        """By the name of the change: what was known of those that were judged before; None: nothing was."""
        if now > self._until:
            self._known.clear()  # caught up
        if not self._known:
            return {}
        names = map(change_of, findings)
        return {name: self._known[name] for name in names if name in self._known}

    async def write(self, findings: Sequence[Finding], facts: Mapping[str, OrderFacts], now: Instant) -> None:
        """Durable when it returns. `facts` by finding id; one that is absent is remembered as unknown."""
        pipe = self._store.pipeline(atomic=False)
        for start in range(0, len(findings), CHUNK):
            rows = [(change_of(one), facts.get(one.finding_id)) for one in findings[start : start + CHUNK]]
            pipe.call("ZADD", self._key, now, msgspec.msgpack.encode(rows))
        await pipe.run()

    async def unlearn(self, after: Instant) -> int:
        """What was judged in a time that was none; how many members."""
        dropped: int = await self._store.call("ZREMRANGEBYSCORE", self._key, f"({after}", "+inf")
        return dropped

    async def forget(self, before: Instant) -> int:
        """What only checkpoints that are gone could have come back to."""
        dropped: int = await self._store.call("ZREMRANGEBYSCORE", self._key, "-inf", f"({before}")
        return dropped

    async def unname(self, customer_id: str) -> int:
        """Takes a customer out: where it is judged again, nothing is known. How many changes were of that customer."""
        offset, count = 0, 0
        pipe = self._store.pipeline()
        while True:
            found = await self._store.call("ZRANGE", self._key, offset, offset + PAGE - 1, "WITHSCORES")
            for member, at in found:
                rows = _ROWS.decode(member)
                kept = [
                    (name, None if facts is not None and facts.customer_id == customer_id else facts)
                    for name, facts in rows
                ]
                if kept != rows:
                    count += sum(one != other for one, other in zip(kept, rows, strict=True))
                    pipe.call("ZREM", self._key, member)
                    pipe.call("ZADD", self._key, at, msgspec.msgpack.encode(kept))
            if len(found) < PAGE:
                await pipe.run()
                return count
            offset += PAGE


def change_of(finding: Finding) -> str:
    """The name of one change of one episode: the same whenever, and in whatever batch, it is found again."""
    return f"{finding.finding_id}:{finding.state}:{finding.as_of}"
