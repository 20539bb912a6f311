"""A whole daemon ends what waited for a person too long, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.standin import Standin
from tests.whole import HOUR, Clock, late_parcel, running

pytestmark = pytest.mark.anyio


async def test_an_approval_that_nobody_gave_is_told_counted_and_explained(
    tmp_path: Path, standin: Standin, clock: Clock
) -> None:
    asks = {"money": {"holdout_percent": 0, "approval_above": "1"}}
    async with running(tmp_path, standin, clock, **asks) as shop:
        await late_parcel(shop)
        await shop.pass_time(28)
        held = await shop.daemon.ledger.held()
        assert {one.proposal.kind.value for one in held} == {"coupon", "message"}
        clock.now += 200 * HOUR
        await shop.daemon.expire(clock.now)
        assert await shop.daemon.ledger.held() == []
        labels = {"decision": "suppressed", "reason": "expired", "arm": "treated"}
        assert await shop.value("actions_total", kind="coupon", **labels) == 1
        story = await shop.daemon.explain("SF1")
        assert story is not None
        lines = "\n".join(story["lines"])
        assert "held, because needs_approval" in lines
        assert "no longer held: expired" in lines
        assert "suppressed, because expired" in lines
        assert standin.counts.coupons == 0
