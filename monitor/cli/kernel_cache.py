"""Where compiled kernels are kept when neither the package nor the user's cache can be written, or those of a folder that
cannot be written are to be used: a folder of this run.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Final

from monitor.cli.output import say

VARIABLE: Final = "NUMBA_CACHE_DIR"


def ensure(environment: MutableMapping[str, str], package: Path) -> None:
    """Sets the compiler's variable where it would find no place, before it is imported: it would refuse to start."""
    home = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - a user without a home is no error here
    cache = environment.get("XDG_CACHE_HOME") or str(Path(home, ".cache"))
    given = Path(environment[VARIABLE]).absolute() if environment.get(VARIABLE) else None
    if given is not None and _writable(given):
        return
    kept = sorted(given.rglob("*.nb[ic]")) if given is not None else []
    if not kept and any(_writable(folder) for folder in (package / "__pycache__", Path(cache, "numba"))):
        return
    environment[VARIABLE] = mine = _of_this_run()
    if given is not None and kept:
        _link(kept, given, Path(mine))
    else:
        say(f"forestall: nowhere to keep compiled kernels, so every start compiles them: set {VARIABLE}")


def _of_this_run() -> str:
    try:
        folder = tempfile.mkdtemp(prefix="forestall-kernels-")
    except OSError:
        say(f"forestall: no folder can be written, for compiled kernels or at all: set {VARIABLE} or TMPDIR")
        sys.exit(1)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _link(kept: Sequence[Path], given: Path, mine: Path) -> None:
    """A kernel that is compiled anew takes the place of its link."""
    for file in kept:
        link = mine / file.relative_to(given)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
