"""How kernels are compiled that make no array.

No reference counts (`_nrt=False`): what a kernel is given is made and held by whoever calls it, and counting arrays up
and down as they are passed on or cut into rows costs more than the work of a small function. Divisions by zero are not
looked for (`error_model`): every divisor is a constant or was compared with zero, and looking cost a fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    compiled: F = njit(**OPTIONS)(function)
    return compiled
