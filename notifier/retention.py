"""How long the ledger remembers: 400 days after a decision, longer than an order can be compensated; then it forgets.

A claim that is retired takes its money out of the counters, so a budget "in 400 days" is a sliding one, and the counters
are always the sum of the claims there are. What is owed (held, waiting, pending, sending, unknown with money) is never retired.
Of a coupon its code stays, as it is at the shop for good. The log loses entries by age alone, from its old end, and none that is younger than the oldest claim still kept.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

from notifier.audit import Audit, Record
from notifier.ledger import DAY_MS, Ledger, script
from notifier.sending import Instant
from notifier.store import Store, StoreFullError

KEEP_DAYS: Final = 400
STEP_MS: Final = 6 * 3_600_000
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Retired:
    claims: int
    entries: int  # of the audit log


class Retention:
    def __init__(self, store: Store, ledger: Ledger, audit: Audit, step: int = STEP_MS) -> None:
        """`step` in milliseconds: how far one run goes beyond the one before."""
        self._store = store
        self._step = step
        self._ledger = ledger
        self._audit = audit
        self._root = ledger.key()
        self._retire = script("retire")
        self._trim = script("trim")

    async def run(self, now: Instant) -> Retired:
        """Once an hour. However far the clock has jumped, one run goes no more than a step beyond the one before: a
        machine that dreams of another year must not forget whom it has paid.
        """
        before = await self._horizon(now)
        claims = await self._claims(before)
        oldest = await self._store.call("ZRANGE", self._ledger.key("actions"), 0, 0, "WITHSCORES")
        entries = await self._entries(min(before, *(int(score) for _, score in oldest)) if oldest else before)
        return Retired(claims, entries)

    async def _horizon(self, now: Instant) -> Instant:
        wanted = now - KEEP_DAYS * DAY_MS
        kept = await self._store.hash_get(self._ledger.key("chain"), "horizon")
        before = wanted if kept is None else min(wanted, int(kept) + self._step)
        if kept is None or before > int(kept):
            with contextlib.suppress(StoreFullError):  # what is taken out makes room for it
                await self._store.hash_set(self._ledger.key("chain"), {"horizon": before})
        return before

    async def _claims(self, before: Instant) -> int:
        gone = stayed = 0
        while True:
            answer: list[int] = await self._store.script(self._retire, [self._root], before, PAGE, stayed)
            seen, went = answer
            gone, stayed = gone + went, stayed + seen - went
            if seen < PAGE:
                return gone

    async def _entries(self, before: Instant) -> int:
        last: Record | None = None
        async for record in self._audit.records():
            if int(record.body.get("at", 0)) >= before:
                if last is None:
                    return 0
                found: int = await self._store.script(
                    self._trim, [self._root], record.entry_id, int(last.body.get("seq", 0)), last.hash
                )
                return found
            last = record
        return 0  # all of it is old: the newest entry holds the chain's end
