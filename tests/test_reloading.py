"""A reload takes all or nothing: what is wrong is said, and what runs goes on as it was."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from monitor.app import Daemon, open_daemon
from monitor.reloading import reload
from tests.whole import Clock, settings, warm

pytestmark = pytest.mark.anyio
TEXT = """
data_dir = "{folder}"
shadow = {shadow}
timezone = "{timezone}"

[store]
allow_unsafe_folder = true

[http]
port = 0

[money]
budget_day = "{budget}"
{more}
"""
BAD = {
    "an inhibit rule's source": '[[incidents.inhibit]]\nsource = ["xx"]\ntarget = []',
    "an inhibit rule's target": "[[incidents.inhibit]]\nsource = []\ntarget = ['kind=~\"(\"']",
    "a maintenance window's match": "[[incidents.maintenance]]\nname = 'sale'\nmatch = ['kind=~\"(\"']\n"
    "starts_at = 2026-11-11T00:00:00Z\nends_at = 2026-11-12T00:00:00Z",
    "a maintenance window that ends before it begins": "[[incidents.maintenance]]\nname = 'sale'\n"
    "starts_at = 2026-11-12T00:00:00Z\nends_at = 2026-11-11T00:00:00Z",
    "a receiver whose channel is not there yet": '[channels.new]\ntype = "slack"\nurl = "https://hooks.example/T/s"\n'
    '[[notify.routes]]\nname = "all"\nreceivers = ["new"]',
    "a feed that nobody knows": '[feeds.x]\ntype = "nobody"',
}


def write(path: Path, **given: Any) -> None:
    fields = {"shadow": "false", "timezone": "Asia/Shanghai", "budget": "9.00", "more": "", **given}
    path.write_text(TEXT.format(folder=path.parent, **fields), encoding="utf-8")


def state(daemon: Daemon) -> dict[str, Any]:
    return {
        "rules": asdict(daemon.ledger.rules),
        "settings": daemon.settings,
        "muting": daemon.incidents._muting,
        "routes": daemon.notifications._routing,
        "desk": daemon.notices.desk,
        "pack": daemon.loop.pipeline.pack,
    }


def success(daemon: Daemon) -> float | None:
    return daemon.registry.get_sample_value("forestall_config_reload_success")


@pytest.mark.parametrize("more", BAD.values(), ids=BAD)
async def test_a_mistake_is_said_and_changes_nothing(tmp_path: Path, clock: Clock, more: str) -> None:
    warm()
    path = tmp_path / "forestall.toml"
    async with open_daemon(
        settings(tmp_path, "http://127.0.0.1:9"), clock, config=path, ticking=False
    ) as daemon:
        write(path)
        reload(daemon)
        assert success(daemon) == 1
        before = state(daemon)
        write(path, shadow="true", budget="7.00", more=more)
        with capture_logs() as logs:
            reload(daemon)
        assert [one["event"] for one in logs] == ["config.not_reloaded"]
        assert success(daemon) == 0
        assert state(daemon) == before


async def test_a_mistake_that_nobody_foresaw_is_said_as_well(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm()
    path = tmp_path / "forestall.toml"
    async with open_daemon(
        settings(tmp_path, "http://127.0.0.1:9"), clock, config=path, ticking=False
    ) as daemon:
        before = state(daemon)
        monkeypatch.setattr("monitor.reloading.desk_of", lambda *_: 1 // 0)
        write(path, shadow="true")
        with capture_logs() as logs:
            reload(daemon)
        assert [one["event"] for one in logs] == ["config.crashed", "config.not_reloaded"]
        assert success(daemon) == 0
        assert state(daemon) == before


async def test_a_time_zone_waits_for_the_restart_everywhere(tmp_path: Path, clock: Clock) -> None:
    warm()
    path = tmp_path / "forestall.toml"
    async with open_daemon(
        settings(tmp_path, "http://127.0.0.1:9"), clock, config=path, ticking=False
    ) as daemon:
        write(path, timezone="America/New_York", budget="7.00")
        with capture_logs() as logs:
            reload(daemon)
        (said,) = [one for one in logs if one["event"] == "config.reloaded"]
        assert "timezone" in said["needs_restart"]
        assert (daemon.ledger.rules.budget_day, daemon.ledger.rules.timezone) == (700, "Asia/Shanghai")
        assert daemon.notices.desk.timezone == "Asia/Shanghai"
        assert daemon.settings.timezone == "Asia/Shanghai"
