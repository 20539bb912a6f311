"""The ledger's Lua, each script with what all of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from notifier.store import Script

LUA: Final = Path(__file__).parent / "lua"
# What runs in a full store as well: each adds next to nothing, and without them nothing that is claimed could leave, nobody
# could stop it, and what is old would never make room.
URGENT: Final = frozenset({"take_over", "watch", "lease", "begin", "finish", "switch", "retire", "trim"})


def script(name: str) -> Script:
    common = (LUA / "common.lua").read_text(encoding="utf-8")
    return Script(common + (LUA / f"{name}.lua").read_text(encoding="utf-8"), urgent=name in URGENT)
