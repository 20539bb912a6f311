"""What `replay` promises: every detector and the real ledger at work, and the same bytes for the same input."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.settings import Settings
from monitor.replay import QUIET_DAYS, Ticks, replay_files
from monitor.simulate import simulate

pytestmark = pytest.mark.anyio
NAMES = ("findings.ndjson", "actions.ndjson", "incidents.ndjson", "summary.json")
SETTINGS = Settings.model_validate({"shadow": False, "engine": {"replay_tick_seconds": 900}})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulate(folder, 400, 9, 3, "mixed")
    return folder / "events.ndjson"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def replayed(world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What a replay of it wrote, and its summary."""
    out = tmp_path_factory.mktemp("replayed")
    return out, asyncio.run(replay_files([world], out, SETTINGS))


async def test_the_same_input_gives_the_same_bytes(
    world: Path, replayed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    first, _ = replayed
    await replay_files([world], tmp_path, SETTINGS)
    for name in NAMES:
        assert (first / name).read_bytes() == (tmp_path / name).read_bytes(), name
    found = lines(first / "findings.ndjson")
    assert len({line["kind"] for line in found}) >= 4
    assert [line["as_of"] for line in found] == sorted(str(line["as_of"]) for line in found)
    actions = lines(first / "actions.ndjson")
    assert {"send", "suppressed"} <= {line["decision"] for line in actions}
    assert all(line["reason"] for line in actions)


async def test_the_order_of_lines_in_a_file_does_not_matter(
    world: Path, replayed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shuffled = tmp_path / "shuffled.ndjson"
    text = world.read_text(encoding="utf-8").splitlines(keepends=True)
    # Events received in the same millisecond keep their order of the file: swap whole halves, not lines.
    half = len(text) // 2
    shuffled.write_text("".join(text[half:] + text[:half]), encoding="utf-8")
    _, straight = replayed
    assert await replay_files([shuffled], tmp_path / "turned", SETTINGS) == straight


async def test_a_replay_leaves_nothing_beside_what_it_writes(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = world.read_text(encoding="utf-8").splitlines(keepends=True)
    some = tmp_path / "some" / "events.ndjson"
    some.parent.mkdir()
    some.write_text("".join(text[:1000]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    await replay_files([some], tmp_path / "out", SETTINGS)
    assert {path.name for path in tmp_path.iterdir()} == {"some", "out"}
    assert {path.name for path in some.parent.iterdir()} == {"events.ndjson"}


def test_the_summary_has_rates_and_timings_of_event_time(replayed: tuple[Path, dict[str, Any]]) -> None:
    out, summary = replayed
    rates, timings = summary["rates"], summary["timings"]
    assert 9 <= timings["days"] < 30
    per_day = summary["findings"]["total"] / timings["days"]
    assert rates["findings_per_day"] == pytest.approx(per_day, abs=0.05)
    assert rates["dead_share"] == 0
    found = lines(out / "findings.ndjson")
    opened = {str(line["kind"]) for line in found if line["state"] == "opened"}
    assert set(timings["hours_to_opening"]) == opened
    assert all(hours >= 0 for hours in timings["hours_to_opening"].values())


async def test_what_cannot_be_read_is_counted_by_reason(world: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.ndjson"
    first = world.read_text(encoding="utf-8").splitlines()[0]
    broken.write_text(f'{first}\nnot json\n{{"kind":"tracking"}}\n', encoding="utf-8")
    summary = await replay_files([broken], tmp_path / "out", SETTINGS)
    assert summary["events"] == {"read": 3, "taken": 1, "dead": {"malformed_json": 1, "missing_field": 1}}


async def test_nothing_in_is_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "empty.ndjson").write_text("", encoding="utf-8")
    summary = await replay_files([tmp_path / "empty.ndjson"], tmp_path / "out", SETTINGS)
    assert summary["findings"]["total"] == 0
    assert (tmp_path / "out" / "findings.ndjson").read_bytes() == b""


@pytest.mark.parametrize("year", [1970, 2001, 2098])
async def test_a_wild_year_is_no_hours_of_work(world: Path, tmp_path: Path, year: int) -> None:
    """Where a year that nobody can mean is refused, the rest is found as without it; else no tick stands in between."""
    wild = tmp_path / "wild.ndjson"
    text = world.read_text(encoding="utf-8")
    odd = json.loads(text.splitlines()[0]) | {"event_id": "wild", "occurred_at": f"{year}-01-05T08:00:00Z"}
    odd.pop("received_at", None)
    wild.write_text(f"{text}{json.dumps(odd)}\n", encoding="utf-8")
    taken: list[int] = []
    summary = await replay_files([wild], tmp_path / "with", SETTINGS, advance=taken.append)
    assert sum(taken) == summary["events"]["read"] == len(text.splitlines()) + 1
    assert summary["events"]["dead"] == ({"time_out_of_range": 1} if year == 1970 else {})
    assert bool(summary["gaps"]) == (year != 1970)
    assert summary["findings"]["total"] > 0


def test_ticks_stand_at_every_step_but_where_nothing_can_come_due() -> None:
    day = 86_400_000
    start = 20_000 * day
    received = np.array([start, start + 90 * day + 5, start + 91 * day], np.int64)
    ticks = Ticks(received, day, start + 200 * day)
    told = [(tick - start) // day for tick in ticks]
    quiet = QUIET_DAYS
    assert told == [*range(1, quiet + 1), *range(90, 91 + quiet + 1), 200]
    assert ticks.passed_over == [
        (start + quiet * day, start + 90 * day),
        (start + (91 + quiet) * day, start + 200 * day),
    ]
