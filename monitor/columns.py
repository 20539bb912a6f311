"""A batch of events as columns: what the decoder makes and the engine eats.

Scans come by the million and are columns only. Orders, complaints and engagements are a tenth of that and touch
state that is objects anyway, so they stay decoded structs (`monitor.events`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from monitor.events import Complaint, Engagement, Order

U8: TypeAlias = npt.NDArray[np.uint8]
U16: TypeAlias = npt.NDArray[np.uint16]
U32: TypeAlias = npt.NDArray[np.uint32]
U64: TypeAlias = npt.NDArray[np.uint64]
I32: TypeAlias = npt.NDArray[np.int32]
I64: TypeAlias = npt.NDArray[np.int64]
F32: TypeAlias = npt.NDArray[np.float32]


@dataclass(slots=True)
class Scans:
    """Tracking events, one row each, in the order in which the stream holds them.

    Codes are of `monitor.names.Names` (0: absent or unknown). Times are milliseconds UTC; `estimated` is 0 where
    the carrier gave none; latitude and longitude are NaN where absent. `key0`, `key1` are the tracking number
    as `monitor.names` packs it: exact and reversible.
    """

    key0: U64
    key1: U64
    event: U64  # hash of source and event_id: a repeated id is the same event
    occurred: I64
    received: I64
    status: U8  # vocabulary.Status
    delivered_to: U8  # vocabulary.DeliveredTo
    carrier: U16
    source: U16
    region: U32
    facility: U32
    courier: U32
    estimated: I64
    latitude: F32
    longitude: F32

    def __len__(self) -> int:
        return len(self.key0)


def together(scans: Sequence[Scans]) -> Scans:
    if len(scans) == 1:
        return scans[0]
    return Scans(**{name: np.concatenate([getattr(one, name) for one in scans]) for name in Scans.__slots__})


@dataclass(slots=True)
class Batch:
    """What one or several stream entries held."""

    scans: Scans
    orders: list[Order] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    engagements: list[Engagement] = field(default_factory=list)
    # Tracking number and order id, where a scan names its order.
    links: list[tuple[str, str]] = field(default_factory=list)
    # Of orders whose customers confirmed receipt: their parcels, which the directory knows.
    parcels: dict[str, tuple[str, ...]] = field(default_factory=dict)
