"""What happens to a push: verify | parse | explain | classify | take, and only then the provider is told "yes".

The order matters: what the push taught is remembered first, then its events become durable, then what could not be read,
by the reader or by intake. A failure anywhere answers "busy", and the provider sends everything again; all of it is
idempotent. Pages of lists and records of files come here as well, when somebody has fetched them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
import structlog

from monitor.deadletter import DeadLetters
from monitor.decode import DeadEvent
from monitor.feeds.base import (
    Answer,
    Dead,
    Event,
    Feed,
    Outcome,
    Parsed,
    Push,
    Read,
    Reader,
    Rejected,
    Unreadable,
)
from monitor.feeds.batch import Batches, Submits
from monitor.feeds.desk_letters import Known, unpacked
from monitor.feeds.joining import joined
from monitor.feeds.memory import Memory
from monitor.feeds.status import FeedStatus
from monitor.feeds.watch import Watch
from monitor.intake import IntakeBusyError
from monitor.letters import MOST_RAW_BYTES, Format, Letter
from monitor.metrics import Metrics
from notifier.store import StoreError

log = structlog.get_logger(__name__)

AT_ONCE: Final = 500  # records: to read them takes some 10 ms, in which the loop does nothing else
RETRY_AFTER_SECONDS: Final = 30
_LINES: Final = msgspec.json.Encoder()


class Classify(Protocol):
    """Fills in category, reason and severity of a complaint, and learns where the shop said them."""

    def fill(self, event: Event) -> None: ...


@dataclass(slots=True)
class Desk:
    feeds: Mapping[str, Feed]
    intake: Submits
    letters: DeadLetters
    memory: Memory
    metrics: Metrics
    classifier: Classify | None = None
    watch: Watch | None = None
    status: dict[str, FeedStatus] = field(default_factory=dict)
    readers: dict[tuple[Format, str], Reader] = field(default_factory=dict)
    _known: Known = field(default_factory=Known)
    _batches: Batches = field(init=False)

    def __post_init__(self) -> None:
        self._batches = Batches(self.intake)
        for feed in self.feeds.values():
            self.add_reader(feed)

    def add_reader(self, reader: Reader, form: Format = Format.PUSH) -> None:
        """Who hands something in, also by another way than the HTTP route: a poller's pages, a file's records."""
        self.readers[form, reader.name] = reader
        self.add_sender(reader.name, reader.kind)

    def add_sender(self, name: str, kind: str) -> None:
        self.status.setdefault(name, FeedStatus(name, kind))
        for counter in ("rejected_signatures", "unknown_codes", "unplaced"):
            self.metrics.counter(counter).labels(feed=name)

    async def receive(self, feed: Feed, push: Push) -> Answer:
        """One webhook, to the answer in the provider's own form."""
        status = self.status[feed.name]
        try:
            feed.verify(push)
        except Rejected as refused:
            status.refuse(refused.reason)
            self.metrics.counter("rejected_signatures").labels(feed=feed.name).inc()
            return feed.reply(Outcome.REJECTED, push)
        status.push(push.received_at)
        try:
            return feed.reply(await self._accept(feed, push), push)
        except (StoreError, IntakeBusyError) as error:
            log.warning("feed.busy", feed=feed.name, error=type(error).__name__)
            return busy(feed, push)

    async def _accept(self, feed: Feed, push: Push) -> Outcome:
        try:
            parsed = feed.parse(push)
        except Unreadable as unreadable:
            await self.unreadable(feed, push, unreadable)
            return Outcome.MALFORMED
        await self.take(feed, push, parsed)
        return Outcome.ACCEPTED

    async def unreadable(self, reader: Reader, push: Push, error: Unreadable) -> None:
        """Kept whole, once."""
        parsed = Parsed(dead=[Dead(error.reason, str(error), push.raw)])
        await self._count(reader, [Read(push, parsed)], 0, push.received_at)

    async def take(self, reader: Reader, push: Push, parsed: Parsed, *, asked: bool = False) -> None:
        """Also the way of what pollers read: they have parsed already. `asked`: it came as an answer."""
        parts: Sequence[Push] = ()
        if parsed.dead or parsed.unknown or len(push.raw) > MOST_RAW_BYTES:
            # A letter of one record is small enough to be kept whole, and leaves as soon as that one can be read.
            parts = reader.split(push)
        if len(parts) <= 1:
            await self.take_all(reader, [Read(push, parsed)], push.received_at, asked=asked)
            return
        for start in range(0, len(parts), AT_ONCE):
            reads = [Read(one, reader.parse(one)) for one in parts[start : start + AT_ONCE]]
            await self.take_all(reader, reads, push.received_at, asked=asked)

    async def take_all(self, reader: Reader, reads: Sequence[Read], now: int, *, asked: bool = False) -> None:
        """Many at once, the records of a file."""
        events, lost = await self._taken(reader, reads, now, asked=asked)
        if lost:
            # Nobody sent these as they are: an earlier push brought them, and this one explained them.
            await self.letters.refuse(
                reader.name,
                [_as_event(reader, one, now) for one in lost],
                [one.reason for one in lost],
                now,
                good=0,
            )
            self.status[reader.name].dead += len(lost)
        await self._count(reader, reads, events, now)

    async def take_lines(self, name: str, data: bytes, now: int) -> int:
        """Canonical events of a file or a topic. How many were refused."""
        receipt = await self.intake.submit(data, now, name)
        self.status[name].lines(receipt.accepted, len(receipt.dead), now)
        return len(receipt.dead)

    async def _taken(
        self, reader: Reader, reads: Sequence[Read], now: int, *, asked: bool
    ) -> tuple[int, list[DeadEvent]]:
        """How many events are durable. What intake refused becomes `dead` in the reads that brought it; the rest of
        what it refused is the second answer.
        """
        whole = _whole(reads)
        brought = len(whole.events)
        events, explained = await self._explained(reader.name, whole)
        if self.classifier is not None:
            for event in events:
                if event["kind"] == "complaint":
                    self.classifier.fill(event)
        refused = await self._batches.submit(_LINES.encode_lines(events), len(events), now) if events else []
        await self.memory.done(reader.name, explained)
        gone = {one.index: one for one in refused}
        good = [event for index, event in enumerate(events) if index not in gone]
        if self.watch is not None:
            self.watch.note(good, now, asked=asked)
            self.watch.unwatched(whole.unwatched)
        start = 0
        for _, parsed in reads:
            for index, event in enumerate(parsed.events, start):
                if index in gone:
                    parsed.dead.append(_dead(gone[index], event))
            start += len(parsed.events)
        return len(good), [one for one in refused if one.index >= brought]

    async def replay(self, letter: Letter) -> bool:
        """A dead letter of a reader, once more: for `forestall deadletter replay`. Its signature was checked when it
        came. What can be read of it is taken; whether that is all of it is the answer.
        """
        reader = self.readers.get((letter.format, letter.feed))
        if reader is None:
            return False
        push = unpacked(letter)
        try:
            parsed = reader.parse(push)
        except Unreadable:
            return False
        events, lost = await self._taken(reader, [Read(push, parsed)], push.received_at, asked=False)
        self.status[reader.name].events += events
        return not (parsed.dead or parsed.unknown or lost)

    async def _explained(self, name: str, parsed: Parsed) -> tuple[list[Event], set[str]]:
        """All that can be said now: events complete in themselves, those that others explain, and those that waited
        for this push. And the links for which nothing waits once these events are durable.
        """
        events = list(parsed.events)
        explained = set(parsed.learned)
        if parsed.learned:
            await self.memory.learn(name, parsed.learned)
            waited = await self.memory.waiting(name, parsed.learned)
            events += [one for link, event in waited for one in joined(event, parsed.learned[link])]
        if parsed.pending:
            known = await self.memory.recall(name, (link for link, _ in parsed.pending))
            if missing := [one for one in parsed.pending if one.link not in known]:
                await self.memory.wait(name, missing)
                # Asked again after it waits: the push that explains may have come in between.
                known |= await self.memory.recall(name, (link for link, _ in missing))
            events += [one for link, event in parsed.pending for one in joined(event, known.get(link, ()))]
            self.status[name].waiting += sum(link not in known for link, _ in parsed.pending)
            explained |= set(known)
        return events, explained

    async def _count(self, reader: Reader, reads: Sequence[Read], taken: int, now: int) -> None:
        name, form = reader.name, self._form(reader)
        fresh = self._known.fresh(reader, form, reads)
        reasons = [one.reason for _, parsed in reads for one in parsed.dead]
        await self.letters.refuse(name, [one.letter for one in fresh], reasons, now, good=taken)
        self._known.note(fresh)
        whole = _whole(reads)
        self.status[name].take(whole, taken, now)
        if whole.unknown:
            self.metrics.counter("unknown_codes").labels(feed=name).inc(len(whole.unknown))
        if whole.unplaced:
            self.metrics.counter("unplaced").labels(feed=name).inc(whole.unplaced)
        for reason in whole.skipped:
            self.metrics.counter("pushes_skipped").labels(feed=name, reason=reason.value).inc()
        for field_name in whole.left_out:
            self.metrics.counter("fields_left_out").labels(feed=name, field=field_name).inc()

    def _form(self, reader: Reader) -> Format:
        forms = (form for form in Format if self.readers.get((form, reader.name)) is reader)
        return next(forms, Format.PUSH)


def busy(feed: Feed, push: Push) -> Answer:
    """Some providers send again only what was answered with a time, and a short one (Zendesk: under a minute)."""
    return feed.reply(Outcome.BUSY, push)._replace(headers={"retry-after": str(RETRY_AFTER_SECONDS)})


def _whole(reads: Sequence[Read]) -> Parsed:
    if len(reads) == 1:
        return reads[0].parsed
    whole = Parsed()
    for read in reads:
        whole.add(read.parsed)
    return whole


def _dead(refused: DeadEvent, event: Event) -> Dead:
    """Known again by the event's id: its line has the time of its receipt, which is another each time."""
    return Dead(refused.reason, refused.detail, str(event["event_id"]).encode("utf-8", "replace"))


def _as_event(reader: Reader, refused: DeadEvent, now: int) -> Letter:
    return Letter(refused.reason, refused.detail, refused.raw, reader.name, now)
