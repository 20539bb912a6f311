"""The dead-letter stream: what could not be taken, with its reason, until a person looks at it.

The raw payload is kept here and nowhere else; it may hold personal data, so it is never logged. The stream is
bounded: beyond `keep` the oldest letters are dropped, counted, and said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from monitor.decode import DeadEvent
from monitor.metrics import Metrics
from monitor.vocabulary import DeadReason
from notifier.store import Entry, Store

log = structlog.get_logger(__name__)

MOST_RAW_BYTES: Final = 65_536
KEEP: Final = 100_000


@dataclass(frozen=True, slots=True)
class Letter:
    """`feed`: whose format `raw` is in, "" for canonical events. `cut`: `raw` is only the beginning."""

    reason: DeadReason
    detail: str
    raw: bytes
    feed: str = ""
    at: int = 0
    cut: bool = False
    id: str = ""


@dataclass(slots=True)
class PoisonLimit:
    """Whether most of the last `window` events were invalid: then something is wrong with the feed, not with events."""

    window: int = 1000
    share: float = 0.5
    _recent: deque[tuple[int, int]] = field(default_factory=deque)
    _good: int = 0
    _bad: int = 0

    def observe(self, good: int, bad: int) -> None:
        self._recent.append((good, bad))
        self._good += good
        self._bad += bad
        while self._recent and self._good + self._bad - sum(self._recent[0]) >= self.window:
            old_good, old_bad = self._recent.popleft()
            self._good -= old_good
            self._bad -= old_bad

    @property
    def poisoned(self) -> bool:
        total = self._good + self._bad
        return total >= self.window and self._bad > self.share * total

    def __str__(self) -> str:
        return f"{self._bad} of the last {self._good + self._bad} events are invalid"


class DeadLetters:
    def __init__(self, store: Store, *, keep: int = KEEP, metrics: Metrics | None = None) -> None:
        self.store = store
        self.keep = keep
        self.dropped = 0
        self._counter = metrics.counter("deadletter") if metrics else None

    @property
    def key(self) -> str:
        return self.store.key("dead")

    async def add(self, dead: Sequence[DeadEvent], now: int, feed: str = "") -> None:
        """What the decoder could not take."""
        await self.park([Letter(one.reason, one.detail, one.raw, feed, now) for one in dead])

    async def park(self, letters: Sequence[Letter]) -> None:
        """Durable when it returns."""
        if not letters:
            return
        pipeline = self.store.pipeline()
        for letter in letters:
            raw = letter.raw[:MOST_RAW_BYTES]
            pipeline.add(
                self.key,
                {
                    "reason": letter.reason,
                    "detail": letter.detail,
                    "feed": letter.feed,
                    "at": letter.at,
                    "cut": int(letter.cut or len(raw) < len(letter.raw)),
                    "raw": raw,
                },
            )
        length = await pipeline.call("XLEN", self.key).run()
        if self._counter is not None:
            for letter in letters:
                self._counter.labels(letter.reason).inc()
        if (surplus := length[-1] - self.keep) > 0:
            # By id, like every stream of ours: the oldest letters go, and it is said.
            oldest = (await self.store.stream_range(self.key, count=surplus + 1))[-1]
            self.dropped += await self.store.stream_trim(self.key, oldest.id)
            log.warning("dead_letters.dropped", kept=self.keep, dropped=self.dropped)

    async def count(self) -> int:
        return await self.store.stream_length(self.key)

    async def list(self, *, count: int = 100, reason: DeadReason | None = None) -> list[Letter]:
        """The newest first."""
        found: list[Letter] = []
        end = "+"
        while len(found) < count:
            raw = await self.store.call("XREVRANGE", self.key, end, "-", "COUNT", 500)
            page = [_letter(Entry(entry[0].decode(), entry[1])) for entry in raw]
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
            page = [_letter(entry) for entry in await self.store.stream_range(self.key, start, last, 200)]
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

        What is refused again must not be parked a second time by `submit`: its letter stays as it is. A payload that
        was cut is never tried.
        """
        taken = refused = 0
        async for letter in self.all(reason):
            if ids is not None and letter.id not in ids:
                continue
            if not letter.cut and await submit(letter):
                await self.store.stream_delete(self.key, letter.id)
                taken += 1
            else:
                refused += 1
        return taken, refused


def _letter(entry: Entry) -> Letter:
    found = entry.mapping()
    return Letter(
        reason=DeadReason(found["reason"].decode()),
        detail=found["detail"].decode(),
        raw=found["raw"],
        feed=found["feed"].decode(),
        at=int(found["at"]),
        cut=found["cut"] == b"1",
        id=entry.id,
    )
