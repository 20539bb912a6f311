"""Arrays of codes and totals as the tables that detectors read (`detectors.interfaces.SCHEMAS`).

A column is made when it is asked for; names become text only in a frame, or for the rows that a finding is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.interfaces import SCHEMAS
from detectors.tables import F64, I64, JOINT, LANE, PAIR, Coded
from monitor import packing
from monitor.engine.layout import Oddity, Records
from monitor.engine.places import Places
from monitor.engine.stage import Live
from monitor.names import Interner, Names

SECOND: Final = 1000
_ODDITIES: Final = (None, *(oddity.name.lower() for oddity in Oddity))
_MIXED: Final = np.uint64(0x9E3779B97F4A7C15)
_SIGN: Final = np.uint64(1 << 63)


class Vocabulary:
    """An interner's names by code; it grows as the interner does."""

    def __init__(self, interner: Interner) -> None:
        self._interner = interner
        self._series = pl.Series(dtype=pl.String)
        self._asked: tuple[npt.NDArray[Any], pl.Series] | None = None

    def __len__(self) -> int:
        return len(self._interner) + 1

    def __getitem__(self, code: int) -> str | None:
        return self._interner.text(code)

    def series(self, codes: npt.NDArray[Any]) -> pl.Series:
        """A column of these names; the same codes again are the same column."""
        if self._asked is None or not np.array_equal(self._asked[0], codes):
            if len(self._series) != len(self):
                self._series = pl.Series(self._interner.texts(), dtype=pl.String)
            self._asked = (codes.copy(), self._series[codes.astype(np.uint32)])
        return self._asked[1]


class Seconds:
    """Seconds since 1970, 0 where absent: what slots hold."""

    def __init__(self, seconds: npt.NDArray[Any]) -> None:
        self.seconds = seconds

    def milliseconds(self) -> I64:
        return self.seconds.astype(np.int64) * SECOND

    def take(self, rows: npt.NDArray[Any]) -> Seconds:
        return type(self)(self.seconds[rows])


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
        lane = self._lanes[code]
        ends = (self._zones.text(int(lane[end])) or "" for end in ("origin", "destination"))
        return "|".join((self._carriers.text(int(lane["carrier"])) or "", *ends))

    def coded(self, lanes: npt.NDArray[Any], carriers: npt.NDArray[Any]) -> Coded:
        if lanes.all():
            return Coded(lanes, self)
        return Coded(np.where(lanes == 0, len(self._lanes) + carriers.astype(np.int64), lanes), self)


class Pairs:
    """A region and a carrier, by the codes of their totals."""

    def __init__(self, names: Names, regions: Records) -> None:
        self._names, self._regions = names, regions

    def __len__(self) -> int:
        return len(self._regions)

    def __getitem__(self, code: int) -> str | None:
        pair = self._regions[code]
        region, carrier = self._names.regions.text(int(pair["region"])), int(pair["carrier"])
        return f"{region or ''}{JOINT}{self._names.carriers.text(carrier) or ''}"


