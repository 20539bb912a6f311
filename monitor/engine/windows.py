"""Arrays of codes and totals as the tables that detectors read (`detectors.interfaces.SCHEMAS`).

A column is made when it is asked for; names become text only in a frame, or for the rows that a finding is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.interfaces import Waiting
from detectors.tables import I64, JOINT, LANE, PAIR, Coded
from monitor.engine.endings import Endings, count
from monitor.engine.layout import UNHEARD, Oddity, Records
from monitor.engine.places import Places
from monitor.engine.record_table import (
    Column,
    Gathered,
    Milliseconds,
    Numbers,
    Ranks,
    RecordTable,
    Seconds,
    Vocabulary,
)
from monitor.engine.stage import Live
from monitor.engine.waited import Counts
from monitor.names import Names

_ODDITIES: Final = (None, *(oddity.name.lower() for oddity in Oddity))


class Lanes:
    """A lane by its carrier and its ends, as `carrier|origin|destination`; codes above the last lane's are those of
    carriers whose parcels have none.
    """

    def __init__(self, names: Names, places: Places, lanes: Records) -> None:
        self._carriers, self._zones, self._lanes = names.carriers, places.zones, lanes

    def __len__(self) -> int:
        return len(self._lanes) + len(self._carriers) + 1

    def __getitem__(self, code: int) -> str | None:
        if code >= len(self._lanes):
            return f"{self._carriers.text(code - len(self._lanes)) or ''}||"
        carrier, origin, destination = self._lanes[code].item()
        ends = self._zones.text(origin) or "", self._zones.text(destination) or ""
        return "|".join((self._carriers.text(carrier) or "", *ends))

    def coded(self, lanes: npt.NDArray[Any], carriers: npt.NDArray[Any]) -> Coded:
        if lanes.all():
            return Coded(lanes, self)
        return Coded(np.where(lanes == 0, np.uint32(len(self._lanes)) + carriers, lanes), self)


class Pairs:
    """A region and a carrier, by the codes of their totals."""

    def __init__(self, names: Names, regions: Records) -> None:
        self._names = names
        self._region, self._carrier = regions["region"], regions["carrier"]

    def __len__(self) -> int:
        return len(self._region)

    def __getitem__(self, code: int) -> str | None:
        names = self._names
        region, carrier = names.regions.text(self._region.item(code)), self._carrier.item(code)
        return f"{region or ''}{JOINT}{names.carriers.text(carrier) or ''}"


class Frames:
    """Builds the tables; keeps each interner's names as a series, so that a column of names is one gather."""

    def __init__(self, names: Names, places: Places) -> None:
        self._names = names
        self._places = places
        self._odd = _ODDITIES
        self.forget()

    def forget(self) -> None:
        """After the names were loaded anew."""
        names = self._names
        self._carriers, self._sources = Vocabulary(names.carriers), Vocabulary(names.sources)
        self._regions, self._facilities = Vocabulary(names.regions), Vocabulary(names.facilities)
        self._couriers, self._zones = Vocabulary(names.couriers), Vocabulary(self._places.zones)
        self._lanes: Lanes | None = None
        self._pairs: Pairs | None = None

    def _lanes_of(self, lanes: Records) -> Lanes:
        if self._lanes is None:
            self._lanes = Lanes(self._names, self._places, lanes)
        return self._lanes

    def signoffs(self, endings: Endings, lanes: Records) -> RecordTable:
        return RecordTable(
            "signoffs",
            count(endings),
            {
                "tracking_number": Numbers(self._names, endings),
                "occurred": endings["occurred"],
                "received": endings["received"],
                "carrier": Coded(endings["carrier"], self._carriers),
                "origin": lambda: Coded(lanes["origin"][endings["lane"]], self._zones),
                "destination": Coded(endings["destination"], self._regions),
                "region": Coded(endings["region"], self._regions),
                "facility": Coded(endings["facility"], self._facilities),
                "courier": Coded(endings["courier"], self._couriers),
                "feed": Coded(endings["source"], self._sources),
                "delivered_to": endings["delivered_to"] & ~np.uint8(UNHEARD),
                "status": endings["status"],
                "previous_status": endings["previous_status"],
                "previous_occurred": Seconds(endings["previous_occurred"]),
                "previous_region": Coded(endings["previous_region"], self._regions),
                "out_for_delivery": Seconds(endings["out_for_delivery"]),
                "accepted": Seconds(endings["accepted"]),
                "ordered": Seconds(endings["ordered"]),
                "promised": Seconds(endings["promised"]),
                "scan_latitude": endings["scan_latitude"],
                "scan_longitude": endings["scan_longitude"],
                "latitude": lambda: _degrees(endings, "latitude"),
                "longitude": lambda: _degrees(endings, "longitude"),
            },
        )

    def oddities(self, rows: Records) -> RecordTable:
        return RecordTable(
            "oddities",
            len(rows),
            {
                "tracking_number": Numbers(self._names, rows),
                "occurred": rows["occurred"],
                "received": rows["received"],
                "carrier": Coded(rows["carrier"], self._carriers),
                "status": rows["status"],
                "previous_status": rows["previous_status"],
                "previous_occurred": Seconds(rows["previous_occurred"]),
                "region": Coded(rows["region"], self._regions),
                "previous_region": Coded(rows["previous_region"], self._regions),
                "facility": Coded(rows["facility"], self._facilities),
                "courier": Coded(rows["courier"], self._couriers),
                "feed": Coded(rows["source"], self._sources),
                "oddity": lambda: Coded(rows["oddity"].astype(np.int64) + 1, self._odd),
            },
        )

    def parcels(
        self, live: Live, slots: Records, background: Records, lanes: Records, bit: int
    ) -> RecordTable:
        def of(field: str, make: Callable[[npt.NDArray[Any]], Column]) -> Gathered:
            return Gathered(slots, field, live.places, make)

        def named(field: str, texts: Vocabulary) -> Gathered:
            return of(field, lambda codes: Coded(codes, texts))

        def behind(field: str) -> Gathered:
            return Gathered(background, field, live.places, Seconds)

        return RecordTable(
            "parcels",
            len(live.places),
            {
                "tracking_number": Numbers(self._names, slots, live.places),
                "carrier": Coded(live.carrier, self._carriers),
                LANE: lambda: self._lanes_of(lanes).coded(live.lane, live.carrier),
                "origin": lambda: Coded(lanes["origin"][live.lane], self._zones),
                "destination": lambda: Coded(lanes["destination"][live.lane], self._zones),
                "facility": named("facility", self._facilities),
                "feed": named("source", self._sources),
                "rank": Ranks(slots, live.places),
                "segment": live.segment,
                "status": Gathered(slots, "status", live.places),
                "ordered": behind("ordered"),
                "accepted": Seconds(live.accepted),
                "segment_since": of("segment_since", Seconds),
                "last_scan": of("last_scan", Seconds),
                "promised": Seconds(live.promised),
                "estimated": behind("estimated"),
                "open": of("open", lambda bits: (bits & np.uint8(bit)) != 0),
            },
        )

    def waiting(self, counted: Counts, lanes: Records, span: int) -> Waiting:
        """`span` in milliseconds: between two counts."""
        cells, ways, numbers = counted
        alone = -1 - ways
        carrier = np.where(ways < 0, alone, lanes["carrier"].take(ways, mode="clip"))
        lane = np.where(ways < 0, alone + len(lanes), ways)
        return Waiting(
            cells, numbers, Coded(carrier, self._carriers), Coded(lane, self._lanes_of(lanes)), span
        )

    def finished(self, endings: Endings, lanes: Records) -> RecordTable:
        """`occurred` 0 stands for a parcel that passed its promise and is still on its way."""
        return RecordTable(
            "finished",
            count(endings),
            {
                "tracking_number": Numbers(self._names, endings),
                "carrier": Coded(endings["carrier"], self._carriers),
                LANE: lambda: self._lanes_of(lanes).coded(endings["lane"], endings["carrier"]),
                "origin": lambda: Coded(lanes["origin"][endings["lane"]], self._zones),
                "destination": lambda: Coded(lanes["destination"][endings["lane"]], self._zones),
                "ordered": Seconds(endings["ordered"]),
                "accepted": Seconds(endings["accepted"]),
                "promised": Seconds(endings["promised"]),
                "ended": Milliseconds(endings["occurred"]),
                "status": endings["status"],
                "unheard": (endings["delivered_to"] & UNHEARD != 0).view(np.uint8),
            },
        )

    def feeds(self, totals: Totals) -> RecordTable:
        (codes,) = totals.place
        return RecordTable(
            "feeds",
            len(codes),
            {
                "feed": Coded(codes, self._sources),
                "events": totals.added("events"),
                "newest_occurred": totals.now("newest_occurred"),
                "newest_received": totals.now("newest_received"),
                "live": totals.now("live"),
            },
        )

    def facilities(self, facilities: Records, totals: Totals) -> RecordTable:
        """`facilities`: all there are; where one is and whose is asked of a few."""
        (codes,) = totals.place

        def named(field: str, texts: Vocabulary) -> Gathered:
            return Gathered(facilities, field, codes, lambda held: Coded(held, texts))

        return RecordTable(
            "facilities",
            len(codes),
            {
                "facility": Coded(codes, self._facilities),
                "region": named("region", self._regions),
                "carrier": named("carrier", self._carriers),
                "arrived": totals.added("arrived"),
                "departed": totals.added("departed"),
                "delivered": totals.added("delivered"),
                "stock": totals.now("stock"),
                "stalled": totals.now("stalled"),
            },
        )

    def lanes(self, lanes: Records, totals: Totals) -> RecordTable:
        """`lanes`: all there are; the totals are by lane and segment."""
        codes, segments = totals.place
        return RecordTable(
            "lanes",
            len(codes),
            {
                LANE: lambda: Coded(codes, self._lanes_of(lanes)),
                "carrier": lambda: Coded(lanes["carrier"][codes], self._carriers),
                "origin": lambda: Coded(lanes["origin"][codes], self._zones),
                "destination": lambda: Coded(lanes["destination"][codes], self._zones),
                "segment": lambda: segments.astype(np.uint8),
                "finished": totals.added("finished"),
                "residual": totals.added("residual"),
                "residual_squared": totals.added("squared"),
                "open": totals.now("open"),
                "stalled": totals.now("stalled"),
            },
        )

    def regions(self, regions: Records, totals: Totals) -> RecordTable:
        """`regions`: all pairs of a region and a carrier there are, which the totals are by."""
        (codes,) = totals.place
        if self._pairs is None:
            self._pairs = Pairs(self._names, regions)
        pairs = self._pairs
        return RecordTable(
            "regions",
            len(codes),
            {
                PAIR: Coded(codes, pairs),
                "region": lambda: Coded(totals.level("region"), self._regions),
                "carrier": lambda: Coded(totals.level("carrier"), self._carriers),
                "shipped": totals.added("shipped"),
                "delivered": totals.added("delivered"),
                "live": totals.now("live"),
            },
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """Running totals at some places, by name: as they stand, and what was added since an earlier reading."""

    place: tuple[I64, ...]  # an index a dimension
    level: Callable[[str], npt.NDArray[Any]]
    change: Callable[[str], npt.NDArray[Any]]

    def now(self, name: str) -> Callable[[], Column]:
        return lambda: self.level(name)

    def added(self, name: str) -> Callable[[], Column]:
        return lambda: self.change(name)


def _degrees(rows: Endings, name: str) -> npt.NDArray[np.float32]:
    """0, 0 is nowhere: a place in the sea, and what an empty slot holds."""
    nowhere = (rows["latitude"] == 0) & (rows["longitude"] == 0)
    return np.where(nowhere, np.float32(np.nan), rows[name])
