"""What an earlier program left behind: loaded whole, or refused with one line and with nothing lost.

`recordings/2026-11-25.checkpoint` was written on that day by the program of then: eight parcels of which four have
arrived, two of the others promised for before the checkpoint, two for after it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detectors.findings import Kind
from monitor.app import open_daemon
from monitor.checkpoint import Checkpoint, CheckpointError, CheckpointFolder, read
from monitor.engine import dumping
from tests.doomed import ONE_IS_ENOUGH, doomed, late, tick
from tests.whole import Clock, scan, settings

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parent / "recordings" / "2026-11-25.checkpoint"
WRITTEN_AT = 1_773_378_000_000
BROKEN = {"SF1": "F19904bf44a35b883cfe9a77f", "SF2": "Fa39281234c656c0eb725f960"}
INCIDENT = "Iaed7211c24e82745"


def left(folder: Path, *, parts: dict[str, bytes] | None = None) -> Path:
    """The recorded checkpoint, or one with other parts, in a data folder."""
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    if parts is None:
        return Path(shutil.copy(RECORDED, checkpoints / "000000000001.checkpoint"))
    recorded = read(RECORDED)
    CheckpointFolder(checkpoints).write(
        Checkpoint(recorded.written_at, recorded.positions, {**recorded.parts, **parts}, recorded.program)
    )
    return checkpoints / "000000000001.checkpoint"


async def test_a_checkpoint_of_an_earlier_program_is_loaded_whole(tmp_path: Path, clock: Clock) -> None:
    """The same episodes are open, under the same names, and each ends and begins where it would have."""
    left(tmp_path)
    clock.now = WRITTEN_AT
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        engine = daemon.engine
        assert (engine.now, engine.live_parcels) == (WRITTEN_AT, 4)
        views = {number: engine.parcel(number) for number in ("SF1", "SF2", "SF3", "SF4")}
        found = {
            number: [(one.kind, one.finding_id) for one in view.findings] if view else None
            for number, view in views.items()
        }
        assert found == {
            **{number: [(Kind.PROMISE_BROKEN, name)] for number, name in BROKEN.items()},
            "SF3": [],
            "SF4": [],
        }
        assert [view.incident_id for view in daemon.incidents.firing()] == [INCIDENT]
        await daemon.intake.submit(
            b"\n".join(
                msgspec.json.encode(scan("delivered", clock.now, number, region="310100"))
                for number in (1, 3)
            ),
            clock.now,
        )
        await tick(daemon, clock, 40)
        open_now = {
            number: [str(one.kind) for one in view.findings]
            for number in BROKEN | {"SF3": "", "SF4": ""}
            if (view := engine.parcel(number)) is not None and not view.finished
        }
        assert "promise_broken" in open_now["SF2"]
        assert "promise_broken" in open_now["SF4"]
        assert open_now.keys() == {"SF2", "SF4"}


def resealed(**changes: Any) -> dict[str, bytes]:
    """The recorded engine with other words about its layout."""
    content = dumping.unseal(read(RECORDED).parts["engine"])
    return {"engine": dumping.seal({**content, **changes})}


def without(*names: str) -> dict[str, bytes]:
    """The recorded engine of which some is missing that this program cannot do without."""
    content = dumping.unseal(read(RECORDED).parts["engine"])
    rest = dumping._unpacked(content["rest"])
    for name in names:
        del rest[name]
    return resealed(rest=dumping._packed(rest))


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (resealed(version=1), "a dump of version 1; this program reads 2"),
        (resealed(shape="another"), "whose slots have another shape"),
        (resealed(rows="another"), "whose records have another shape"),
        (without("learned"), "part `engine` was written by another program .* cannot be read: KeyError"),
        ({"incidents": b"\xc1"}, "part `incidents` was written by another program"),
    ],
    ids=["version", "slots", "records", "something is missing", "a small part"],
)
async def test_what_cannot_be_read_is_refused_with_one_line_and_stays(
    tmp_path: Path, clock: Clock, parts: dict[str, bytes], why: str
) -> None:
    file = left(tmp_path, parts=parts)
    with pytest.raises(CheckpointError, match=why) as refused:
        async with doomed(tmp_path, clock):
            pass
    assert "\n" not in str(refused.value)
    assert "move the folder away" in str(refused.value)
    assert file.exists()


async def test_where_a_part_of_the_newest_cannot_be_read_the_next_start_takes_the_one_before(
    tmp_path: Path, clock: Clock
) -> None:
    left(tmp_path)
    recorded = read(RECORDED)
    newest = Checkpoint(
        recorded.written_at + 1, recorded.positions, {**recorded.parts, "incidents": b"\xc1"}, "9.9"
    )
    CheckpointFolder(tmp_path / "checkpoints").write(newest)
    clock.now = WRITTEN_AT
    with pytest.raises(CheckpointError, match="start again, and the one before it is taken"):
        async with doomed(tmp_path, clock, **ONE_IS_ENOUGH):
            pass
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        assert (daemon.engine.now, daemon.engine.live_parcels) == (WRITTEN_AT, 4)
    assert len(list((tmp_path / "checkpoints").glob("*.refused"))) == 1


async def test_with_the_folder_moved_away_all_that_the_stream_holds_is_found_again_and_claimed_once(
    tmp_path: Path, clock: Clock
) -> None:
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        await late(daemon, clock)
        await tick(daemon, clock, 28)
        await daemon.checkpoints.write(clock.now)
        view = daemon.engine.parcel("SF1")
        assert view is not None
        before = {one.finding_id for one in view.findings}
        claims = {claim.action_id async for claim in daemon.ledger.all()}
        assert before
        assert claims
    (tmp_path / "checkpoints").rename(tmp_path / "refused")
    async with doomed(tmp_path, clock, **ONE_IS_ENOUGH) as daemon:
        await tick(daemon, clock, 1)
        view = daemon.engine.parcel("SF1")
        assert view is not None
        assert {one.finding_id for one in view.findings} == before
        assert {claim.action_id async for claim in daemon.ledger.all()} == claims
        assert "hold" not in await daemon.ledger.switches()


async def test_after_a_step_back_the_stream_is_kept_for_the_older_checkpoint(
    tmp_path: Path, clock: Clock
) -> None:
    """The newer program's file says that it had seen more than the older one has: nothing may be trimmed by it."""
    async with doomed(tmp_path, clock) as daemon:
        await late(daemon, clock)
        await daemon.checkpoints.write(clock.now)
        taken = dict(daemon.loop.taken)
        await tick(daemon, clock, 28)
        newer = {str(shard): position for shard, position in daemon.loop.taken.items()}
    folder = CheckpointFolder(tmp_path / "checkpoints")
    folder.write(Checkpoint(clock.now, newer, resealed(version=3)))
    async with open_daemon(settings(tmp_path, "http://127.0.0.1:9"), clock, ticking=False) as daemon:
        await daemon.checkpoints.write(clock.now)  # it has read nothing further yet
    oldest = folder.oldest()
    assert oldest is not None
    assert oldest.positions == {str(shard): position for shard, position in taken.items()}
    assert [path.name for path in (tmp_path / "checkpoints").glob("*.refused")] == ["000000000002.refused"]
