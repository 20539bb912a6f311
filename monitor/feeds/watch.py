"""Which parcels their feed has not mentioned for longer than usual: those are asked about before anybody calls them stalled.

A webhook that a provider gave up on (17TRACK after three tries) looks exactly like a parcel that stands still. What is usual
is learned per carrier from the gaps between mentions. Only feeds that are alive count: when a whole feed is silent, asking
parcel by parcel says nothing that the feed's silence does not.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

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
        self._parcels: OrderedDict[str, tuple[str, str, int]] = (
            OrderedDict()
        )  # number: carrier, feed, mentioned
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
            known = self._parcels.pop(number, None)
            self._unwatched.pop(number, None)
            if known is not None and now > known[2] and not asked:
                self._gaps.setdefault(carrier, _Gaps()).add(now - known[2])
            if event["status"] not in OVER:
                self._parcels[number] = (carrier, event["source"], now)
        while len(self._parcels) > MOST:
            self._parcels.popitem(last=False)

    def unwatched(self, numbers: Collection[str]) -> None:
        """The provider will say no more about these: they are quiet from now on, unless they are over."""
        for number in numbers:
            if number in self._parcels:
                self._unwatched[number] = None

    def usual_ms(self, carrier: str) -> int:
        gaps = self._gaps.get(carrier)
        return gaps.usual_ms if gaps else UNTAUGHT

    def quiet(self, now: int, alive: Collection[str], limit: int = 1000) -> list[Quiet]:
        """The longest silent first. `alive`: the feeds that delivered something lately."""
        found: list[Quiet] = []
        for number, (carrier, feed, mentioned) in self._parcels.items():
            silent = now - mentioned
            if silent < SHORTEST and number not in self._unwatched:
                if not self._unwatched:
                    break  # in the order of their last mention: the rest is younger still
                continue
            if silent > FORGET or feed not in alive:
                continue
            if silent > self.usual_ms(carrier) or number in self._unwatched:
                found.append(Quiet(number, carrier, feed, silent))
                if len(found) == limit:
                    break
        return found

    def __len__(self) -> int:
        return len(self._parcels)

    def state(self) -> dict[str, Any]:
        return {
            "parcels": [[number, *row] for number, row in self._parcels.items()],
            "gaps": {name: [one.count, one.mean, one.variance] for name, one in self._gaps.items()},
            "unwatched": list(self._unwatched),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._parcels = OrderedDict((row[0], (row[1], row[2], row[3])) for row in state["parcels"])
        self._gaps = {name: _Gaps(*row) for name, row in state["gaps"].items()}
        self._unwatched = dict.fromkeys(state["unwatched"])
