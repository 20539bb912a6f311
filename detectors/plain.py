"""State as plain values for checkpoints: arrays become bytes with their type and shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def pack(array: npt.NDArray[Any]) -> dict[str, Any]:
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "bytes": np.ascontiguousarray(array).tobytes(),
    }


def unpack(packed: Mapping[str, Any]) -> npt.NDArray[Any]:
    """A copy that may be written to."""
    flat = np.frombuffer(packed["bytes"], dtype=np.dtype(packed["dtype"]))
    return flat.reshape([int(size) for size in packed["shape"]]).copy()
