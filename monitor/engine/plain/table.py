"""The table of the plain twin, and what scans, orders and the sweep all do with a life in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from detectors.kernels import BINS, EDGES
from monitor.engine.layout import LEG, OrderStatus, Outcome
from monitor.engine.plain.life import Key, Lane, Life, Rules
from monitor.vocabulary import Segment


class PlainTable:
    """`zone` and `country` of a region code, `inside` (region, destination), `business` (carrier, region, seconds), `limit` (leg), and
    `quick` (leg) in a jam, `ceiling` (leg). Nothing is known of how long the whole way takes.
    """

    def __init__(
        self,
        rules: Rules,
        zone: Callable[[int], int],
        inside: Callable[[int, int], bool],
        business: Callable[[int, int, int], int],
        limit: Callable[[int], int],
        quick: Callable[[int], int],
        country: Callable[[int], int],
        ceiling: Callable[[int], int],
    ) -> None:
        self.rules = rules
        self.zone, self.inside, self.business = zone, inside, business
        self.limit, self.quick, self.ceiling = limit, quick, ceiling
        self.country = country
        self.lives: dict[Key, Life] = {}
        self.seen: set[int] = set()
        self.outcomes: Counter[Outcome] = Counter()
        self.learned: Counter[tuple[Lane, int, int]] = Counter()  # lane, segment, bin
        self.arrived: Counter[int] = Counter()
        self.departed: Counter[int] = Counter()
        self.delivered_at: Counter[int] = Counter()
        self.shipped: Counter[tuple[int, int]] = Counter()  # region, carrier
        self.delivered_in: Counter[tuple[int, int]] = Counter()
        self.held: set[int] = set()
        self.jammed: set[int] = set()
        self.outages: dict[int, list[tuple[int, int]]] = {}  # by feed: its last silences, in seconds

    def _repeated(self, event: int, *, counted: bool = True) -> bool:
        if event == 0:
            return False
        if event in self.seen:
            self.outcomes[Outcome.DUPLICATE] += counted
            return True
        self.seen.add(event)
        return False

    def _begin(self, key: Key) -> Life | None:
        if len(self.lives) >= self.rules.max_slots:
            self.outcomes[Outcome.TABLE_FULL] += 1
            return None
        life = self.lives[key] = Life(key)
        return life

    def _roomy(self) -> bool:
        return 2 * len(self.lives) <= self.rules.max_slots

    def _stays_for(self, life: Life) -> int:
        """Longer where the beginning of what is finished is still unheard of."""
        unpaid = life.is_order and life.status == OrderStatus.SHIPPED
        unheard = not life.segment_since and (unpaid or not life.is_order)
        return self.rules.reuse if unheard and self._roomy() else self.rules.finished

    def _move(self, before: int, after: int) -> None:
        if before != after:
            self.departed[before] += 1
            self.arrived[after] += 1

    def _finish(self, life: Life, at: int) -> None:
        self._move(life.facility if life.in_place else 0, 0)
        life.in_place = False
        life.finished = True
        life.open = 0
        life.segment = Segment.NONE
        life.last_scan = max(life.last_scan, at)

    def _learn(self, life: Life, until: int) -> None:
        duration = self._worked(life, life.last_scan, until)
        teaches = not self._in_jam(life) and not self._is_preorder(life)
        if life.segment != Segment.NONE and duration >= 0 and teaches:
            self.learned[self._way(life), int(LEG[life.segment, life.status]), bin_of(duration)] += 1

    def _ships_by(self, life: Life) -> int:
        """The latest moment to ship a paid order; 0: no promise says it."""
        waits = life.segment == Segment.FULFILMENT and life.promised
        return life.promised - 3 * self.rules.preorder if waits else 0

    def _is_preorder(self, life: Life) -> bool:
        by = self._ships_by(life)
        return by != 0 and by - life.last_scan > self.ceiling(Segment.FULFILMENT)

    def _cross(self, life: Life, region: int) -> None:
        """Between the countries of a region and of the destination."""
        here, there = self.country(region), self.country(life.destination)
        life.abroad |= bool(here and there and here != there)

    def _in_jam(self, life: Life) -> bool:
        return life.segment == Segment.FACILITY and life.facility in self.jammed

    def _way(self, life: Life) -> Lane:
        """On the road the lane from where the parcel is counts, else its own."""
        if (
            life.segment not in (Segment.FACILITY, Segment.LINEHAUL)
            or not life.region
            or not life.destination
        ):
            return life.lane
        return life.carrier, self.zone(life.region), self.zone(life.destination)

    def _worked(self, life: Life, since: int, until: int) -> int:
        if life.segment == Segment.COLLECTION:
            return until - since
        return self.business(life.carrier, life.region, until) - self.business(
            life.carrier, life.region, since
        )


def bin_of(seconds: int) -> int:
    """The lowest bin whose upper edge is above; the last is open."""
    for place in range(BINS - 1):
        if seconds < EDGES[place]:
            return place
    return BINS - 1
