"""What is wrong with the configured store, and what a crash of it would lose.

The windows of loss of `everysec` were measured: one writer, some 700 acknowledged writes a second, the log cut at the
last completed fdatasync (docs/store.md has the table).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from monitor.embedded import REMOTE, VOLATILE, file_system
from monitor.storage import OpenStore
from notifier.store import Store, StoreRefusedError

ADVISED = (7, 2)  # what is still maintained and tested here
CROWDED = 0.7


class Severity(StrEnum):
    WRONG = "wrong"  # money or events can be lost or spent twice
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class StoreProblem:
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class StoreReport:
    server: str
    url: str
    embedded: bool
    window: str
    window_severity: Severity | None  # of what the window may cost; none: nothing
    problems: list[StoreProblem]


async def examine(opened: OpenStore) -> StoreReport:
    info = await opened.store.info()
    config = await _config(opened.store)
    durability = _durability(config)
    problems = [*durability, *_memory(config, info), *_server(info)]
    if opened.doubt:
        problems.insert(
            0, StoreProblem(Severity.WRONG, f"{opened.doubt}: nothing is spent until `forestall release`")
        )
    if opened.embedded is not None:
        problems += _folder(opened.embedded.folder, opened.embedded.maxmemory_mb)
    return StoreReport(
        server=f"Valkey {info['valkey_version']}"
        if "valkey_version" in info
        else f"Redis {info['redis_version']}",
        url=opened.store.url,
        embedded=opened.embedded is not None,
        window=window_of_loss(config),
        window_severity=durability[0].severity if durability else None,
        problems=problems,
    )


def window_of_loss(config: Mapping[str, str]) -> str:
    """One sentence. An empty config is a server that does not tell."""
    if not config:
        return "Unknown, as the store does not tell its configuration; ask who runs it for appendfsync."
    if config["appendonly"] != "yes":
        since = (
            f"since the last snapshot (save {config['save']})" if config.get("save") else "ever acknowledged"
        )
        return f"Everything {since}, at any crash of the store, as it keeps no log."
    if config.get("no-appendfsync-on-rewrite") == "yes" and config["appendfsync"] != "no":
        return (
            "A power failure while the log is rewritten loses what the system has not yet written "
            "(Linux: some 30 s), as no-appendfsync-on-rewrite is yes; a kill of the store loses nothing acknowledged."
        )
    return {
        "always": (
            "None; what was acknowledged survives a kill of the store and a power failure, as long as "
            "the disk keeps what it confirmed."
        ),
        "everysec": (
            "A power failure loses up to 1 s of what was acknowledged (up to 10 s where an fsync takes "
            "5 s); a kill of the store loses nothing on a sound disk (up to 2 s on such a slow one)."
        ),
    }.get(
        config["appendfsync"],
        "A power failure loses what the system has not yet written (Linux: some 30 s); a kill of the "
        "store loses nothing acknowledged.",
    )


async def _config(store: Store) -> dict[str, str]:
    """Empty where a managed service hides it."""
    names = (
        "appendonly",
        "appendfsync",
        "no-appendfsync-on-rewrite",
        "save",
        "maxmemory",
        "maxmemory-policy",
    )
    config: dict[str, str] = {}
    try:
        for name in names:
            found: dict[bytes, bytes] = await store.call("CONFIG", "GET", name)
            config |= {key.decode(): value.decode() for key, value in found.items()}
    except StoreRefusedError:
        return {}
    return config if "appendonly" in config else {}


def _durability(config: Mapping[str, str]) -> list[StoreProblem]:
    if not config:
        return [
            StoreProblem(
                Severity.WARNING, "the store does not tell its configuration (CONFIG GET is refused)"
            )
        ]
    if config["appendonly"] != "yes":
        return [StoreProblem(Severity.WRONG, "appendonly is no: set `appendonly yes`, `appendfsync always`")]
    if config["appendfsync"] != "always":
        return [
            StoreProblem(
                Severity.WARNING,
                f"appendfsync is {config['appendfsync']}: an accepted event can be lost, and a coupon forgotten that "
                "was issued; `always` is meant for money",
            )
        ]
    if config.get("no-appendfsync-on-rewrite") == "yes":
        return [StoreProblem(Severity.WARNING, "no-appendfsync-on-rewrite is yes: set it to no")]
    return []


def _memory(config: Mapping[str, str], info: Mapping[str, str]) -> list[StoreProblem]:
    problems = []
    policy = config.get("maxmemory-policy", info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        problems.append(
            StoreProblem(
                Severity.WRONG,
                f"maxmemory-policy is {policy}: claims can be thrown away and paid twice; set noeviction",
            )
        )
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if most == 0:
        problems.append(
            StoreProblem(Severity.WARNING, "maxmemory is not set: the system decides whom to kill")
        )
    elif used > CROWDED * most:
        problems.append(
            StoreProblem(
                Severity.WARNING,
                f"{100 * used // most} % of maxmemory is used; intake refuses events from 85 % on",
            )
        )
    return problems


def _server(info: Mapping[str, str]) -> list[StoreProblem]:
    problems = []
    numbers = tuple(int(part) for part in re.findall(r"\d+", info.get("redis_version", "0"))[:2])
    if "valkey_version" not in info and numbers < ADVISED:
        problems.append(
            StoreProblem(
                Severity.WARNING, f"Redis {info['redis_version']} works, but 7.2 (or Valkey 8) is advised"
            )
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        problems.append(
            StoreProblem(Severity.WRONG, "the last write to the log failed: the disk is full or broken")
        )
    if info.get("aof_last_bgrewrite_status", "ok") != "ok":
        problems.append(StoreProblem(Severity.WARNING, "the last rewrite of the log failed: it only grows"))
    if int(info.get("connected_slaves", 0)):
        problems.append(
            StoreProblem(
                Severity.WARNING,
                "replicas lag behind: after a failover to one, run `forestall hold` before anything is spent",
            )
        )
    return problems


def _folder(folder: Path, maxmemory_mb: int) -> list[StoreProblem]:
    problems = []
    if (kind := file_system(folder)) in VOLATILE | REMOTE:
        problems.append(
            StoreProblem(Severity.WRONG, f"{folder} is on {kind}: fsync does not make it durable there")
        )
    free = shutil.disk_usage(folder).free
    # The log may be twice the data before it is rewritten, and the new one stands beside it.
    if free < 3 * (maxmemory_mb << 20):
        problems.append(
            StoreProblem(
                Severity.WARNING,
                f"{free >> 20} MB are free on the disk; the store may need {3 * maxmemory_mb} MB",
            )
        )
    return problems