class Numbers:
    """The tracking numbers of rows with keys; empty for a hashed key that left meanwhile."""

    def __init__(self, names: Names, rows: Records, places: npt.NDArray[Any] | None = None) -> None:
        """`places`: where in `rows` each lies."""
        self._names = names
        self._rows = rows
        self._places = places

    def take(self, rows: npt.NDArray[Any]) -> Numbers:
        return Numbers(self._names, self._rows, rows if self._places is None else self._places[rows])

    def keys(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        pair = self._rows["key0"], self._rows["key1"]
        if self._places is not None:
            pair = pair[0][self._places], pair[1][self._places]
        return np.ascontiguousarray(pair[0]), np.ascontiguousarray(pair[1])

    def texts(self) -> list[str]:
        key0, key1 = self.keys()
        hashed = key0 >= np.uint64(packing.HASHED)
        if not hashed.any():
            return self._names.unpack_many(key0, key1)
        texts = self._names.unpack_many(np.where(hashed, np.uint64(0), key0), key1 * ~hashed)
        for row in np.flatnonzero(hashed).tolist():
            texts[row] = self._names.sides.get((int(key0[row]), int(key1[row])), "")
        return texts


Column: TypeAlias = "npt.NDArray[Any] | Coded | Seconds | Numbers"
Columns: TypeAlias = "Mapping[str, Column | Callable[[], Column]]"


class RecordTable:
    """`columns` by the names of the schema. Whole numbers are never absent but for `Seconds`; floats are where NaN."""

    def __init__(self, name: str, rows: int, columns: Columns) -> None:
        self._name = name
        self._rows = rows
        self._columns = dict(columns)
        self._frame: pl.DataFrame | None = None

    def __len__(self) -> int:
        return self._rows

    def _column(self, name: str) -> Column:
        column = self._columns[name]
        if callable(column):
            column = self._columns[name] = column()
        return column

    def take(self, rows: npt.NDArray[Any]) -> RecordTable:
        return RecordTable(
            self._name, len(rows), {name: partial(self._taken, name, rows) for name in self._columns}
        )

    def _taken(self, name: str, rows: npt.NDArray[Any]) -> Column:
        column = self._columns[name]
        if isinstance(column, Gathered):  # only what is asked for is fetched
            return column.take(rows)()
        column = self._column(name)
        if isinstance(column, Coded):
            return Coded(column.codes[rows], column.texts)
        return column[rows] if isinstance(column, np.ndarray) else column.take(rows)

    def whole(self, name: str) -> I64:
        column = self._column(name)
        if isinstance(column, Seconds):
            return column.milliseconds()
        return _array(column).astype(np.int64, copy=False)

    def number(self, name: str) -> F64:
        column = self._column(name)
        if isinstance(column, Seconds):
            times = column.milliseconds()
            return np.where(times == 0, np.nan, times)
        return _array(column).astype(np.float64)

    def coded(self, name: str) -> Coded:
        return _coded(self._column(name))

    def labels(self, name: str, rows: npt.NDArray[Any] | None = None) -> list[str | None]:
        column = self._column(name)
        if isinstance(column, Numbers):
            return list((column if rows is None else column.take(rows)).texts())
        return _coded(column).labels(rows)

    def rank(self) -> I64:
        """By a mixture of both words of the key: a fifth of the time of sorting by the one and then the other."""
        numbers = self._column("tracking_number")
        if not isinstance(numbers, Numbers):
            raise TypeError(f"rows of {self._name} have no key")
        key0, key1 = numbers.keys()
        mixed: I64 = (key0 * _MIXED + key1 ^ _SIGN).view(np.int64)
        return mixed

    def frame(self) -> pl.DataFrame:
        if self._frame is None:
            # In the schema's order at once: a select would be a query, a hundred times the cost of a frame so small.
            columns = {name: self._shown(self._column(name)) for name in SCHEMAS[self._name]}
            self._frame = pl.DataFrame(columns, schema_overrides=dict(SCHEMAS[self._name]))
        return self._frame

    def _shown(self, column: Column) -> Any:
        if isinstance(column, Numbers):
            return column.texts()
        if isinstance(column, Coded):
            if isinstance(column.texts, Vocabulary):
                return column.texts.series(column.codes)
            return pl.Series(column.labels(), dtype=pl.String)
        if isinstance(column, Seconds):
            times = pl.Series(column.milliseconds())
            return times.set(times == 0, None)
        shown = pl.Series(np.ascontiguousarray(column))
        return shown.fill_nan(None) if shown.dtype.is_float() and self._name == "signoffs" else shown


class Gathered:
    """A column that is fetched from the records of a table, where it is asked for."""

    def __init__(
        self,
        records: Records,
        field: str,
        places: npt.NDArray[Any],
        make: Callable[[npt.NDArray[Any]], Column] = lambda values: values,
    ) -> None:
        self._records, self._field, self._places, self._make = records, field, places, make

    def __call__(self) -> Column:
        return self._make(self._records[self._field][self._places])

    def take(self, rows: npt.NDArray[Any]) -> Gathered:
        return Gathered(self._records, self._field, self._places[rows], self._make)


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

    def signoffs(self, endings: Records, lanes: Records) -> RecordTable:
        return RecordTable(
            "signoffs",
            len(endings),
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
                "delivered_to": endings["delivered_to"],
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

    def finished(self, endings: Records, lanes: Records) -> RecordTable:
        """Rows of ENDING; `occurred` 0 stands for a parcel that passed its promise and is still on its way."""
        return RecordTable(
            "finished",
            len(endings),
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
            },
        )

    def feeds(self, codes: I64, totals: Records, events: npt.NDArray[Any]) -> RecordTable:
        return RecordTable(
            "feeds",
            len(codes),
            {
                "feed": Coded(codes, self._sources),
                "events": events,
                "newest_occurred": totals["newest_occurred"],
                "newest_received": totals["newest_received"],
                "live": totals["live"],
            },
        )

    def facilities(self, codes: I64, totals: Records, change: Mapping[str, npt.NDArray[Any]]) -> RecordTable:
        return RecordTable(
            "facilities",
            len(codes),
            {
                "facility": Coded(codes, self._facilities),
                "region": Coded(totals["region"], self._regions),
                "carrier": Coded(totals["carrier"], self._carriers),
                "arrived": change["arrived"],
                "departed": change["departed"],
                "delivered": change["delivered"],
                "stock": totals["stock"],
                "stalled": totals["stalled"],
            },
        )

    def lanes(
        self,
        codes: I64,
        lanes: Records,
        segments: I64,
        totals: Records,
        change: Mapping[str, npt.NDArray[Any]],
    ) -> RecordTable:
        """`codes` of `lanes`, all there are."""
        return RecordTable(
            "lanes",
            len(codes),
            {
                LANE: lambda: Coded(codes, self._lanes_of(lanes)),
                "carrier": lambda: Coded(lanes["carrier"][codes], self._carriers),
                "origin": lambda: Coded(lanes["origin"][codes], self._zones),
                "destination": lambda: Coded(lanes["destination"][codes], self._zones),
                "segment": segments.astype(np.uint8),
                "finished": change["finished"],
                "residual": change["residual"],
                "residual_squared": change["squared"],
                "open": totals["open"],
                "stalled": totals["stalled"],
            },
        )

    def regions(
        self, codes: I64, regions: Records, totals: Records, change: Mapping[str, npt.NDArray[Any]]
    ) -> RecordTable:
        """`codes` of `regions`, all pairs of a region and a carrier there are."""
        if self._pairs is None:
            self._pairs = Pairs(self._names, regions)
        return RecordTable(
            "regions",
            len(totals),
            {
                PAIR: Coded(codes, self._pairs),
                "region": Coded(totals["region"], self._regions),
                "carrier": Coded(totals["carrier"], self._carriers),
                "shipped": change["shipped"],
                "delivered": change["delivered"],
                "live": totals["live"],
            },
        )


class Milliseconds(Seconds):
    """Milliseconds since 1970, 0 where absent."""

    def milliseconds(self) -> I64:
        return self.seconds.astype(np.int64, copy=False)


def _array(column: Column) -> npt.NDArray[Any]:
    if not isinstance(column, np.ndarray):
        raise TypeError("not a column of numbers")
    return column


def _coded(column: Column) -> Coded:
    if not isinstance(column, Coded):
        raise TypeError("not a column of codes")
    return column


def _degrees(rows: Records, name: str) -> npt.NDArray[np.float32]:
    """0, 0 is nowhere: a place in the sea, and what an empty slot holds."""
    nowhere = (rows["latitude"] == 0) & (rows["longitude"] == 0)
    return np.where(nowhere, np.float32(np.nan), rows[name])
