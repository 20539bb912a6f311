"""What is wrong with this machine, this config or this store, and what each finding means."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from config.loading import ConfigError
from config.settings import Settings
from monitor.assembly import pack_of, zone
from monitor.checkpoint import CheckpointError, CheckpointFolder
from monitor.storage import open_store
from notifier.store import StoreError

LEAST_DISK = 1 << 30


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    verdict: Verdict
    detail: str


async def examine(settings: Settings) -> AsyncIterator[Check]:
    yield _config(settings)
    yield _disk(settings)
    yield _checkpoints(settings)
    try:
        async with open_store(settings) as opened:
            yield Check("store", Verdict.OK, f"{opened.store.url} answers")
            if opened.doubt is not None:
                yield Check(
                    "store identity", Verdict.WRONG, f"{opened.doubt}; reconcile, then `forestall release`"
                )
    except StoreError as error:
        yield Check("store", Verdict.WRONG, str(error))


def _config(settings: Settings) -> Check:
    try:
        zone(settings.timezone)
        pack = pack_of(settings)
    except ConfigError as error:
        return Check("config", Verdict.WRONG, "; ".join(error.problems))
    mode = "shadow: nothing leaves" if settings.shadow else "live"
    return Check("config", Verdict.OK, f"policy {pack.name} {pack.version}, {mode}")


def _disk(settings: Settings) -> Check:
    folder = settings.data_dir if settings.data_dir.exists() else settings.data_dir.absolute().parent
    free = shutil.disk_usage(folder if folder.exists() else "/").free
    verdict = Verdict.OK if free >= LEAST_DISK else Verdict.WARNING
    return Check("disk", verdict, f"{free / (1 << 30):.1f} GiB free for {settings.data_dir}")


def _checkpoints(settings: Settings) -> Check:
    try:
        newest, problems = CheckpointFolder(settings.data_dir / "checkpoints").newest()
    except CheckpointError as error:
        return Check("checkpoint", Verdict.WRONG, str(error))
    if problems:
        return Check("checkpoint", Verdict.WARNING, "; ".join(problems))
    return Check("checkpoint", Verdict.OK, "none yet" if newest is None else "the newest is whole")
