"""The configured store, opened: embedded or by URL, checked, and recognised.

A store that was replaced, emptied or cut must not be spent from before the coupon shop was asked (`hold`): each store
carries a random identity, and the data folder remembers the one that was trusted last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from monitor.embedded import EmbeddedStore, EmbeddedStoreError
from notifier.store import Store

IDENTITY = "identity"


@dataclass(slots=True)
class OpenStore:
    """`doubt` is why nothing may be spent yet, in one line; None where the store is the one we knew, whole."""

    store: Store
    embedded: EmbeddedStore | None
    doubt: str | None
    memory: Path

    async def watch(self) -> None:
        """Keeps the embedded store alive; raises when that is hopeless. Never returns."""
        if self.embedded is not None and not self.embedded.attached:
            await self.embedded.watch()
        await asyncio.Event().wait()

    async def trust(self) -> None:
        """A person has reconciled, or there was no doubt: from now on this is the store we know."""
        identity = await _identity(self.store)
        if _remembered(self.memory) != identity:
            _keep(self.memory, identity)
        if self.embedded is not None:
            self.embedded.forgive()
        self.doubt = None


@asynccontextmanager
async def open_store(settings: Settings, *, exclusive: bool = False) -> AsyncIterator[OpenStore]:
    """`exclusive`: refuse an embedded store that another process keeps (for the daemon; other verbs attach)."""
    async with contextlib.AsyncExitStack() as stack:
        embedded = None
        url = settings.store.url.get_secret_value() if settings.store.url else None
        if url is None:
            embedded = EmbeddedStore(
                settings.data_dir / "store",
                maxmemory_mb=settings.store.maxmemory_mb,
                allow_unsafe_folder=settings.store.allow_unsafe_folder,
            )
            await embedded.start()
            stack.push_async_callback(embedded.stop)
            if exclusive and embedded.attached:
                raise EmbeddedStoreError(
                    f"another forestall (process {embedded.owner}) runs on {settings.data_dir}"
                )
            url = embedded.url
        store = await stack.enter_async_context(Store(url, settings.store.prefix))
        await store.check()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        opened = OpenStore(store, embedded, None, settings.data_dir / "store-identity")
        opened.doubt = await _doubt(opened)
        if opened.doubt is None:
            await opened.trust()
        yield opened


async def _identity(store: Store) -> str:
    key = store.key(IDENTITY)
    if (known := await store.get(key)) is None:  # asked first: a full store refuses what only may write
        await store.put(key, secrets.token_hex(16), only_new=True)
        known = await store.get(key)
    return (known or b"").decode()


async def _doubt(opened: OpenStore) -> str | None:
    if opened.embedded is not None and (torn := opened.embedded.torn):
        return torn
    known = _remembered(opened.memory)
    if known is not None and known != await _identity(opened.store):
        return "the store is empty, or not the one that was used before"
    return None


def _keep(memory: Path, identity: str) -> None:
    """Whole or as it was: half a name is another store's, from which nothing may be spent."""
    draft = memory.with_name(f".{memory.name}.writing")
    with draft.open("w", encoding="utf-8") as file:
        file.write(identity)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(memory)


def _remembered(memory: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return memory.read_text(encoding="utf-8")
    return None
