"""A parcel that moved, an order cancelled, a ticket opened since the claim: asked again at sending."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from config.settings import Settings
from detectors.findings import CloseReason, Finding, Kind, State, Subject, SubjectType
from monitor.core import build_core, scratch_store
from monitor.directory import Directory, OrderEntry
from monitor.policy import OrderFacts, decide
from monitor.recheck import Recheck
from notifier.actions import ActionKind, Reason
from notifier.outbox import Entry
from tests.money.shop import NOW, coupon, message


class Told:
    """A sink that tells nobody."""

    async def findings(self, findings: Sequence[Any]) -> None: ...
    async def decisions(self, decisions: Sequence[Any]) -> None: ...
    async def retell(self, decisions: Sequence[Any]) -> None: ...
    async def transitions(self, transitions: Sequence[Any]) -> None: ...


LOST, DOUBTED = {"kind": "presumed_lost"}, {"kind": "signature_suspect"}


def upgrade() -> Any:
    return replace(message(), kind=ActionKind.UPGRADE_SHIPPING, template="upgrade_shipping", channel="shop")


class Orders(Directory):
    def __init__(self, entry: OrderEntry | None) -> None:
        self.entry = entry

    async def orders(self, order_ids: Any, now: int = 0) -> dict[str, OrderEntry]:
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
        (OrderEntry("1001", status="refunded"), True, coupon(), Reason.RECOVERED),
        (OrderEntry("1001", status="completed"), True, coupon(evidence=LOST), Reason.RECEIVED),
        (OrderEntry("1001", statuses={"completed": 1}), True, message(evidence=LOST), Reason.RECEIVED),
        (OrderEntry("1001", status="completed"), True, message(evidence=DOUBTED), None),
        (OrderEntry("1001", status="shipped", open_tickets=1), True, message(), Reason.TICKET_OPEN),
        (OrderEntry("1001", status="shipped", open_tickets=1), True, coupon(), Reason.TICKET_OPEN),
        (OrderEntry("1001", status="shipped", open_tickets=1), True, upgrade(), None),
        (OrderEntry("1001", status="shipped", open_tickets=1), True, message(despite_ticket=True), None),
        (OrderEntry("1001", status="shipped"), False, message(variables={"state": "closed"}), None),
    ],
)
def test_the_state_is_read_again_at_sending(
    order: OrderEntry | None, is_open: bool | None, proposal: Any, reason: Reason | None
) -> None:
    recheck = Recheck(Orders(order), lambda *_: is_open)
    assert asyncio.run(recheck(entry_of(proposal), NOW)) is reason


def test_a_doubted_sign_off_is_still_asked_about(tmp_path: Path) -> None:
    """Such a parcel is delivered, so nothing of it is open in the parcel table: the question must go all the same."""

    async def run() -> None:
        settings = Settings.model_validate({"data_dir": str(tmp_path), "engine": {"max_live_parcels": 1000}})
        async with scratch_store(tmp_path / "s") as store:
            core = build_core(settings, store, Told(), b"a key of tests, long enough!")
            opened = Finding(
                "signature", Kind.SIGNATURE_SUSPECT, Subject(SubjectType.PARCEL, "SF1"), NOW, NOW, NOW,
                State.OPENED, 0.9, {"facility": "H-1"},
            )  # fmt: skip
            facts = OrderFacts(customer_id="c-1", order_id="1", tracking_number="SF1", has_contact=True)
            (question,) = decide(opened, facts, core.pipeline.pack, NOW).proposals
            core.incidents.advance([opened], NOW, {})
            assert core.is_open(question, NOW) is True
            over = structs.replace(
                opened, state=State.CLOSED, close_reason=CloseReason.RECOVERED, as_of=NOW + 1
            )
            core.incidents.advance([over], NOW + 1, {})
            assert core.is_open(question, NOW) is False
            core.since = NOW + 2  # the memory was lost: the question may have been open in it
            assert core.is_open(question, NOW) is None

    asyncio.run(run())
