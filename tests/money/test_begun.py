"""Between the lease and the request: what is stopped there is not begun, and what was begun is known to be."""

from __future__ import annotations

import pytest

from notifier.actions import ActionKind, Proposal, Reason
from notifier.outbox import Begun, Entry, Outbox
from tests.fakes.valkey import Valkey
from tests.money.sending import World, turn
from tests.money.shop import ANNA, NOW, coupon, message, ops_alert
from tests.money.test_delivery import READY, WORDS, play


@pytest.mark.parametrize("proposal", [coupon(), message(variables=WORDS)], ids=["coupon", "words"])
@pytest.mark.parametrize("stop", ["kill", "hold"])
def test_a_stop_after_the_lease_stops_the_request(
    valkey: Valkey, prefix: str, stop: str, proposal: Proposal
) -> None:
    async def story(world: World) -> None:
        async def stopped_meanwhile(_entry: Entry, now: int) -> Reason | None:
            await (world.ledger.kill if stop == "kill" else world.ledger.hold)(ANNA, now)
            return None

        await world.ledger.claim_all([proposal], NOW)
        assert await turn(await world.delivery(recheck=stopped_meanwhile), NOW) == 1
        assert (world.shop.asked, world.customer.read) == (0, [])
        assert await world.state(proposal.action_id) == "pending", "it goes when it may again"

    play(valkey, prefix, story)


def test_a_hold_stops_customers_and_no_alert(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        await world.ledger.claim_all([coupon(), message("c-2", "2"), ops_alert(variables=READY)], NOW)
        outbox = Outbox(world.store, world.ledger)
        await outbox.take_over()
        leased = await outbox.lease(NOW, 9, 90_000, {"coupons": 3, "customer": 3, "ops": 3})
        await world.ledger.hold(ANNA, NOW)
        assert {entry.kind: await outbox.begin(entry, NOW) for entry in leased} == {
            ActionKind.COUPON: None,
            ActionKind.MESSAGE: None,
            ActionKind.OPS_ALERT: Begun(1),
        }

    play(valkey, prefix, story)
