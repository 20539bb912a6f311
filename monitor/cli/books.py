"""Verbs that open the ledger themselves, beside a running daemon or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from monitor.cli.output import settings

if TYPE_CHECKING:
    from monitor.bookkeeping import Books

T = TypeVar("T")


def with_books(config: Path | None, ask: Callable[[Books], Awaitable[T]]) -> T:
    from monitor.bookkeeping import open_books
    from monitor.failures import told_to_operator

    chosen = settings(config).settings

    async def run() -> T:
        async with open_books(chosen) as books:
            return await ask(books)

    with told_to_operator():
        return asyncio.run(run())
