"""When to ask whom: rates, locks and back-off of all pollers, and which quiet parcels are due.

`Runner.run(now)` is a job of the schedule. It asks no more than the provider's rate allows for the time since its last run,
one daemon at a time (a lock in the store), and stops at the first trouble until the back-off has passed. Trouble is in the
log, in `forestall_poller_troubles_total` and in what `forestall feeds` prints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from monitor.feeds.base import Push, Read, Unreadable
from monitor.feeds.desk import AT_ONCE, Desk
from monitor.feeds.pollers.base import Answered, ListPoller, ParcelPoller, Trouble
from monitor.feeds.pollers.plan import Plan, allowance
from monitor.feeds.status import Polling
from monitor.feeds.watch import LIMIT, Quiet, Watch
from monitor.letters import Format
from notifier.store import Script, Store

log = structlog.get_logger(__name__)

LOCK_MS: Final = 120_000  # longer than what it is for, which renews it: who died is succeeded by then
ALIVE_MS: Final = 3_600_000  # a feed that delivered within the hour is alive
MOST_PAGES: Final = 50  # of one list in one run; the rest waits for the next
LOOKS: Final = 20  # at a thousand quiet parcels each, for those that may be asked about: some 10 ms
SPARE: Final = 100  # parcels a run, beyond what the rate allows, that take the place of those that nothing is asked about
DAY_MS: Final = 24 * 3_600_000
GIVE_BACK: Final = Script("return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0")


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
        """`holder` is this daemon's among those that share the store, and the same after a restart."""
        self._store = store
        self._desk = desk
        self._watch = watch
        self._parcels = parcels
        self._lists = lists
        self._holder = holder
        self._plans = {one.name: Plan(one.limits.each_ms) for one in parcels}
        self._locks = {one.name: LOCK_MS for one in parcels}
        for one in lists:
            # Held over the whole pause, or another daemon would read the list in it.
            self._locks[one.name] = one.every_ms + LOCK_MS
            if desk.feeds.get(one.feed.name) is not one.feed:
                desk.add_reader(one.feed, Format.PAGE)
        self._last: dict[str, int] = {}
        self._polling: dict[str, Polling] = {}
        pollers: list[ParcelPoller | ListPoller] = [*parcels, *lists]
        for poller in pollers:
            self._polling[poller.name] = desk.status[poller.feed.name].pollers[poller.name] = Polling()
            desk.metrics.counter("poller_refused").labels(poller=poller.name)
            for trouble in Trouble:
                desk.metrics.counter("poller_troubles").labels(poller=poller.name, trouble=trouble.value)

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
        if not self._polling[name].backoff.open(now):
            return False
        key, lock_ms = self._lock(name), self._locks[name]
        if await self._store.put(key, self._holder, only_new=True, milliseconds=lock_ms):
            return True
        if await self._store.get(key) != self._holder.encode():
            return False
        await self._store.expire(key, lock_ms)
        return True

    async def close(self) -> None:
        """Whoever comes next need not wait until the locks have run out. Raises `StoreError`."""
        for name in self._locks:
            await self._store.script(GIVE_BACK, [self._lock(name)], self._holder)

    def _lock(self, name: str) -> str:
        return self._store.key("poller", name, "lock")

    def _alive(self, feed: str, now: int) -> bool:
        status = self._desk.status.get(feed)
        newest = status.last_event_at if status else None
        return newest is not None and now - newest < ALIVE_MS

    async def _reconcile(self, poller: ParcelPoller, now: int) -> None:
        plan = self._plans[poller.name]
        plan.forget(now)
        requests = allowance(poller.limits.per_second, now - self._last.get(poller.name, now - 1000))
        self._last[poller.name] = now
        batch, pause = poller.limits.batch, False
        due = self._due(poller, now, requests * batch + SPARE)
        for start in range(0, len(due), batch):
            if not requests:
                return
            if pause:
                await asyncio.sleep(1 / poller.limits.per_second)
            some = due[start : start + batch]
            answered = await poller.ask(some, now)
            self._unasked(poller, answered.unasked, now)
            asked = [one.tracking_number for one in some if one.tracking_number not in answered.unasked]
            pause = bool(asked)
            if not asked:
                continue
            requests -= 1
            whole = await self._take(poller, answered, now)
            if whole or answered.refused:
                self._noted(poller, asked, answered, now)
            if not whole:
                return

    def _unasked(self, poller: ParcelPoller, numbers: Sequence[str], now: int) -> None:
        """They rest, as those without news do: what is not known of them may come with their order."""
        self._plans[poller.name].note(numbers, now)
        self._polling[poller.name].unasked += len(numbers)

    def _due(self, poller: ParcelPoller, now: int, most: int) -> list[Quiet]:
        """Who may not be asked about rests, so that the next look goes past it."""
        feed, plan = poller.feed.name, self._plans[poller.name]
        alive = {feed} if self._alive(feed, now) else set[str]()
        due: list[Quiet] = []
        for _ in range(LOOKS):
            quiet = self._watch.quiet(now, alive)
            due = []
            for one in quiet:
                opens_at = plan.opens_at(one.tracking_number, now)
                if one.carrier in poller.limits.without:
                    self._without(poller, one.carrier)
                    opens_at = now + DAY_MS
                if opens_at is None:
                    due.append(one)
                else:
                    self._watch.rest(one.tracking_number, opens_at)
            if len(due) >= most or len(quiet) < LIMIT:
                break
        return due[:most]

    def _without(self, poller: ParcelPoller, carrier: str) -> None:
        polling = self._polling[poller.name]
        if carrier not in polling.without:
            polling.without.append(carrier)
            log.warning("poller.without", poller=poller.name, carrier=carrier)

    def _noted(self, poller: ParcelPoller, batch: Sequence[str], answered: Answered, now: int) -> None:
        """A refusal in trouble says nothing about the parcel."""
        plan, polling = self._plans[poller.name], self._polling[poller.name]
        refused = set(answered.refused) & set(batch)
        gone = plan.note(batch, now, () if answered.trouble else sorted(refused))
        for number in gone:
            self._watch.drop(number)
        polling.dropped += len(gone)
        polling.refused += len(refused)
        self._desk.metrics.counter("poller_refused").labels(poller=poller.name).inc(len(refused))

    async def _read(self, poller: ListPoller, now: int) -> None:
        self._last[poller.name] = now
        key = self._store.key("poller", poller.name, "cursor")
        cursor = (await self._store.get(key) or b"").decode()
        for page in range(MOST_PAGES):
            if page:
                await asyncio.sleep(1 / poller.limits.per_second)
                await self._store.expire(self._lock(poller.name), self._locks[poller.name])
            answered = await poller.read(cursor, now)
            whole = await self._take(poller, answered, now)
            if answered.cursor and answered.cursor != cursor:
                cursor = answered.cursor
                await self._store.put(key, cursor)
            if not whole or not answered.more:
                return

    async def _take(self, poller: ParcelPoller | ListPoller, answered: Answered, now: int) -> bool:
        """Whether to go on. Everything is durable before the cursor moves or a parcel counts as asked about."""
        await self._pushes(poller, answered.pushes, now)
        polling = self._polling[poller.name]
        polling.trouble = answered.trouble and answered.trouble.value
        if polling.trouble is None:
            polling.backoff.worked()
            return True
        polling.backoff.failed(now, answered.again)
        self._desk.metrics.counter("poller_troubles").labels(
            poller=poller.name, trouble=polling.trouble
        ).inc()
        wait = (polling.backoff.until - now) // 1000
        log.warning("poller.trouble", poller=poller.name, trouble=polling.trouble, wait_seconds=wait)
        return False

    async def _pushes(self, poller: ParcelPoller | ListPoller, pushes: Sequence[Push], now: int) -> None:
        reads: list[Read] = []
        for push in pushes:
            try:
                reads.append(Read(push, poller.feed.parse(push)))
            except Unreadable as unreadable:
                log.warning("poller.unreadable", poller=poller.name)
                await self._desk.unreadable(poller.feed, push, unreadable)
        if len(reads) == 1:
            await self._desk.take(poller.feed, *reads[0], asked=True)
            return
        for start in range(0, len(reads), AT_ONCE):
            await self._desk.take_all(poller.feed, reads[start : start + AT_ONCE], now, asked=True)

    def report(self, now: int) -> Mapping[str, Mapping[str, int]]:
        return {
            name: {
                "failures": one.backoff.failures,
                "wait_seconds": max(0, one.backoff.until - now) // 1000,
                "asked_about": len(self._plans[name].asked) if name in self._plans else 0,
                "refused": one.refused,
            }
            for name, one in self._polling.items()
        }
