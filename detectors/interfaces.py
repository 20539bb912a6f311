"""What the engine hands to detectors and what it asks of them.

Two kinds of detector live behind these protocols; stalls are a third, compiled into the parcel stage
(`monitor/engine`), with their learned durations in `detectors/survival.py`.

* A **place detector** judges facilities, regions, carriers, lanes, couriers, feeds, customers. It runs at ticks, each
  `every` milliseconds, and is handed a `Window`: everything since its own last run.
* A **parcel detector** judges single parcels in bulk. The sweep brings each live parcel to it every few hours
  (`look`), and every parcel that ended teaches it (`learn`); how long all have waited, counted now and again, may
  teach it, too (`waited`).

Both are deterministic, score before they learn, never look ahead, keep bounded state, and keep quiet ("not ready")
until they have seen enough. What happened comes as tables (`detectors.tables`): columns of codes and numbers for what
is judged by the thousand, and the same as small polars frames with names; times are Int64 milliseconds UTC; an absent
value is null. No table carries personal data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol, runtime_checkable

import polars as pl

from detectors.findings import Finding, Instant
from detectors.tables import I64, Coded, FrameTable, Table

SCHEMAS: Mapping[str, Mapping[str, pl.DataType | type[pl.DataType]]] = {
    # one row a feed that ever spoke; counts since the last run, newest times ever
    "feeds": {
        "feed": pl.String,
        "events": pl.Int64,
        "newest_occurred": pl.Int64,
        "newest_received": pl.Int64,
        "live": pl.Int64,
    },
    # one row a facility that ever had traffic, so that the column of names seldom changes
    "facilities": {
        "facility": pl.String,
        "region": pl.String,
        "carrier": pl.String,
        "arrived": pl.Int64,
        "departed": pl.Int64,
        "delivered": pl.Int64,
        "stock": pl.Int64,
        "stalled": pl.Int64,
    },
    # one row a lane and segment in which something ended: residual is the sum over the parcels of
    # log(duration / the learned median), for drift detection
    "lanes": {
        "carrier": pl.String,
        "origin": pl.String,
        "destination": pl.String,
        "segment": pl.UInt8,
        "finished": pl.Int64,
        "residual": pl.Float64,
        "residual_squared": pl.Float64,
        "open": pl.Int64,
        "stalled": pl.Int64,
    },
    # one row a destination region and carrier with traffic
    "regions": {
        "region": pl.String,
        "carrier": pl.String,
        "shipped": pl.Int64,
        "delivered": pl.Int64,
        "live": pl.Int64,
    },
    # one row a sign-off (status delivered or collected), in stream order
    "signoffs": {
        "tracking_number": pl.String,
        "occurred": pl.Int64,
        "received": pl.Int64,
        "carrier": pl.String,
        "origin": pl.String,
        "destination": pl.String,
        "region": pl.String,
        "facility": pl.String,
        "courier": pl.String,
        "feed": pl.String,
        "delivered_to": pl.UInt8,
        "status": pl.UInt8,
        "previous_status": pl.UInt8,
        "previous_occurred": pl.Int64,
        "previous_region": pl.String,
        "out_for_delivery": pl.Int64,
        "accepted": pl.Int64,
        "ordered": pl.Int64,
        "promised": pl.Int64,
        "scan_latitude": pl.Float32,
        "scan_longitude": pl.Float32,
        "latitude": pl.Float32,
        "longitude": pl.Float32,
    },
    # one row a scan that cannot be: before the order, before an earlier stage, after the end, too fast
    "oddities": {
        "tracking_number": pl.String,
        "occurred": pl.Int64,
        "received": pl.Int64,
        "carrier": pl.String,
        "status": pl.UInt8,
        "previous_status": pl.UInt8,
        "previous_occurred": pl.Int64,
        "region": pl.String,
        "previous_region": pl.String,
        "facility": pl.String,
        "courier": pl.String,
        "feed": pl.String,
        "oddity": pl.String,
    },
    # one row a complaint event, sorted by received and id; region, carrier, facility, courier taken from the parcel
    # or order where the complaint has none
    "complaints": {
        "complaint_id": pl.String,
        "status": pl.String,
        "occurred": pl.Int64,
        "received": pl.Int64,
        "customer_id": pl.String,
        "order_id": pl.String,
        "tracking_number": pl.String,
        "region": pl.String,
        "carrier": pl.String,
        "facility": pl.String,
        "courier": pl.String,
        "category": pl.String,
        "reason": pl.String,
        "severity": pl.String,
        "feed": pl.String,
        "delivered_at": pl.Int64,
    },
    # one row a parcel that is due for a look; ages are milliseconds of business time
    "parcels": {
        "tracking_number": pl.String,
        "carrier": pl.String,
        "origin": pl.String,
        "destination": pl.String,
        "facility": pl.String,
        "feed": pl.String,
        "segment": pl.UInt8,
        "status": pl.UInt8,
        "ordered": pl.Int64,
        "accepted": pl.Int64,
        "segment_since": pl.Int64,
        "last_scan": pl.Int64,
        "promised": pl.Int64,
        "estimated": pl.Int64,
        "open": pl.Boolean,
    },
    # one row a parcel that ended (delivered, collected, returned, lost) or passed its promise still open
    "finished": {
        "tracking_number": pl.String,
        "carrier": pl.String,
        "origin": pl.String,
        "destination": pl.String,
        "ordered": pl.Int64,
        "accepted": pl.Int64,
        "promised": pl.Int64,
        "ended": pl.Int64,
        "status": pl.UInt8,
        "unheard": pl.UInt8,  # 1: it ended after its promise, and there was no row of its passing (the feed was silent)
    },
}


@cache
def empty(name: str) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(SCHEMAS[name]))


# The tables of a window.
FRAMES: Final = ("feeds", "facilities", "lanes", "regions", "signoffs", "oddities", "complaints")
_NAMES: Final = frozenset(FRAMES)


class Window:
    """What happened between `since` and `until` (by the engine's clock), as tables of `SCHEMAS`.

    Each can be read as a frame (`window.lanes`) and as columns of codes (`window.table("lanes")`); either is made from
    the other when it is first asked for. A table that is not given is empty.
    """

    __slots__ = ("_tables", "since", "until")

    def __init__(self, since: Instant, until: Instant, **tables: pl.DataFrame | Table) -> None:
        if not tables.keys() <= _NAMES:
            raise TypeError(f"a window has no {', '.join(sorted(set(tables) - _NAMES))}")
        self.since = since
        self.until = until
        self._tables: dict[str, pl.DataFrame | Table] = tables

    def table(self, name: str) -> Table:
        known = self._tables.get(name)
        if known is None or isinstance(known, pl.DataFrame):
            known = self._tables[name] = FrameTable(empty(name) if known is None else known)
        return known

    def frame(self, name: str) -> pl.DataFrame:
        known = self._tables.get(name)
        if known is None:
            return empty(name)
        return known if isinstance(known, pl.DataFrame) else known.frame()

    def replaced(
        self, *, since: Instant | None = None, until: Instant | None = None, **tables: pl.DataFrame | Table
    ) -> Window:
        """The same with another span or other tables."""
        since = self.since if since is None else since
        return Window(since, self.until if until is None else until, **{**self._tables, **tables})

    @property
    def feeds(self) -> pl.DataFrame:
        return self.frame("feeds")

    @property
    def facilities(self) -> pl.DataFrame:
        return self.frame("facilities")

    @property
    def lanes(self) -> pl.DataFrame:
        return self.frame("lanes")

    @property
    def regions(self) -> pl.DataFrame:
        return self.frame("regions")

    @property
    def signoffs(self) -> pl.DataFrame:
        return self.frame("signoffs")

    @property
    def oddities(self) -> pl.DataFrame:
        return self.frame("oddities")

    @property
    def complaints(self) -> pl.DataFrame:
        return self.frame("complaints")


class PlaceDetector(Protocol):
    """`run` may not assume that ticks are evenly spaced: a daemon that was down sees one wide window."""

    name: str
    every: int
    wants: frozenset[str]  # the frames of the window it reads; the others may be empty

    def run(self, window: Window) -> list[Finding]: ...

    def state(self) -> dict[str, Any]:
        """Plain numbers, strings, bytes, lists and dicts, for msgpack: never library objects."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Calibrated(Protocol):
    """A detector that hears what came of what it said."""

    name: str

    def calibration_error(self) -> float | None:
        """The mean gap between the probabilities it stated lately and what came true; None: too few cases."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A detector that may have to leave out what it was told."""

    name: str

    def uncounted(self) -> Mapping[str, int]:
        """How often so far, by reason; the reasons are a metric's labels."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of row `row` of the table given to `look`: whether an episode should be open now, how sure, and why."""

    row: int
    open: bool
    score: float
    evidence: Mapping[str, Any]


class ParcelDetector(Protocol):
    """The engine keeps the episodes (the `open` column says what is open); the detector only judges."""

    name: str
    every: int
    only_promised: bool  # parcels without a promise are not brought to it

    def look(self, parcels: Table, now: Instant) -> Sequence[Verdict]:
        """Verdicts that change something: rows that stay as they are need none. Nothing of the table may be kept: the next
        look overwrites it.
        """
        ...

    def learn(self, finished: Table, now: Instant) -> None: ...

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


@runtime_checkable
class Doubts(Protocol):
    """A place detector that doubts a feed before it is sure enough to call it silent."""

    def doubted(self) -> Collection[str]:
        """Names of feeds that have said nothing since their doubt began, as of the last run."""
        ...


@dataclass(frozen=True, slots=True)
class Waiting:
    """Parcels under way, with a promise or without, counted at one moment by the time since they were handed over."""

    cells: I64  # of `detectors.transit`, rising
    counts: I64  # [cell, way]
    carrier: Coded  # of each way
    lane: Coded
    span: int  # milliseconds that this moment stands for


@runtime_checkable
class Waits(Protocol):
    """A parcel detector that learns from how long parcels wait."""

    def waited(self, waiting: Waiting, now: Instant) -> None:
        """After each count of all parcels."""
        ...


@runtime_checkable
class Arrivals(Protocol):
    """A parcel detector that also knows when a parcel will come."""

    def expected(self, row: Mapping[str, Any], now: Instant) -> tuple[Instant, Instant, Instant] | None:
        """At 5, 50 and 95 %, of a row with carrier, origin, destination and accepted; none while not ready."""
        ...
