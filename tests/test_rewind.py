"""An engine that was told a wrong year goes back to what it knew before, and finds what it would have found."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from monitor.app import Daemon
from monitor.before_leap import MOST_MS
from monitor.checkpoint import Checkpoint, CheckpointFolder, read
from monitor.doctor import Verdict, _time
from monitor.leaps import PATIENCE, Leaps
from monitor.ownership import FolderTakenError
from monitor.rewind import RewindError, rewind
from monitor.standin import Standin
from tests.doomed import doomed, late, tick
from tests.full_disk import most_bytes
from tests.money.shop import ANNA, DAY
from tests.whole import HOUR, Clock, running, settings, until

YEAR = 365 * DAY


async def stand_a_year_ahead(daemon: Daemon, clock: Clock) -> None:
    """For longer than a leap is doubted, and for two checkpoints."""
    daemon.leaps, up = Leaps(), [0.0]
    daemon.uptime = lambda: up[0]
    await daemon.keep_time(clock.now)
    await daemon.checkpoints.write(clock.now)
    wrong = clock.now + YEAR
    await daemon.keep_time(wrong)
    up[0] = PATIENCE
    for _ in range(3):
        await daemon.keep_time(wrong)
        await until(lambda: daemon.loop.pipeline.now == wrong)
        await daemon.checkpoints.write(wrong)


@pytest.mark.anyio
async def test_after_a_year_that_was_none_a_parcel_is_late_when_it_is_late(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    told = settings(tmp_path, "http://127.0.0.1:9")
    async with doomed(tmp_path, clock) as daemon:
        await tick(daemon, clock, 1)
        await late(daemon, clock)
        await stand_a_year_ahead(daemon, clock)
        assert daemon.engine.parcel("SF1") is None, "who was silent for a year is forgotten"
        with pytest.raises(FolderTakenError):
            await rewind(told, ANNA, clock.now)
    (check,) = _time(told, clock.now)
    assert check.verdict is Verdict.WRONG
    assert "`forestall rewind`, with the daemon stopped, goes back to 2026-03-12T" in check.detail
    done = await rewind(told, ANNA, clock.now)
    assert (done.time, done.ticks, done.decisions) == (clock.now, 3, 0)
    assert _time(told, clock.now) == []
    with pytest.raises(RewindError, match="nothing to mend"):
        await rewind(told, ANNA, clock.now)
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        assert shop.daemon.loop.pipeline.now == clock.now
        assert (await shop.ask("GET", "/v1/parcels/SF1")).status == 200
        await shop.pass_time(30)
        await shop.pass_until(lambda: standin.counts.coupons == 1)


@pytest.mark.anyio
async def test_events_of_the_wrong_time_are_kept_until_it_is_mended(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    async with doomed(tmp_path, clock) as daemon:
        await tick(daemon, clock, 1)
        await stand_a_year_ahead(daemon, clock)
        await late(daemon, clock)
        for _ in range(3):
            await daemon.checkpoints.write(clock.now)
    await rewind(settings(tmp_path, "http://127.0.0.1:9"), ANNA, clock.now)
    async with running(tmp_path, standin, clock) as shop:
        await until(shop.daemon.loop.caught_up.is_set)
        await shop.pass_time(30)
        await shop.pass_until(lambda: standin.counts.coupons == 1)


@pytest.mark.anyio
async def test_without_a_checkpoint_from_before_it_is_said_what_can_be_done(
    tmp_path: Path, clock: Clock
) -> None:
    told = settings(tmp_path, "http://127.0.0.1:9")
    async with doomed(tmp_path, clock) as daemon:
        await tick(daemon, clock, 1)
        await daemon.checkpoints.write(clock.now)
    before = clock.now - YEAR
    (check,) = _time(told, before)
    assert "no checkpoint from before is kept" in check.detail
    with pytest.raises(RewindError, match=r"move .*checkpoints away"):
        await rewind(told, ANNA, before)


def folder_of(path: Path, *moments: int) -> CheckpointFolder:
    folder = CheckpointFolder(path)
    for moment in moments:
        folder.write(Checkpoint(moment, {"0": f"{moment}-0"}, {}))
    return folder


def kept(folder: CheckpointFolder) -> int | None:
    path = folder.before.path
    return read(path).written_at if path is not None else None


def test_what_was_before_is_kept_until_time_has_gone_on_for_a_day(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1, 2)
    folder.leap(2, YEAR)
    folder = folder_of(tmp_path, YEAR, YEAR + HOUR, YEAR + DAY - 1)
    folder.before.drop(YEAR + DAY - 1)
    assert kept(folder) == 2
    oldest = folder.oldest()
    assert oldest is not None
    assert oldest.written_at == 2, "the stream since then is not trimmed"
    folder.before.drop(YEAR + DAY)
    assert kept(folder) is None


def test_a_second_leap_goes_back_behind_the_first_unless_that_has_proven_right(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    folder.leap(1, YEAR)
    folder_of(tmp_path, YEAR + HOUR)
    folder.leap(YEAR + HOUR, 2 * YEAR)
    folder.before.drop(2 * YEAR)
    assert kept(folder) == 1
    folder_of(tmp_path, 2 * YEAR + DAY)
    folder.leap(2 * YEAR + DAY, 3 * YEAR)
    assert kept(folder) == 2 * YEAR + DAY


def test_a_machine_that_sleeps_each_night_does_not_keep_its_stream_for_ever(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    for night in range(20):
        evening = DAY * night + 20 * HOUR
        folder_of(tmp_path, evening)
        folder.before.drop(evening)
        folder.leap(evening, evening + 10 * HOUR)
        since = kept(folder)
        assert since is not None
        assert evening - since <= MOST_MS


@pytest.mark.anyio
async def test_what_was_before_makes_room_for_what_comes(tmp_path: Path, clock: Clock) -> None:
    store = {"allow_unsafe_folder": True, "maxmemory_mb": 16}
    async with doomed(tmp_path, clock, store=store) as daemon:
        await tick(daemon, clock, 1)
        await stand_a_year_ahead(daemon, clock)
        folder = daemon.checkpoints.folder
        assert folder.before.path is not None
        for _ in range(8):
            await daemon.stream.append("batch", b"\n" * (1 << 20))
        await daemon.checkpoints.write(clock.now)
        assert folder.before.path is None


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)


@pytest.mark.usefixtures("without_links")
def test_a_folder_without_links_copies(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    folder.leap(1, YEAR)
    assert kept(folder) == 1


@pytest.mark.anyio
@pytest.mark.usefixtures("without_links")
async def test_where_what_was_before_does_not_fit_time_goes_on_without_it(
    tmp_path: Path, clock: Clock
) -> None:
    async with doomed(tmp_path, clock) as daemon:
        await tick(daemon, clock, 1)
        await daemon.checkpoints.write(clock.now)
        with capture_logs() as logs, most_bytes(100):
            await daemon.keep_time(clock.now + YEAR)
        await until(lambda: daemon.loop.pipeline.now == clock.now + YEAR)
        assert [one["code"] for one in logs if one["event"] == "before_leap.unkept"] == [errno.EFBIG]
        folder = daemon.checkpoints.folder
        assert folder.before.path is None, "half of it is no way back"
        assert {path.suffix for path in (tmp_path / "checkpoints").iterdir()} == {".checkpoint"}
