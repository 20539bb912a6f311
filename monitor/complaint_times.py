"""When customers complained, kept for a year: tickets are closed and forgotten, but who complained after an apology counts.

Idempotent and independent of order: a complaint's first moment is its score, whatever comes again or late.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from monitor.events import Complaint
from monitor.uplift import DAY, Unit
from notifier.store import Pipeline, Store

KEPT_MS: Final = 400 * DAY
BATCH: Final = 500
OVER: Final = frozenset({"resolved", "withdrawn", "responded"})


def remember(store: Store, pipe: Pipeline, complaints: Iterable[Complaint]) -> None:
    """Under the order where one is named, otherwise under the customer."""
    for complaint in complaints:
        if complaint.status in OVER:
            continue
        if complaint.order_id:
            key = _key(store, "order", complaint.order_id)
        elif complaint.customer_id:
            key = _key(store, "customer", complaint.customer_id)
        else:
            continue
        pipe.call("ZADD", key, "LT", complaint.occurred_at, complaint.complaint_id)
        pipe.call("PEXPIRE", key, KEPT_MS)


async def complained(store: Store, units: Sequence[Unit], days: int) -> list[bool]:
    """Of each unit: a complaint about its order, or by its customer about no order, within `days` of the decision."""
    found: list[bool] = []
    for start in range(0, len(units), BATCH):
        pipe, sizes = store.pipeline(atomic=False), []
        for unit in units[start : start + BATCH]:
            keys = [_key(store, "order", one) for one in sorted(unit.order_ids)]
            keys.append(_key(store, "customer", unit.customer_id))
            for key in keys:
                pipe.call("ZCOUNT", key, unit.at, unit.at + days * DAY)
            sizes.append(len(keys))
        counts = iter(await pipe.run())
        found += [sum(next(counts) for _ in range(size)) > 0 for size in sizes]
    return found


def _key(store: Store, kind: str, identity: str) -> str:
    return store.key("complained", kind, identity)
