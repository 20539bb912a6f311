"""A small world for engine tests: parcels and orders by hand, time by the hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from config.detection import DetectionSettings
from config.settings import EngineSettings
from detectors.findings import Finding, State
from detectors.interfaces import ParcelDetector, PlaceDetector
from monitor.columns import Batch, Scans
from monitor.engine import Engine
from monitor.engine.complaints import event_hash
from monitor.events import Complaint, Order
from monitor.names import Names
from monitor.vocabulary import DeliveredTo, Status

MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_772_000_400_000  # 2026-02-25, a Wednesday after the Spring Festival, 14:20 in Shanghai


@dataclass(slots=True)
class Scan:
    number: str
    status: Status
    at: int
    carrier: str | None = "sf"
    region: str | None = None
    facility: str | None = None
    courier: str | None = None
    source: str | None = "kd100"
    event_id: str | None = None
    received: int | None = None
    delivered_to: DeliveredTo = DeliveredTo.UNKNOWN
    estimated: int = 0
    latitude: float = np.nan
    longitude: float = np.nan


def columns(scans: Sequence[Scan], names: Names) -> Scans:
    key0, key1 = names.pack_many([scan.number for scan in scans])

    def column(values: list[Any], kind: type) -> Any:
        return np.array(values, kind)

    return Scans(
        key0=key0,
        key1=key1,
        event=column([event_hash(s.source or "", s.event_id) if s.event_id else 0 for s in scans], np.uint64),
        occurred=column([s.at for s in scans], np.int64),
        received=column([s.at if s.received is None else s.received for s in scans], np.int64),
        status=column([s.status for s in scans], np.uint8),
        delivered_to=column([s.delivered_to for s in scans], np.uint8),
        carrier=column(names.carriers.codes(s.carrier for s in scans), np.uint16),
        source=column(names.sources.codes(s.source for s in scans), np.uint16),
        region=column(names.regions.codes(s.region for s in scans), np.uint32),
        facility=column(names.facilities.codes(s.facility for s in scans), np.uint32),
        courier=column(names.couriers.codes(s.courier for s in scans), np.uint32),
        estimated=column([s.estimated for s in scans], np.int64),
        latitude=column([s.latitude for s in scans], np.float32),
        longitude=column([s.longitude for s in scans], np.float32),
    )


def order(order_id: str, status: str, at: int, **more: Any) -> Order:
    known: dict[str, Any] = {
        "event_id": f"{order_id}/{status}/{at}",
        "source": "shop",
        "occurred_at": at,
        "received_at": at,
        "customer_id": "c-1",
    } | more
    return Order(order_id=order_id, status=status, **known)


def complaint(complaint_id: str, at: int, **more: Any) -> Complaint:
    known: dict[str, Any] = {
        "event_id": complaint_id,
        "source": "desk",
        "occurred_at": at,
        "received_at": at,
        "status": "opened",
    }
    return Complaint(complaint_id=complaint_id, **(known | more))


def detection(**more: Any) -> DetectionSettings:
    return DetectionSettings.model_validate(
        {"max_lanes": 64, "remembered_events": 4096, "learning_hours": 0} | more
    )


@dataclass
class Shop:
    """An engine, driven by hand. Findings gather in `found`."""

    engine_settings: EngineSettings = field(default_factory=lambda: EngineSettings(max_live_parcels=10_000))
    detection_settings: DetectionSettings = field(default_factory=detection)
    place: Sequence[PlaceDetector] | None = ()  # None: every one of the registry
    parcel: Sequence[ParcelDetector] = ()
    found: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = self.fresh()

    def fresh(self) -> Engine:
        names = Names(places=10_000, sides=1000)
        return Engine(
            self.engine_settings, self.detection_settings, names, place=self.place, parcel=self.parcel
        )

    def scan(self, *scans: Scan) -> list[Finding]:
        return self._keep(self.engine.feed(Batch(columns(scans, self.engine.names))))

    def order(self, *orders: Order) -> list[Finding]:
        return self._keep(self.engine.feed(Batch(columns((), self.engine.names), orders=list(orders))))

    def complain(self, *complaints: Complaint) -> list[Finding]:
        batch = Batch(columns((), self.engine.names), complaints=list(complaints))
        return self._keep(self.engine.feed(batch))

    def until(self, end: int, step: int = MINUTE) -> list[Finding]:
        """Ticks every `step` from the last one to `end`."""
        found: list[Finding] = []
        at = self.engine.now or end - step
        while at < end:
            at = min(at + step, end)
            found += self.engine.tick(at)
        return self._keep(found)

    def restart(self) -> None:
        """As after a crash: another engine from the bytes of this one."""
        data = self.engine.dump("position")
        self.engine = self.fresh()
        assert self.engine.load(data) == "position"

    def _keep(self, found: list[Finding]) -> list[Finding]:
        self.found += found
        return found


def said(findings: Sequence[Finding]) -> list[str]:
    """As `opened pickup_stalled SF1`; with the reason where closed."""
    return [
        f"{one.state} {one.kind} {one.subject.id}"
        + (f" {one.close_reason}" if one.state is State.CLOSED else "")
        for one in findings
    ]
