from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from prometheus_client import generate_latest

import monitor
from monitor.metrics import CATALOGUE, MOST_FEEDS, OTHER_FEEDS, FeedLabels, Metrics


def test_every_name_of_the_catalogue_is_exposed_once() -> None:
    text = generate_latest(Metrics(process=False).registry).decode()
    for metric in CATALOGUE:
        name = f"forestall_{metric.name}" + {"counter": "_total", "info": "_info"}.get(metric.type, "")
        assert text.count(f"# TYPE {name} ") == 1


def test_every_metric_of_the_catalogue_is_moved_somewhere() -> None:
    package = Path(monitor.__file__).parent
    code = "".join(
        path.read_text(encoding="utf-8") for path in package.rglob("*.py") if path.name != "metrics.py"
    )
    asked = r"(?:counter|gauge|histogram|info|_run_on|_count)\(\s*\"(\w+)\""
    moved = set(re.findall(asked, code))
    assert [metric.name for metric in CATALOGUE if metric.name not in moved] == []


def test_promtool_finds_nothing_to_say(requires: Callable[[str], str]) -> None:
    text = generate_latest(Metrics(process=False).registry)
    done = subprocess.run(
        [requires("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_labels_name_no_subject() -> None:
    forbidden = {"parcel", "order", "customer", "tracking_number", "phone", "courier", "facility", "subject"}
    assert not [metric.name for metric in CATALOGUE if forbidden & set(metric.labels)]


def test_senders_choose_names_of_feeds_and_labels_stay_few_and_name_nobody() -> None:
    labels = FeedLabels()
    assert labels.of("kd100") == "kd100"
    assert labels.of(None) == "unknown"
    assert labels.of("anna@example.com") == OTHER_FEEDS
    named = {labels.of(f"feed-{number}") for number in range(10_000)}
    assert len(named) <= MOST_FEEDS + 1
    assert labels.of("kd100") == "kd100"
