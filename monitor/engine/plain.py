"""The parcel stage in plain Python: slow, obvious, one event at a time. The oracle that the kernels are tested against.

A parcel or order is a `Life`; the table is a dictionary. Running totals are not kept but counted when asked for.
Names are codes, times are seconds, exactly as in the kernels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from detectors.kernels import BINS, EDGES
from monitor.engine.layout import END, KEEP, LEG, Ended, Oddity, Open, OrderStatus, Outcome, What
from monitor.engine.layout import SENDS as GOES
from monitor.vocabulary import Segment, Status

Key: TypeAlias = tuple[int, int]
Lane: TypeAlias = tuple[int, int, int]  # carrier, origin zone, destination zone
IN_PLACE = {
    Status.ACCEPTED,
    Status.ARRIVED,
    Status.CUSTOMS_ENTERED,
    Status.CUSTOMS_HELD,
    Status.CUSTOMS_CLEARED,
    Status.HELD_FOR_PICKUP,
}
HALF_DAY, CELLS = 12 * 3600, 180
ORDER_ENDS = {OrderStatus.SHIPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.REFUNDED}
BACK = {Segment.RETURN, Segment.REFUND}


@dataclass(slots=True)
class Life:
    key: Key
    is_order: bool = False
    finished: bool = False
    last_scan: int = 0
    segment_since: int = 0
    promised: int = 0
    accepted: int = 0
    out_for_delivery: int = 0
    destination: int = 0
    region: int = 0
    facility: int = 0
    lane: Lane = (0, 0, 0)
    carrier: int = 0
    source: int = 0
    status: int = 0
    segment: int = 0
    open: int = 0
    history: bool = False
    promise_told: bool = False
    in_place: bool = False
    abroad: bool = False
    joined: bool = False
    ordered: int = 0
    estimated: int = 0
    courier: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    max_slots: int
    history: int
    lost: int
    lost_abroad: int
    forget: int
    finished: int
    reuse: int
    too_fast: int
    patience: int


@dataclass(slots=True)
class Told:
    """Marks are (key, at, closed, reason, lost); endings (key, occurred ms, status, previous status); oddities (key, oddity)."""

    marks: list[tuple[Key, int, int, int, int]] = field(default_factory=list)
    endings: list[tuple[Key, int, int, int]] = field(default_factory=list)
    oddities: list[tuple[Key, int]] = field(default_factory=list)


class PlainStage:
    """`zone` of a region code, `inside` (region, destination), `business` (carrier, region, seconds), `limit` (leg), and
    `quick` (leg) in a jam.
    """

    def __init__(
        self,
        rules: Rules,
        zone: Callable[[int], int],
        inside: Callable[[int, int], bool],
        business: Callable[[int, int, int], int],
        limit: Callable[[int], int],
        quick: Callable[[int], int],
    ) -> None:
        self.rules = rules
        self.zone, self.inside, self.business = zone, inside, business
        self.limit, self.quick = limit, quick
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

    # -- scans -------------------------------------------------------------------------------------------------

    def scan(self, row: Mapping[str, Any], now: int, told: Told) -> None:
        """`row` has the columns of `Scans`; `now` in milliseconds."""
        key: Key = (row["key0"], row["key1"])
        if key[0] == 0:
            self.outcomes[Outcome.NO_KEY] += 1
            return
        if self._repeated(row["event"]):
            return
        horizon = max(row["received"], now)
        if row["occurred"] > horizon:
            self.outcomes[Outcome.CLAMPED] += 1
        occurred = min(row["occurred"], horizon)
        at, status = occurred // 1000, row["status"]
        old = horizon - occurred > self.rules.history * 1000
        if old:
            self.outcomes[Outcome.HISTORY] += 1
        if status == Status.UNKNOWN:
            self.outcomes[Outcome.UNKNOWN_STATUS] += 1
        life = self._life_for(key, row, at, horizon // 1000, told)
        if life is None:
            return
        if life.finished:
            self.outcomes[Outcome.AFTER_END] += 1
            if at > life.last_scan and GOES[Status(status)] != END and status != Status.UNKNOWN:
                told.oddities.append((key, Oddity.AFTER_END))
            return
        fresh = life.last_scan == 0 and not life.joined and life.status == 0 and life.segment_since == 0
        first = fresh or (life.status == Status.UNKNOWN and life.joined)
        if not fresh and status > Status.CREATED and life.ordered and at + 60 < life.ordered:
            told.oddities.append((key, Oddity.BEFORE_ORDER))
        same_place = row["facility"] in (0, life.facility)
        if not first and at == life.last_scan and status == life.status and same_place:
            self.outcomes[Outcome.DUPLICATE] += 1
        elif GOES[Status(status)] == END and not (
            at < life.last_scan and life.segment == Segment.RETURN and status != Status.RETURNED
        ):
            self._end(life, row, at, first, told)
        elif at < life.last_scan and not first:
            self._too_late(life, status, at)
        else:
            self._apply(life, row, at, fresh, first, old, told)

    def _repeated(self, event: int) -> bool:
        if event == 0:
            return False
        if event in self.seen:
            self.outcomes[Outcome.DUPLICATE] += 1
            return True
        self.seen.add(event)
        return False

    def _life_for(self, key: Key, row: Mapping[str, Any], at: int, horizon: int, told: Told) -> Life | None:
        life, status = self.lives.get(key), row["status"]
        if life is None:
            if GOES[Status(status)] == END:
                self.outcomes[Outcome.FIRST_SEEN_ENDED] += 1
                if at + self.rules.reuse > horizon and self._roomy():
                    known = {
                        name: row[name]
                        for name in ("status", "carrier", "source", "region", "facility", "courier")
                    }
                    self.lives[key] = Life(key, finished=True, last_scan=at, **known)
                return None
            return self._begin(key)
        begins = status in (Status.CREATED, Status.ACCEPTED)
        was_under_way = life.finished or life.status > Status.ACCEPTED
        if begins and was_under_way and at - life.last_scan > self.rules.reuse:
            if life.open and not life.finished:
                told.marks.append((key, at, life.open, Ended.FINISHED, 0))
            if life.in_place:
                self.departed[life.facility] += 1
            life = self.lives[key] = Life(key)
        return life

    def _roomy(self) -> bool:
        return 2 * len(self.lives) <= self.rules.max_slots

    def _stays_for(self, life: Life) -> int:
        """Longer where the beginning of what is finished is still unheard of."""
        unpaid = life.is_order and life.status == OrderStatus.SHIPPED
        unheard = not life.segment_since and (unpaid or not life.is_order)
        return self.rules.reuse if unheard and self._roomy() else self.rules.finished

    def _begin(self, key: Key) -> Life | None:
        if len(self.lives) >= self.rules.max_slots:
            self.outcomes[Outcome.TABLE_FULL] += 1
            return None
        life = self.lives[key] = Life(key)
        return life

    def _too_late(self, life: Life, status: int, at: int) -> None:
        self.outcomes[Outcome.OUT_OF_ORDER] += 1
        if status == Status.ACCEPTED and (not life.accepted or at < life.accepted):
            life.accepted = at
        if status == Status.OUT_FOR_DELIVERY and not life.out_for_delivery:
            life.out_for_delivery = at

    def _apply(
        self, life: Life, row: Mapping[str, Any], at: int, fresh: bool, first: bool, old: bool, told: Told
    ) -> None:
        self.outcomes[Outcome.APPLIED] += 1
        status = Status(row["status"])
        if not first:
            self._odd(life, row, at, told)
        to = self._goes(life, status, row["region"])
        if fresh:
            life.segment = to if (to := GOES[status]) < KEEP else Segment.NONE
            life.segment_since = at
            life.source = row["source"]
            if status == Status.LOST:
                told.marks.append((life.key, at, 0, Ended.MOVED, 1))
        else:
            if at >= life.last_scan and not (first and status <= Status.CREATED):
                self._learn(life, at)
            stays = Open.LOST if status == Status.LOST else 0
            closed = life.open & (Open.STALL | Open.LOST) & ~stays
            lost = status == Status.LOST and not life.open & Open.LOST
            if closed or lost:
                told.marks.append((life.key, at, closed, Ended.MOVED, int(lost)))
            life.open &= ~closed
            if to < KEEP and to != life.segment:
                life.segment, life.segment_since = to, at
        if status == Status.LOST:
            life.open |= Open.LOST
        life.history = old
        self._record(life, row, at)
        origin = life.lane[1] or self.zone(row["region"])
        life.lane = (life.carrier, origin, self.zone(life.destination))

    def _odd(self, life: Life, row: Mapping[str, Any], at: int, told: Told) -> None:
        status = row["status"]
        here, before = self.zone(row["region"]), self.zone(life.region)
        if status in (Status.CREATED, Status.ACCEPTED) and life.status > Status.ACCEPTED:
            told.oddities.append((life.key, Oddity.EARLIER_STAGE))
        elif (
            at - life.last_scan < self.rules.too_fast
            and min(status, life.status) > Status.CREATED
            and here
            and before
            and here != before
        ):
            told.oddities.append((life.key, Oddity.TOO_FAST))

    def _goes(self, life: Life, status: Status, region: int) -> int:
        to = GOES[status]
        if status == Status.ARRIVED and region and life.destination and self.inside(region, life.destination):
            to = Segment.DELIVERY
        begins_again = status in (Status.CREATED, Status.ACCEPTED) and life.segment not in (
            Segment.NONE,
            Segment.PICKUP,
        )
        still_waiting = status == Status.CREATED and life.segment == Segment.PICKUP
        on_the_way_back = life.segment == Segment.RETURN and to < KEEP
        return KEEP if begins_again or still_waiting or on_the_way_back else to

    def _record(self, life: Life, row: Mapping[str, Any], at: int) -> None:
        status = Status(row["status"])
        before = life.facility if life.in_place else 0
        life.carrier = row["carrier"] or life.carrier
        life.region = row["region"] or life.region
        life.facility = row["facility"] or life.facility
        life.source = row["source"] or life.source
        life.courier = row["courier"] or life.courier
        if status != Status.UNKNOWN:
            life.status = status
            if GOES[status] != KEEP:
                life.in_place = status in IN_PLACE and row["facility"] != 0
        self._move(before, life.facility if life.in_place else 0)
        if not life.accepted and status > Status.CREATED and status != Status.LOST:
            life.accepted = at
        if status == Status.OUT_FOR_DELIVERY:
            life.out_for_delivery = at
        life.abroad = life.abroad or life.segment == Segment.CUSTOMS
        if row["estimated"] > 0:
            life.estimated = row["estimated"] // 1000
        life.last_scan = at

    def _move(self, before: int, after: int) -> None:
        if before != after:
            self.departed[before] += 1
            self.arrived[after] += 1

    def _end(self, life: Life, row: Mapping[str, Any], at: int, first: bool, told: Told) -> None:
        status = Status(row["status"])
        in_order = at >= life.last_scan
        self.outcomes[Outcome.APPLIED if in_order or first else Outcome.OUT_OF_ORDER] += 1
        told.endings.append((life.key, row["occurred"], status, life.status))
        signed = status in (Status.DELIVERED, Status.COLLECTED)
        if life.open:
            reason = Ended.DELIVERED if signed else Ended.FINISHED
            told.marks.append((life.key, at, life.open, reason, 0))
        if in_order and not (life.status == Status.UNKNOWN and life.joined):
            self._learn(life, at)
        if status == Status.DELIVERED or (signed and life.segment == Segment.COLLECTION):
            if 0 < life.accepted <= at:
                self.learned[life.lane, Segment.NONE, bin_of(at - life.accepted)] += 1
            self.delivered_in[life.destination or row["region"], life.carrier] += 1
            self.delivered_at[row["facility"] or life.facility] += 1
        self._finish(life, at)
        life.status = status
        life.region = row["region"] or life.region
        life.facility = row["facility"] or life.facility
        life.courier = row["courier"] or life.courier

    def _finish(self, life: Life, at: int) -> None:
        self._move(life.facility if life.in_place else 0, 0)
        life.in_place = False
        life.finished = True
        life.open = 0
        life.segment = Segment.NONE
        life.last_scan = max(life.last_scan, at)

    def _learn(self, life: Life, until: int) -> None:
        duration = self._worked(life, life.last_scan, until)
        if life.segment != Segment.NONE and duration >= 0 and not self._in_jam(life):
            self.learned[self._way(life), int(LEG[life.segment, life.status]), bin_of(duration)] += 1

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

    def _silent(self, life: Life, now: int) -> int:
        """Since its last scan, less what the silences of its feed hid."""
        age = self._worked(life, life.last_scan, now)
        for begins, ends in self.outages.get(life.source, ()):
            since, until = max(life.last_scan, begins), min(now, ends)
            age -= self._worked(life, since, until) if until > since else 0
        return age

    # -- orders ------------------------------------------------------------------------------------------------

    def order(self, row: Mapping[str, Any], told: Told) -> None:
        """`row` has the fields of ORDER_ROW."""
        if self._repeated(row["event"]):
            return
        if row["history"]:
            self.outcomes[Outcome.HISTORY] += 1
        status = OrderStatus(row["status"])
        ordered = self._own_order(row, status, told)
        self._paid_late(row, status, told)
        parcel: Key = (row["parcel0"], row["parcel1"])
        if parcel[0] and status == OrderStatus.SHIPPED:
            self._join(parcel, row, ordered, told)
        life = self.lives.get(parcel)
        if life is not None and status == OrderStatus.COMPLETED and not life.finished:
            if life.open:
                told.marks.append((parcel, row["at"], life.open, Ended.DELIVERED, 0))
            self._finish(life, row["at"])

    def _own_order(self, row: Mapping[str, Any], status: OrderStatus, told: Told) -> int:
        """The order's own segments; answers when it was placed."""
        key: Key = (row["order0"], row["order1"])
        at = row["at"]
        life = self.lives.get(key)
        if life is None:
            if status in ORDER_ENDS:
                self.outcomes[Outcome.APPLIED] += 1
                if status == OrderStatus.SHIPPED and not row["history"] and self._roomy():
                    life = self.lives[key] = Life(key, is_order=True, finished=True, last_scan=at)
                    life.status, life.region = status, row["origin"]
                    self._describe(life, row, status)
                return 0
            life = self._begin(key)
            if life is None:
                return 0
            life.is_order = True
            life.region = row["origin"]
        self._describe(life, row, status)
        early = {OrderStatus.SHIPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED}
        starts = self._starts(life, status)
        if status in early and (life.finished or life.segment in BACK):
            self.outcomes[Outcome.APPLIED] += 1
        elif at < life.last_scan and (status not in ORDER_ENDS or life.finished):
            self.outcomes[Outcome.OUT_OF_ORDER] += 1
        elif life.finished and starts in (Segment.NONE, Segment.FULFILMENT):
            self.outcomes[Outcome.AFTER_END] += 1
        else:
            self.outcomes[Outcome.APPLIED] += 1
            self._advance_order(life, status, starts, at, told)
            life.history = bool(row["history"])
        return life.ordered

    def _paid_late(self, row: Mapping[str, Any], status: OrderStatus, told: Told) -> None:
        life = self.lives.get((row["order0"], row["order1"]))
        begins = status in (OrderStatus.PLACED, OrderStatus.PAID)
        if life and begins and life.status == OrderStatus.SHIPPED and row["at"] > life.last_scan + 60:
            told.oddities.append((life.key, Oddity.PAID_LATE))

    def _describe(self, life: Life, row: Mapping[str, Any], status: OrderStatus) -> None:
        life.destination = row["destination"] or life.destination
        life.facility = row["warehouse"] or life.facility
        life.source = row["source"] or life.source
        if status <= OrderStatus.PAID:
            life.ordered = min(life.ordered or row["at"], row["at"])
            life.promised = row["promised"] or life.promised

    def _starts(self, life: Life, status: OrderStatus) -> int:
        if status == OrderStatus.PAID and life.status <= OrderStatus.PLACED:
            return Segment.FULFILMENT
        if status == OrderStatus.RETURN_REQUESTED:
            return Segment.RETURN
        if status == OrderStatus.RETURN_RECEIVED:
            return Segment.REFUND
        if status == OrderStatus.REFUND_REQUESTED and life.segment != Segment.RETURN:
            return Segment.REFUND
        return Segment.NONE

    def _advance_order(self, life: Life, status: OrderStatus, starts: int, at: int, told: Told) -> None:
        if status in ORDER_ENDS:
            if life.open:
                reason = Ended.MOVED if status == OrderStatus.SHIPPED else Ended.FINISHED
                told.marks.append((life.key, at, life.open, reason, 0))
            if at >= life.last_scan and status in (OrderStatus.SHIPPED, OrderStatus.REFUNDED):
                self._learn(life, at)
            self._finish(life, at)
            life.status = status
        elif starts not in (Segment.NONE, life.segment):
            if not life.finished:
                self._learn(life, at)
                if life.open:
                    told.marks.append((life.key, at, life.open, Ended.MOVED, 0))
            life.finished = False
            life.open = 0
            life.promised = life.promised if starts == Segment.FULFILMENT else 0
            life.segment, life.segment_since, life.last_scan, life.status = starts, at, at, status
            origin = life.lane[1] or self.zone(life.region)
            life.lane = (life.carrier, origin, self.zone(life.destination))
        else:
            life.last_scan = max(life.last_scan, at)
            life.status = max(life.status, status)

    def _join(self, key: Key, row: Mapping[str, Any], ordered: int, told: Told) -> None:
        life = self.lives.get(key)
        if life is None:
            life = self._begin(key)
            if life is None:
                return
            life.last_scan = life.segment_since = row["at"]
            life.segment = Segment.PICKUP
            life.source = row["source"]
            life.history = bool(row["history"])
        own = self.lives.get((row["order0"], row["order1"]))
        destination = row["destination"] or (own.destination if own else 0)
        if destination and not life.destination and not life.finished:
            self.shipped[destination, life.carrier or row["carrier"]] += 1
        life.joined = True
        life.carrier = life.carrier or row["carrier"]
        life.destination = destination or life.destination
        life.promised = row["promised"] or (own.promised if own else 0) or life.promised
        life.promise_told |= bool(own and own.promise_told and not row["promised"])
        life.ordered = ordered or life.ordered
        if not life.finished:
            origin = life.lane[1] or self.zone(life.region or row["origin"])
            life.lane = (life.carrier, origin, self.zone(life.destination))
        if life.accepted and ordered > life.accepted + 60:
            told.oddities.append((key, Oddity.BEFORE_ORDER))

    # -- time --------------------------------------------------------------------------------------------------

    def sweep(self, now: int) -> list[tuple[Key, int]]:
        """(key, What bits) of everything that is to be said at `now` (seconds), sorted by key."""
        said = [(key, what) for key in sorted(self.lives) if (what := self._judge(self.lives[key], now))]
        return [(key, what) for key, what in said if what]

    def _judge(self, life: Life, now: int) -> int:
        still = now - life.last_scan
        if life.finished or still >= self.rules.forget:
            if life.finished and still < self._stays_for(life):
                return 0
            if not life.finished:
                self._move(life.facility if life.in_place else 0, 0)
            del self.lives[life.key]
            return What.LEAVE if life.open else 0
        if life.source in self.held:
            return 0
        what = 0
        if life.promised and not life.promise_told and now >= life.promised:
            life.promise_told = True
            if life.segment != Segment.RETURN:
                life.open |= Open.PROMISE
                what |= What.PROMISE
        may_be_lost = not life.is_order and life.segment not in (Segment.PICKUP, Segment.COLLECTION)
        limit = self.rules.lost_abroad if life.abroad else self.rules.lost
        if may_be_lost and not life.open & Open.LOST and still >= limit:
            life.open = (life.open & ~Open.STALL) | Open.LOST
            what |= What.LOST
        timed = life.segment != Segment.NONE and not life.open & (Open.STALL | Open.LOST)
        limits = self.quick if self._in_jam(life) else self.limit
        limit = limits(int(LEG[life.segment, life.status]))
        if what & What.PROMISE and life.segment == Segment.COLLECTION:
            limit = min(limit, self.rules.patience)
        if timed and self._silent(life, now) >= limit:
            life.open |= Open.STALL
            what |= What.STALL
        return what

    # -- totals, counted anew ----------------------------------------------------------------------------------

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


def bin_of(seconds: int) -> int:
    """The lowest bin whose upper edge is above; the last is open."""
    for place in range(BINS - 1):
        if seconds < EDGES[place]:
            return place
    return BINS - 1
