"""What policy may know of the order behind a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from detectors.clock import kept_until
from detectors.findings import Finding, Instant, Kind, State, SubjectType
from monitor.directory import Directory, OrderEntry
from monitor.policy import OrderFacts
from monitor.remembered import change_of

PARCEL_LIKE: Final = frozenset({SubjectType.PARCEL, SubjectType.ORDER, SubjectType.CUSTOMER})
DEAD_ORDERS: Final = frozenset({"cancelled", "refunded"})
# Lateness of a parcel that has come as far as its receiver lets it: it lies in a locker or station, or was refused. A failed
# attempt is not among them: carriers use that word for their own failures as well.
LATE: Final = frozenset({Kind.PROMISE_BROKEN, Kind.LATE_PREDICTED, Kind.DELIVERY_STALLED})
WITH_THE_RECEIVER: Final = frozenset({"collection", "return"})
# What is over once the customer has confirmed receipt. What follows (a return, a refund, a doubted sign-off) is not.
OVER_ON_RECEIPT: Final = LATE | {
    Kind.FULFILMENT_STALLED,
    Kind.PICKUP_STALLED,
    Kind.FACILITY_STALLED,
    Kind.LINEHAUL_STALLED,
    Kind.CUSTOMS_STALLED,
    Kind.COLLECTION_STALLED,
    Kind.PRESUMED_LOST,
}


class Memory(Protocol):
    """See `monitor.remembered`."""

    def before(self, findings: Sequence[Finding], now: Instant) -> Mapping[str, OrderFacts | None]: ...
    async def write(
        self, findings: Sequence[Finding], facts: Mapping[str, OrderFacts], now: Instant
    ) -> None: ...


@dataclass(slots=True)
class Facts:
    """From the directory; without a memory where nothing is ever taken twice (`replay`). `timezone`: the shop's, in which
    a promise may name a day.
    """

    directory: Directory
    memory: Memory | None = None
    timezone: str = "UTC"

    async def of(self, findings: Sequence[Finding], now: Instant) -> dict[str, OrderFacts]:
        """By finding id; absent: nothing is known. Those of a finding that was judged before are as they were then."""
        wanted = [one for one in findings if one.subject.type in PARCEL_LIKE]
        if self.memory is None or not wanted:
            return await self._ask(wanted, now)
        before = self.memory.before(wanted, now)
        fresh = [one for one in wanted if change_of(one) not in before]
        facts = await self._ask(fresh, now)
        if fresh:
            await self.memory.write(fresh, facts, now)
        again = {one.finding_id: before.get(change_of(one)) for one in wanted}
        return facts | {name: known for name, known in again.items() if known is not None}

    async def _ask(self, findings: Sequence[Finding], now: Instant) -> dict[str, OrderFacts]:
        parcels = [one.subject.id for one in findings if one.subject.type is SubjectType.PARCEL]
        order_of = await self.directory.orders_of(parcels)
        wanted: dict[str, str] = {}
        for one in findings:
            order_id = _order_of(one, order_of)
            if order_id:
                wanted[one.finding_id] = order_id
        orders = await self.directory.orders(wanted.values(), now)
        facts = {
            one.finding_id: _facts_of(orders[order_id], one, self.timezone)
            for one in findings
            if (order_id := wanted.get(one.finding_id)) in orders
        }
        return facts | {
            one.finding_id: OrderFacts(customer_id=one.subject.id, has_contact=True)
            for one in findings
            if one.subject.type is SubjectType.CUSTOMER and one.finding_id not in facts
        }


def _order_of(finding: Finding, order_of: Mapping[str, str]) -> str | None:
    if finding.subject.type is SubjectType.PARCEL:
        return order_of.get(finding.subject.id)
    if finding.subject.type is SubjectType.ORDER:
        return finding.subject.id
    if finding.subject.type is SubjectType.CUSTOMER:
        order_id = finding.evidence.get("order_id")
        return str(order_id) if order_id else None
    return None


def is_received(order: OrderEntry, kind: str) -> bool:
    """Whether a finding of this kind is over, as the customer confirmed receipt."""
    return kind in OVER_ON_RECEIPT and "completed" in {order.status, *order.statuses}


def _facts_of(order: OrderEntry, finding: Finding, timezone: str) -> OrderFacts:
    return OrderFacts(
        tracking_number=finding.subject.id if finding.subject.type is SubjectType.PARCEL else None,
        customer_id=order.customer_id,
        order_id=order.order_id,
        amount=order.amount,
        currency=order.currency,
        locale=order.locale,
        tier=order.tier,
        region=order.region,
        promised_at=order.promised_at and kept_until(order.promised_at, timezone),
        has_contact=order.has_contact,
        open_ticket=order.open_tickets > 0,
        contact_hashes=order.contact_hashes,
        timezone=order.timezone,
        shop_timezone=timezone,
        cancelled=order.status in DEAD_ORDERS,
        received=finding.state is not State.CLOSED and is_received(order, finding.kind),
        customer_cause=finding.kind in LATE and finding.evidence.get("segment") in WITH_THE_RECEIVER,
    )
