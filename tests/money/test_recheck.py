"""A parcel that moved, an order cancelled, a ticket opened since the claim: asked again at sending."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from monitor.directory import Directory, OrderEntry
from monitor.recheck import Recheck
from notifier.actions import Reason
from notifier.outbox import Entry
from tests.money.shop import NOW, coupon, message


class Orders(Directory):
    def __init__(self, entry: OrderEntry | None) -> None:
        self.entry = entry

    async def orders(self, order_ids: Any) -> dict[str, OrderEntry]:
        return {"1001": self.entry} if self.entry else {}


def entry_of(proposal: Any) -> Entry:
    return Entry("A1", proposal, "late", False, False, False, 0, 0, None, NOW, None, True)


@pytest.mark.parametrize(
    ("order", "is_open", "proposal", "reason"),
    [
        (OrderEntry("1001", status="shipped"), True, message(), None),
        (OrderEntry("1001", status="shipped"), None, message(), None),
        (None, True, message(), None),
        (OrderEntry("1001", status="shipped"), False, message(), Reason.RECOVERED),
        (OrderEntry("1001", status="cancelled"), True, coupon(), Reason.RECOVERED),
        (OrderEntry("1001", status="shipped", open_tickets=1), True, message(), Reason.TICKET_OPEN),
        (OrderEntry("1001", status="shipped"), False, message(variables={"state": "closed"}), None),
    ],
)
def test_the_state_is_read_again_at_sending(
    order: OrderEntry | None, is_open: bool | None, proposal: Any, reason: Reason | None
) -> None:
    recheck = Recheck(Orders(order), lambda _: is_open)
    assert asyncio.run(recheck(entry_of(proposal), NOW)) is reason
