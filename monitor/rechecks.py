"""State read again at the moment of sending: a parcel that moved, an order that was cancelled, get no apology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from detectors.findings import Instant
from monitor.directory import Directory
from monitor.engine import Engine
from notifier.actions import ActionKind, Reason
from notifier.outbox import Entry

DEAD_ORDERS: Final = frozenset({"cancelled", "refunded"})
# Whatever became of the parcel meanwhile, people and the shop's desk are told.
ALWAYS: Final = frozenset({ActionKind.OPS_ALERT, ActionKind.TICKET, ActionKind.HIGH_CARE})


@dataclass(frozen=True, slots=True)
class Rechecks:
    directory: Directory
    engine: Engine

    async def of(self, entry: Entry, _now: Instant) -> Reason | None:
        """Why an entry must not go any more; None where nothing has changed."""
        proposal = entry.proposal
        if entry.kind in ALWAYS:
            return None
        if proposal.order_id is not None:
            known = (await self.directory.orders([proposal.order_id])).get(proposal.order_id)
            if known is not None and known.status in DEAD_ORDERS:
                return Reason.RECOVERED
            if known is not None and known.opted_out and proposal.purpose == "offer":
                return Reason.OPTED_OUT
        if (
            proposal.tracking_number is None
            or proposal.cause.endswith(":end")
            or proposal.evidence.get("closed")
        ):
            return None
        return None if self._still_so(entry) else Reason.RECOVERED

    def _still_so(self, entry: Entry) -> bool:
        """Whether the episode that the action speaks of is still open. A parcel that has left the table is over."""
        proposal = entry.proposal
        view = self.engine.parcel(proposal.tracking_number or "")
        return view is not None and any(one.finding_id == proposal.finding_id for one in view.findings)
