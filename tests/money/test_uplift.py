"""Complaints averted: who is compared, and an interval that holds however often it is looked at."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

from config.settings import NotifySettings
from monitor.averted import uplift
from monitor.complaint_times import complained, remember
from monitor.events import Complaint
from monitor.uplift import ALPHA, Group, Unit, Uplift, compare, half_width, measure, units
from notifier.actions import Arm, Reason
from notifier.ledger import Ledger
from notifier.ops_message import ops_message
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.shop import DAY, NOW, OPEN, apology, message, play

HALF = replace(OPEN, holdout=5_000)


def complaint(order_id: str | None, at: int, status: str = "opened", customer_id: str = "c-1") -> Complaint:
    return Complaint(
        event_id=f"{order_id}-{at}-{status}",
        source="desk",
        occurred_at=at,
        received_at=at,
        complaint_id=f"T-{order_id}-{customer_id}",
        status=status,
        order_id=order_id,
        customer_id=customer_id,
    )


async def found_of(ledger: Ledger, days: int = 14) -> list[Unit]:
    return await units(ledger.all(), NOW, NOW + 1_000 * DAY, days)


# The interval


def worlds(treated: float, holdout: float, share: float, count: int, *, looks: int, seed: int) -> list[bool]:
    """Of 300 worlds, each looked at again and again as it grows: was the interval ever beside the truth?"""
    random = np.random.default_rng(seed)
    missed = []
    for _ in range(300):
        silent = random.random(count) < share
        sad = random.random(count) < np.where(silent, holdout, treated)
        ends = np.linspace(count / looks, count, looks).astype(int) - 1
        sums = [np.cumsum(part)[ends] for part in (~silent, ~silent & sad, silent, silent & sad)]
        looked = [
            compare(Group(int(a), int(b)), Group(int(c), int(d))) for a, b, c, d in zip(*sums, strict=True)
        ]
        told = [one for one in looked if one.low is not None and one.high is not None]
        missed.append(any(not one.low <= holdout - treated <= one.high for one in told))  # type: ignore[operator]
    return missed


@pytest.mark.parametrize(
    ("treated", "holdout", "share"),
    [(0.05, 0.05, 0.1), (0.15, 0.20, 0.1), (0.3, 0.4, 0.5), (0.02, 0.02, 0.3)],
)
def test_looked_at_a_hundred_times_it_is_still_beside_the_truth_in_one_world_of_twenty(
    treated: float, holdout: float, share: float
) -> None:
    """Three standard errors above 5 % are allowed to chance; the interval of one look fails this by far (next test)."""
    missed = worlds(treated, holdout, share, 10_000, looks=100, seed=7)
    assert np.mean(missed) <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / len(missed))


def test_the_interval_of_one_look_would_fail_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def fixed(treated: Group, holdout: Group) -> float:
        return 1.96 * math.sqrt(sum(arm.rate * (1 - arm.rate) / arm.customers for arm in (treated, holdout)))

    monkeypatch.setattr("monitor.uplift.half_width", fixed)
    assert np.mean(worlds(0.05, 0.05, 0.1, 10_000, looks=100, seed=7)) > 0.2


def test_a_true_effect_is_found() -> None:
    assert compare(Group(9_000, 1_350), Group(1_000, 220)).verdict == "fewer"
    assert compare(Group(9_000, 1_980), Group(1_000, 150)).verdict == "more"
    assert compare(Group(9_000, 1_350), Group(1_000, 155)).verdict == "unclear"


@pytest.mark.parametrize(
    ("treated", "holdout"),
    [
        (Group(5_000, 400), Group(99, 12)),
        (Group(5_000, 10), Group(500, 5)),
        (Group(200, 195), Group(200, 190)),
        (Group(), Group()),
        (Group(10, 1), Group()),
    ],
)
def test_too_few_say_so_and_give_no_interval(treated: Group, holdout: Group) -> None:
    found = compare(treated, holdout)
    assert (found.verdict, found.averted, found.low, found.high) == ("too_few", None, None, None)
    assert found.cost_per_averted() == {}


def test_the_number_needed_is_that_of_the_usual_formula() -> None:
    """20 % against 15 %, 9 to 1: 5,468 by hand with z of 1.96 and 0.8416."""
    base, hoped, share = 0.2, 0.15, 0.1
    by_hand = (base * (1 - base) / share + hoped * (1 - hoped) / 0.9) * (2.8016 / 0.05) ** 2
    assert compare(Group(900, 100), Group(100, 20)).needed == pytest.approx(by_hand, rel=1e-3)


def test_the_sequence_narrows_with_customers_and_is_wider_than_one_look() -> None:
    widths = [half_width(Group(9 * n, n), Group(n, n // 8)) for n in (200, 2_000, 20_000)]
    assert widths == sorted(widths, reverse=True)
    single = 1.96 * math.sqrt(0.111 * 0.889 / 18_000 + 0.125 * 0.875 / 2_000)
    assert single < half_width(Group(18_000, 2_000), Group(2_000, 250)) < 2.5 * single


def test_cost_is_bounded_only_where_something_is_surely_averted() -> None:
    sure = compare(Group(9_000, 1_350), Group(1_000, 220), {"CNY": 4_500_000})
    ((cost, most),) = sure.cost_per_averted().values()
    assert cost == pytest.approx(4_500_000 / (0.07 * 9_000))
    assert most is not None
    assert most > cost
    unsure = compare(Group(9_000, 1_350), Group(1_000, 155), {"CNY": 4_500_000})
    ((_, most),) = unsure.cost_per_averted().values()
    assert most is None
    assert compare(Group(9_000, 1_980), Group(1_000, 150), {"CNY": 1}).cost_per_averted() == {}


# Who is compared


def test_both_arms_are_counted_from_the_first_eligible_decision(valkey: Valkey, prefix: str) -> None:
    async def story(_store: Store, ledger: Ledger) -> None:
        for number in range(40):
            await ledger.claim_all(apology(f"c-{number}", f"a-{number}"), NOW)
            await ledger.claim_all(apology(f"c-{number}", f"b-{number}"), NOW + 30 * DAY)
        found = await found_of(ledger)
        assert len(found) == 40, "the second apology of the silent is no second unit"
        assert {unit.at for unit in found} == {NOW}
        silent = [unit for unit in found if unit.arm is Arm.HOLDOUT]
        assert 8 < len(silent) < 32
        assert {unit.spent for unit in silent} == {()}
        assert {unit.spent for unit in found if unit.arm is Arm.TREATED} == {(("CNY", 500),)}

    play(valkey, prefix, story, HALF)


def test_who_was_turned_down_before_the_arm_counts_in_neither(valkey: Valkey, prefix: str) -> None:
    async def story(_store: Store, ledger: Ledger) -> None:
        for number in range(20):
            await ledger.consent(
                f"c-{number}", "all", allowed=False, now=NOW, source="t", text_version="1", who="c"
            )
            await ledger.claim_all(apology(f"c-{number}", str(number)), NOW)
        await ledger.claim_all([message("d-1", "q", template="signature_question", capped=False)], NOW)
        assert await found_of(ledger) == []

    play(valkey, prefix, story, HALF)


def test_who_got_nothing_for_want_of_money_still_counts(valkey: Valkey, prefix: str) -> None:
    async def story(_store: Store, ledger: Ledger) -> None:
        decided = await ledger.claim_all([one for n in range(6) for one in apology(f"c-{n}", str(n))], NOW)
        assert Reason.BUDGET_DAY in {one.reason for one in decided}
        assert len(await found_of(ledger)) == 6

    play(valkey, prefix, story, replace(OPEN, holdout=0, budget_day=1_000))


def test_shadow_is_no_treatment(valkey: Valkey, prefix: str) -> None:
    async def story(_store: Store, ledger: Ledger) -> None:
        await ledger.claim_all([one for n in range(20) for one in apology(f"c-{n}", str(n))], NOW)
        assert await found_of(ledger) == []

    play(valkey, prefix, story, replace(HALF, shadow=True))


# Who complained


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([complaint("1001", NOW + DAY)], True),
        ([complaint("1001", NOW + DAY), complaint("1001", NOW + 2 * DAY, "resolved")], True),
        ([complaint(None, NOW + DAY)], True),
        ([complaint("1001", NOW - 1)], False),
        ([complaint("1001", NOW - 1), complaint("1001", NOW + DAY, "reopened")], False),
        ([complaint("1001", NOW + 15 * DAY)], False),
        ([complaint("2002", NOW + DAY)], False),
        ([complaint(None, NOW + DAY, customer_id="c-2")], False),
        ([complaint("1001", NOW + DAY, "responded")], False),
        ([], False),
    ],
)
def test_a_complaint_counts_within_its_days_also_when_it_is_closed_again(
    valkey: Valkey, prefix: str, given: list[Complaint], *, expected: bool
) -> None:
    async def run(order: int) -> list[bool]:
        async with Store(valkey.url, f"{prefix}{order}") as store:
            pipe = store.pipeline(atomic=False)
            remember(store, pipe, (given * 2)[::order])
            await pipe.run()
            return await complained(store, [Unit("c-1", frozenset({"1001"}), Arm.TREATED, NOW)], 14)

    assert asyncio.run(run(1)) == asyncio.run(run(-1)) == [expected]


def test_from_the_ledger_to_the_digest(valkey: Valkey, prefix: str) -> None:
    """A third of the treated and two thirds of the silent complain."""

    async def story(store: Store, ledger: Ledger) -> None:
        for start in range(0, 900, 50):
            batch = [one for n in range(start, start + 50) for one in apology(f"c-{n}", f"o-{n}")]
            await ledger.claim_all(batch, NOW)
        pipe = store.pipeline(atomic=False)
        for unit in await found_of(ledger):
            number = int(unit.customer_id[2:])
            if number % 3 < (1 if unit.arm is Arm.TREATED else 2):
                remember(store, pipe, [complaint(f"o-{number}", NOW + DAY, customer_id=unit.customer_id)])
        await pipe.run()
        young = await uplift(ledger, store, NOW + 13 * DAY)
        assert young.treated.customers == 0, "nobody has been watched for fourteen days yet"
        found = await uplift(ledger, store, NOW + 15 * DAY)
        assert found.treated.customers + found.holdout.customers == 900
        assert found.verdict == "fewer"
        assert found.averted == pytest.approx(1 / 3, abs=0.05)
        assert found.spent == {"CNY": 500 * found.treated.customers}
        text = ops_message(digest(found), key="k", locale="en")
        assert "treated complain less" in text.body
        assert "averted complaint costs** CN¥" in text.body
        chinese = ops_message(digest(found), key="k", locale="zh-CN")
        assert "已触达客户投诉更少" in chinese.body

    play(valkey, prefix, story, HALF)


def digest(found: Uplift) -> dict[str, object]:
    names = ("decided", "sent", "withheld", "largest", "calibration", "noisiest")
    empty: dict[str, object] = {name: [] for name in names}
    return {
        **empty,
        "report": "weekly",
        "timezone": "Asia/Shanghai",
        "since": NOW,
        "until": NOW + 7 * DAY,
        "money": {},
        "waiting": 0,
        "incidents": {"firing": 0, "resolved": 0},
        "uplift": found.record(),
        "uplift_days": 14,
        "link": None,
    }


def test_a_digest_with_too_few_says_how_many_it_takes() -> None:
    few = compare(Group(80, 10), Group(20, 4))
    assert "Too few to tell yet; some " in ops_message(digest(few), key="k", locale="en").body
    assert "样本太少" in ops_message(digest(few), key="k", locale="zh-CN").body
    none = measure([])
    assert "omplaint" not in ops_message(digest(none), key="k", locale="en").body
    assert NotifySettings().weekly_digest_day == 0, "it is part of the weekly digest"
