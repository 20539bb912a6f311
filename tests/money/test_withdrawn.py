"""What was rightly taken back is withdrawn, for people; for programs its state stays "failed"."""

from __future__ import annotations

import pytest

from monitor.cli.rows import outbox_row, status_rows
from monitor.views import claim_record
from monitor.withdrawn import outbox_counts
from notifier.actions import Reason
from notifier.audit import Audit
from notifier.retention import Retention
from tests.fakes.valkey import Valkey
from tests.money.sending import NEVER, World, run_dry
from tests.money.shop import ANNA, DAY, HOUR, NOW
from tests.money.test_delivery import gifts, play
from tests.money.test_retention import LATER, weekly
from tests.money.test_retention import play as aged


@pytest.mark.parametrize(
    "why", [Reason.TICKET_OPEN, Reason.RECOVERED, Reason.RECEIVED, Reason.OPTED_OUT, Reason.NO_CONSENT]
)
def test_a_coupon_and_its_words_that_are_no_longer_wanted_are_withdrawn(
    valkey: Valkey, prefix: str, why: Reason
) -> None:
    async def story(world: World) -> None:
        gift, words = await world.ledger.claim_all(gifts(), NOW)
        world.moved["1001"] = why
        await run_dry(await world.delivery(), NOW)
        found = await world.ledger.claims([gift.proposal.action_id, words.proposal.action_id])
        assert [(one.state, one.withdrawn) for one in found] == [("failed", True)] * 2
        assert [outbox_row(claim_record(one))["state"] for one in found] == ["withdrawn"] * 2
        assert await world.ledger.withdrawn() == 2

    play(valkey, prefix, story)


def test_what_a_provider_refuses_has_failed(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        world.customer.answers.append(NEVER)
        gift, words = await world.ledger.claim_all(gifts(), NOW)
        await run_dry(await world.delivery(), NOW)
        (found,) = await world.ledger.claims([words.proposal.action_id])
        assert (found.state, found.withdrawn) == ("failed", False)
        assert outbox_row(claim_record(found))["state"] == "failed"
        assert await world.ledger.withdrawn() == 0
        assert await world.state(gift.proposal.action_id) == "done"

    play(valkey, prefix, story)


def test_what_a_person_wants_again_is_withdrawn_no_more(valkey: Valkey, prefix: str) -> None:
    async def story(world: World) -> None:
        _, words = await world.ledger.claim_all(gifts(), NOW)
        delivery = await world.delivery()
        await run_dry(delivery, NOW)
        assert await world.ledger.withdrawn() == 0
        (_, words) = await world.ledger.claim_all(gifts("c-2", "1002"), NOW)
        world.moved["1002"] = Reason.RECOVERED
        await run_dry(delivery, NOW)
        assert await world.ledger.withdrawn() == 2
        world.moved.clear()
        assert await world.ledger.resolve(words.proposal.action_id, "retry", ANNA, NOW + HOUR)
        assert await world.ledger.withdrawn() == 1
        (again,) = await world.ledger.claims([words.proposal.action_id])
        assert (again.state, again.withdrawn) == ("pending", False)

    play(valkey, prefix, story)


def test_what_is_retired_is_counted_no_more(valkey: Valkey, prefix: str) -> None:
    async def story(world: World, _audit: Audit, retention: Retention) -> None:
        await world.ledger.claim_all(gifts(), NOW)
        world.moved["1001"] = Reason.RECOVERED
        await run_dry(await world.delivery(), NOW)
        assert await world.ledger.withdrawn() == 2
        await weekly(retention, NOW, LATER + DAY)
        assert (await world.ledger.counts())["failed"] == 0
        assert await world.ledger.withdrawn() == 0

    aged(valkey, prefix, story)


def test_counts_tell_it_apart() -> None:
    assert outbox_counts({"done": 4, "failed": 3, "pending": 0}, 2) == {
        "done": 4,
        "failed": 1,
        "withdrawn": 2,
    }
    assert outbox_counts({"failed": 2}, 2) == {"withdrawn": 2}


def test_status_is_said_for_people() -> None:
    answer = {
        "lag_seconds": 0.04, "live_parcels": 1709, "open_findings": {"presumed_lost": 7}, "incidents": 2,
        "incidents_pending": 26, "outbox": {"failed": 3, "done": 290}, "outbox_withdrawn": 3, "switches": [],
        "budgets": {"month": "345.00 CNY spent, 29655.00 left"}, "budget": {"month": {"spent": 34500}}, "doubt": None,
    }  # fmt: skip
    rows = {row["what"]: row["value"] for row in status_rows(answer)}
    assert rows == {
        "lag seconds": "0.0",
        "live parcels": "1,709",
        "open findings": "presumed_lost 7",
        "incidents": "2 firing, 26 pending",
        "outbox": "done 290, withdrawn 3",
        "switches": "none",
        "budgets": "month 345.00 CNY spent, 29655.00 left",
        "doubt": "none",
    }
