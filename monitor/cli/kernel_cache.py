"""Where compiled kernels are kept when neither the package nor the user's cache can be written: a folder of this run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from monitor.cli.output import say

VARIABLE: Final = "NUMBA_CACHE_DIR"


def ensure(environment: MutableMapping[str, str], package: Path) -> None:
    """Sets the compiler's variable where it would find no place, before it is imported: it would refuse to start."""
    home = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - a user without a home is no error here
    cache = environment.get("XDG_CACHE_HOME") or str(Path(home, ".cache"))
    given = [Path(environment[VARIABLE])] if environment.get(VARIABLE) else []
    if any(_writable(folder) for folder in (*given, package / "__pycache__", Path(cache, "numba"))):
        return
    environment[VARIABLE] = tempfile.mkdtemp(prefix="forestall-kernels-")
    atexit.register(shutil.rmtree, environment[VARIABLE], ignore_errors=True)
    say(f"forestall: nowhere to keep compiled kernels, so every start compiles them: set {VARIABLE}")


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
