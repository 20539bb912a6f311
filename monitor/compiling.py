"""How kernels are compiled that make no array: those they are given are not counted up and down where they pass them on.

Counting costs more than the work of a small function. What a kernel fills is made by whoever calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

from monitor.quicker import compile_quicker

_OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False}
F = TypeVar("F", bound=Callable[..., Any])
compile_quicker()  # whichever process compiles a kernel, it comes out the same


def lean(function: F) -> F:
    compiled: F = njit(**_OPTIONS)(function)
    return compiled


def inlined(function: F) -> F:
    """For what runs for every event: never a call."""
    compiled: F = njit(inline="always", **_OPTIONS)(function)
    return compiled
