"""Rows that the kernels hand up: marks, oddities and endings."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from monitor.engine.kernels.compiled import kernel
from monitor.engine.layout import PROMISE_TOLD, UNHEARD


class ScanColumns(NamedTuple):
    """`monitor.columns.Scans` for the kernel."""

    key0: Any
    key1: Any
    event: Any
    occurred: Any
    received: Any
    status: Any
    delivered_to: Any
    carrier: Any
    source: Any
    region: Any
    facility: Any
    courier: Any
    estimated: Any
    latitude: Any
    longitude: Any


class Told(NamedTuple):
    """What a call hands up, as records of `layout`, and how many of each it wrote."""

    marks: Any
    endings: Any
    oddities: Any
    written: Any  # i8 [MARKS, ENDINGS, ODDITIES]


MARKS, ENDINGS, ODDITIES = range(3)


@kernel
def next_row(told: Told, kind: int) -> int:
    """The number of the next row of a kind, which is counted with that."""
    number = told.written[kind]
    told.written[kind] = number + 1
    return number


@kernel
def write_mark(told: Told, slot: Any, at: int, closed: int, reason: int, lost: int) -> None:
    mark = told.marks[next_row(told, MARKS)]
    mark.key0 = slot.key0
    mark.key1 = slot.key1
    mark.at = at
    mark.closed = closed
    mark.reason = reason
    mark.lost = lost


@kernel
def write_oddity(told: Told, slot: Any, scans: ScanColumns, row: int, oddity: int) -> None:
    odd = told.oddities[next_row(told, ODDITIES)]
    odd.key0 = slot.key0
    odd.key1 = slot.key1
    odd.occurred = scans.occurred[row]
    odd.received = scans.received[row]
    odd.previous_occurred = slot.last_scan
    odd.region = scans.region[row]
    odd.previous_region = slot.region
    odd.facility = scans.facility[row]
    odd.courier = scans.courier[row]
    odd.carrier = scans.carrier[row] if scans.carrier[row] != 0 else slot.carrier
    odd.source = scans.source[row]
    odd.status = scans.status[row]
    odd.previous_status = slot.status
    odd.oddity = oddity


@kernel
def write_ending(told: Told, slot: Any, background: Any, scans: ScanColumns, row: int) -> None:
    """Before the scan changes the slot."""
    ending = told.endings[next_row(told, ENDINGS)]
    ending.key0 = slot.key0
    ending.key1 = slot.key1
    ending.occurred = scans.occurred[row]
    ending.received = scans.received[row]
    ending.previous_occurred = slot.last_scan
    ending.out_for_delivery = slot.out_for_delivery
    ending.accepted = slot.accepted
    ending.ordered = background.ordered
    ending.promised = slot.promised
    ending.destination = slot.destination
    ending.region = scans.region[row]
    ending.previous_region = slot.region
    ending.facility = scans.facility[row] if scans.facility[row] != 0 else slot.facility
    ending.courier = scans.courier[row] if scans.courier[row] != 0 else background.courier
    ending.lane = slot.lane
    ending.carrier = slot.carrier
    ending.source = scans.source[row]
    ending.status = scans.status[row]
    ending.previous_status = slot.status
    ending.delivered_to = scans.delivered_to[row]
    late = slot.promised != 0 and scans.occurred[row] > np.int64(slot.promised) * 1000
    if late and not slot.state & PROMISE_TOLD:
        ending.delivered_to |= np.uint8(UNHEARD)
    ending.scan_latitude = scans.latitude[row]
    ending.scan_longitude = scans.longitude[row]
    ending.latitude = background.latitude
    ending.longitude = background.longitude
