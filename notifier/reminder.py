"""Reminding a store that was put back of the words that have left since: what it would say again is `unknown` then.

Beside `notifier.reconcile`, which asks the shop about coupons: words leave no code anywhere, but each attempt is in files
of the data folder (`notifier.told`), with its number. An action that has seen fewer in the store was sent in a past that
the store has lost. What is `unknown` is looked up where a provider can be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from notifier.ledger import Ledger
from notifier.sending import Instant
from notifier.store import Store
from notifier.told import KEEP_MS, Left, Told


class Reminder:
    def __init__(self, store: Store, ledger: Ledger, told: Told) -> None:
        self._store = store
        self._told = told
        self._action = ledger.key("action")
        self._key = ledger.key("told")

    async def remind(self, now: Instant) -> int:
        """Of all attempts that the store does not know of, before they may be made again; how many."""
        reminded, chunks = 0, self._told.chunks()
        while chunk := await asyncio.to_thread(next, chunks, None):
            reminded += await self._reminded([one for one in chunk if one.at == 0 or one.at > now - KEEP_MS])
        if reminded:
            await self._store.expire(self._key, KEEP_MS)
        return reminded

    async def _reminded(self, chunk: Sequence[Left]) -> int:
        """In their order: an attempt that was taken back is none."""
        counts = await self._store.run(
            [("HGET", f"{self._action}:{one.id}", "n") for one in chunk], atomic=False
        )
        forgotten = [one for one, count in zip(chunk, counts, strict=True) if one.n > int(count or 0)]
        commands = [
            ("HSET", self._key, one.id, msgspec.json.encode(one)) if one.at else ("HDEL", self._key, one.id)
            for one in forgotten
        ]
        changed = await self._store.run(commands, atomic=False)
        return sum(
            int(number) if one.at else -int(number) for one, number in zip(forgotten, changed, strict=True)
        )

    async def forgets(self, now: Instant) -> bool:
        """Whether the store knows nothing of the words that left last, and was not reminded of them: an older copy."""
        left = self._told.last
        if left is None or left.at <= now - KEEP_MS:
            return False
        questions = [("HGET", f"{self._action}:{left.id}", "n"), ("HEXISTS", self._key, left.id)]
        count, reminded = await self._store.run(questions, atomic=False)
        return int(count or 0) < left.n and not reminded
