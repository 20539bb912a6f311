"""Compiled kernels in numba's cache that are not those of this program any more.

Numba compiles a kernel anew when its own file changed, not when a function or a constant of another file did that it has
taken in: after an upgrade that keeps times of files, or a pull, it would run what was there before.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import numpy as np

MARK: Final = "kernels.sha256"
_OURS: Final = ("monitor.", "detectors.")
_PLAIN: Final = (bool, int, float, str, tuple)


def forget_stale() -> int:
    """Drops the cached kernels where they are of other sources than the modules loaded now; how many files went.

    Call it before a kernel first runs. A folder that cannot be written to is left as it is.
    """
    kernels = list(_kernels())
    said = _fingerprint(kernels)
    dropped = 0
    for folder in _folders(kernels):
        try:
            dropped += _refresh(folder, said)
        except OSError:
            continue
    return dropped


def _refresh(folder: Path, said: str) -> int:
    mark = folder / MARK
    if mark.exists() and mark.read_text(encoding="ascii") == said:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    stale = list(folder.glob("*.nbi"))  # the index; what it names is then written over
    for index in stale:
        index.unlink(missing_ok=True)
    mark.write_text(said, encoding="ascii")
    return len(stale)


def _kernels() -> Iterator[Any]:
    """Numba's dispatchers of the modules that are loaded."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith(_OURS):
            for value in list(vars(module).values()):
                if isinstance(getattr(value, "py_func", None), FunctionType) and value.__module__ == name:
                    yield value


def _folders(kernels: list[Any]) -> list[Path]:
    """Where they are cached; those that are always compiled anew have none."""
    return sorted({Path(kernel.stats.cache_path) for kernel in kernels if kernel.stats.cache_path})


def _fingerprint(kernels: list[Any]) -> str:
    digest = hashlib.sha256()
    for kernel in sorted(kernels, key=lambda one: (one.__module__, one.__qualname__)):
        function: FunctionType = kernel.py_func
        digest.update(f"{kernel.__module__}.{kernel.__qualname__}".encode())
        digest.update(repr(sorted(kernel.targetoptions.items())).encode())
        for part in _parts(function.__code__):
            digest.update(part)
        for name in function.__code__.co_names:
            digest.update(_constant(function.__globals__.get(name)))
    return digest.hexdigest()


def _parts(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)
        else:
            yield repr(constant).encode()


def _constant(value: Any) -> bytes:
    """What numba freezes into a kernel, in bytes; nothing of other globals, which are kernels or modules."""
    if isinstance(value, np.ndarray):
        return bytes(repr((value.dtype, value.shape)).encode()) + value.tobytes()
    return repr(value).encode() if isinstance(value, _PLAIN) else b""
