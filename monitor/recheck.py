"""What delivery asks the rest of the program at the moment of sending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from detectors.findings import Instant
from monitor.directory import Directory
from monitor.facts import DEAD_ORDERS, is_received
from notifier.actions import ActionKind, Proposal, Reason
from notifier.compose import Composer
from notifier.ledger import Claim, Ledger
from notifier.outbox import Entry
from notifier.sending import Message
from notifier.templates import Templates

SPEAKING: Final = frozenset({ActionKind.MESSAGE, ActionKind.COUPON, ActionKind.UPGRADE_SHIPPING})

# Who talks to a person already gets neither the words nor, unsaid, the coupon.
APOLOGIES: Final = frozenset({ActionKind.MESSAGE, ActionKind.COUPON})


@dataclass(frozen=True, slots=True)
class Recheck:
    """Whether an action is still wanted at the moment of sending: the state is read again, from the store and from
    the engine. `is_open` answers None where it cannot know; then the action goes.
    """

    directory: Directory
    is_open: Callable[[Proposal, Instant], bool | None]  # and when it was decided

    async def __call__(self, entry: Entry, now: Instant) -> Reason | None:
        proposal = entry.proposal
        if entry.kind not in SPEAKING:
            return None
        if proposal.order_id is not None:
            order = (await self.directory.orders([proposal.order_id], now)).get(proposal.order_id)
            if order is not None and order.status in DEAD_ORDERS:
                return Reason.RECOVERED
            kind = str(proposal.evidence.get("kind"))
            if order is not None and not _of_the_end(proposal) and is_received(order, kind):
                return Reason.RECEIVED
            talking = order is not None and order.open_tickets and not proposal.despite_ticket
            if talking and entry.kind in APOLOGIES:
                return Reason.TICKET_OPEN
        if _of_the_end(proposal):
            return None
        return Reason.RECOVERED if self.is_open(proposal, entry.decided_at) is False else None


def _of_the_end(proposal: Proposal) -> bool:
    """A word about the end itself."""
    return proposal.variables.get("state") == "closed"


def looked_up(
    ledger: Ledger, templates: Templates, directory: Directory
) -> Callable[[Claim], Awaitable[Message | None]]:
    """What a claim said, composed again, for providers that are asked by number and text."""
    composer = Composer(ledger, templates)

    async def sent_as(claim: Claim) -> Message | None:
        contact = await directory.contact(claim.proposal.customer_id, claim.proposal.order_id)
        return await composer.sent_as(claim, contact)

    return sent_as
