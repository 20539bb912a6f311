"""How kernels are compiled.

No reference counts (`_nrt=False`): kernels allocate nothing and own nothing, and counting the two dozen arrays of
`World` at every call inside the loop cost ten times the work itself. Divisions by zero are not looked for
(`error_model`): every divisor is a constant or was compared with zero, and looking cost a fifth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

# Fields of records are unsigned: arithmetic on times is done in these.
whole: Any = np.int64
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    compiled: F = njit(**_OPTIONS)(function)
    return compiled


def inlined(function: F) -> F:
    """For what runs for every event: never a call."""
    compiled: F = njit(inline="always", **_OPTIONS)(function)
    return compiled
