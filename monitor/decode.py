"""Stream entries to batches.

A frame is decoded by the thousand; only where something in it is wrong it is taken apart line by line, so that the
one bad event goes to the dead letters with its reason and nothing else is lost. What a line becomes does not depend
on the lines beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from monitor import arrowfill, arrowkernels, arrowmessages, arrowrows, arrowsize
from monitor.checked import Checked, check_all
from monitor.columns import Batch, together
from monitor.linerows import PRESENCE
from monitor.names import Interner, Names, joined
from monitor.scancolumns import NO_SCANS, to_scans
from monitor.skim import skim
from monitor.stream import Frame
from monitor.vocabulary import DeadReason
from monitor.wire import DECODER, NOT_DECODED, DeadEventError, Wire, examine

if TYPE_CHECKING:
    from monitor.arrowframes import ArrowRows

CHUNK_BYTES: Final = 2_000_000  # of JSON, decoded in one go: some 10 ms
ENOUGH_BYTES: Final = 400_000  # are decoded by themselves: to put them together costs 10 ns an event
FEW_LINES: Final = 14  # fewer are checked faster one by one than by columns (measured)
CHUNK_ROWS: Final = 10_000  # of Arrow
ENOUGH_ROWS: Final = (
    2_000  # of Arrow that are handed out by themselves: to put them together costs 20 ns each
)
NO_LINES: Final[list[bytes]] = []
MAX_EVENT_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that could not be taken, as it came; personal data may be in `raw`, nowhere else."""

    reason: DeadReason
    detail: str
    raw: bytes
    index: int = 0  # of the line in its request or frame


@dataclass(slots=True)
class Decoded:
    batch: Batch
    dead: list[DeadEvent] = field(default_factory=list)
    events: int = 0  # good ones


@dataclass(slots=True)
class _Waiting:
    """Events of Arrow frames that wait for more: batches, then rows."""

    batches: list[Batch] = field(default_factory=list)
    rows: ArrowRows | None = None

    def __len__(self) -> int:
        return sum(len(one.scans) for one in self.batches) + (0 if self.rows is None else len(self.rows))

    def add(self, batch: Batch) -> None:
        self.close()
        self.batches.append(batch)

    def close(self) -> None:
        """What comes next is behind the rows."""
        if self.rows is not None and len(self.rows):
            self.batches.append(self.rows.batch())


