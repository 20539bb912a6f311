"""The contract of a poller. It sends one request and says what came of it; when to ask is the runner's to decide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from monitor.feeds.base import Feed, Push
from monitor.feeds.watch import Quiet
from notifier.http import Reply, retry_after
from notifier.sending import SendResult

MOST_ANSWER_BYTES: Final = 8 << 20
PhoneOf: TypeAlias = Callable[
    [str], Awaitable[str | None]
]  # of a tracking number: personal data, kept by nobody


async def no_phone(_tracking_number: str) -> str | None:
    return None


class Trouble(StrEnum):
    """Why an answer is none."""

    NETWORK = "network"
    RATE = "rate"
    AUTH = "auth"
    SERVER = "server"
    REFUSED = "refused"  # the provider's own "no" to the whole request
    TOO_LARGE = "too_large"  # the answer: we read no more than `MOST_ANSWER_BYTES` of one
    SHAPE = (
        "shape"  # a 200 without the list, or whose records have no cursor: an error in it, or a wrong path
    )
    STUCK = (
        "stuck"  # there is more, and the cursor stands still: more records of one time than an answer holds
    )
    UNORDERED = "unordered"  # not oldest first: what the answer left out would never be asked for


@dataclass(frozen=True, slots=True)
class Answered:
    """`pushes`: what the feed can read. `refused`: numbers that the provider does not know. `cursor`: where to go on.

    All three count where there is trouble as well. `again`: seconds after which the provider wants to be asked at the
    earliest. `unasked`: numbers that the question could not be about, as we do not know what the provider asks of them;
    where these are all, nothing was asked.
    """

    pushes: Sequence[Push] = ()
    refused: Sequence[str] = ()
    unasked: Sequence[str] = ()
    trouble: Trouble | None = None
    again: float | None = None
    cursor: str | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    per_second: float
    batch: int = 1
    each_ms: int = 30 * 60_000  # between two questions about one parcel
    without: frozenset[str] = frozenset()  # carriers about which it answers nothing


class ParcelPoller(Protocol):
    """Asks about parcels; events come out as from the feed whose pushes it stands in for."""

    name: str
    feed: Feed
    limits: Limits

    async def ask(self, parcels: Sequence[Quiet], now: int) -> Answered: ...


class ListPoller(Protocol):
    """Reads a list from a cursor on; the empty cursor is the beginning."""

    name: str
    feed: Feed
    limits: Limits
    every_ms: int

    async def read(self, cursor: str, now: int) -> Answered: ...


def trouble_of(reply: Reply | SendResult, now: int) -> Answered:
    """What an answer means that is not a whole 2xx."""
    if isinstance(reply, SendResult):
        return Answered(trouble=Trouble.NETWORK)
    if reply.ok and reply.cut:
        return Answered(trouble=Trouble.TOO_LARGE)
    wait = retry_after(reply.headers, now)
    if reply.status in {425, 429}:
        return Answered(trouble=Trouble.RATE, again=wait)
    if reply.status in {401, 403}:
        return Answered(trouble=Trouble.AUTH, again=wait)
    return Answered(trouble=Trouble.SERVER if reply.status >= 500 else Trouble.REFUSED, again=wait)


def carriers_of(table: Mapping[str, str]) -> dict[str, str]:
    """Our names of carriers back to the provider's; where two of theirs are one of ours, the first."""
    back: dict[str, str] = {}
    for theirs, ours in table.items():
        back.setdefault(ours, theirs)
    return back
