"""What an operator sees when a config is wrong, and what nobody may see: secrets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from config.detection import StallSettings
from config.loading import ConfigError, load, shown
from monitor.cli.main import main


def problems(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path = tmp_path / "forestall.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return [line.replace(str(path), "FILE") for line in caught.value.problems]


def test_no_file_means_defaults_and_shadow_mode() -> None:
    loaded = load(None, {})
    assert loaded.settings.shadow
    assert not loaded.origins


def test_an_unknown_key_names_its_place_and_the_nearest_one(tmp_path: Path) -> None:
    lines = problems(tmp_path, "[engine]\ntick_secnds = 1\n")
    assert lines == ["FILE: engine.tick_secnds: no such key; did you mean 'tick_seconds'?"]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    lines = problems(tmp_path, 'shadow = "perhaps"\n[http]\nport = 70000\nhots = "x"\n')
    assert len(lines) == 3
    assert any("http.port" in line and "65535" in line for line in lines)


def test_a_leg_of_which_one_key_is_given_keeps_its_other_limits(tmp_path: Path) -> None:
    path = tmp_path / "forestall.toml"
    path.write_text("[detection.stalls.linehaul]\nmargin_hours = 9\n", encoding="utf-8")
    usual, given = StallSettings().linehaul, load(path, {}).settings.detection.stalls.linehaul
    assert given == usual.model_copy(update={"margin_hours": 9})
    lines = problems(tmp_path, "[detection.stalls.linehaul]\nmargn_hours = 9\nfloor_hours = 5000\n")
    assert "FILE: detection.stalls.linehaul.margn_hours: no such key; did you mean 'margin_hours'?" in lines


def test_a_store_of_another_kind_is_refused_without_a_word_of_its_password(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, '[store]\nurl = "http://me:hush@store:1/0"\n')
    assert line.startswith("FILE: store.url: ")
    assert line.endswith("must begin with redis://, rediss:// or unix://")
    assert "hush" not in line


@pytest.mark.parametrize(
    "name",
    [
        "budget_day",
        "budget_month",
        "budget_incident",
        "budget_customer",
        "approval_above",
        "two_people_above",
    ],
)
def test_a_negative_amount_is_refused_as_0_alone_means_no_limit(tmp_path: Path, name: str) -> None:
    (line,) = problems(tmp_path, f'[money]\n{name} = "-0.01"\n')
    assert line.startswith(f"FILE: money.{name}: ")


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, "shadow = = true")
    assert line.startswith("FILE: not valid TOML")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml", {})


def test_the_environment_wins_and_is_named_as_the_origin(tmp_path: Path) -> None:
    path = tmp_path / "forestall.toml"
    path.write_text("[http]\nport = 1\n", encoding="utf-8")
    loaded = load(path, {"FORESTALL_HTTP__PORT": "2", "HOME": "/"})
    assert loaded.settings.http.port == 2
    assert ("http.port", 2, "FORESTALL_HTTP__PORT") in list(shown(loaded))


def test_a_wrong_variable_is_blamed_by_its_name() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {"FORESTALL_HTTP__PORT": "many"})
    assert caught.value.problems[0].startswith("FORESTALL_HTTP__PORT: http.port:")


def test_secrets_are_never_shown() -> None:
    loaded = load(None, {"FORESTALL_HTTP__TOKEN": "swordfish-1"})
    assert "swordfish" not in "".join(str(row) for row in shown(loaded))
    assert "swordfish" not in repr(loaded)
    assert ("http.token", "<secret>", "FORESTALL_HTTP__TOKEN") in list(shown(loaded))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('timezone = "Mars/X"', "timezone: no time zone 'Mars/X'"),
        ('[policy]\nfile = "/nope.toml"', "/nope.toml: cannot be read"),
        ('[policy]\ntemplates = "/nope"', "policy.templates: /nope"),
        ('[channels.x]\ntype = "nope"', "channels.x.type"),
        ("[http]\nready_lag_seconds = inf", "http.ready_lag_seconds"),
    ],
)
def test_a_check_refuses_what_a_start_would_refuse(
    text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "forestall.toml"
    path.write_text(f"{text}\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["forestall", "config", "check", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pa#geheim@store:6379",
        "redis://:12#geheim@127.0.0.1:6379/0",
        "redis://:12/geheim@store:6379",
        "redis://:12?geheim@store:6379",
        "redis://:geheim@[store:6379",
        "rediss://u:geheim@store:port",
    ],
)
def test_a_stores_password_that_cuts_its_address_is_refused_and_not_printed(tmp_path: Path, url: str) -> None:
    (line,) = problems(tmp_path, f"[store]\nurl = '{url}'\n")
    assert line == "FILE: store.url: is no address of a store; percent-encode the signs of a password"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:a%23b@store:6379/2",
        "rediss://u:p@[::1]:6380/0?ssl_cert_reqs=none",
        "unix:///run/a@b.sock?db=1",
    ],
)
def test_a_stores_address_is_taken(url: str) -> None:
    assert load(None, {"FORESTALL_STORE__URL": url}).settings.store.url
