"""Tracking events as columns: first with their names still text, then as codes of `monitor.names`.

Both decoders (JSON, Arrow) fill `ScanTexts`; one set of checks and one way to codes serves both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from monitor.columns import F32, I64, U8, Batch, Scans
from monitor.identity import identities
from monitor.names import Names
from monitor.texts import Column, Texts, join
from monitor.times import DAY, EARLIEST, LATEST, parse_times
from monitor.vocabulary import DeliveredTo, Status
from monitor.wire import LONGEST, LONGEST_NAME, WireScan

STATUS: Final = {status.name.lower(): int(status) for status in Status}
DELIVERED: Final = {place.name.lower(): int(place) for place in DeliveredTo}


@dataclass(slots=True)
class ScanTexts:
    event_id: Column
    source: Texts
    tracking_number: Column
    carrier: Texts
    facility: Texts
    region: Texts
    courier: Texts
    order: Texts
    occurred: I64
    received: I64  # equal to `occurred` where the event has none
    estimated: I64
    status: U8
    delivered_to: U8
    latitude: F32
    longitude: F32

    def __len__(self) -> int:
        return len(self.occurred)

    def batch(self, names: Names) -> Batch:
        """`names` learns what is new."""
        return Batch(to_scans(self, names), links=links_of(self))


def times(texts: Sequence[str]) -> I64 | None:
    """0 where a text is empty; None where one is no time or out of range."""
    return parsed(join(texts))


def parsed(column: Column) -> I64 | None:
    if not len(column.buffer):
        return np.zeros(len(column), np.int64)
    moments = np.empty(len(column), np.int64)
    return moments if parse_times(column.buffer, column.starts, column.ends, moments) else None


def in_range(moments: I64) -> bool:
    return not len(moments) or (int(moments.min()) >= EARLIEST and int(moments.max()) < LATEST)


def texts_of(scans: Sequence[WireScan]) -> ScanTexts | None:
    """None where a time of one of them is wrong."""
    occurred = times([scan.occurred_at for scan in scans])
    received = times([scan.received_at for scan in scans])
    estimated = times([scan.estimated_at for scan in scans])
    if occurred is None or received is None or estimated is None:
        return None
    return ScanTexts(
        event_id=join([scan.event_id for scan in scans]),
        source=join([scan.source for scan in scans]),
        tracking_number=join([scan.tracking_number for scan in scans]),
        carrier=join([scan.carrier for scan in scans]),
        facility=join([scan.facility for scan in scans]),
        region=join([scan.region for scan in scans]),
        courier=join([scan.courier_id for scan in scans]),
        order=join([scan.order_id for scan in scans]),
        occurred=occurred,
        received=np.where(received == 0, occurred, received),
        estimated=estimated,
        status=np.array([STATUS[scan.status] for scan in scans], np.uint8),
        delivered_to=_places([scan.delivered_to for scan in scans]),
        latitude=_given_degrees([scan.latitude for scan in scans], 90),
        longitude=_given_degrees([scan.longitude for scan in scans], 180),
    )


def _places(words: list[str]) -> U8:
    """Most scans are no delivery: a column that says nothing costs nothing."""
    if words.count("unknown") == len(words):
        return np.zeros(len(words), np.uint8)
    return np.array([DELIVERED[word] for word in words], np.uint8)


def _given_degrees(values: list[float | UnsetType], most: int) -> F32:
    if values.count(UNSET) == len(values):
        return np.full(len(values), np.nan, np.float32)
    return degrees(np.array([math.nan if value is UNSET else value for value in values], np.float64), most)


def degrees(numbers: npt.NDArray[np.float64], most: int) -> F32:
    """Beyond the globe is absent: the contract takes any number, and a place that is none helps nobody."""
    return np.where(np.abs(numbers) <= most, numbers, np.nan).astype(np.float32)


def fits(texts: ScanTexts, latest: int | None) -> bool:
    """Whether every row passes the checks of `monitor.wire.examine`."""
    for column, most in (
        (texts.event_id, LONGEST["event_id"]),
        (texts.tracking_number, LONGEST["tracking_number"]),
    ):
        low, high = column.lengths()
        if low == 0 or high > most:
            return False
    names = (texts.source, texts.carrier, texts.facility, texts.region, texts.courier)
    if max(column.longest() for column in names) > LONGEST_NAME:
        return False
    return moments_fit(texts.occurred, texts.received, latest)


def moments_fit(occurred: I64, received: I64, latest: int | None) -> bool:
    """Whether all happened, by their own times, no more than a day after they were received, and none in the future."""
    if not len(occurred):
        return True
    if int(occurred.min()) == 0 or (received is not occurred and bool((occurred - received > DAY).any())):
        return False
    return latest is None or max(int(occurred.max()), int(received.max())) <= latest


def to_scans(texts: ScanTexts, names: Names) -> Scans:
    number = texts.tracking_number
    key0, key1 = names.pack_at(number.buffer, number.starts, number.ends)
    return Scans(
        key0=key0,
        key1=key1,
        event=identities(texts.source, texts.event_id),
        occurred=texts.occurred,
        received=texts.received,
        status=texts.status,
        delivered_to=texts.delivered_to,
        carrier=texts.carrier.codes(names.carriers).astype(np.uint16),
        source=texts.source.codes(names.sources).astype(np.uint16),
        region=texts.region.codes(names.regions),
        facility=texts.facility.codes(names.facilities),
        courier=texts.courier.codes(names.couriers),
        estimated=texts.estimated,
        latitude=texts.latitude,
        longitude=texts.longitude,
    )


def links_of(texts: ScanTexts) -> list[tuple[str, str]]:
    """Tracking number and order id, once each, where a scan names its order."""
    return links_between(texts.tracking_number, texts.order.flat())


def links_between(number: Column, order: Column) -> list[tuple[str, str]]:
    rows = np.flatnonzero(order.ends > order.starts)
    if not len(rows):
        return []
    named = zip(number.take(rows).strings(), order.take(rows).strings(), strict=True)
    return list(dict.fromkeys(named))


_NOTHING = texts_of([])
assert _NOTHING is not None  # noqa: S101
NO_SCANS: Final = _NOTHING
