"""Arrays of codes and totals as the tables that detectors read (`detectors.interfaces.SCHEMAS`).

A column is made when it is asked for; names become text only in a frame, or for the rows that a finding is about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.interfaces import SCHEMAS
from detectors.tables import F64, I64, Coded
from monitor import packing
from monitor.engine.layout import Oddity, Records
from monitor.engine.places import Places
from monitor.names import Interner, Names

SECOND: Final = 1000
_ODDITIES: Final = (None, *(oddity.name.lower() for oddity in Oddity))
_MIXED: Final = np.uint64(0x9E3779B97F4A7C15)


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


class Numbers:
    """The tracking numbers of rows with keys; empty for a hashed key that left meanwhile."""

    def __init__(self, names: Names, rows: Records) -> None:
        self._names = names
        self.key0, self.key1 = rows["key0"], rows["key1"]

    def texts(self, rows: npt.NDArray[Any] | None = None) -> list[str]:
        key0, key1 = self.key0, self.key1
        if rows is not None:
            key0, key1 = key0[rows], key1[rows]
        key0, key1 = np.ascontiguousarray(key0), np.ascontiguousarray(key1)
        hashed = key0 >= np.uint64(packing.HASHED)
        texts = self._names.unpack_many(np.where(hashed, np.uint64(0), key0), key1 * ~hashed)
        for row in np.flatnonzero(hashed).tolist():
            texts[row] = self._names.sides.get((int(key0[row]), int(key1[row])), "")
        return texts


Column: TypeAlias = "npt.NDArray[Any] | Coded | Seconds | Numbers"


class RecordTable:
    """`columns` by the names of the schema. Whole numbers are never absent but for `Seconds`; floats are where NaN."""

    def __init__(self, name: str, rows: int, columns: Mapping[str, Column | Callable[[], Column]]) -> None:
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
            return list(column.texts(rows))
        return _coded(column).labels(rows)

    def rank(self) -> I64:
        """By a mixture of both words of the key: a fifth of the time of sorting by the one and then the other."""
        numbers = self._column("tracking_number")
        if not isinstance(numbers, Numbers):
            raise TypeError(f"rows of {self._name} have no key")
        mixed: I64 = (numbers.key0 * _MIXED + numbers.key1).view(np.int64)
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
            texts = column.texts
            return (
                texts.series(column.codes)
                if isinstance(texts, Vocabulary)
                else pl.Series(column.labels(), dtype=pl.String)
            )
        if isinstance(column, Seconds):
            times = pl.Series(column.milliseconds())
            return times.set(times == 0, None)
        shown = pl.Series(np.ascontiguousarray(column))
        return shown.fill_nan(None) if shown.dtype.is_float() and self._name == "signoffs" else shown


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
        self, slots: Records, background: Callable[[], Records], lanes: Records, bit: int
    ) -> RecordTable:
        """`background` is asked for only where a column of it is."""
        return RecordTable(
            "parcels",
            len(slots),
            {
                "tracking_number": Numbers(self._names, slots),
                "carrier": Coded(slots["carrier"], self._carriers),
                "origin": lambda: Coded(lanes["origin"][slots["lane"]], self._zones),
                "destination": lambda: Coded(lanes["destination"][slots["lane"]], self._zones),
                "facility": Coded(slots["facility"], self._facilities),
                "feed": Coded(slots["source"], self._sources),
                "segment": slots["segment"],
                "status": slots["status"],
                "ordered": lambda: Seconds(background()["ordered"]),
                "accepted": Seconds(slots["accepted"]),
                "segment_since": Seconds(slots["segment_since"]),
                "last_scan": Seconds(slots["last_scan"]),
                "promised": Seconds(slots["promised"]),
                "estimated": lambda: Seconds(background()["estimated"]),
                "open": lambda: (slots["open"] & np.uint8(bit)) != 0,
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
        self, lanes: Records, segments: I64, totals: Records, change: Mapping[str, npt.NDArray[Any]]
    ) -> RecordTable:
        return RecordTable(
            "lanes",
            len(lanes),
            {
                "carrier": Coded(lanes["carrier"], self._carriers),
                "origin": Coded(lanes["origin"], self._zones),
                "destination": Coded(lanes["destination"], self._zones),
                "segment": segments.astype(np.uint8),
                "finished": change["finished"],
                "residual": change["residual"],
                "residual_squared": change["squared"],
                "open": totals["open"],
                "stalled": totals["stalled"],
            },
        )

    def regions(self, totals: Records, change: Mapping[str, npt.NDArray[Any]]) -> RecordTable:
        return RecordTable(
            "regions",
            len(totals),
            {
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
