"""Above a limit, and to let go what was stopped, two people must say so, whichever way each of them comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.audit import Audit
from notifier.ledger import DAY_MS, Ledger, Person, Rules, SecondPersonNeededError
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.shop import ANNA, IDENTITY, NOW, OPEN, apology, with_ledger

BEN = Person("ben", "agrees", "link 10.0.0.1")
TWO = replace(OPEN, approval_above=5_000, two_above=20_000)


def test_a_large_compensation_takes_two_and_a_smaller_one_does_not(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> None:
        big, words = (one.proposal.action_id for one in await ledger.claim_all(apology(amount=30_000), NOW))
        small, _ = await ledger.claim_all(apology("c-2", "2", amount=20_000), NOW)
        assert await ledger.approve(small.proposal.action_id, ANNA, NOW) == "done"
        assert await ledger.approve(big, ANNA, NOW) == "second_needed"
        assert await ledger.approve(big, replace(ANNA, who="Anna (link)"), NOW) == "same_person"
        claim = await ledger.get(big)
        assert claim is not None
        assert (claim.state, claim.first_approver) == ("held", "anna")
        assert await ledger.approve(big, BEN, NOW) == "done"
        assert [one.state for one in await ledger.claims([big, words])] == ["pending", "waiting"]

    with_ledger(valkey, prefix, story, TWO)


def test_one_is_enough_to_say_no(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> None:
        big, _ = await ledger.claim_all(apology(amount=30_000), NOW)
        assert await ledger.approve(big.proposal.action_id, ANNA, NOW) == "second_needed"
        assert await ledger.reject(big.proposal.action_id, ANNA, NOW) == "done"
        assert await ledger.hold(ANNA, NOW)
        assert await ledger.kill(ANNA, NOW)

    with_ledger(valkey, prefix, story, TWO)


@pytest.mark.parametrize("switch", ["hold", "kill"])
def test_what_was_stopped_is_let_go_by_two(valkey: Valkey, prefix: str, switch: str) -> None:
    async def story(ledger: Ledger) -> None:
        stop, go = (ledger.hold, ledger.release) if switch == "hold" else (ledger.kill, ledger.revive)
        await stop(ANNA, NOW)
        for asked in ("second_needed", "same_person"):
            with pytest.raises(SecondPersonNeededError, match=asked):
                await go(ANNA, NOW)
        assert set(await ledger.switches()) == {switch}
        with pytest.raises(SecondPersonNeededError, match="second_needed"):
            await go(BEN, NOW + DAY_MS + 1)  # yesterday's word of another is none
        await go(ANNA, NOW + DAY_MS + 2)
        assert await ledger.switches() == {}
        await stop(ANNA, NOW)
        with pytest.raises(SecondPersonNeededError, match="second_needed"):
            await go(ANNA, NOW)  # each time anew

    with_ledger(valkey, prefix, story, TWO)


def test_both_names_are_in_the_log(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> None:
        big, _ = await ledger.claim_all(apology(amount=30_000), NOW)
        for person in (ANNA, BEN):
            await ledger.approve(big.proposal.action_id, person, NOW)
        async with Store(valkey.url, prefix) as store:
            audit = Audit(store, ledger, IDENTITY)
            events = [record.body async for record in audit.records()]
            assert await audit.verify() == []
        said = [(one["event"], one["who"]) for one in events if str(one["event"]).startswith("approve")]
        assert said == [("approve_first", "anna"), ("approve", "ben"), ("approve", "ben")]

    with_ledger(valkey, prefix, story, TWO)


def test_by_default_one_is_enough(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> None:
        big, _ = await ledger.claim_all(apology(amount=30_000), NOW)
        assert await ledger.approve(big.proposal.action_id, ANNA, NOW) == "done"
        await ledger.hold(ANNA, NOW)
        assert await ledger.release(ANNA, NOW) == 0

    assert Rules().two_above == 0
    with_ledger(valkey, prefix, story, replace(OPEN, approval_above=5_000))
