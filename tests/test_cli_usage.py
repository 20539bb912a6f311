"""Arguments that no verb can use: one clear line and exit code 2, before anything is done."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.standin import Standin
from tests.test_cli_client import client
from tests.test_cli_files import said
from tests.whole import Clock, running

EVALUATE, TUNE = "evaluate good --truth truth.ndjson", "tune good --false-alarms"
Say = Callable[[str], tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """In a folder of files that are not what they should be, and where no daemon runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORESTALL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FORESTALL_STORE__ALLOW_UNSAFE_FOLDER", "true")
    monkeypatch.setenv("FORESTALL_HTTP__PORT", "1")
    for name in ("bin.parquet", "bin.csv", "bin.ndjson.gz", "bin.toml", "bad/findings.ndjson"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(range(256)))
    for name in ("empty.ndjson", "empty.csv", "some.txt", "truth.ndjson", "good/findings.ndjson"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.ndjson").mkdir()
    return lambda line: said(monkeypatch, capsys, *shlex.split(line))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ingest missing.ndjson", "missing.ndjson: no such file"),
        ("ingest folder.ndjson", "folder.ndjson: a folder, not a file"),
        ("ingest bin.parquet", "bin.parquet: damaged or not what its name says"),
        ("ingest bin.csv", "bin.csv: not a CSV file in UTF-8"),
        ("ingest -", "-: not a regular file; pipes are not read"),
        ("ingest /dev/null", "/dev/null: not a regular file"),
        ("ingest empty.csv", "empty.csv: the first line must name the columns"),
        ("ingest some.txt", "some.txt: not .ndjson"),
        ("ingest ''", "ingest: what follows is empty"),
        ("ingest empty.ndjson --config=", "--config: its value is empty"),
        ("replay bin.ndjson.gz --out o", "bin.ndjson.gz: damaged or not what its name says"),
        ("replay empty.ndjson --out some.txt", "some.txt: a file, not a folder"),
        ("replay empty.ndjson --out some.txt/x", "some.txt/x: Not a directory"),
        ("replay empty.ndjson --out /proc/x", "/proc/x: No such file or directory"),
        ("replay empty.ndjson --out ''", "--out: what follows is empty"),
        ("replay empty.ndjson --out o --until nan", "--until: 'nan' is not a time like"),
        ("replay empty.ndjson --out o --until 2026-03-01T00:00", "--until: '2026-03-01T00:00' has no zone"),
        (
            "replay empty.ndjson --out o --until 2026-03-01",
            "--until: '2026-03-01' has no zone; write 2026-03-01T00:00:00+08:00",
        ),
        ("simulate --out w --parcels -1", "--parcels: a number from 100 to 100,000,000, not -1"),
        ("simulate --out w --parcels 99999999999999999999", "--parcels: a number from 100 to"),
        ("simulate --out w --days 99999999999999999999", "--days: a number from 2 to 36,500"),
        ("simulate --out w --seed -1", "--seed: a number from 0 to"),
        ("simulate --out w --scenario x --parcels 100", "no scenario 'x'; there are calm"),
        ("evaluate missing --truth truth.ndjson", "missing/findings.ndjson: no such file"),
        ("evaluate bad --truth truth.ndjson", "bad/findings.ndjson, line 1:"),
        ("evaluate good --truth folder.ndjson", "folder.ndjson: a folder, not a file"),
        (f"{EVALUATE} --complaint nan", "--complaint: a number from 0 to 1,000,000,000, not nan"),
        (f"{EVALUATE} --message inf", "--message: a number from 0 to"),
        (f"{EVALUATE} --alert -1", "--alert: a number from 0 to"),
        (f"{EVALUATE} --redeemed nan", "--redeemed: a number from 0 to 1, not nan"),
        (f"{EVALUATE} --effect 1e300", "--effect: a number from 0 to 1, not 1e+300"),
        (f"{EVALUATE} --curves some.txt", "some.txt: a file, not a folder"),
        (f"{TUNE} nan", "--false-alarms: a number from 0 to 1,000,000, not nan"),
        (f"{TUNE} 1 --history missing.ndjson", "missing.ndjson: no such file"),
        ("config check missing.toml", "missing.toml: no such file"),
        ("config check folder.ndjson", "folder.ndjson: cannot be read: Is a directory"),
        ("policy check bin.toml", "bin.toml: cannot be read: no text in UTF-8"),
        ("doctor --config bin.toml", "bin.toml: cannot be read: no text in UTF-8"),
        ("rewind --config missing.toml", "missing.toml: no such file"),
        ("run --config folder.ndjson", "folder.ndjson: cannot be read: Is a directory"),
        ("run --log loud", "--log: 'loud' is not debug, info, warning or error"),
        ("demo --speed nan", "--speed: a number from 1 to 7,200, not nan"),
        ("demo --minutes inf", "--minutes: a number from 0.1 to 1,000,000, not inf"),
        ("demo --seed -1", "--seed: a number from 0 to"),
        ("policy explain promise_broken --score nan", "--score: a number from 0 to 1, not nan"),
        ("policy explain promise_broken --order-value inf", "--order-value: a number from 0 to"),
        ("preview nothing", "no template 'nothing'; there are: arrived"),
        ("uplift --days 0", "--days: a number from 1 to 36,500, not 0"),
        ("uplift --within 999999999999999999999", "--within: a number from 1 to 36,500"),
        ("ledger receivers --limit -1", "--limit: a number from 1 to 1,000,000, not -1"),
        ("ledger export some.txt", "some.txt: name it .ndjson or .parquet"),
        ("ledger export folder.ndjson", "folder.ndjson: a folder, not a file"),
        ("ledger export nowhere/x.ndjson", "nowhere/x.ndjson: there is no folder nowhere"),
        ("customer export ''", "export: what follows is empty"),
        ("connect nothing", "no feed 'nothing'; there are: 17track"),
        ("correct C1", "say at least one of --reason and --severity"),
        ("silence kind=x --hours nan", "--hours: a number from 0.01 to 8,784, not nan"),
        ("silence kind=x --hours -1", "--hours: a number from 0.01 to 8,784, not -1"),
        ("explain ''", "explain: what follows is empty"),
    ],
)
def test_what_cannot_be_used_is_one_line(say: Say, line: str, why: str) -> None:
    code, text = say(line)
    assert (code, text.startswith(f"forestall: {why}")) == (2, True), (code, text)
    assert "\n" not in text


def test_an_empty_reason_is_none(say: Say) -> None:
    code, text = say("hold --reason ''")
    assert code == 1
    assert "no daemon answers" in text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("silence", {"matchers": ["foo"]}, 2),
        ("silence", {"matchers": ["a=~("]}, 2),
        ("hold", {"reason": "x" * 3000}, 2),
        ("deadletter-drop", {}, 2),
        ("ack", {"incident": "I1"}, 1),
        ("approve", {"action": "A1"}, 1),
    ],
)
async def test_what_the_daemon_refuses_as_no_question_is_bad_usage_and_what_is_not_there_a_failure(
    tmp_path: Path, standin: Standin, clock: Clock, name: str, arguments: dict[str, object], code: int
) -> None:
    from monitor.cli.output import Failed

    async with running(tmp_path, standin, clock) as shop:
        daemon = client(shop, shop.daemon.settings.data_dir)
        with pytest.raises(Failed) as failed:
            await asyncio.to_thread(daemon.command, name, **arguments)
    assert failed.value.code == code
