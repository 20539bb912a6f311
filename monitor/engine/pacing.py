"""Calendars that learn: a carrier that does little on Sundays gets a calendar of its own, from what it did.

Once a local day the legs that ended on it are counted per carrier, beside those that are open; for the shop itself
(carrier 0: what no carrier has yet) the orders that were shipped. Where a carrier's week has slow days, its calendar
is the last rule's (the one for all that no other rule names) slowed on them. Carriers with a rule of their own keep it.

A day on which silent feeds hid more than `HIDDEN` of a carrier's legs teaches nothing: they ended unheard, or all at
once when the feeds came back. How many are hidden is counted with the census. The feed that hides most of them is the
carrier's voice from then on: what only the shop has spoken of may have been handed over unheard. When it is back and
others are still silent, the first of these is: any of them may have told of it. Nor does a day teach of which the
daemon missed hours: what happened while it was down is counted when it hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from config import calendars
from detectors.clock import DAY, offset_of
from detectors.findings import Instant
from detectors.weekdays import Weekdays
from monitor.engine.stage import PACED, ParcelStage
from monitor.vocabulary import Segment

STEP: Final = 0.05  # a pace is stated so coarsely that most days change no calendar
SLOW: Final = 0.85  # a week whose slowest day is quicker needs no calendar
MISSED: Final = 6 * 3_600_000  # between two looks: the daemon was down
HIDDEN: Final = 0.1  # fewer change a pace by less than what is called slow
_SHOP: Final = 0
_MOVING: Final = [Segment.FACILITY, Segment.LINEHAUL, Segment.DELIVERY]


class Pacing:
    def __init__(self, stage: ParcelStage, rules: tuple[calendars.CalendarRule, ...]) -> None:
        self._stage = stage
        self._rule = rules[-1]
        self._default = len(rules) - 1
        self._first = len(rules)  # row of `worked` of the first learned calendar
        self._rows: dict[int, tuple[int, tuple[float, ...]]] = {}  # carrier to its row and pace
        self._week = Weekdays(PACED)
        self._day = 0
        self._looked: Instant = 0
        self._torn = False  # hours of this day were missed
        self._before = np.zeros(PACED)
        self._open = np.zeros(PACED)
        self._hiding = np.zeros((PACED, 1), np.int32)  # by carrier and feed, as of the latest census
        self._hidden = np.zeros(PACED, np.bool_)  # likewise
        self._unheard = np.zeros(PACED, np.bool_)  # at any of this day, or the last before it

    def pass_time(self, now: Instant) -> None:
        """At least once an hour, or a day's legs count for the next one."""
        day = (now + offset_of(now, self._rule.timezone)) // DAY
        missed = now - self._looked > MISSED
        self._looked = now
        self._torn |= missed
        if day == self._day:
            return
        ended, waiting = self._legs("finished"), self._legs("open")
        if day == self._day + 1 and not self._torn:
            weekday = calendars.weekday_worked(self._rule, day - 1)
            self._week.learn(weekday, ended - self._before, (self._open + waiting) / 2, self._unheard)
            self._adopt()
        self._day, self._before, self._open = day, ended, waiting
        self._unheard = self._hidden.copy()
        self._torn = missed  # its first hours, too

    def hear_census(self, now: Instant) -> None:
        """After a whole census. A feed that is silent and hides nothing has been replaced: it is nobody's voice."""
        world = self._stage.world
        counted = self._counted()
        self._hiding = counted.copy()
        if self._hiding.any():  # else the rows are memory that nobody has touched yet
            counted[:] = 0
        self._hidden = self._hiding.sum(axis=1) > HIDDEN * self._legs("open")
        self._unheard |= self._hidden
        voice = world.voice[:PACED]
        voice[self._is_silent(voice, now) & ~self._hidden] = 0
        self.hear_feeds(now)

    def hear_feeds(self, now: Instant) -> None:
        """After a feed spoke again, and at a census: who is the voice where silent feeds hide much, as of the last one."""
        voice = self._stage.world.voice[:PACED]
        feeds = np.arange(self._hiding.shape[1])
        hiding = np.where(self._is_silent(feeds, now), self._hiding, 0)
        hiding[:, 0] = 0
        most = hiding.argmax(axis=1).astype(voice.dtype)
        much = hiding.sum(axis=1) > HIDDEN * self._legs("open")
        found = much & (most != 0)
        voice[found] = most[found]

    def _counted(self) -> Any:
        """As far as there are feeds: the rest of the room is never touched."""
        return self._stage.world.hiding[:, : len(self._stage.names.sources) + 1]

    def _is_silent(self, feeds: Any, now: Instant) -> Any:
        return self._stage.world.outage_until[feeds, 0] >= now // 1000

    def _legs(self, kind: str) -> Any:
        """On the move, by carrier, and for the shop to be shipped: those that ended so far, or those that are open."""
        world, lanes = self._stage.world, self._stage.lane_count + 1
        carrier = world.lanes["carrier"][:lanes].astype(np.int64)
        counted = world.passed[kind][:lanes]
        legs = np.where(carrier == _SHOP, counted[:, Segment.FULFILMENT], counted[:, _MOVING].sum(axis=1))
        return np.bincount(np.minimum(carrier, PACED - 1), weights=legs, minlength=PACED)

    def _adopt(self) -> None:
        pace = (self._week.pace() / STEP).round() * STEP
        slow = np.flatnonzero(pace.min(axis=1) < SLOW).tolist()
        # A carrier that recovers keeps its row, with days as long as others'.
        for carrier in sorted({*slow, *self._rows}):
            known = self._rows.get(carrier)
            row = known[0] if known else self._first + len(self._rows)
            week = tuple(pace[carrier].tolist())
            if carrier < PACED - 1 and row < len(self._stage.world.worked) and (row, week) != known:
                self._rows[carrier] = row, week
                self._fill(row, week)
        self._assign()

    def _fill(self, row: int, week: tuple[float, ...]) -> None:
        self._stage.world.worked[row] = calendars.paced(self._rule, week)

    def _assign(self) -> None:
        for carrier, (row, _) in self._rows.items():
            self._stage.places.paced[carrier] = row  # in zones heard of later, too
            mine = self._stage.world.calendar[carrier]
            mine[mine == self._default] = row

    def state(self) -> dict[str, Any]:
        return {
            "rows": [[carrier, row, list(pace)] for carrier, (row, pace) in self._rows.items()],
            "week": self._week.state(),
            "day": self._day,
            "looked": self._looked,
            "torn": self._torn,
            "before": self._before.tolist(),
            "open": self._open.tolist(),
            "voice": self._stage.world.voice[:PACED].tolist(),
            "hides": [_cells(self._counted()), _cells(self._hiding)],
            "hidden": self._hidden.tolist(),
            "unheard": self._unheard.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rows = {carrier: (row, tuple(pace)) for carrier, row, pace in state["rows"]}
        self._week.restore(state["week"])
        self._day = state["day"]
        self._looked, self._torn = state.get("looked", 0), state.get("torn", False)
        self._before = np.array(state["before"])
        self._open = np.array(state.get("open", np.zeros(PACED)))
        self._restore_hiding(state)
        self._hidden = np.array(state.get("hidden", self._hidden))
        self._unheard = np.array(state.get("unheard", self._unheard))
        for row, week in self._rows.values():
            self._fill(row, week)
        self._assign()

    def _restore_hiding(self, state: Mapping[str, Any]) -> None:
        world = self._stage.world
        self._hiding = np.zeros((PACED, len(self._stage.names.sources) + 1), np.int32)
        if "voice" in state:
            world.voice[:PACED] = state["voice"]
            under_way, counted = state["hides"]
            _enter(world.hiding, under_way)
            _enter(self._hiding, counted)
        elif "hiding" in state:  # as it was before: one feed a carrier, of the census under way
            hidden, hider, voice = state["hiding"]
            world.voice[:PACED] = voice
            _enter(world.hiding, zip(range(PACED), hider, hidden, strict=True))


def _cells(hiding: Any) -> list[list[int]]:
    """[carrier, feed, legs] of those that hide any."""
    carriers, feeds = np.nonzero(hiding)
    cells: list[list[int]] = np.column_stack([carriers, feeds, hiding[carriers, feeds]]).tolist()
    return cells


def _enter(hiding: Any, cells: Iterable[Iterable[int]]) -> None:
    for carrier, feed, legs in cells:
        hiding[carrier, feed] = legs
