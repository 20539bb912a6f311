"""The contract of a feed.

A feed is a folder `monitor/feeds/<kind>/` (options, code, code table with provenance), one line in `registry.py`, and
pairs of payload and expected events under `tests/golden/feeds/<kind>/`. It is pure: bytes in, events out; no clock,
no network, no state, so a repeated or reordered push gives the same events with the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

from config.regions import Regions
from monitor.vocabulary import DeadReason

Event: TypeAlias = dict[str, Any]
NOTHING: Mapping[str, str] = MappingProxyType({})


class Refusal(StrEnum):
    """Why a push was not let in."""

    MISSING = "missing"  # no signature
    WRONG = "wrong"
    STALE = "stale"  # a signed time too far from now: a replay


class Rejected(Exception):  # noqa: N818 - the push was refused, the program did not fail
    """The push is not from the provider. The reason is all that is said: a precise answer helps a forger."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Unreadable(Exception):  # noqa: N818 - as above
    """The whole push cannot be read; signed all the same, so it is kept as a dead letter."""

    def __init__(self, reason: DeadReason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Push:
    """One request. `headers` has lower-case names; `received_at` is milliseconds UTC."""

    raw: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    received_at: int


class Skip(StrEnum):
    """Why a push that was read became no event, though nothing is wrong with it: a metric label."""

    TOPIC = "topic"  # not of an order that was placed: drafts, checkouts, products
    TEST = "test"  # of the shop's test mode
    TOLD_BY_THE_ORDER = "told_by_the_order"  # what it says in part, the order's own push says whole


class UnknownCode(NamedTuple):
    """A code without an entry in the feed's table: its event is kept as `unknown`, and copied to the dead letters."""

    code: str
    event: Event


class Dead(NamedTuple):
    """A part of a push that gave no event. `detail` names the field, never its value."""

    reason: DeadReason
    detail: str
    raw: bytes


class Pending(NamedTuple):
    """An event that lacks fields which another push of the same feed tells of `link` ("fulfillment:123"): one event
    for each that the link stands for.
    """

    link: str
    event: Event


@dataclass(slots=True)
class Parsed:
    events: list[Event] = field(default_factory=list)
    unknown: list[UnknownCode] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    unplaced: int = 0  # places that were named and are in no region of the table
    unwatched: list[str] = field(default_factory=list)  # parcels that the provider will say no more about
    learned: dict[str, list[dict[str, str]]] = field(
        default_factory=dict
    )  # link to the fields of each it stands for
    pending: list[Pending] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # optional fields whose value was out of their range
    skipped: list[Skip] = field(default_factory=list)

    def add(self, other: Parsed) -> None:
        self.events += other.events
        self.unknown += other.unknown
        self.dead += other.dead
        self.unwatched += other.unwatched
        self.pending += other.pending
        self.left_out += other.left_out
        self.skipped += other.skipped
        self.unplaced += other.unplaced
        self.learned.update(other.learned)


class Read(NamedTuple):
    """What a reader made of a push."""

    push: Push
    parsed: Parsed


class Reader(Protocol):
    """Whatever makes events of bytes: a feed, a list's page, a file's records. `name` is the `source` of its events."""

    name: str
    kind: str
    repeats: bool  # its pushes bring again what earlier ones brought

    def parse(self, push: Push) -> Parsed:
        """Raises only `Unreadable`; whatever else is wrong in a part of the push is a `Dead` of that part."""
        ...

    def split(self, push: Push) -> Sequence[Push]:
        """Pushes of one record each that together say the same; the push itself where it has no such parts."""
        ...


class Outcome(StrEnum):
    ACCEPTED = "accepted"  # durable
    REJECTED = "rejected"  # signature
    MALFORMED = "malformed"  # signed, unreadable, kept as a dead letter: sending it again would not help
    BUSY = "busy"  # not durable: the provider should send it again


STATUSES: Mapping[Outcome, int] = {
    Outcome.ACCEPTED: 200,
    Outcome.REJECTED: 401,
    Outcome.MALFORMED: 400,
    Outcome.BUSY: 503,
}


class Answer(NamedTuple):
    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = NOTHING


def plain_answer(outcome: Outcome) -> Answer:
    """For providers that read the status only."""
    return Answer(STATUSES[outcome], b'{"result":"' + outcome.value.encode() + b'"}')


class Feed(Reader, Protocol):
    """`name` is the instance's, as configured."""

    def verify(self, push: Push) -> None:
        """Raises `Rejected`. Over the raw bytes, in constant time; without a secret there is no feed."""
        ...

    def reply(self, outcome: Outcome, push: Push) -> Answer: ...

    def hello(self, query: Mapping[str, str]) -> Answer | None:
        """The answer to a provider that checks the URL with a GET; None: this provider does not."""
        ...

    def sign(
        self,
        body: bytes,
        received_at: int,
        headers: Mapping[str, str] = NOTHING,
        query: Mapping[str, str] = NOTHING,
    ) -> Push:
        """What the provider would send for this body: for `forestall connect` and the tests."""
        ...


class Base:
    """What every feed has; subclasses set `kind` and `Options`."""

    kind = ""
    repeats = True

    def __init__(self, name: str, places: Regions) -> None:
        self.name = name
        self.places = places

    def split(self, push: Push) -> Sequence[Push]:
        return (push,)

    def reply(self, outcome: Outcome, push: Push) -> Answer:  # noqa: ARG002 - others look at the push
        return plain_answer(outcome)

    def hello(self, query: Mapping[str, str]) -> Answer | None:  # noqa: ARG002 - others look at the query
        return None


def decode_json(raw: bytes) -> dict[str, Any]:
    """A JSON object, or `Unreadable`."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable(DeadReason.MALFORMED_JSON) from None
    if not isinstance(value, dict):
        raise Unreadable(DeadReason.NOT_AN_OBJECT)
    return value
