"""A real Prometheus scrapes a real daemon, with our own rules loaded."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.standin import Standin
from notifier.http import Http, Reply
from tests.whole import SECRET, Clock, late_parcel, running

pytestmark = pytest.mark.anyio
RULES = Path(__file__).parent.parent / "deploy" / "prometheus"
CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
rule_files: {rules}
scrape_configs:
  - job_name: forestall
    static_configs: [{{targets: ["{target}"]}}]
"""


async def test_prometheus_scrapes_the_daemon(tmp_path: Path, requires: Callable[[str], str]) -> None:
    program = requires("prometheus")
    clock = Clock()
    async with running(tmp_path / "data", Standin(secret=SECRET, clock=clock), clock) as shop:
        await late_parcel(shop)
        rules = json.dumps([str(path) for path in sorted(RULES.glob("*.rules.yml"))])
        config = tmp_path / "prometheus.yml"
        config.write_text(
            CONFIG.format(rules=rules, target=shop.url.removeprefix("http://")), encoding="utf-8"
        )
        port = await asyncio.to_thread(free_port)
        with subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as prometheus:
            try:
                async with Http() as http:
                    live = await scraped(
                        http, f"http://127.0.0.1:{port}/api/v1/query?query=forestall_live_parcels"
                    )
            finally:
                prometheus.terminate()
        assert live == 1


async def scraped(http: Http, url: str) -> float:
    found: list[float] = []

    async def ask() -> None:
        while not found:
            reply = await http.request("GET", url, headers={}, body=b"")
            result = reply.object().get("data", {}).get("result", []) if isinstance(reply, Reply) else []
            found.extend(float(row["value"][1]) for row in result)
            await asyncio.to_thread(int)

    async with asyncio.timeout(60):
        await ask()
    return found[0]


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
