"""What the verbs over files say of files that are not what they should be: one line, and no traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from monitor import ingest
from monitor.cli.main import main

SCAN = {
    "kind": "tracking", "event_id": "1", "source": "s", "occurred_at": "2026-03-05T08:00:00Z",
    "tracking_number": "SF1", "carrier": "sf", "status": "accepted",
}  # fmt: skip


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, str]:
    """Exit code, and what a person read."""
    monkeypatch.setattr(sys, "argv", ["forestall", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capsys.readouterr().err.strip()


def test_a_replay_says_how_many_lines_it_could_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "events.ndjson"
    events.write_text(f'{json.dumps(SCAN)}\n{{"kind": "tracking"}}\n{{\n', encoding="utf-8")
    code, text = said(monkeypatch, capsys, "replay", "--out", tmp_path / "out", events)
    assert code == 0
    assert "1 events, 0 changes of findings" in text
    assert "1 more could not be taken: malformed_json" in text
    assert "1 more could not be taken: missing_field" in text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: "),
        ('{"a": 1}', "line 2: lacks 'kind'"),
        ('{"kind": "late", "subject": 7}', "line 2: "),
        ('{"kind": "late", "subject": {"type": "parcel", "id": "1"}, "starts_at": "soon"}', "line 2: "),
    ],
)
def test_a_truth_that_is_none_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, why: str
) -> None:
    good = {"kind": "late", "subject": {"type": "parcel", "id": "1"}, "starts_at": "2026-03-05T08:00:00Z"}
    (tmp_path / "findings.ndjson").touch()
    truth = tmp_path / "truth.ndjson"
    truth.write_text(f"{json.dumps(good)}\n{line}\n", encoding="utf-8")
    code, text = said(monkeypatch, capsys, "evaluate", tmp_path, "--truth", truth)
    assert code == 2
    assert text.startswith(f"forestall: {truth}, {why}")
    assert "\n" not in text


def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    code, text = said(
        monkeypatch, capsys, "simulate", "--out", file / "world", "--parcels", "100", "--days", "2"
    )
    assert (code, text) == (2, f"forestall: {file / 'world'}: Not a directory")


def test_a_pipe_gets_a_row_a_line_with_every_key_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / ("long" * 20) / "forestall.toml"
    config.parent.mkdir()
    config.write_text("[detection.stalls.facility]\nmargin_hours = 30\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["forestall", "config", "show", "--config", str(config)])
    with pytest.raises(SystemExit):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if line.endswith(" ")]
    rows = [line.split() for line in lines]
    assert ["detection.stalls.facility.margin_hours", str(config), "30.0"] in rows


def test_a_store_that_stays_full_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody reads it, and it has no room for these."""
    monkeypatch.setattr(ingest, "PATIENCE", 1)
    monkeypatch.setenv("FORESTALL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FORESTALL_STORE__ALLOW_UNSAFE_FOLDER", "true")
    monkeypatch.setenv("FORESTALL_STORE__MAXMEMORY_MB", "16")
    events = tmp_path / "events.ndjson"
    extra = {"note": "x" * 60_000}
    with events.open("w", encoding="utf-8") as file:
        for number in range(600):
            file.write(json.dumps(SCAN | {"event_id": str(number), "extra": extra}) + "\n")
    code, text = said(monkeypatch, capsys, "ingest", events)
    assert code == 1
    assert text.startswith("forestall: the store is nearly full")
    assert "\n" not in text


def test_a_silence_without_a_reason_is_told_which_option_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(monkeypatch, capsys, "silence", "kind=feed_silent")
    assert code == 2
    assert "--reason" in text


def test_a_world_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(
        monkeypatch, capsys, "simulate", "--out", tmp_path / "w", "--parcels", "100", "--days", "2"
    )
    assert code == 0
    assert "Summary(" not in text
    assert "100 parcels" in text
