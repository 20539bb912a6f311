"""Opening the configured store, and recognising it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings, StoreSettings
from monitor.embedded import EmbeddedStore, EmbeddedStoreError
from monitor.storage import open_store
from notifier.store import Store

pytestmark = pytest.mark.anyio


def settings(folder: Path, url: str | None = None) -> Settings:
    return Settings(
        data_dir=folder,
        store=StoreSettings(url=SecretStr(url) if url else None, maxmemory_mb=64, allow_unsafe_folder=True),
    )


async def test_without_a_url_the_embedded_store_runs_in_the_data_folder(tmp_path: Path) -> None:
    async with open_store(settings(tmp_path)) as opened:
        await opened.store.put(opened.store.key("a"), "1")
        assert opened.doubt is None
    async with open_store(settings(tmp_path)) as opened:
        assert await opened.store.get(opened.store.key("a")) == b"1"
        assert opened.doubt is None


async def test_a_second_daemon_on_the_folder_is_refused_and_other_verbs_attach(tmp_path: Path) -> None:
    async with open_store(settings(tmp_path), exclusive=True):
        with pytest.raises(EmbeddedStoreError, match="another forestall"):
            async with open_store(settings(tmp_path), exclusive=True):
                pass
        async with open_store(settings(tmp_path)) as second:
            await second.store.ping()


async def test_an_emptied_store_is_doubted_until_a_person_trusts_it(tmp_path: Path) -> None:
    async with open_store(settings(tmp_path)):
        pass
    shutil.rmtree(tmp_path / "store" / "appendonlydir")
    async with open_store(settings(tmp_path)) as opened:
        assert opened.doubt == "the store is empty, or not the one that was used before"
    async with open_store(settings(tmp_path)) as opened:
        assert opened.doubt
        await opened.trust()
    async with open_store(settings(tmp_path)) as opened:
        assert opened.doubt is None


async def test_the_name_of_the_store_we_know_is_written_once(tmp_path: Path) -> None:
    """Half a name would be another store's."""
    async with open_store(settings(tmp_path)) as opened:
        written = opened.memory.stat()
    async with open_store(settings(tmp_path)) as opened:
        assert opened.memory.stat().st_mtime_ns == written.st_mtime_ns
        assert opened.memory.stat().st_ino == written.st_ino
        opened.memory.write_text("another's")
        await opened.trust()
        assert opened.memory.stat().st_ino != written.st_ino, "put in its place whole"


async def test_a_torn_log_is_doubted(tmp_path: Path) -> None:
    async with open_store(settings(tmp_path)) as opened:
        await opened.store.put(opened.store.key("a"), "1")
    log = max((tmp_path / "store" / "appendonlydir").glob("*.incr.aof"))
    log.write_bytes(log.read_bytes()[:-3])
    async with open_store(settings(tmp_path)) as opened:
        assert opened.doubt
        assert "are gone" in opened.doubt


async def test_a_store_by_url_is_the_same_path(tmp_path: Path, valkey: EmbeddedStore, store: Store) -> None:
    async with open_store(settings(tmp_path, valkey.url)) as opened:
        assert opened.embedded is None
        assert await opened.store.get(opened.store.key("identity"))
        assert opened.doubt is None
    await store.call("FLUSHALL")
    async with open_store(settings(tmp_path, valkey.url)) as opened:
        assert opened.doubt
