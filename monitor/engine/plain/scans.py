"""Scans, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.engine.layout import END, KEEP, Ended, Oddity, Open, Outcome
from monitor.engine.layout import SENDS as GOES
from monitor.engine.plain.life import Key, Life, Told
from monitor.engine.plain.table import PlainTable, bin_of
from monitor.vocabulary import Segment, Status

IN_PLACE = {
    Status.ACCEPTED,
    Status.ARRIVED,
    Status.CUSTOMS_ENTERED,
    Status.CUSTOMS_HELD,
    Status.CUSTOMS_CLEARED,
    Status.HELD_FOR_PICKUP,
}


class PlainScans(PlainTable):
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
        fresh = life.last_scan == 0 and life.status == 0 and life.segment_since == 0
        first = fresh or (life.status == Status.UNKNOWN and life.joined)
        if status > Status.CREATED and life.ordered and at + 60 < life.ordered:
            told.oddities.append((key, Oddity.BEFORE_ORDER))
        same_place = row["facility"] in (0, life.facility)
        if not first and at == life.last_scan and status == life.status and same_place:
            self.outcomes[Outcome.DUPLICATE] += 1
        elif GOES[Status(status)] == END and not self._belongs_before(life, status, at, first):
            self._end(life, row, at, first, told)
        elif at < life.last_scan and not first:
            self._too_late(life, status, at)
        else:
            self._apply(life, row, at, fresh, first, old, told)

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
        called_off = life.finished and life.status == Status.CANCELLED
        if begins and called_off and 0 < at - life.last_scan <= self.rules.reuse:
            kept = {
                name: getattr(life, name)
                for name in ("joined", "promised", "ordered", "destination", "lane", "carrier")
            }
            life = self.lives[key] = Life(key, **kept)
        elif begins and was_under_way and at - life.last_scan > self.rules.reuse:
            if life.open and not life.finished:
                told.marks.append((key, at, life.open, Ended.FINISHED, 0))
            if life.in_place:
                self.departed[life.facility] += 1
            life = self.lives[key] = Life(key)
        return life

    def _belongs_before(self, life: Life, status: int, at: int, first: bool) -> bool:
        if at >= life.last_scan:
            return False
        if status == Status.CANCELLED and not first and (life.status == Status.CREATED or life.accepted > at):
            return True
        return life.segment == Segment.RETURN and status != Status.RETURNED

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
        self._cross(life, row["region"])
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
