"""When to ask whom: rates, locks and back-off of all pollers, and which quiet parcels are due.

`Runner.run(now)` is a job of the schedule. It asks no more than the provider's rate allows for the time since its last run,
one daemon at a time (a lock in the store), and stops at the first trouble until the back-off has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from monitor.feeds.base import Unreadable
from monitor.feeds.desk import Desk
from monitor.feeds.pollers.base import Answered, Backoff, ListPoller, ParcelPoller
from monitor.feeds.watch import Quiet, Watch
from monitor.letters import Format
from notifier.store import Store

log = structlog.get_logger(__name__)

LOCK_MS: Final = 120_000
ALIVE_MS: Final = 3_600_000  # a feed that delivered within the hour is alive
MOST_PAGES: Final = 50  # of one list in one run; the rest waits for the next
SLOWEST_MS: Final = 24 * 3_600_000


@dataclass(slots=True)
class Asked:
    """Of one parcel: when it may be asked about again. Each answer without news doubles the wait."""

    next_at: int
    wait_ms: int


@dataclass(slots=True)
class Plan:
    """Which parcels are due, without a network or a clock."""

    each_ms: int
    asked: dict[str, Asked] = field(default_factory=dict)

    def due(self, quiet: Sequence[Quiet], now: int, most: int) -> list[Quiet]:
        found = [one for one in quiet if self._open(one.tracking_number, now)]
        return found[:most]

    def _open(self, number: str, now: int) -> bool:
        known = self.asked.get(number)
        return known is None or not 0 < known.next_at - now <= known.wait_ms  # more: the clock was set back

    def note(self, numbers: Sequence[str], now: int) -> None:
        for number in numbers:
            known = self.asked.pop(number, None)
            wait = min(known.wait_ms * 2, SLOWEST_MS) if known else self.each_ms
            self.asked[number] = Asked(now + wait, wait)

    def forget(self, now: int) -> None:
        """Parcels that were not asked about for two days moved, or are over."""
        for number in [name for name, one in self.asked.items() if now > one.next_at + 2 * SLOWEST_MS]:
            del self.asked[number]


def allowance(per_second: float, since_ms: int) -> int:
    """How many requests the time since the last run pays for: at least one, at most a minute's."""
    return max(1, int(per_second * min(max(since_ms, 0), 60_000) / 1000))


class Runner:
    def __init__(
        self,
        store: Store,
        desk: Desk,
        watch: Watch,
        parcels: Sequence[ParcelPoller] = (),
        lists: Sequence[ListPoller] = (),
        *,
        holder: str = "daemon",
    ) -> None:
        self._store = store
        self._desk = desk
        self._watch = watch
        self._parcels = parcels
        self._lists = lists
        self._holder = holder
        self._plans = {one.name: Plan(one.limits.each_ms) for one in parcels}
        names = [one.name for one in parcels] + [one.name for one in lists]
        self._backoff = {name: Backoff() for name in names}
        for one in lists:
            desk.add_reader(one.feed, Format.PAGE)
        self._last: dict[str, int] = {}

    async def run(self, now: int) -> None:
        for one in self._parcels:
            if await self._mine(one.name, now):
                await self._reconcile(one, now)
        for other in self._lists:
            due = not 0 <= now - self._last.get(other.name, -other.every_ms) < other.every_ms
            if due and await self._mine(other.name, now):
                await self._read(other, now)

    async def _mine(self, name: str, now: int) -> bool:
        """Whether this daemon is the one that asks: a holder renews its own lock."""
        if not self._backoff[name].open(now):
            return False
        key = self._store.key("poller", name, "lock")
        if await self._store.put(key, self._holder, only_new=True, milliseconds=LOCK_MS):
            return True
        if await self._store.get(key) != self._holder.encode():
            return False
        await self._store.expire(key, LOCK_MS)
        return True

    def _alive(self, feed: str, now: int) -> bool:
        status = self._desk.status.get(feed)
        newest = status.last_event_at if status else None
        return newest is not None and now - newest < ALIVE_MS

    async def _reconcile(self, poller: ParcelPoller, now: int) -> None:
        plan = self._plans[poller.name]
        plan.forget(now)
        requests = allowance(poller.limits.per_second, now - self._last.get(poller.name, now - 1000))
        self._last[poller.name] = now
        feed = poller.feed.name
        quiet = self._watch.quiet(now, {feed} if self._alive(feed, now) else set())
        due = plan.due(quiet, now, requests * poller.limits.batch)
        for start in range(0, len(due), poller.limits.batch):
            batch = due[start : start + poller.limits.batch]
            if start:
                await asyncio.sleep(1 / poller.limits.per_second)
            answered = await poller.ask(batch, now)
            if not await self._take(poller, answered, now):
                return
            plan.note([one.tracking_number for one in batch], now)

    async def _read(self, poller: ListPoller, now: int) -> None:
        self._last[poller.name] = now
        key = self._store.key("poller", poller.name, "cursor")
        cursor = (await self._store.get(key) or b"").decode()
        for page in range(MOST_PAGES):
            if page:
                await asyncio.sleep(1 / poller.limits.per_second)
            answered = await poller.read(cursor, now)
            if not await self._take(poller, answered, now):
                return
            if answered.cursor and answered.cursor != cursor:
                cursor = answered.cursor
                await self._store.put(key, cursor)
            if not answered.more:
                return

    async def _take(self, poller: ParcelPoller | ListPoller, answered: Answered, now: int) -> bool:
        """Whether to go on. Everything is durable before the cursor moves or a parcel counts as asked about."""
        backoff = self._backoff[poller.name]
        if answered.trouble is not None:
            backoff.failed(now, answered.again)
            wait = (backoff.until - now) // 1000
            log.warning(
                "poller.trouble", poller=poller.name, trouble=answered.trouble.value, wait_seconds=wait
            )
            return False
        backoff.worked()
        for push in answered.pushes:
            try:
                parsed = poller.feed.parse(push)
            except Unreadable as unreadable:
                log.warning("poller.unreadable", poller=poller.name)
                await self._desk.unreadable(poller.feed, push, unreadable)
                continue
            await self._desk.take(poller.feed, push, parsed, asked=True)
        return True

    def report(self, now: int) -> Mapping[str, Mapping[str, int]]:
        return {
            name: {
                "failures": one.failures,
                "wait_seconds": max(0, one.until - now) // 1000,
                "asked_about": len(self._plans[name].asked) if name in self._plans else 0,
            }
            for name, one in self._backoff.items()
        }
