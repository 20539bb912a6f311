"""Orders, one at a time: their own segments, and what they say of their parcels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.engine.layout import Ended, Oddity, OrderStatus, Outcome
from monitor.engine.plain.life import Key, Life, Told
from monitor.engine.plain.table import PlainTable
from monitor.vocabulary import Segment

ORDER_ENDS = {OrderStatus.SHIPPED, OrderStatus.COMPLETED, OrderStatus.CANCELLED, OrderStatus.REFUNDED}
BACK = {Segment.RETURN, Segment.REFUND}


class PlainOrders(PlainTable):
    def order(self, row: Mapping[str, Any], told: Told) -> None:
        """`row` has the fields of ORDER_ROW."""
        # one of the parcels of an order
        alone = not row["order0"] and row["status"] == OrderStatus.COMPLETED
        if self._repeated(row["event"], counted=not alone):
            return
        parcel: Key = (row["parcel0"], row["parcel1"])
        if alone:
            self._complete(parcel, row["at"], told)
            return
        if row["history"]:
            self.outcomes[Outcome.HISTORY] += 1
        status = OrderStatus(row["status"])
        ordered = self._own_order(row, status, told)
        self._paid_late(row, status, told)
        if parcel[0] and status == OrderStatus.SHIPPED:
            self._join(parcel, row, ordered, told)
        elif status == OrderStatus.COMPLETED:
            self._complete(parcel, row["at"], told)

    def _complete(self, parcel: Key, at: int, told: Told) -> None:
        life = self.lives.get(parcel)
        if life is None or life.finished or life.segment == Segment.RETURN:
            return
        if life.open:
            told.marks.append((parcel, at, life.open, Ended.DELIVERED, 0))
        self._finish(life, at)

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
            self._cross(life, life.region)
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
            self._cross(life, life.region or row["origin"])
            life.lane = (life.carrier, origin, self.zone(life.destination))
        if life.accepted and ordered > life.accepted + 60:
            told.oddities.append((key, Oddity.BEFORE_ORDER))
