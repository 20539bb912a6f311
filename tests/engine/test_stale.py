"""A kernel in the cache is dropped when what it was compiled from changed, wherever that stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONSTANT, CALLED, KERNEL = "STEP = {step}\n", "def more(x):\n    return x {sign} STEP\n", "kernels.py"
HEAD = "from numba import njit\nfrom monitor.probe.constants import STEP\n"
RUN = """
import sys, types
sys.path.insert(0, {root!r})
import monitor
monitor.__path__.append({extra!r})
from monitor.probe import kernels
from monitor.engine.stale import forget_stale
print(forget_stale(), kernels.twice(10))
"""


def written(folder: Path, step: int, sign: str) -> None:
    """A kernel whose own file stays as it is, to the second: `twice` calls `more`, which adds a constant."""
    probe = folder / "probe"
    probe.mkdir(exist_ok=True)
    (probe / "__init__.py").write_text("")
    (probe / "constants.py").write_text(CONSTANT.format(step=step))
    (probe / "called.py").write_text(HEAD + "@njit(cache=True)\n" + CALLED.format(sign=sign))
    kernels = probe / KERNEL
    if not kernels.exists():
        kernels.write_text(
            "from numba import njit\nfrom monitor.probe.called import more\n\n"
            "@njit(cache=True)\ndef twice(x):\n    return more(more(x))\n"
        )


def ran(folder: Path) -> tuple[int, int]:
    root = str(Path(__file__).parent.parent.parent)
    code = RUN.format(root=root, extra=str(folder))
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True, cwd=folder
    )
    dropped, answer = done.stdout.split()
    return int(dropped), int(answer)


def test_a_cached_kernel_goes_when_a_function_or_a_constant_of_another_file_changed(tmp_path: Path) -> None:
    written(tmp_path, step=1, sign="+")
    assert ran(tmp_path) == (0, 12)
    assert ran(tmp_path)[1] == 12
    assert ran(tmp_path)[0] == 0, "what is unchanged stays"
    written(tmp_path, step=5, sign="+")
    assert ran(tmp_path)[1] == 20, "another constant"
    written(tmp_path, step=5, sign="-")
    assert ran(tmp_path)[1] == 0, "another function"
