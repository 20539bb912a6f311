"""What the guide to alerts tells people to write is taken as written."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from config.loading import load
from monitor.assembly import channels
from monitor.notifications import Notifications
from notifier import registry
from notifier.http import Http

GUIDE = (Path(__file__).parent.parent / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_example_loads_and_its_routes_lead_somewhere(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    path = tmp_path / "forestall.toml"
    path.write_text(example, encoding="utf-8")
    settings = load(path).settings
    assert set(channels(settings, Http())) == {"hangzhou", "boss", "alertmanager"}
    Notifications(settings.notify, settings.incidents.escalation)
    named = {name for route in settings.notify.routes for name in route.receivers}
    named |= {name for step in settings.incidents.escalation for name in step.receivers}
    assert named | {*settings.notify.digest_receivers} <= settings.channels.keys()


def test_every_channel_of_ops_is_in_the_table() -> None:
    cases = {name: importlib.import_module(f"tests.channels.{name}").CASE for name in registry.CHANNELS}
    ops = {name for name, case in cases.items() if case.audience != "customer"}
    assert set(re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)) == ops - {"console"}
