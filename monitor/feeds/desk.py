"""What happens to a push: verify | parse | explain | classify | take, and only then the provider is told "yes".

The order matters: what the push taught is remembered first, then its events become durable, then what could not be read.
A failure anywhere answers "busy", and the provider sends everything again; all of it is idempotent.
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
import structlog

from monitor.deadletter import Letter
from monitor.feeds.base import Answer, Event, Feed, Outcome, Parsed, Push, Rejected, Unreadable
from monitor.feeds.batch import Batches, Submits
from monitor.feeds.memory import Memory
from monitor.feeds.status import FeedStatus
from monitor.feeds.watch import Watch
from monitor.intake import IntakeBusyError
from monitor.metrics import Metrics
from monitor.vocabulary import DeadReason
from notifier.store import StoreError

log = structlog.get_logger(__name__)

# What a payload means without its signature; nothing else of a request is kept with a dead letter.
KEPT_HEADERS: Final = frozenset({"x-shopify-topic", "x-wc-webhook-topic"})
KEPT_QUERY: Final = frozenset({"orderId", "order_id"})
_LINES: Final = msgspec.json.Encoder()
REMEMBERED: Final = 20_000  # letters already parked: providers send whole histories again and again


class Letters(Protocol):
    async def park(self, letters: Sequence[Letter]) -> None: ...


class Classify(Protocol):
    """Fills in category, reason and severity of a complaint, and learns where the shop said them."""

    def fill(self, event: Event) -> None: ...


@dataclass(slots=True)
class Desk:
    feeds: Mapping[str, Feed]
    intake: Submits
    letters: Letters
    memory: Memory
    metrics: Metrics
    classifier: Classify | None = None
    watch: Watch | None = None
    status: dict[str, FeedStatus] = field(default_factory=dict)
    readers: dict[str, Feed] = field(default_factory=dict)
    _parked: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _batches: Batches = field(init=False)

    def __post_init__(self) -> None:
        self._batches = Batches(self.intake)
        for feed in self.feeds.values():
            self.add_reader(feed)

    def add_reader(self, feed: Feed) -> None:
        """A feed that also something other than the HTTP route may hand in: a poller's, a file's."""
        self.readers[feed.name] = feed
        self.status.setdefault(feed.name, FeedStatus(feed.name, feed.kind))
        for name in ("rejected_signatures", "unknown_codes", "unplaced"):
            self.metrics.counter(name).labels(feed=feed.name)

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
            return feed.reply(Outcome.BUSY, push)

    async def _accept(self, feed: Feed, push: Push) -> Outcome:
        try:
            parsed = feed.parse(push)
        except Unreadable as unreadable:
            await self.unreadable(feed, push, unreadable)
            return Outcome.MALFORMED
        await self.take(feed, push, parsed)
        return Outcome.ACCEPTED

    async def unreadable(self, feed: Feed, push: Push, error: Unreadable) -> None:
        """Kept whole, once."""
        self.status[feed.name].dead += 1
        key = _key(feed.name, error.reason, push.raw.decode("utf-8", "replace"))
        if self._is_new(key):
            await self._park([self._letter(feed, push, error.reason, str(error))], [key])

    async def take(self, feed: Feed, push: Push, parsed: Parsed, *, asked: bool = False) -> None:
        """Also the way of what pollers and files read: they have parsed already. `asked`: it came as an answer."""
        events, explained = await self._explained(feed.name, parsed)
        if self.classifier is not None:
            for event in events:
                if event["kind"] == "complaint":
                    self.classifier.fill(event)
        if events:
            # In our own format from here on, so it is nobody's dead letter but ours.
            await self._batches.submit(_LINES.encode_lines(events), push.received_at)
        await self.memory.done(feed.name, explained)
        if self.watch is not None:
            self.watch.note(events, push.received_at, asked=asked)
            self.watch.unwatched(parsed.unwatched)
        await self._park(*self._letters_of(feed, push, parsed))
        self._count(feed.name, parsed, len(events), push.received_at)

    async def replay(self, letter: Letter) -> bool:
        """A dead letter of a feed, once more: for `forestall deadletter replay`. Its signature was checked when it
        came.
        """
        feed = self.readers.get(letter.feed)
        if feed is None:
            return False
        push = _unpacked(letter)
        try:
            parsed = feed.parse(push)
        except Unreadable:
            return False
        if parsed.dead or parsed.unknown:
            return False
        await self.take(feed, push, parsed)
        return True

    async def _explained(self, name: str, parsed: Parsed) -> tuple[list[Event], set[str]]:
        """All that can be said now: events complete in themselves, those that others explain, and those that waited
        for this push. And the links for which nothing waits once these events are durable.
        """
        events = list(parsed.events)
        explained = set(parsed.learned)
        if parsed.learned:
            await self.memory.learn(name, parsed.learned)
            waited = await self.memory.waiting(name, parsed.learned)
            events += [{**event, **parsed.learned[link]} for link, event in waited]
        if parsed.pending:
            known = await self.memory.recall(name, (link for link, _ in parsed.pending))
            if missing := [one for one in parsed.pending if one.link not in known]:
                await self.memory.wait(name, missing)
                # Asked again after it waits: the push that explains may have come in between.
                known |= await self.memory.recall(name, (link for link, _ in missing))
            events += [{**event, **known[link]} for link, event in parsed.pending if link in known]
            self.status[name].waiting += sum(link not in known for link, _ in parsed.pending)
            explained |= set(known)
        return events, explained

    def _letters_of(self, feed: Feed, push: Push, parsed: Parsed) -> tuple[list[Letter], list[str]]:
        """At most one of each reason: the whole push, so that a better table can read it again. And what to know them by."""
        found: dict[DeadReason, list[str]] = {}
        keys = []
        parts = [
            (one.reason, one.detail, one.detail, one.raw.decode("utf-8", "replace")) for one in parsed.dead
        ]
        parts += [
            (DeadReason.UNKNOWN_CODE, f"code {code[:40]!r}", code, str(event["event_id"]))
            for code, event in parsed.unknown
        ]
        for reason, detail, *about in parts:
            key = _key(feed.name, *about)
            if self._is_new(key):
                keys.append(key)
                found.setdefault(reason, []).append(detail)
        letters = [
            self._letter(feed, push, reason, "; ".join(dict.fromkeys(details))[:500])
            for reason, details in found.items()
        ]
        return letters, keys

    def _is_new(self, key: str) -> bool:
        if key in self._parked:
            self._parked.move_to_end(key)
            return False
        return True

    def _letter(self, feed: Feed, push: Push, reason: DeadReason, detail: str) -> Letter:
        return Letter(reason, detail, _packed(push), feed.name, push.received_at)

    async def _park(self, letters: list[Letter], keys: list[str]) -> None:
        """Known as parked only when they are: what the store refused comes again, and is parked then."""
        await self.letters.park(letters)
        for key in keys:
            self._parked[key] = None
        while len(self._parked) > REMEMBERED:
            self._parked.popitem(last=False)

    def _count(self, name: str, parsed: Parsed, taken: int, now: int) -> None:
        self.status[name].take(parsed, taken, now)
        if parsed.unknown:
            self.metrics.counter("unknown_codes").labels(feed=name).inc(len(parsed.unknown))
        if parsed.unplaced:
            self.metrics.counter("unplaced").labels(feed=name).inc(parsed.unplaced)


def _key(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()


def _packed(push: Push) -> bytes:
    kept = {
        "headers": {name: value for name, value in push.headers.items() if name in KEPT_HEADERS},
        "query": {name: value for name, value in push.query.items() if name in KEPT_QUERY},
    }
    try:
        body = {"body": push.raw.decode()}
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(push.raw).decode()}
    return msgspec.json.encode({**kept, **body})


def _unpacked(letter: Letter) -> Push:
    kept = msgspec.json.decode(letter.raw)
    raw = kept["body"].encode() if "body" in kept else base64.b64decode(kept["base64"])
    return Push(raw, kept["headers"], kept["query"], letter.at)
