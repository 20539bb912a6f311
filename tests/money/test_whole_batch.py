"""A batch of claims is decided before anything of it is written: an error in its middle leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from notifier.actions import Outcome, Proposal, Reason
from notifier.audit import Audit
from notifier.ledger import Ledger
from notifier.store import Store, StoreRefusedError
from tests.fakes.valkey import Valkey
from tests.money.shop import IDENTITY, NOW, OPEN, apology, coupon, message, ops_alert, play

LIMITED = replace(OPEN, approval_above=5_000, breaker=600, budget_day=100_000, burst=24)


def some_of_everything() -> list[Proposal]:
    """Sent, waiting, held, refused; ops and customers; a shared contact; an incident's budget."""
    shared = {"contact_hashes": ("p:1", "a:1")}
    return [
        ops_alert(),
        *apology("c-1", "1", incident_id="I1", **shared),
        *apology("c-2", "2", incident_id="I1", **shared),
        coupon("c-3", "3", amount=9_000),
        message("c-4", "4"),
    ]


async def contents(store: Store) -> dict[str, Any]:
    """All that the ledger has, as the store would dump it."""
    return {key: await store.call("DUMP", key) async for key in store.keys("ledger", "*")}


def written_keys(valkey: Valkey, prefix: str) -> list[str]:
    names: list[str] = []

    async def story(store: Store, ledger: Ledger) -> None:
        await ledger.claim_all(some_of_everything(), NOW)
        names.extend(sorted([key async for key in store.keys("ledger", "*")]))

    play(valkey, prefix, story, LIMITED)
    return [name.partition("ledger:")[2] for name in names]


def test_a_key_of_another_kind_stops_the_batch_before_its_first_write(valkey: Valkey, prefix: str) -> None:
    """Whichever key it is of all that the batch writes to. Mended, the same batch is claimed whole and once."""
    names = written_keys(valkey, f"{prefix}-names")
    kinds = {name.partition(":")[0] for name in names}
    assert kinds >= {"action", "actions", "audit", "counts", "due", "held", "live", "of", "queues", "rate"}
    for number, name in enumerate(names):
        if name == "chain":
            continue  # it says which ledger this is: without it nothing opens

        async def story(store: Store, ledger: Ledger, name: str = name) -> None:
            key = f"{ledger.key()}:{name}"
            strings = ":budget:" in name or ":paid:" in name
            await store.call(*(("LPUSH", key, "x") if strings else ("SET", key, "x")))
            before = await contents(store)
            with pytest.raises(StoreRefusedError):
                await ledger.claim_all(some_of_everything(), NOW)
            assert await contents(store) == before
            await store.delete(key)
            decided = await ledger.claim_all(some_of_everything(), NOW)
            assert not any(one.repeated for one in decided)
            assert [one.outcome for one in decided].count(Outcome.SEND) == 4
            assert await ledger.counts() == {"pending": 3, "waiting": 1, "held": 1, "none": 2}
            assert await Audit(store, ledger, IDENTITY).verify() == []

        play(valkey, f"{prefix}-{number}", story, LIMITED)


def test_an_amount_that_is_none_stops_the_batch_before_its_first_write(valkey: Valkey, prefix: str) -> None:
    async def story(store: Store, ledger: Ledger) -> None:
        before = await contents(store)
        good, bad = apology("c-1", "1"), coupon("c-2", "2", amount="a lot")
        with pytest.raises(StoreRefusedError):
            await ledger.claim_all([*good, bad], NOW)
        assert await contents(store) == before
        assert [one.outcome for one in await ledger.claim_all(good, NOW)] == [Outcome.SEND] * 2

    play(valkey, prefix, story, LIMITED)


def test_claims_of_one_batch_know_of_each_other(valkey: Valkey, prefix: str) -> None:
    """As if each had been written before the next was decided: the same claim, the same cause, the same caps."""

    async def story(_store: Store, ledger: Ledger) -> None:
        gift, words = apology("c-1", "1", contact_hashes=("p:1",))
        again = replace(gift, cause="delay", finding_id="F2")
        neighbour = message("c-2", "2", contact_hashes=("p:1",))
        other_order = message("c-1", "9")
        decided = await ledger.claim_all([gift, words, again, neighbour, other_order], NOW)
        assert [(one.reason, one.repeated) for one in decided] == [
            (Reason.OK, False),
            (Reason.OK, False),
            (Reason.OK, True),
            (Reason.CONTACT_CAP, False),
            (Reason.CUSTOMER_CAP, False),
        ]
        assert await ledger.counts() == {"pending": 1, "waiting": 1, "none": 2}

    play(valkey, prefix, story, LIMITED)
