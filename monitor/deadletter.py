"""The dead-letter stream: what could not be taken, with its reason, until a person looks at it.

From every door in one way: each refused event is counted, and kept as a letter with who sent it and in which format, so
that it can be read again once a table or a mapping is mended. The raw payload is kept here and nowhere else; it may hold
personal data, so it is never logged. The stream is bounded, in number and in bytes: what is not kept, or no longer, is
counted and said.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import structlog

from monitor.decode import DeadEvent
from monitor.letter_room import Room
from monitor.letters import Letter, bounded, fields_of, letter_from, letters_of, together
from monitor.metrics import Metrics
from monitor.poison import PoisonLimit
from monitor.vocabulary import DeadReason
from notifier.store import Entry, Store, StoreError

log = structlog.get_logger(__name__)

KEEP: Final = 100_000
KEEP_MS: Final = 90 * 86_400_000  # as stories: a payload with somebody's name in it is not kept for ever
NOBODY: Final[Mapping[str, int]] = MappingProxyType({})
AT_ONCE: Final = 100  # letters that are tried again together
DELETED_AT_ONCE: Final = 1000


class NotNowError(Exception):
    """Nothing is said of the events: the store is slow, full or away."""


class Unkept(StrEnum):
    """Why a letter was not kept, or no longer: the closed list, a metric label."""

    POISONED = "poisoned"  # most of what its sender sends is invalid, and it was told of each
    NUMBER = "number"
    ROOM = "room"
    AGE = "age"
    PERSON = "person"
    CUT = "cut"  # the rest of a long payload: it can be looked at, and not be read again


class DeadLetters:
    def __init__(self, store: Store, *, keep: int = KEEP, metrics: Metrics | None = None) -> None:
        self.store = store
        self.keep = keep
        self.dropped = 0
        self._room = Room(store, self.key)
        self._limits: dict[str, PoisonLimit] = {}
        self._refused = metrics.counter("deadletter") if metrics else None
        self._unkept = metrics.counter("deadletter_unkept") if metrics else None

    @property
    def key(self) -> str:
        return self.store.key("dead")

    async def add(self, dead: Sequence[DeadEvent], now: int, feed: str = "") -> None:
        """What the decoder could not take."""
        await self.park(letters_of(dead, now, feed))
        self.count_refused(one.reason for one in dead)

    async def refuse(
        self,
        sender: str,
        letters: Sequence[Letter],
        reasons: Sequence[DeadReason],
        now: int,
        *,
        good: int,
        told: bool = False,
    ) -> bool:
        """What a door could not take of `good + len(reasons)` events; durable when it returns.

        Says whether most of what `sender` sends is invalid. Then only a sample of its letters is kept, if it was `told`
        of each refused event; who cannot be told has nothing but the letters.
        """
        limit = self._limits.setdefault(sender, PoisonLimit())
        before = limit.poisoned
        limit.observe(good, len(reasons))
        if limit.poisoned != before:
            log.error(
                "feed.poisoned" if limit.poisoned else "feed.clean_again", feed=sender, share=str(limit)
            )
        if not letters and not reasons:
            return limit.poisoned
        kept = limit.sample(len(letters), now) if limit.poisoned and told else len(letters)
        await self.park(letters[:kept])
        self.count_refused(reasons)
        self._count_unkept(Unkept.POISONED, len(letters) - kept)
        return limit.poisoned

    def count_refused(self, reasons: Iterable[DeadReason]) -> None:
        if self._refused is not None:
            for reason, count in Counter(reasons).items():
                self._refused.labels(reason).inc(count)

    def _count_unkept(self, why: Unkept, count: int) -> None:
        if count and self._unkept is not None:
            self._unkept.labels(why).inc(count)

    async def park(self, letters: Sequence[Letter]) -> None:
        """Durable when it returns."""
        kept = [bounded(letter) for letter in letters]
        for some in together(kept):
            await self._write(some)
        self._count_unkept(Unkept.CUT, sum(letter.cut for letter in kept))

    async def _write(self, letters: Sequence[Letter]) -> None:
        async with self._room.made(sum(letter.size for letter in letters)) as gone:
            self._say_dropped(Unkept.ROOM, gone.total(), gone)
            pipeline = self.store.pipeline()
            for letter in letters:
                pipeline.add(self.key, fields_of(letter))
            length = await pipeline.call("XLEN", self.key).run()
        if (surplus := length[-1] - self.keep) > 0:
            # By id, like every stream of ours: the oldest letters go, and it is said.
            oldest = (await self.store.stream_range(self.key, count=surplus + 1))[-1]
            self._say_dropped(Unkept.NUMBER, await self.store.stream_trim(self.key, oldest.id))

    def _say_dropped(self, why: Unkept, count: int, feeds: Mapping[str, int] = NOBODY) -> None:
        if count:
            self.dropped += count
            self._count_unkept(why, count)
            log.warning(
                "dead_letters.dropped", why=why.value, count=count, dropped=self.dropped, feeds=dict(feeds)
            )

    async def count(self) -> int:
        return await self.store.stream_length(self.key)

    async def cut(self, ids: set[str] | None = None) -> int:
        """How many letters cannot be read again, as only their beginning is kept: the sender has the rest."""
        return sum([letter.cut async for letter in self.all() if ids is None or letter.id in ids])

    async def list(self, *, count: int = 100, reason: DeadReason | None = None) -> list[Letter]:
        """The newest first."""
        found: list[Letter] = []
        end = "+"
        while len(found) < count:
            raw = await self.store.call("XREVRANGE", self.key, end, "-", "COUNT", 500)
            page = [letter_from(Entry(entry[0].decode(), entry[1])) for entry in raw]
            found += [letter for letter in page if reason is None or letter.reason == reason]
            if len(page) < 500:
                break
            end = f"({page[-1].id}"
        return found[:count]

    async def all(self, reason: DeadReason | None = None) -> AsyncIterator[Letter]:
        """The oldest first; letters that come while it runs are not among them."""
        newest = await self.store.stream_newest(self.key)
        start, last = "-", newest[0].id if newest else "0-0"
        while True:
            page = [letter_from(entry) for entry in await self.store.stream_range(self.key, start, last, 200)]
            for letter in page:
                if reason is None or letter.reason == reason:
                    yield letter
            if not page:
                return
            start = f"({page[-1].id}"

    async def replay(
        self,
        submit: Callable[[Letter], Awaitable[bool]],
        *,
        reason: DeadReason | None = None,
        ids: set[str] | None = None,
    ) -> tuple[int, int]:
        """Hands letters to `submit` again; taken ones leave. Returns how many were taken and how many were not.

        What is refused again must not be parked a second time by `submit`: its letter stays as it is, and so does one on
        which `submit` fails. A payload that was cut is never tried.
        """
        taken = tried = 0
        waiting: list[Letter] = []
        async for letter in self.all(reason):
            if ids is not None and letter.id not in ids:
                continue
            if letter.cut:
                tried += 1
                continue
            waiting.append(letter)
            if len(waiting) == AT_ONCE:
                taken += await self._try(submit, waiting)
                tried += len(waiting)
                waiting = []
        taken += await self._try(submit, waiting)
        tried += len(waiting)
        return taken, tried - taken

    async def _try(self, submit: Callable[[Letter], Awaitable[bool]], letters: Sequence[Letter]) -> int:
        """Together, so that they share the writes of the stream. Taken ones leave, also where others must wait."""
        answers = await asyncio.gather(*(_tried(submit, one) for one in letters), return_exceptions=True)
        taken = [one.id for one, answer in zip(letters, answers, strict=True) if answer is True]
        await self.store.stream_delete(self.key, *taken)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return len(taken)

    async def expire(self, now: int) -> int:
        """Letters that nobody looked at for `KEEP_MS`, from the oldest on; how many they were."""
        old: list[str] = []
        feeds: Counter[str] = Counter()
        async for letter in self.all():
            if letter.at >= now - KEEP_MS:
                break
            old.append(letter.id)
            feeds[letter.feed] += 1
        dropped = await self._delete(old)
        self._say_dropped(Unkept.AGE, dropped, feeds)
        return dropped

    async def drop(
        self, *, ids: set[str] | None = None, feed: str | None = None, reason: DeadReason | None = None
    ) -> int:
        """Letters that nobody wants any more: those for which all that is given holds. How many they were."""
        wanted = [
            letter.id
            async for letter in self.all(reason)
            if (ids is None or letter.id in ids) and feed in {None, letter.feed}
        ]
        return await self.delete(wanted)

    async def delete(self, ids: Sequence[str]) -> int:
        """As `drop`, of those that are known by their ids."""
        dropped = await self._delete(ids)
        self._count_unkept(Unkept.PERSON, dropped)
        return dropped

    async def _delete(self, ids: Sequence[str]) -> int:
        dropped = 0
        for start in range(0, len(ids), DELETED_AT_ONCE):
            dropped += await self.store.stream_delete(self.key, *ids[start : start + DELETED_AT_ONCE])
        return dropped


async def _tried(submit: Callable[[Letter], Awaitable[bool]], letter: Letter) -> bool:
    """One letter that cannot be read in a way nobody thought of must not keep the others from being tried."""
    try:
        return await submit(letter)
    except (StoreError, NotNowError):
        raise
    except Exception as error:  # noqa: BLE001 - its text may quote the payload
        log.error("dead_letter.failed", entry=letter.id, feed=letter.feed, error=type(error).__name__)  # noqa: TRY400
        return False
