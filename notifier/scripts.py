"""The ledger's Lua, each script with what all of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from notifier.store import Script

LUA: Final = Path(__file__).parent / "lua"


def script(name: str) -> Script:
    common = (LUA / "common.lua").read_text(encoding="utf-8")
    return Script(common + (LUA / f"{name}.lua").read_text(encoding="utf-8"))
