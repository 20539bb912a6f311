"""Parcels that ended as columns, as detectors read them: a field at a time out of records costs as much as all at once."""

from __future__ import annotations

from typing import Any, NamedTuple

from monitor.engine.kernels.compiled import kernel


class EndingColumns(NamedTuple):
    """A column a field of ENDING."""

    key0: Any
    key1: Any
    occurred: Any
    received: Any
    previous_occurred: Any
    out_for_delivery: Any
    accepted: Any
    ordered: Any
    promised: Any
    destination: Any
    region: Any
    previous_region: Any
    facility: Any
    courier: Any
    lane: Any
    carrier: Any
    source: Any
    status: Any
    previous_status: Any
    delivered_to: Any
    scan_latitude: Any
    scan_longitude: Any
    latitude: Any
    longitude: Any


@kernel
def lay_out(rows: Any, first: int, out: EndingColumns) -> None:
    """Writes all of them from the row `first` of `out` on."""
    for number in range(len(rows)):
        row, at = rows[number], first + number
        out.key0[at] = row.key0
        out.key1[at] = row.key1
        out.occurred[at] = row.occurred
        out.received[at] = row.received
        out.previous_occurred[at] = row.previous_occurred
        out.out_for_delivery[at] = row.out_for_delivery
        out.accepted[at] = row.accepted
        out.ordered[at] = row.ordered
        out.promised[at] = row.promised
        out.destination[at] = row.destination
        out.region[at] = row.region
        out.previous_region[at] = row.previous_region
        out.facility[at] = row.facility
        out.courier[at] = row.courier
        out.lane[at] = row.lane
        out.carrier[at] = row.carrier
        out.source[at] = row.source
        out.status[at] = row.status
        out.previous_status[at] = row.previous_status
        out.delivered_to[at] = row.delivered_to
        out.scan_latitude[at] = row.scan_latitude
        out.scan_longitude[at] = row.scan_longitude
        out.latitude[at] = row.latitude
        out.longitude[at] = row.longitude
