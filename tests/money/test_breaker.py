"""The breaker: decisions a minute against the shop's own past, and when that past begins anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.actions import Proposal, Reason
from notifier.ledger import Ledger
from tests.fakes.valkey import Valkey
from tests.money.shop import ANNA, DAY, NOW, OPEN, message, with_ledger

BREAKS = replace(OPEN, breaker=10)
MINUTE = 60_000


def burst(name: str, count: int) -> list[Proposal]:
    return [message(f"{name}-{number}", "1") for number in range(count)]


def test_in_shadow_it_counts_and_stops_nothing(valkey: Valkey, prefix: str) -> None:
    """A daemon that leaves its shadow would begin on hold, for what it only thought."""

    async def story(ledger: Ledger) -> None:
        decided = await ledger.claim_all(burst("c", 15), NOW)
        assert {one.reason for one in decided} == {Reason.SHADOW}
        assert await ledger.switches() == {}

    with_ledger(valkey, prefix, story, replace(BREAKS, shadow=True))


@pytest.mark.parametrize(("quiet", "reasons"), [(MINUTE, {Reason.OK}), (DAY, {Reason.OK, Reason.BREAKER})])
def test_what_was_usual_is_forgotten_in_quiet(
    valkey: Valkey, prefix: str, quiet: int, reasons: set[Reason]
) -> None:
    async def story(ledger: Ledger) -> None:
        for minute in range(120):
            at = NOW + minute * MINUTE
            await ledger.claim_all(burst(f"c-{minute}", min(9, 1 + minute // 4)), at)
        decided = await ledger.claim_all(burst("d", 30), at + quiet)
        assert {one.reason for one in decided} == reasons

    with_ledger(valkey, prefix, story, BREAKS)


def test_a_release_lets_the_next_ones_of_the_same_minute_go(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> None:
        assert (await ledger.claim_all(burst("c", 15), NOW))[-1].reason is Reason.BREAKER
        await ledger.release(ANNA, NOW)
        assert {one.reason for one in await ledger.claim_all(burst("d", 10), NOW)} == {Reason.OK}
        (mad,) = await ledger.claim_all(burst("e", 1), NOW)
        assert mad.reason is Reason.BREAKER, "and they count"

    with_ledger(valkey, prefix, story, BREAKS)
