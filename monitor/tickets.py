"""Which tickets are open: who talks to a person already gets no apology from a machine.

Idempotent and independent of order, by complaint: what is told late or again opens nothing that was ended since. An end
that names neither order nor customer ends the ticket of whom the complaint named before.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from detectors.findings import Instant
from monitor.events import Complaint
from notifier.store import Pipeline, Script, Store

DAY: Final = 86_400_000
# Nobody waits four weeks for the next word; and not every desk tells of the end of each ticket.
LASTS_MS: Final = 28 * DAY
# A word that is told again after that is too old to open anything.
KEPT_MS: Final = 2 * LASTS_MS
OLD_KEPT_MS: Final = 400 * DAY  # of the sets without times that older versions wrote, since their last word
READS: Final = 3
PAGE: Final = 1000
_WORDS: Final = {
    "opened": "opened",
    "reopened": "opened",
    "responded": "heard",
    "resolved": "closed",
    "withdrawn": "closed",
}
_TOLD: Final = Script.load(Path(__file__).with_name("ticket_told.lua"))


def remember(store: Store, pipe: Pipeline, complaints: Iterable[Complaint]) -> None:
    for complaint in complaints:
        keys = (
            store.key("ticket", complaint.source, complaint.complaint_id),
            store.key("open-tickets"),
            store.key("tickets"),
        )
        at = min(complaint.occurred_at, complaint.received_at)  # no desk tells of what is to come
        told = (complaint.complaint_id, _WORDS[complaint.status], at)
        whose = (complaint.order_id or "", complaint.customer_id or "")
        pipe.digested(_TOLD, keys, *told, *whose, LASTS_MS, KEPT_MS)


def ask(store: Store, pipe: Pipeline, kind: str, identity: str, now: Instant) -> None:
    """Of an "order" or a "customer"; `READS` answers, for `count`."""
    old = store.key("tickets", kind, identity)
    pipe.call("ZCOUNT", store.key("open-tickets", kind, identity), now - LASTS_MS, "+inf")
    pipe.call("SCARD", old)
    pipe.call("PTTL", old)


def count(answers: Iterable[Any]) -> int:
    """How many are open. The old ones of a set last as long as new ones, from the last of their words on."""
    fresh, old, left = answers
    return int(fresh) + (int(old) if left > OLD_KEPT_MS - LASTS_MS else 0)


async def open_of(store: Store, customer_id: str) -> list[str]:
    """The complaints of a customer's tickets that nobody ended, however long ago they were opened."""
    fresh = await store.call("ZRANGE", store.key("open-tickets", "customer", customer_id), 0, -1)
    old = await store.set_members(store.key("tickets", "customer", customer_id))
    return sorted({one.decode() for one in (*fresh, *old)})


async def forget(store: Store, customer_id: str, order_ids: Iterable[str]) -> None:
    """Takes a customer's tickets out, with what leads from a complaint to them."""
    owners = [("customer", customer_id), *(("order", one) for one in order_ids)]
    keys = [store.key(root, *owner) for root in ("tickets", "open-tickets") for owner in owners]
    page: list[str] = []
    async for key in store.keys("ticket", "*"):
        page.append(key)
        if len(page) == PAGE:
            keys += await _named(store, customer_id, page)
            page = []
    await store.delete(*keys, *await _named(store, customer_id, page))


async def _named(store: Store, customer_id: str, complaints: list[str]) -> list[str]:
    owners = (
        await store.run([("HGET", one, "customer") for one in complaints], atomic=False) if complaints else []
    )
    return [one for one, owner in zip(complaints, owners, strict=True) if owner == customer_id.encode()]
