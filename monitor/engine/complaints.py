"""Complaints on their way to the detectors: each once, joined with what the parcel table knows of their parcel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeAlias

import polars as pl

from detectors.interfaces import SCHEMAS, empty
from monitor.engine.stage import Known, ParcelStage
from monitor.events import Complaint
from monitor.vocabulary import Status

COMPLAINT: TypeAlias = dict[str, Any]  # a row of the `complaints` frame
REMEMBERED: Final = 200_000  # ids a generation
LIMIT: Final = 500_000
_ORDER: Final = itemgetter("received", "complaint_id")
_DELIVERED: Final = (Status.DELIVERED, Status.COLLECTED)


class ComplaintLog:
    """Rows that wait, read by each detector from where it stopped; beyond LIMIT the oldest go."""

    def __init__(self, readers: Iterable[str]) -> None:
        self._rows: list[COMPLAINT] = []
        self._start = 0
        self._cursors = dict.fromkeys(readers, 0)
        self.dropped = 0

    def waiting(self, reader: str) -> int:
        return self._start + len(self._rows) - max(self._cursors[reader], self._start)

    def append(self, rows: Sequence[COMPLAINT]) -> None:
        if not self._cursors:
            return
        self._rows.extend(rows)
        excess = len(self._rows) - LIMIT
        if excess > 0:
            del self._rows[:excess]
            self._start += excess
            self.dropped += excess

    def read(self, reader: str) -> pl.DataFrame:
        rows = self._rows[max(self._cursors[reader] - self._start, 0) :]
        self._cursors[reader] = self._start + len(self._rows)
        done = min(self._cursors.values()) - self._start
        if done > 0:
            del self._rows[:done]
            self._start += done
        if not rows:
            return empty("complaints")
        return pl.DataFrame(sorted(rows, key=_ORDER), schema=dict(SCHEMAS["complaints"]))

    def state(self) -> dict[str, Any]:
        return {"rows": self._rows, "start": self._start, "cursors": self._cursors}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rows = list(state["rows"])
        self._start = state["start"]
        end = self._start + len(self._rows)
        self._cursors = {reader: state["cursors"].get(reader, end) for reader in self._cursors}


class Complaints:
    """Drops repeated events (two generations of ids) and joins the rest with their parcel."""

    def __init__(self, stage: ParcelStage) -> None:
        self._stage = stage
        self._young: set[int] = set()
        self._old: set[int] = set()
        self.repeated = 0

    def rows(self, complaints: Sequence[Complaint]) -> list[COMPLAINT]:
        return [self._row(one) for one in complaints if self._new(event_hash(one.source, one.event_id))]

    def _new(self, event: int) -> bool:
        if event in self._young or event in self._old:
            self.repeated += 1
            return False
        if len(self._young) >= REMEMBERED:
            self._old, self._young = self._young, set()
        self._young.add(event)
        return True

    def _row(self, complaint: Complaint) -> COMPLAINT:
        names = self._stage.names
        parcel = self._parcel(complaint.tracking_number, order=False)
        order = None if parcel else self._parcel(complaint.order_id, order=True)
        row: COMPLAINT = {
            "complaint_id": complaint.complaint_id,
            "status": complaint.status,
            "occurred": complaint.occurred_at,
            "received": complaint.received_at,
            "customer_id": complaint.customer_id,
            "order_id": complaint.order_id,
            "tracking_number": complaint.tracking_number,
            "region": complaint.region,
            "carrier": None,
            "facility": None,
            "courier": None,
            "category": complaint.category,
            "reason": complaint.reason,
            "severity": complaint.severity,
            "feed": complaint.source,
            "delivered_at": None,
        }
        if order is not None and row["region"] is None:
            row["region"] = names.regions.text(order.slot.destination)
        if parcel is not None:
            slot = parcel.slot
            row["region"] = row["region"] or names.regions.text(slot.destination or slot.region)
            row["carrier"] = names.carriers.text(slot.carrier)
            row["facility"] = names.facilities.text(slot.facility)
            row["courier"] = names.couriers.text(parcel.background.courier)
            if slot.status in _DELIVERED:
                row["delivered_at"] = slot.last_scan * 1000
        return row

    def _parcel(self, text: str | None, *, order: bool) -> Known | None:
        return self._stage.view(self._stage.names.key(text, order=order)) if text else None

    def state(self) -> dict[str, Any]:
        return {"young": sorted(self._young), "old": sorted(self._old)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._young, self._old = set(state["young"]), set(state["old"])


def event_hash(source: str, event_id: str) -> int:
    """64 bits that stand for one event; never 0, which means no id."""
    digest = hashlib.blake2b(f"{source}\0{event_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) or 1
