"""Asking the store again until it answers: for what may be asked twice, and only for that.

A step that has begun must be finished: the engine has moved on, and what it found is nowhere else. Everything that a
step asks of the store changes nothing when it is asked again, so a store that is away, loading or full is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from notifier.store import StoreFullError, StoreUnreachableError

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
T = TypeVar("T")


class Asking(Protocol):
    async def __call__(self, question: Callable[[], Awaitable[T]]) -> T: ...


async def once(question: Callable[[], Awaitable[T]]) -> T:
    """No patience: a store of one's own, or one that waits by itself."""
    return await question()


@dataclass(slots=True)
class Patience:
    """`returned` is asked before the store is trusted with anything again: it may be another one. `waiting`: how many
    questions have no answer yet; `why`, as it was said last.
    """

    returned: Callable[[], Awaitable[None]]
    waiting: int = 0
    why: str = ""

    async def __call__(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            return await question()
        except (StoreUnreachableError, StoreFullError) as error:
            self._told(error)
        self.waiting += 1
        try:
            return await self._asking(question)
        finally:
            self.waiting -= 1

    async def _asking(self, question: Callable[[], Awaitable[T]]) -> T:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self.returned()
                return await question()
            except (StoreUnreachableError, StoreFullError) as error:
                self._told(error)

    def _told(self, error: Exception) -> None:
        self.why = str(error)
        log.warning("store.waited_for", why=self.why)