class Decoder:
    def __init__(self, names: Names, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.names = names
        self.max_event_bytes = max_event_bytes

    def decode(self, frames: Iterable[Frame], latest: int | None = None) -> Iterator[Decoded]:
        """The events of the frames in their order, in pieces of bounded size. Ticks are not events.

        `latest`: refuse times after it; None in everything that must be repeatable.
        """
        lines: list[bytes] = []
        waiting = _Waiting()
        size = 0
        for frame in frames:
            if frame.kind == "arrow":
                yield from self._lines(lines, latest)
                lines, size = [], 0
                yield from self._arrow(frame, waiting, latest)
            elif frame.kind in {"e", "batch"}:
                yield from self._together(waiting)
                data = on_one_line(frame.data) if frame.kind == "e" else frame.data
                for piece in pieces(data):
                    if size + len(piece) > CHUNK_BYTES or max(size, len(piece)) >= ENOUGH_BYTES:
                        yield from self._lines(lines, latest)
                        lines, size = [], 0
                    lines.append(piece)
                    size += len(piece)
            elif frame.kind != "tick":
                yield self._dead(
                    DeadEvent(DeadReason.BAD_FRAME, "the entry has none of e, batch, arrow, tick", frame.data)
                )
        yield from self._lines(lines, latest)
        yield from self._together(waiting)

    def _dead(self, dead: DeadEvent) -> Decoded:
        return Decoded(Batch(to_scans(NO_SCANS, self.names)), [dead])

    def _lines(self, lines: list[bytes], latest: int | None) -> Iterator[Decoded]:
        if lines:
            data = lines[0] if len(lines) == 1 else b"\n".join(lines)  # a great frame is not copied
            good, dead = decode_lines(data, self.max_event_bytes, latest, self.names)
            yield Decoded(good.batch(self.names), dead, good.events)

    def _together(self, waiting: _Waiting) -> Iterator[Decoded]:
        """Takes them out."""
        waiting.close()
        if waiting.batches:
            links = [link for batch in waiting.batches for link in batch.links]
            batch = Batch(together([batch.scans for batch in waiting.batches]), links=links)
            waiting.batches.clear()
            yield Decoded(batch, events=len(batch.scans))

    def _arrow(self, frame: Frame, waiting: _Waiting, latest: int | None) -> Iterator[Decoded]:
        """Small frames go together: what was decoded waits for more."""
        from monitor import arrowframes  # only who is sent such frames pays for the library

        if waiting.rows is None:
            waiting.rows = arrowframes.ArrowRows(self.names, 2 * ENOUGH_ROWS)
        found = arrowframes.opened(frame.data)
        if found is None or not 0 < found.rows <= CHUNK_ROWS:
            yield from self._by_the_library(frame, waiting, latest)
            return
        if not waiting.rows.has_room(found.rows) or found.rows >= ENOUGH_ROWS:
            yield from self._together(waiting)
        if not waiting.rows.take(found, latest):
            yield from self._by_the_library(frame, waiting, latest)
        elif len(waiting) >= ENOUGH_ROWS:
            yield from self._together(waiting)

    def _by_the_library(self, frame: Frame, waiting: _Waiting, latest: int | None) -> Iterator[Decoded]:
        from monitor import arrow, arrowplain

        try:
            for batch in arrow.load(frame.data, CHUNK_ROWS):
                found, lines = arrowplain.plain(batch, self.names, latest), NO_LINES
                if found is None:
                    texts, lines = arrow.split(batch, latest)
                    if texts is not None and len(texts.occurred):
                        found = texts.batch(self.names)
                if found is not None and len(found.scans) >= ENOUGH_ROWS:
                    yield from self._together(waiting)
                if found is not None:
                    waiting.add(found)
                if lines or len(waiting) >= ENOUGH_ROWS:
                    yield from self._together(waiting)
                yield from self._lines(lines, latest)
        except DeadEventError as error:
            yield from self._together(waiting)
            yield self._dead(DeadEvent(error.reason, error.detail, frame.data))


def warm(*, arrow: bool) -> None:
    """Compiles what `Decoder` calls only for frames or names of some size or kind."""
    Interner(2).codes_of(*joined(["a", "b"]))
    if arrow:
        arrowkernels.warm()
        arrowrows.warm()
        arrowsize.unfolded(b"")


def warm_plain_arrow() -> None:
    """As `warm`, for what reads Arrow frames without the library."""
    arrowmessages.warm()
    arrowfill.warm()


def on_one_line(data: bytes) -> bytes:
    """One event may be written over several lines; several events are left as they are."""
    if b"\n" not in data.strip():
        return data
    try:
        return msgspec.json.format(data, indent=-1)
    except NOT_DECODED:
        return data


def pieces(data: bytes) -> Iterator[bytes]:
    """A frame cut at line ends into pieces of at most `CHUNK_BYTES`, or of one line where that is longer."""
    start = 0
    while len(data) - start > CHUNK_BYTES:
        end = data.rfind(b"\n", start, start + CHUNK_BYTES)
        if end < 0:
            end = data.find(b"\n", start)
        if end < 0:
            break
        yield data[start:end]
        start = end + 1
    yield data[start:] if start else data


def longer_line(data: bytes, limit: int) -> bool:
    """Whether some line is longer than `limit`: looks only at one line in each `limit` bytes."""
    start = 0
    while len(data) - start > limit:
        end = data.rfind(b"\n", start, start + limit + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def check_lines(data: bytes, max_bytes: int, latest: int | None) -> tuple[int, list[DeadEvent]]:
    """As `decode_lines`, for one who only wants to know how many are good."""
    if data.count(b"\n") < FEW_LINES:
        events, dead = _one_by_one(data, max_bytes, latest)
        return len(events), dead
    good, dead = decode_lines(data, max_bytes, latest)
    return good.events, dead


def decode_lines(
    data: bytes, max_bytes: int, latest: int | None, names: Names | None = None
) -> tuple[Checked, list[DeadEvent]]:
    """The good events and the dead ones of NDJSON text. `names`: who will be asked for a batch, if that is known."""
    data = data.removesuffix(b"\n")
    if not longer_line(data, max_bytes):
        try:
            good = (skim(data, latest, names) if PRESENCE.here else None) or _by_columns(data, latest)
        except NOT_DECODED:
            good = None
        if good is not None:
            return good, []
    events, dead = _one_by_one(data, max_bytes, latest)
    checked = check_all(events, latest)
    assert checked is not None, "both ways of checking say the same"  # noqa: S101
    return checked, dead


def _by_columns(data: bytes, latest: int | None) -> Checked | None:
    events: list[Wire] = DECODER.decode_lines(data)
    # The library reads value after value; the contract, line after line.
    return check_all(events, latest) if len(events) == data.count(b"\n") + 1 else None


def _one_by_one(data: bytes, max_bytes: int, latest: int | None) -> tuple[list[Wire], list[DeadEvent]]:
    events: list[Wire] = []
    dead: list[DeadEvent] = []
    for index, line in enumerate(data.split(b"\n")):
        if not line.strip():
            continue
        try:
            events.append(examine(line, max_bytes=max_bytes, latest=latest))
        except DeadEventError as error:
            dead.append(DeadEvent(error.reason, error.detail, line, index))
    return events, dead
