"""Records of the parcel stage as a table that detectors read: a column is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.interfaces import SCHEMAS
from detectors.tables import F64, I64, SECOND, Coded
from monitor import packing
from monitor.engine.layout import Records
from monitor.names import Interner, Names

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
        self._whole: I64 | None = None

    def milliseconds(self) -> I64:
        """Not to be written to."""
        if self._whole is None:
            self._whole = self.seconds.astype(np.int64)
            self._whole *= SECOND
        return self._whole

    def take(self, rows: npt.NDArray[Any]) -> Seconds:
        return type(self)(self.seconds[rows])


class Milliseconds(Seconds):
    """Milliseconds since 1970, 0 where absent."""

    def milliseconds(self) -> I64:
        return self.seconds.astype(np.int64, copy=False)


Keyed: TypeAlias = "Records | Mapping[str, npt.NDArray[Any]]"


class Numbers:
    """The tracking numbers of rows with keys; empty for a hashed key that left meanwhile."""

    def __init__(self, names: Names, rows: Keyed, places: npt.NDArray[Any] | None = None) -> None:
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
        self._columns = columns
        self._made: dict[str, Column] = {}
        self._frame: pl.DataFrame | None = None

    def __len__(self) -> int:
        return self._rows

    def _column(self, name: str) -> Column:
        """Made when it is first asked for, and laid side by side: fields of records lie apart, and often askew."""
        made = self._made.get(name)
        if made is not None:
            return made
        column = self._columns[name]
        if callable(column):
            column = column()
        if isinstance(column, np.ndarray):
            column = np.ascontiguousarray(column)
        elif isinstance(column, Coded):
            column = Coded(np.ascontiguousarray(column.codes), column.texts)
        elif isinstance(column, Seconds):
            column = type(column)(np.ascontiguousarray(column.seconds))
        self._made[name] = column
        return column

    def take(self, rows: npt.NDArray[Any]) -> RecordTable:
        return RecordTable(
            self._name, len(rows), {name: partial(self._taken, name, rows) for name in self._columns}
        )

    def only(self, wanted: npt.NDArray[np.bool_]) -> RecordTable:
        """Of its rows those that are wanted; itself where all are."""
        return self if wanted.all() else self.take(np.flatnonzero(wanted))

    def _taken(self, name: str, rows: npt.NDArray[Any]) -> Column:
        column = self._columns[name]
        if isinstance(column, Gathered | Ranks):  # only what is asked for is fetched
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

    def seconds(self, name: str) -> npt.NDArray[Any]:
        column = self._column(name)
        if isinstance(column, Seconds) and not isinstance(column, Milliseconds):
            return column.seconds
        return self.whole(name) // SECOND

    def narrow(self, name: str) -> npt.NDArray[Any]:
        return _array(self._column(name))

    def number(self, name: str) -> F64:
        column = self._column(name)
        if isinstance(column, Seconds):
            times = column.milliseconds()
            return np.where(times == 0, np.nan, times)
        return _array(column).astype(np.float64)

    def coded(self, name: str) -> Coded:
        return _coded(self._column(name))

    def labels(self, name: str, rows: npt.NDArray[Any] | None = None) -> list[str | None]:
        column = self._column(name) if rows is None else self._taken(name, rows)
        return list(column.texts()) if isinstance(column, Numbers) else _coded(column).labels()

    def rank(self) -> npt.NDArray[Any]:
        """The column `rank`, where there is one."""
        column = self._columns.get("rank")
        return np.arange(self._rows) if column is None else _array(self._column("rank"))

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


class Ranks:
    """A mixture of both words of the keys: an order of parcels that does not hang on where they lie."""

    def __init__(self, slots: Records, places: npt.NDArray[Any]) -> None:
        self._slots, self._places = slots, places

    def __call__(self) -> npt.NDArray[np.uint64]:
        slots, places = self._slots, self._places
        return np.asarray(slots["key0"][places] * _MIXED + slots["key1"][places], np.uint64)

    def take(self, rows: npt.NDArray[Any]) -> Ranks:
        return Ranks(self._slots, self._places[rows])


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


def _array(column: Column) -> npt.NDArray[Any]:
    if not isinstance(column, np.ndarray):
        raise TypeError("not a column of numbers")
    return column


def _coded(column: Column) -> Coded:
    if not isinstance(column, Coded):
        raise TypeError("not a column of codes")
    return column
