"""Back to the checkpoint from before the clock leapt ahead: the engine takes the stream since then once more, without the
ticks of the wrong time. For a daemon that is stopped, and a clock that is right again.

What was claimed in the wrong time stays claimed, and what is claimed again is answered as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from config.settings import Settings
from detectors.findings import Instant
from monitor.assembly import ledger_rules, pack_of, tenant_key
from monitor.checkpoint import Checkpoint, CheckpointError, CheckpointFolder, read
from monitor.decisions import Decisions
from monitor.leaps import LEAP_MS
from monitor.ownership import sole_owner
from monitor.records import when
from monitor.remembered import Remembered
from monitor.storage import open_store
from monitor.stream import EventStream
from notifier.identity import Identity
from notifier.ledger import Ledger, Person

VERB: Final = "`forestall rewind`, with the daemon stopped"


class RewindError(Exception):
    """Nothing was changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Rewound:
    time: Instant  # where the engine goes on
    ticks: int  # of the wrong time, taken out of the stream
    decisions: int  # of people about incidents, made in the wrong time


def ahead(folder: CheckpointFolder, now: Instant) -> Instant | None:
    """The engine's time, where it is ahead of the clock by more than a clock is off. Raises `CheckpointError`."""
    newest, _ = folder.newest()
    return newest.written_at if newest is not None and newest.written_at > now + LEAP_MS else None


def way_back(folder: CheckpointFolder, now: Instant) -> Checkpoint | None:
    """What the engine knew before the leap, where that was kept."""
    path = folder.before.path
    try:
        kept = read(path) if path is not None else None
    except CheckpointError:
        return None
    return kept if kept is not None and kept.written_at <= now else None


async def rewind(settings: Settings, person: Person, now: Instant) -> Rewound:
    """Safe to do again where it was interrupted. Raises `RewindError`, `FolderTakenError` while a daemon runs."""
    with sole_owner(settings.data_dir):
        folder = CheckpointFolder(settings.data_dir / "checkpoints")
        time = ahead(folder, now)
        if time is None:
            raise RewindError("the engine's time is not ahead of this clock: nothing to mend")
        kept = way_back(folder, now)
        if kept is None:
            raise RewindError(
                f"the engine's time is {when(time)}, and no checkpoint from before it leapt there is kept; start anew from "
                f"what the stream holds: move {folder} away"
            )
        async with open_store(settings, exclusive=True) as opened:
            stream = EventStream(opened.store, settings.store.shards)
            positions = {int(shard): position for shard, position in kept.positions.items()}
            if (damage := await stream.damage(positions)) is not None:
                raise RewindError(f"{damage}; start anew from what there is: move {folder} away")
            ticks = await stream.drop_ticks(positions, now)
            await stream.tick(now)  # an end that can be reached: the entry that ended the stream may be gone
            await Remembered(opened.store).unlearn(now)
            decisions = await Decisions(opened.store).drop(now)
            identity = Identity(tenant_key(settings))
            ledger = Ledger(opened.store, identity, ledger_rules(settings, pack_of(settings).currency))
            await ledger.note("rewind", f"from {when(time)} to {when(kept.written_at)}", person, now)
            folder.go_back()
    return Rewound(kept.written_at, ticks, decisions)
