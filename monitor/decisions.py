"""What people decided about incidents, kept in the store: a restart from an older checkpoint decides it again."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.findings import Instant
from monitor.incidents import Command
from notifier.store import Store

KEPT_MS: Final = 14 * 86_400_000
MOST: Final = 10_000


class Decisions:
    """Ordered by the commands' own time, which in a demo is not the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = store.key("decisions")

    async def write(self, command: Command) -> None:
        """Before it is applied: what was answered to a person must not be forgotten."""
        await self._store.sorted_add(self._key, {msgspec.json.encode(command).decode(): command.at})
        await self._store.call("ZREMRANGEBYSCORE", self._key, "-inf", f"({command.at - KEPT_MS}")

    async def since(self, at: Instant) -> list[Command]:
        found = await self._store.sorted_range(self._key, at, "+inf", MOST)
        return [msgspec.json.decode(one, type=Command) for one in found]

    async def drop(self, after: Instant) -> int:
        """What was decided in a time that was none; how many."""
        dropped: int = await self._store.call("ZREMRANGEBYSCORE", self._key, f"({after}", "+inf")
        return dropped
