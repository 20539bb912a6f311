"""From a name in the config to "ready": what `forestall connect` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.regions import regions
from config.settings import Settings
from monitor.cli.main import app
from monitor.feeds.connect import connect
from monitor.feeds.guides import GUIDES
from monitor.feeds.registry import FEEDS, FeedConfigError
from tests.feeds.cases import NOW, OPTIONS, SECRET

RUN = CliRunner()


def configured(kind: str, **http: Any) -> Settings:
    return Settings.model_validate({"feeds": {kind: {**OPTIONS[kind], "secret": SECRET}}, "http": http})


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_every_feed_says_what_to_paste_where(kind: str) -> None:
    found = connect(kind, Settings(), regions(), NOW)
    assert set(GUIDES) == set(FEEDS)
    assert any(f"http://127.0.0.1:8787/v1/feeds/{kind}" in step for step in found.guide.steps)
    assert f"[feeds.{kind}]" in found.config
    assert found.problems == [f"feeds.{kind}: not in the config yet; paste the section above"]


@pytest.mark.parametrize("kind", sorted(set(FEEDS) - {"generic"}))
def test_a_signed_sample_goes_through_the_feed_as_configured(kind: str) -> None:
    found = connect(kind, configured(kind, public_url="https://shop.example"), regions(), NOW)
    assert found.ready
    assert found.events
    assert found.url == f"https://shop.example/v1/feeds/{kind}"


def test_what_is_missing_is_said() -> None:
    missing = "\n".join(connect("aftership", configured("aftership"), regions(), NOW).missing)
    assert "http.public_url" in missing
    assert "no feed of orders" in missing
    assert "no feed of complaints" in missing
    assert "no feed of tracking" not in missing


def test_a_plain_http_address_is_warned_of() -> None:
    found = connect("aftership", configured("aftership", public_url="http://shop.example"), regions(), NOW)
    assert any("https://" in line for line in found.missing)


def test_a_feed_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(FeedConfigError, match="aftership, easypost"):
        connect("pigeon", Settings(), regions(), NOW)


def test_the_command_shows_events_and_is_ready(tmp_path: Path) -> None:
    file = tmp_path / "forestall.toml"
    file.write_text('[feeds.parcels]\ntype = "easypost"\nsecret = "x"\n', encoding="utf-8")
    result = RUN.invoke(app, ["connect", "parcels", "--config", str(file), "--json"])
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert {event["source"] for event in said["sample_events"]} == {"parcels"}


def test_the_command_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "forestall.toml"
    file.write_text('[feeds.easypost]\nsecret = ""\n', encoding="utf-8")
    result = RUN.invoke(app, ["connect", "easypost", "--config", str(file)])
    assert result.exit_code == 1
    assert "feeds.easypost.secret: is empty" in result.output


def test_the_command_lists_all_types() -> None:
    result = RUN.invoke(app, ["connect", "list", "--json"])
    assert {json.loads(line)["type"] for line in result.stdout.splitlines()} == set(FEEDS)
