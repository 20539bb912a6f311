"""Plain Arrow batches straight to codes and keys: tracking events alone, each right, their texts read where they lie.

What is not plain (another kind, a wrong value, a damaged buffer) is answered with None, and nothing was learned then:
`monitor.arrow` looks closer, and says of a plain batch what is said here.
"""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa

from monitor import arrowrows
from monitor.arrow import BROKEN, Columns
from monitor.arrowcolumns import OddError
from monitor.arrowlayout import TEXTS, Layout, layout_of
from monitor.columns import F32, I64, U32, U64, Batch, Scans
from monitor.names import Interner, Names
from monitor.scancolumns import DELIVERED, STATUS, links_between, moments_fit
from monitor.texts import Words
from monitor.times import EARLIEST, LATEST
from monitor.wire import LONGEST, LONGEST_NAME

_BAD: Final = 256  # beyond every number of a word
_TRACKING: Final = Words({"tracking": 1})
_STATUS: Final = Words(STATUS)
_DELIVERED: Final = Words(DELIVERED)
_NO_NUMBERS: Final = np.zeros(0, np.uint32)
_ROW: Final = {name: row for row, name in enumerate(TEXTS)}
_REQUIRED: Final = [_ROW[name] for name in ("kind", "status", "carrier", "event_id", "tracking_number")]
_pointer: Final = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def plain(batch: pa.RecordBatch, names: Names, latest: int | None) -> Batch | None:
    """All events of the batch, or None."""
    try:
        layout = layout_of(batch.schema)
        return _Plain(batch, layout, names).events(latest) if batch.num_rows and layout.ours else None
    except (OddError, *BROKEN):
        return None


class _Plain:
    """Every method raises `OddError` where the batch is not plain."""

    def __init__(self, batch: pa.RecordBatch, layout: Layout, names: Names) -> None:
        self.batch = batch
        self.layout = layout
        self.names = names
        self.rows = batch.num_rows
        self.unknown: list[tuple[str, Interner, U32]] = []  # columns with names that are not known yet
        self._exported = batch.__arrow_c_array__()  # what the address points to lives as long as this
        self.address = _pointer(self._exported[1], b"arrow_array")
        self.texts = np.empty((len(TEXTS), arrowrows.NUMBERS), np.int64)
        if not arrowrows.describe(self.address, layout.wanted, self.texts):
            raise OddError("a part of a batch")
        required = self.texts[_REQUIRED]
        if required[:, arrowrows.NULLS].any() or not required[:, arrowrows.FORM].all():
            raise OddError("a required column")

    @cached_property
    def columns(self) -> Columns:
        return Columns(self.batch, None)

    def events(self, latest: int | None) -> Batch:
        names = self.names
        occurred, received = self._times()
        if not moments_fit(occurred, received, latest):
            raise OddError("times")
        self._words("kind", _TRACKING, _BAD)
        status, delivered_to = (
            self._words("status", _STATUS, _BAD),
            self._words("delivered_to", _DELIVERED, 0),
        )
        source = self._codes("source", names.sources)
        event = self._identities()
        carrier, region = self._codes("carrier", names.carriers), self._codes("region", names.regions)
        facility, courier = (
            self._codes("facility", names.facilities),
            self._codes("courier_id", names.couriers),
        )
        key0, key1, slow = self._keys()
        estimated = self._moments("estimated_at")
        latitude, longitude = self._degrees("latitude", 90), self._degrees("longitude", 180)
        links = self._links()
        self._learn(key0, key1, slow)  # nothing is wrong with the batch
        scans = Scans(
            key0=key0,
            key1=key1,
            event=event,
            occurred=occurred,
            received=received,
            status=status.astype(np.uint8),
            delivered_to=delivered_to.astype(np.uint8),
            carrier=carrier.astype(np.uint16),
            source=source.astype(np.uint16),
            region=region,
            facility=facility,
            courier=courier,
            estimated=estimated,
            latitude=latitude,
            longitude=longitude,
        )
        return Batch(scans, links=links)

    def _times(self) -> tuple[I64, I64]:
        occurred = self._moments("occurred_at")
        if "received_at" not in self.layout.names:
            return occurred, occurred
        received = self._moments("received_at")
        return occurred, np.where(received == 0, occurred, received)

    def _moments(self, name: str) -> I64:
        if name not in self.layout.names:
            return np.zeros(self.rows, np.int64)
        if name not in self.layout.moments:
            return self.columns.moments(name)
        out = np.empty(self.rows, np.int64)
        if not arrowrows.moments(self.address, *self.layout.moments[name], EARLIEST, LATEST, out):
            raise OddError(name)
        return out

    def _degrees(self, name: str, most: int) -> F32:
        if name not in self.layout.names:
            return np.full(self.rows, np.nan, np.float32)
        return self.columns.degrees(name, most)

    def _words(self, name: str, words: Words, absent: int) -> U32:
        out, highest = self._looked_up(name, words.known, words.numbers(_BAD), absent)
        if highest >= _BAD:
            raise OddError(name)
        return out

    def _codes(self, name: str, interner: Interner) -> U32:
        out, highest = self._looked_up(name, interner, _NO_NUMBERS, 0)
        if highest == arrowrows.UNKNOWN:
            self.unknown.append((name, interner, out))
        return out

    def _looked_up(self, name: str, interner: Interner, numbers: U32, absent: int) -> tuple[U32, int]:
        column = self.texts[_ROW[name]]
        if column[arrowrows.FORM] == arrowrows.NONE:
            return np.zeros(self.rows, np.uint32), 0
        out = np.empty(self.rows, np.uint32)
        highest = arrowrows.row_codes(column, LONGEST_NAME, interner.whereabouts, numbers, absent, out)
        if highest == arrowrows.ODD:
            raise OddError(name)
        return out, highest

    def _identities(self) -> U64:
        """After `_codes` has looked at the sources."""
        out = np.empty(self.rows, np.uint64)
        column, source = self.texts[_ROW["event_id"]], self.texts[_ROW["source"]]
        if not arrowrows.identify(column, source, LONGEST["event_id"], out):
            raise OddError("event_id")
        return out

    def _keys(self) -> tuple[U64, U64, list[int]]:
        """And the rows whose numbers base 40 cannot take."""
        key0, key1 = np.empty(self.rows, np.uint64), np.empty(self.rows, np.uint64)
        slow = np.empty(self.rows, np.int64)
        column = self.texts[_ROW["tracking_number"]]
        misses = arrowrows.pack_numbers(column, LONGEST["tracking_number"], key0, key1, slow)
        if misses == arrowrows.ODD:
            raise OddError("tracking_number")
        return key0, key1, slow[:misses].tolist()

    def _links(self) -> list[tuple[str, str]]:
        if "order_id" not in self.layout.names:
            return []
        columns = self.columns
        return links_between(columns.texts("tracking_number").flat(), columns.texts("order_id").flat())

    def _learn(self, key0: U64, key1: U64, slow: list[int]) -> None:
        for name, interner, codes in self.unknown:
            array, rows = self.columns.arrays[name], np.flatnonzero(codes == arrowrows.UNKNOWN)
            places, words = rows, array
            if isinstance(array, pa.DictionaryArray):
                places, words = array.indices.fill_null(0).to_numpy()[rows], array.dictionary
            known = {place: interner.code(words[place].as_py()) for place in dict.fromkeys(places.tolist())}
            codes[rows] = [known[place] for place in places.tolist()]
        for row in slow:
            key0[row], key1[row] = self.names.pack(self.columns.arrays["tracking_number"][row].as_py())
