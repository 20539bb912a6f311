"""Arrays of codes and totals as the frames that detectors read (`detectors.interfaces.SCHEMAS`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.interfaces import SCHEMAS
from monitor import packing
from monitor.engine.layout import Oddity, Records
from monitor.engine.places import Places
from monitor.names import Interner, Names

SECOND: Final = 1000
_ODDITIES: Final = [oddity.name.lower() for oddity in Oddity]


class Frames:
    """Builds frames; keeps each interner's names as a series, so that a column of names is one gather."""

    def __init__(self, names: Names, places: Places) -> None:
        self._names = names
        self._places = places
        self._series: dict[int, pl.Series] = {}
        self._columns: dict[str, tuple[npt.NDArray[Any], pl.Series]] = {}

    def texts(self, interner: Interner, codes: npt.NDArray[Any]) -> pl.Series:
        known = self._series.get(id(interner))
        if known is None or len(known) != len(interner) + 1:
            known = pl.Series(interner.texts(), dtype=pl.String)
            self._series[id(interner)] = known
        return known[codes.astype(np.uint32)]

    def again(self, column: str, interner: Interner, codes: npt.NDArray[Any]) -> pl.Series:
        """As `texts`, for a column that is often asked for with the same codes."""
        known = self._columns.get(column)
        if known is None or not np.array_equal(known[0], codes):
            known = self._columns[column] = (codes.copy(), self.texts(interner, codes))
        return known[1]

    def forget(self) -> None:
        """After the names were loaded anew."""
        self._series.clear()
        self._columns.clear()

    def numbers(self, rows: Records) -> list[str]:
        """Tracking numbers of rows with keys; empty for a hashed key that left meanwhile."""
        key0, key1 = np.ascontiguousarray(rows["key0"]), np.ascontiguousarray(rows["key1"])
        hashed = key0 >= np.uint64(packing.HASHED)
        texts = self._names.unpack_many(np.where(hashed, np.uint64(0), key0), key1 * ~hashed)
        for row in np.flatnonzero(hashed).tolist():
            texts[row] = self._names.sides.get((int(key0[row]), int(key1[row])), "")
        return texts

    def _zones(self, lanes: Records, end: str) -> pl.Series:
        return self.texts(self._places.zones, lanes[end])

    def signoffs(self, endings: Records, lanes: Records) -> pl.DataFrame:
        names = self._names
        ways = lanes[endings["lane"]]
        return _frame(
            "signoffs",
            tracking_number=self.numbers(endings),
            occurred=endings["occurred"],
            received=endings["received"],
            carrier=self.texts(names.carriers, endings["carrier"]),
            origin=self._zones(ways, "origin"),
            destination=self.texts(names.regions, endings["destination"]),
            region=self.texts(names.regions, endings["region"]),
            facility=self.texts(names.facilities, endings["facility"]),
            courier=self.texts(names.couriers, endings["courier"]),
            feed=self.texts(names.sources, endings["source"]),
            delivered_to=endings["delivered_to"],
            status=endings["status"],
            previous_status=endings["previous_status"],
            previous_occurred=moments(endings["previous_occurred"]),
            previous_region=self.texts(names.regions, endings["previous_region"]),
            out_for_delivery=moments(endings["out_for_delivery"]),
            accepted=moments(endings["accepted"]),
            ordered=moments(endings["ordered"]),
            promised=moments(endings["promised"]),
            scan_latitude=pl.Series(endings["scan_latitude"]).fill_nan(None),
            scan_longitude=pl.Series(endings["scan_longitude"]).fill_nan(None),
            latitude=_degrees(endings, "latitude"),
            longitude=_degrees(endings, "longitude"),
        )

    def oddities(self, rows: Records) -> pl.DataFrame:
        names = self._names
        return _frame(
            "oddities",
            tracking_number=self.numbers(rows),
            occurred=rows["occurred"],
            received=rows["received"],
            carrier=self.texts(names.carriers, rows["carrier"]),
            status=rows["status"],
            previous_status=rows["previous_status"],
            previous_occurred=moments(rows["previous_occurred"]),
            region=self.texts(names.regions, rows["region"]),
            previous_region=self.texts(names.regions, rows["previous_region"]),
            facility=self.texts(names.facilities, rows["facility"]),
            courier=self.texts(names.couriers, rows["courier"]),
            feed=self.texts(names.sources, rows["source"]),
            oddity=pl.Series(_ODDITIES, dtype=pl.String).gather(rows["oddity"].astype(np.uint32)),
        )

    def parcels(self, slots: Records, background: Records, lanes: Records, bit: int) -> pl.DataFrame:
        names = self._names
        ways = lanes[slots["lane"]]
        return _frame(
            "parcels",
            tracking_number=self.numbers(slots),
            carrier=self.texts(names.carriers, slots["carrier"]),
            origin=self._zones(ways, "origin"),
            destination=self._zones(ways, "destination"),
            facility=self.texts(names.facilities, slots["facility"]),
            feed=self.texts(names.sources, slots["source"]),
            segment=slots["segment"],
            status=slots["status"],
            ordered=moments(background["ordered"]),
            accepted=moments(slots["accepted"]),
            segment_since=moments(slots["segment_since"]),
            last_scan=moments(slots["last_scan"]),
            promised=moments(slots["promised"]),
            estimated=moments(background["estimated"]),
            open=(slots["open"] & np.uint8(bit)) != 0,
        )

    def finished(self, endings: Records, lanes: Records) -> pl.DataFrame:
        """Rows of ENDING; `occurred` 0 stands for a parcel that passed its promise and is still on its way."""
        ways = lanes[endings["lane"]]
        ended = pl.Series(endings["occurred"])
        return _frame(
            "finished",
            tracking_number=self.numbers(endings),
            carrier=self.texts(self._names.carriers, endings["carrier"]),
            origin=self._zones(ways, "origin"),
            destination=self._zones(ways, "destination"),
            ordered=moments(endings["ordered"]),
            accepted=moments(endings["accepted"]),
            promised=moments(endings["promised"]),
            ended=ended.set(ended == 0, None),
            status=endings["status"],
        )

    def feeds(self, codes: npt.NDArray[np.int64], totals: Records, events: npt.NDArray[Any]) -> pl.DataFrame:
        return _frame(
            "feeds",
            feed=self.texts(self._names.sources, codes),
            events=events,
            newest_occurred=totals["newest_occurred"],
            newest_received=totals["newest_received"],
            live=totals["live"],
        )

    def facilities(self, codes: npt.NDArray[np.int64], totals: Records, change: Records) -> pl.DataFrame:
        return _frame(
            "facilities",
            facility=self.again("facility", self._names.facilities, codes),
            region=self.again("facility region", self._names.regions, totals["region"]),
            carrier=self.again("facility carrier", self._names.carriers, totals["carrier"]),
            arrived=change["arrived"],
            departed=change["departed"],
            delivered=change["delivered"],
            stock=totals["stock"],
            stalled=totals["stalled"],
        )

    def lanes(
        self, lanes: Records, segments: npt.NDArray[np.int64], totals: Records, change: Records
    ) -> pl.DataFrame:
        return _frame(
            "lanes",
            carrier=self.texts(self._names.carriers, lanes["carrier"]),
            origin=self._zones(lanes, "origin"),
            destination=self._zones(lanes, "destination"),
            segment=segments.astype(np.uint8),
            finished=change["finished"],
            residual=change["residual"],
            residual_squared=change["squared"],
            open=totals["open"],
            stalled=totals["stalled"],
        )

    def regions(self, totals: Records, change: Records) -> pl.DataFrame:
        return _frame(
            "regions",
            region=self.texts(self._names.regions, totals["region"]),
            carrier=self.texts(self._names.carriers, totals["carrier"]),
            shipped=change["shipped"],
            delivered=change["delivered"],
            live=totals["live"],
        )


def moments(seconds: npt.NDArray[Any]) -> pl.Series:
    """Seconds, 0 where absent, as milliseconds, null where absent."""
    column = pl.Series(seconds.astype(np.int64) * SECOND)
    return column.set(column == 0, None)


def _degrees(rows: Records, name: str) -> pl.Series:
    """0, 0 is nowhere: a place in the sea, and what an empty slot holds."""
    nowhere = (rows["latitude"] == 0) & (rows["longitude"] == 0)
    return pl.Series(np.where(nowhere, np.float32(np.nan), rows[name])).fill_nan(None)


def _frame(name: str, **columns: npt.NDArray[Any] | pl.Series | Sequence[str]) -> pl.DataFrame:
    prepared: dict[str, Any] = {
        column: np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values
        for column, values in columns.items()
    }
    # In the schema's order at once: a select would be a query, a hundred times the cost of a frame so small.
    return pl.DataFrame(
        {column: prepared[column] for column in SCHEMAS[name]}, schema_overrides=dict(SCHEMAS[name])
    )
