"""The doctor names what is wrong with a store and what a crash would lose."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings, StoreSettings
from monitor import store_doctor as module
from monitor.embedded import EmbeddedStore
from monitor.storage import OpenStore, open_store
from monitor.store_doctor import Severity, StoreReport, examine, window_of_loss
from notifier.store import Store

pytestmark = pytest.mark.anyio


def texts(report: StoreReport, severity: Severity | None = None) -> str:
    return "\n".join(one.text for one in report.problems if severity in {None, one.severity})


async def test_the_embedded_store_has_nothing_wrong_and_no_window(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, store=StoreSettings(maxmemory_mb=16))
    async with open_store(settings) as opened:
        report = await examine(opened)
    assert report.embedded
    assert report.server.startswith("Valkey 9.")
    assert report.window.startswith("None;")
    assert report.window_severity is None
    assert report.problems == []


@pytest.mark.parametrize(
    ("setting", "value", "window", "problem"),
    [
        ("appendfsync", "everysec", "up to 1 s", "appendfsync is everysec"),
        ("appendfsync", "no", "some 30 s", "appendfsync is no"),
        ("no-appendfsync-on-rewrite", "yes", "while the log is rewritten", "set it to no"),
        ("appendonly", "no", "Everything ever acknowledged", "appendonly is no"),
        ("maxmemory-policy", "allkeys-lru", "None;", "paid twice"),
        ("maxmemory", "0", "None;", "maxmemory is not set"),
        ("maxmemory", "1300000", "None;", "% of maxmemory is used"),
    ],
)
async def test_each_setting_has_its_sentence(
    tmp_path: Path, server_binary: Path | None, setting: str, value: str, window: str, problem: str
) -> None:
    keeper = EmbeddedStore(
        tmp_path / "store", maxmemory_mb=64, allow_unsafe_folder=True, binary=server_binary
    )
    await keeper.start()
    settings = Settings(data_dir=tmp_path, store=StoreSettings(url=SecretStr(keeper.url)))
    async with open_store(settings) as opened:
        await opened.store.call("CONFIG", "SET", setting, value)
        report = await examine(opened)
    await keeper.stop()
    assert window in report.window
    costly = {"appendonly": Severity.WRONG} | dict.fromkeys(
        ("appendfsync", "no-appendfsync-on-rewrite"), Severity.WARNING
    )
    assert report.window_severity == costly.get(setting)
    assert problem in texts(report)
    assert not report.embedded


async def test_a_store_that_hides_its_config_is_said_to(
    store: Store, valkey: EmbeddedStore, tmp_path: Path
) -> None:
    await store.call("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-config")
    async with Store(valkey.url.replace("unix://", "unix://app:pw@")) as hidden:
        report = await examine(OpenStore(hidden, None, None, tmp_path))
    await store.call("ACL", "DELUSER", "app")
    assert "Unknown" in report.window
    assert "does not tell" in texts(report)


async def test_a_doubted_store_and_a_bad_folder_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path, store=StoreSettings(maxmemory_mb=16))
    async with open_store(settings) as opened:
        opened.doubt = "the store is empty"
        monkeypatch.setattr(module, "file_system", lambda _: "nfs4")
        usage = namedtuple("usage", "free")  # noqa: PYI024
        monkeypatch.setattr("monitor.store_doctor.shutil.disk_usage", lambda _: usage(1 << 20))
        report = await examine(opened)
    assert "the store is empty: nothing is spent" in report.problems[0].text
    assert "is on nfs4" in texts(report, Severity.WRONG)
    assert "1 MB are free" in texts(report, Severity.WARNING)


def test_windows_are_one_sentence_each() -> None:
    for fsync in ("always", "everysec", "no"):
        sentence = window_of_loss({"appendonly": "yes", "appendfsync": fsync})
        assert sentence.count(".") == 1
        assert sentence.endswith(".")
