"""Compiled kernels are kept where that is possible: a disk that is full or a file that is damaged costs time and ends nothing.

The compiler itself would let the error out of the kernel that was called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import structlog
from numba.core.caching import Cache

_SAVES: Final[Callable[..., None]] = Cache.save_overload
_LOADS: Final[Callable[..., Any]] = Cache.load_overload
log = structlog.get_logger(__name__)


def read_what_is_whole() -> None:
    """From now on a damaged file counts as none, and is written anew."""
    setattr(Cache, "load_overload", _load)  # noqa: B010 - to the type checker a method is fixed


def write_what_has_room() -> None:
    """From now on what cannot be written is used all the same. Said once."""
    setattr(Cache, "save_overload", _save)  # noqa: B010 - likewise


def _load(kept: Any, types: Any, target: Any) -> Any:
    try:
        return _LOADS(kept, types, target)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a pickle cut anywhere, or a machine code that is none
        log.warning("kernels.damaged", folder=str(kept.cache_path), why=type(error).__name__)
        kept.flush()
        return None


def _save(kept: Any, types: Any, compiled: Any) -> None:
    try:
        _SAVES(kept, types, compiled)
    except OSError as error:
        _say(error.strerror or type(error).__name__)


@cache
def _say(why: str) -> None:
    log.warning("kernels.not_kept", why=why, note="the next start compiles again")
