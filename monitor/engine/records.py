"""Records copied as bytes: numpy copies them field by field, at twenty times the price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.engine.layout import Records


def _bytes(records: Records) -> npt.NDArray[np.void]:
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def copied(records: Records) -> Records:
    if not len(records):  # most batches bring no oddity
        return records
    return np.ndarray(records.shape, records.dtype, bytearray(records))  # a view is asked whether it is safe


def joined(parts: Sequence[Records], dtype: np.dtype[Any]) -> Records:
    """One after the other; a single part is not copied."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.zeros(0, dtype)
    return np.concatenate([_bytes(part) for part in parts]).view(dtype)


def chosen(records: Records, wanted: npt.NDArray[np.bool_]) -> Records:
    """As `records[wanted]`; the same rows, not copied, where all are wanted."""
    return records if wanted.all() else _bytes(records)[wanted].view(records.dtype)


def taken(records: Records, rows: npt.NDArray[np.intp]) -> Records:
    """As `records[rows]`."""
    return _bytes(records)[rows].view(records.dtype)
