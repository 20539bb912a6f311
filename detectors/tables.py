"""What the engine hands to detectors, as columns of numbers and codes; text only where somebody asks for it.

A window of thousands of rows is judged in a few passes over arrays, and of its names some are ever written down. So a
column of names is codes into a vocabulary that only grows, and a detector's own row of a name is looked up once
(`Rows`). A table can also be read as a polars frame, and a frame as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
SECOND: Final = 1000
_UNKNOWN = -2


class Texts(Protocol):
    """A vocabulary: the text of each code, each its own. It may grow; what a code stands for never changes. Code 0 is no
    text.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, code: int, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of names: `texts[codes[row]]`."""

    codes: npt.NDArray[Any]
    texts: Texts

    def labels(self, rows: npt.NDArray[Any] | None = None) -> list[str | None]:
        codes = self.codes if rows is None else self.codes[rows]
        return [self.texts[code] for code in codes.tolist()]


class Table(Protocol):
    """Columns by the names of `detectors.interfaces.SCHEMAS`; none of them may be written to."""

    def __len__(self) -> int: ...

    def whole(self, name: str) -> I64:
        """Whole numbers and times; 0 where absent."""
        ...

    def seconds(self, name: str) -> npt.NDArray[Any]:
        """Times in whole seconds, 0 where absent: a quarter of the bytes where the engine keeps them so."""
        ...

    def narrow(self, name: str) -> npt.NDArray[Any]:
        """Whole numbers as `whole`, in as many bytes as they are kept in."""
        ...

    def number(self, name: str) -> F64:
        """NaN where absent."""
        ...

    def coded(self, name: str) -> Coded: ...

    def labels(self, name: str, rows: npt.NDArray[Any] | None = None) -> list[str | None]:
        """The texts of some rows of any column of texts."""
        ...

    def rank(self) -> npt.NDArray[Any]:
        """An order of the rows that does not hang on where the engine keeps them: of parcels in the table, numbers that
        follow from their keys; of others, their place.
        """
        ...

    def take(self, rows: npt.NDArray[Any]) -> Table:
        """Some of its rows, in this order."""
        ...

    def frame(self) -> pl.DataFrame: ...


# Columns of codes that no frame holds. Of parcels and lanes the names of carrier, origin and destination as one, joined by "|";
# of regions the region's and the carrier's.
LANE: Final = "lane"
PAIR: Final = "pair"
JOINT: Final = "\x1f"  # between the two names of a pair


_JOINED: Final = {LANE: (("carrier", "origin", "destination"), "|"), PAIR: (("region", "carrier"), JOINT)}


class FrameTable:
    """A polars frame as a table. All its columns of names share one vocabulary."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._texts: list[str | None] = [None]
        self._codes: dict[str, int] = {}
        self._coded: dict[str, Coded] = {}

    def __len__(self) -> int:
        return self._frame.height

    def whole(self, name: str) -> I64:
        column = self._frame[name]
        return (column.fill_null(0) if column.null_count() else column).to_numpy().astype(np.int64)

    def seconds(self, name: str) -> I64:
        return self.whole(name) // SECOND

    def narrow(self, name: str) -> I64:
        return self.whole(name)

    def number(self, name: str) -> F64:
        return self._frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()

    def coded(self, name: str) -> Coded:
        known = self._coded.get(name)
        if known is None:
            texts = self._joined(name) if name in _JOINED else self._frame[name].to_list()
            codes = [self._code(text) for text in texts]
            known = self._coded[name] = Coded(np.array(codes, dtype=np.int64), self._texts)
        return known

    def _joined(self, name: str) -> list[str]:
        names, joint = _JOINED[name]
        columns = (pl.col(one).fill_null("") for one in names)
        return self._frame.select(pl.concat_str(columns, separator=joint)).to_series().to_list()

    def _code(self, text: str | None) -> int:
        if not text:
            return 0
        code = self._codes.setdefault(text, len(self._texts))
        if code == len(self._texts):
            self._texts.append(text)
        return code

    def labels(self, name: str, rows: npt.NDArray[Any] | None = None) -> list[str | None]:
        column = self._frame[name]
        return column.to_list() if rows is None else column.gather(rows).to_list()

    def rank(self) -> npt.NDArray[Any]:
        return np.arange(self._frame.height)

    def take(self, rows: npt.NDArray[Any]) -> FrameTable:
        return FrameTable(self._frame[rows])

    def frame(self) -> pl.DataFrame:
        return self._frame


def table_of(given: pl.DataFrame | Table) -> Table:
    return FrameTable(given) if isinstance(given, pl.DataFrame) else given


class Rows:
    """A detector's own numbers of names, by the codes of a column: each name is asked for once a vocabulary."""

    def __init__(self) -> None:
        self._texts: Texts | None = None
        self._known = np.zeros(0, np.int64)
        self._asked: npt.NDArray[Any] | None = None
        self._answer = self._known

    def forget(self) -> None:
        """The detector's numbers changed."""
        self._texts = self._asked = None

    def of(self, column: Coded, number: Callable[[str], int], absent: int = -1) -> I64:
        """`number` may enter a name that is new; it is asked in the order of the rows. Not to be written to."""
        texts = column.texts
        if texts is self._texts and column.codes is self._asked:
            return self._answer
        if texts is not self._texts:
            self._texts, self._known = texts, np.array([absent], np.int64)
        if len(self._known) < len(texts):
            more = np.full(len(texts) - len(self._known), _UNKNOWN, np.int64)
            self._known = np.concatenate([self._known, more])
        found: I64 = self._known.take(column.codes)
        if len(found) and found.min() == _UNKNOWN:
            for code in dict.fromkeys(column.codes[found == _UNKNOWN].tolist()):
                text = texts[code]
                self._known[code] = absent if text is None else number(text)
            found = self._known.take(column.codes)
        self._asked, self._answer = column.codes, found
        return found
