"""The demo's clock is a simulated world's; the people who look at it live by their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from monitor import demo
from monitor.demo import LINK_HOURS, command, demo_settings


@pytest.mark.parametrize("speed", [1.0, 1200.0, 7200.0])
def test_a_button_works_for_days_of_people_at_any_speed(tmp_path: Path, speed: float) -> None:
    settings = demo_settings(tmp_path, 8787, "s" * 32, speed)
    assert settings.notify.link_hours / speed >= LINK_HOURS


def test_what_it_tells_people_to_type_is_how_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "forestall"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    assert command() == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command() == "forestall"
    monkeypatch.setattr(sys, "argv", ["/x/monitor/__main__.py", "demo"])
    assert command() == f"{sys.executable} -m monitor"


@pytest.mark.parametrize(("port", "more"), [(8787, ""), (9100, " FORESTALL_HTTP__PORT=9100")])
def test_its_first_words_name_the_folder_and_port_that_verbs_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], port: int, more: str
) -> None:
    demo._greet(port, 1200.0, tmp_path)
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert f"export FORESTALL_DATA_DIR={tmp_path}{more}" in lines
    assert f"{command()} uplift" in lines
    assert not any("PARCEL" in line for line in lines), "no command that cannot work as it stands"
