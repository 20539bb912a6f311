"""The uplift of the last months: decisions from the ledger, complaints from the store."""

from __future__ import annotations

from typing import Final

from detectors.findings import Instant
from monitor.complaint_times import complained
from monitor.uplift import DAY, Uplift, measure, units
from notifier.ledger import Ledger
from notifier.store import Store

WINDOW_DAYS: Final = 90
WITHIN_DAYS: Final = 14


async def uplift(
    ledger: Ledger, store: Store, now: Instant, *, window: int = WINDOW_DAYS, within: int = WITHIN_DAYS
) -> Uplift:
    """Of the customers decided about in `window` days, each watched for `within` days; who is not yet watched to the end
    is not counted yet.
    """
    until = now - within * DAY
    since = until - window * DAY
    claims = ledger.all(since - ledger.rules.cap_days * DAY, now)
    found = await units(claims, since, until, within)
    return measure(zip(found, await complained(store, found, within), strict=True))
