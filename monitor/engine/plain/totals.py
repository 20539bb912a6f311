"""Totals, counted anew."""

from __future__ import annotations

from collections import Counter

from monitor.engine.layout import Open
from monitor.engine.plain.life import Key, Lane, Life
from monitor.engine.plain.table import PlainTable
from monitor.vocabulary import Segment

HALF_DAY, CELLS = 12 * 3600, 180


class PlainTotals(PlainTable):
    def living(self) -> list[Life]:
        return [life for life in self.lives.values() if not life.finished]

    def promised(self) -> set[Key]:
        """Parcels under way that have a promise."""
        return {life.key for life in self.living() if life.promised and not life.is_order}

    def waited(self, now: int) -> Counter[tuple[int, Lane]]:
        """Parcels not delivered yet by the half days since they were handed over, and by lane."""
        return Counter(
            (min((now - life.accepted) // HALF_DAY, CELLS - 1), life.lane)
            for life in self.living()
            if 0 < life.accepted <= now and not life.is_order and life.segment < Segment.COLLECTION
        )

    def stock(self) -> Counter[int]:
        return Counter(life.facility for life in self.living() if life.in_place)

    def open_legs(self) -> Counter[tuple[Lane, int]]:
        return Counter((life.lane, life.segment) for life in self.living())

    def stalled(self) -> Counter[int]:
        return Counter(life.facility for life in self.living() if life.open & Open.STALL)

    def live_of_feed(self) -> Counter[int]:
        return Counter(life.source for life in self.living())

    def live_in(self) -> Counter[tuple[int, int]]:
        return Counter(
            (life.destination, life.carrier)
            for life in self.living()
            if life.destination and not life.is_order
        )
