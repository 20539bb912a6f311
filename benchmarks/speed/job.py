"""The job that every row does, and its input.

Input: scans of parcels over some days in the order of their time, decoded (`World.scans`) or as text (`World.lines`).
Job: keep each parcel's last scan and segment; learn the gap of each scan per lane and segment; at every full hour of
event time open a stall for each parcel without a scan for longer than its segment's limit, and close it when the
parcel moves; forget delivered parcels. Counts to agree on: stalls opened, stalls closed, parcels live at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.columns import Scans
from monitor.names import Names
from monitor.vocabulary import Segment, Status

HOUR_MS = 3_600_000
START_MS = 1_776_000_000_000  # April 2026: no festival, no sale
CARRIERS = ("sf", "zto", "yto", "sto", "yunda", "jt", "ems", "jd")
# Hours without a scan that are a stall, fixed, so that every row counts alike.
LIMIT_HOURS = {
    Segment.PICKUP: 48,
    Segment.FACILITY: 30,
    Segment.LINEHAUL: 40,
    Segment.DELIVERY: 24,
}
SEGMENT_OF = {
    Status.CREATED: Segment.PICKUP,
    Status.ACCEPTED: Segment.FACILITY,
    Status.DEPARTED: Segment.LINEHAUL,
    Status.ARRIVED: Segment.FACILITY,
    Status.OUT_FOR_DELIVERY: Segment.DELIVERY,
}
_WAY = (
    Status.CREATED,
    Status.ACCEPTED,
    Status.DEPARTED,
    Status.ARRIVED,
    Status.DEPARTED,
    Status.ARRIVED,
    Status.OUT_FOR_DELIVERY,
    Status.DELIVERED,
)
_USUAL_HOURS = (0.0, 5.0, 4.0, 12.0, 6.0, 9.0, 8.0, 4.0)  # before each scan of the way


@dataclass(frozen=True, slots=True)
class Counts:
    opened: int
    closed: int
    live: int


@dataclass(frozen=True, slots=True)
class Measured:
    """`events` of the input in `wall` and `cpu` seconds of this process; peers may have other processes besides."""

    events: int
    wall: float
    cpu: float
    counts: Counts | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    run: Callable[[World], Measured]
    group: str = "decoded columns"  # rows of one group are compared with the group's first
    slow: bool = False  # takes a tenth of the input


@dataclass(slots=True)
class World:
    """`parcel`, `status`, `at` (ms), `carrier`, `origin`, `hub` are one row a scan, sorted by time."""

    parcel: npt.NDArray[np.int64]
    status: npt.NDArray[np.uint8]
    at: npt.NDArray[np.int64]
    lane: npt.NDArray[np.int64]
    hub: npt.NDArray[np.int64]
    _scans: tuple[Names, Scans] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.at)

    def head(self, events: int) -> World:
        return World(*(getattr(self, name)[:events] for name in ("parcel", "status", "at", "lane", "hub")))

    def numbers(self) -> list[str]:
        return [f"{CARRIERS[p % 8][:2].upper()}{p * 7919 + 10**12:013d}" for p in self.parcel.tolist()]

    def records(self) -> Iterator[Mapping[str, object]]:
        """The canonical events."""
        times = np.datetime_as_string(self.at.astype("datetime64[ms]"), unit="ms")
        for row, (number, parcel, status, at, lane, hub) in enumerate(
            zip(
                self.numbers(),
                self.parcel.tolist(),
                self.status.tolist(),
                times.tolist(),
                self.lane.tolist(),
                self.hub.tolist(),
                strict=True,
            )
        ):
            yield {
                "kind": "tracking",
                "event_id": f"e{row}",
                "source": "kd100",
                "occurred_at": f"{at}Z",
                "tracking_number": number,
                "carrier": CARRIERS[parcel % 8],
                "status": Status(status).name.lower(),
                "facility": f"hub-{hub}",
                "region": region_of(lane),
            }

    def scans(self) -> tuple[Names, Scans]:
        """As the decoder makes them."""
        if self._scans is None:
            self._scans = self._decoded()
        return self._scans

    def _decoded(self) -> tuple[Names, Scans]:
        names = Names()
        rows = len(self)
        key0, key1 = names.pack_many(self.numbers())
        carrier = np.array(names.carriers.codes(CARRIERS), np.uint16)
        regions = np.array(names.regions.codes(region_of(lane) for lane in range(LANES)), np.uint32)
        hubs = np.array(names.facilities.codes(f"hub-{hub}" for hub in range(HUBS)), np.uint32)
        return names, Scans(
            key0=key0,
            key1=key1,
            event=np.random.default_rng(1).integers(1, 2**63, rows).astype(np.uint64),
            occurred=self.at,
            received=self.at,
            status=self.status,
            delivered_to=np.zeros(rows, np.uint8),
            carrier=carrier[self.parcel % 8],
            source=np.full(rows, names.sources.code("kd100"), np.uint16),
            region=regions[self.lane],
            facility=hubs[self.hub],
            courier=np.zeros(rows, np.uint32),
            estimated=np.zeros(rows, np.int64),
            latitude=np.full(rows, np.nan, np.float32),
            longitude=np.full(rows, np.nan, np.float32),
        )


LANES = 600
DAYS = 6  # scans after this are cut off: parcels are live at the end
HUBS = 4000


def region_of(lane: int) -> str:
    return f"{11 + lane % 31:02d}{1 + lane // 31 % 20:02d}00"


def make(parcels: int, seed: int = 7) -> World:
    """Up to 8 scans a parcel; 3 % of the parcels stop for long, somewhere on the way."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, LANES + 1) ** 0.8
    lane = rng.choice(LANES, parcels, p=share / share.sum())
    speed = rng.uniform(0.6, 1.8, LANES)
    stages = len(_WAY)
    gaps = np.array(_USUAL_HOURS) * speed[lane][:, None] * rng.lognormal(0, 0.45, (parcels, stages))
    stuck = rng.random(parcels) < 0.03
    where = rng.integers(1, stages, parcels)
    gaps[stuck, where[stuck]] *= rng.uniform(8, 20, int(stuck.sum()))
    start = rng.uniform(0, 48, parcels)
    at = START_MS + ((start[:, None] + np.cumsum(gaps, axis=1)) * 3600).astype(np.int64) * 1000
    order = np.argsort(at, axis=None, kind="stable")
    order = order[at.ravel()[order] < START_MS + DAYS * 24 * HOUR_MS]
    parcel = np.repeat(np.arange(parcels), stages)[order]
    stage = np.tile(np.arange(stages), parcels)[order]
    return World(
        parcel=parcel,
        status=np.array(_WAY, np.uint8)[stage],
        at=at.ravel()[order],
        lane=lane[parcel],
        hub=(lane[parcel] * 37 + stage * 11) % HUBS,
    )


def hours(world: World) -> Iterator[tuple[int, int, int]]:
    """(first row, row after the last, the full hour that follows): the ticks between the scans."""
    first = int(world.at[0]) // HOUR_MS + 1
    last = int(world.at[-1]) // HOUR_MS + 1
    marks = np.arange(first, last + 1) * HOUR_MS
    ends = np.searchsorted(world.at, marks, side="left")
    start = 0
    for end, mark in zip(ends.tolist(), marks.tolist(), strict=True):
        yield start, end, mark
        start = end
