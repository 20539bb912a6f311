"""Which parcels their feed has not mentioned for longer than usual: those are asked about before anybody calls them stalled.

A webhook that a provider gave up on (17TRACK after three tries) looks exactly like a parcel that stands still. What is usual
is learned per carrier from the gaps between mentions. Only feeds that are alive count: when a whole feed is silent, asking
parcel by parcel says nothing that the feed's silence does not.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from monitor.feeds.base import Event

HOUR: Final = 3_600_000
MOST: Final = (
    300_000  # parcels; the one mentioned longest ago is forgotten first, as the engine has it anyway
)
OVER: Final = frozenset({"delivered", "collected", "returned", "lost", "cancelled"})
# No stall is called within 12 hours (the floors of `config.detection.StallSettings`): whoever asks by then asks in time.
SHORTEST, LONGEST = 6 * HOUR, 11 * HOUR
UNTAUGHT: Final = LONGEST
ENOUGH: Final = 30  # gaps before a carrier's own usual counts
MEMORY: Final = 0.02  # weight of a new gap
FORGET: Final = 30 * 24 * HOUR
LIMIT: Final = 1000


Row: TypeAlias = tuple[str, str, int]  # carrier, feed, mentioned


class Quiet(NamedTuple):
    tracking_number: str
    carrier: str
    feed: str
    silent_ms: int


@dataclass(slots=True)
class _Gaps:
    """Of log hours: mean and variance, forgetting slowly."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def add(self, gap_ms: int) -> None:
        value = math.log(max(gap_ms, 60_000) / HOUR)
        self.count += 1
        weight = max(MEMORY, 1 / self.count)
        away = value - self.mean
        self.mean += weight * away
        self.variance = (1 - weight) * (self.variance + weight * away * away)

    @property
    def usual_ms(self) -> int:
        """What some nineteen of twenty gaps stay below."""
        if self.count < ENOUGH:
            return UNTAUGHT
        longest = math.exp(self.mean + 1.65 * math.sqrt(self.variance)) * HOUR
        return int(min(max(longest, SHORTEST), LONGEST))


class Watch:
    def __init__(self) -> None:
        self._parcels: OrderedDict[str, Row] = OrderedDict()  # in the order of their last mention
        self._resting: OrderedDict[str, Row] = OrderedDict()  # asked about, and not mentioned since
        self._rested: OrderedDict[str, Row] = OrderedDict()  # to be asked about once more
        self._wakes: list[tuple[int, str]] = []  # a heap; who no longer rests is passed over
        self._looked = 0  # when, last
        self._gaps: dict[str, _Gaps] = {}
        self._unwatched: dict[str, None] = {}

    def note(self, events: Collection[Event], now: int, *, asked: bool = False) -> None:
        """Tracking events as they are taken; a push that only repeats old scans is a sign of life all the same.

        What came because we `asked` says nothing about how often the provider speaks by itself.
        """
        for event in events:
            if event["kind"] != "tracking":
                continue
            number, carrier = event["tracking_number"], event["carrier"]
            known = self.drop(number)
            if known is not None and now > known[2] and not asked:
                self._gaps.setdefault(carrier, _Gaps()).add(now - known[2])
            if event["status"] not in OVER:
                self._parcels[number] = (carrier, event["source"], now)
        while len(self) > MOST:
            self.drop(next(iter(self._resting or self._rested or self._parcels)))

    def unwatched(self, numbers: Collection[str]) -> None:
        """The provider will say no more about these: they are quiet from now on, unless they are over."""
        for number in numbers:
            if number in self._parcels or number in self._resting or number in self._rested:
                self._unwatched[number] = None

    def rest(self, number: str, until: int) -> None:
        """Not to be asked about before then, unless it is mentioned: nobody behind it waits for it."""
        row = self._parcels.pop(number, None) or self._rested.pop(number, None)
        if row is not None:
            self._resting[number] = row
            heapq.heappush(self._wakes, (until, number))

    def drop(self, number: str) -> Row | None:
        """Forgotten until a feed mentions it."""
        self._unwatched.pop(number, None)
        for place in (self._parcels, self._resting, self._rested):
            if (row := place.pop(number, None)) is not None:
                return row
        return None

    def usual_ms(self, carrier: str) -> int:
        gaps = self._gaps.get(carrier)
        return gaps.usual_ms if gaps else UNTAUGHT

    def quiet(self, now: int, alive: Collection[str], limit: int = LIMIT) -> list[Quiet]:
        """The longest silent first, after them those that were asked about before. `alive`: the feeds that delivered
        something lately.
        """
        self._wake(now)
        return list(islice(self._silent(now, alive), limit)) if alive else []

    def _silent(self, now: int, alive: Collection[str]) -> Iterator[Quiet]:
        usual = {carrier: gaps.usual_ms for carrier, gaps in self._gaps.items()}
        shortest = min([*usual.values(), UNTAUGHT])
        for number, (carrier, feed, mentioned) in self._parcels.items():
            silent = now - mentioned
            if silent < shortest:
                break  # in the order of their last mention: the rest is younger still
            if feed in alive and (silent > usual.get(carrier, UNTAUGHT) or number in self._unwatched):
                yield Quiet(number, carrier, feed, silent)
        for number in self._unwatched:
            row = self._parcels.get(number)
            if row is not None and row[1] in alive and now - row[2] < shortest:
                yield Quiet(number, row[0], row[1], now - row[2])
        for number, (carrier, feed, mentioned) in self._rested.items():
            if feed in alive:
                yield Quiet(number, carrier, feed, now - mentioned)

    def _wake(self, now: int) -> None:
        """Those whose rest is over; and who was not mentioned for a month is forgotten."""
        back = now < self._looked - HOUR // 60  # the clock was set back: an hour's rest would last for a day
        self._looked = now
        while self._wakes and (back or self._wakes[0][0] <= now):
            number = heapq.heappop(self._wakes)[1]
            if (row := self._resting.pop(number, None)) is not None:
                self._rested[number] = row
        for place in (self._parcels, self._rested):
            while place and now - next(iter(place.values()))[2] > FORGET:
                self.drop(next(iter(place)))

    def __len__(self) -> int:
        return len(self._parcels) + len(self._resting) + len(self._rested)

    def state(self) -> dict[str, Any]:
        """Whoever takes this up asks about those that rest as well: for how long they do is not kept."""
        asked = (*self._rested.items(), *self._resting.items())
        return {
            "parcels": [[number, *row] for number, row in self._parcels.items()],
            "asked": [[number, *row] for number, row in asked],
            "gaps": {name: [one.count, one.mean, one.variance] for name, one in self._gaps.items()},
            "unwatched": list(self._unwatched),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._parcels = OrderedDict((row[0], (row[1], row[2], row[3])) for row in state["parcels"])
        self._rested = OrderedDict((row[0], (row[1], row[2], row[3])) for row in state.get("asked", ()))
        self._resting, self._wakes = OrderedDict(), []
        self._gaps = {name: _Gaps(*row) for name, row in state["gaps"].items()}
        self._unwatched = dict.fromkeys(state["unwatched"])
