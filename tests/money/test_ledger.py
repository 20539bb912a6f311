"""What the ledger decides, on a real store: once, within every limit, and with a reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from notifier.actions import Arm, Decided, Outcome, Proposal, Reason
from notifier.ledger import Budget, Head, Ledger, Rules
from notifier.store import Store
from tests.fakes.valkey import Valkey
from tests.money.shop import (
    ANNA,
    DAY,
    HOUR,
    IDENTITY,
    NOW,
    OPEN,
    apology,
    coupon,
    message,
    ops_alert,
    with_ledger,
)


def reasons(decided: list[Decided]) -> list[Reason]:
    return [one.reason for one in decided]


def claim(
    valkey: Valkey, prefix: str, proposals: list[Proposal], rules: Rules = OPEN, now: int = NOW
) -> list[Decided]:
    async def story(ledger: Ledger) -> list[Decided]:
        return await ledger.claim_all(proposals, now)

    return with_ledger(valkey, prefix, story, rules)


def test_claiming_twice_is_claiming_once_whatever_changed_meanwhile(valkey: Valkey, prefix: str) -> None:
    (first,) = claim(valkey, prefix, [coupon()])
    stricter = replace(OPEN, shadow=True, budget_day=1, holdout=10_000)
    (again,) = claim(valkey, prefix, [coupon(policy_version="default-2", amount=9900)], stricter, NOW + DAY)
    assert (first.outcome, first.repeated) == (Outcome.SEND, False)
    assert (again.outcome, again.reason, again.repeated) == (Outcome.SEND, Reason.OK, True)
    assert (again.coupon_code, again.decided_at) == (first.coupon_code, NOW)


def test_the_code_is_ours_alone_to_compute() -> None:
    code = IDENTITY.coupon_code("A1")
    assert len(code) == 15
    assert code.startswith("SRY")
    assert not set(code[3:]) & set("ILOU")
    assert code == IDENTITY.coupon_code("A1") != IDENTITY.coupon_code("A2")


def test_shadow_decides_and_counts_but_queues_nothing(valkey: Valkey, prefix: str) -> None:
    shadow = replace(OPEN, shadow=True, budget_day=700)
    decided = claim(valkey, prefix, [*apology(), coupon("c-2", "1002"), ops_alert()], shadow)
    assert reasons(decided) == [Reason.SHADOW, Reason.SHADOW, Reason.BUDGET_DAY, Reason.SHADOW]
    assert {one.coupon_code for one in decided} == {None}

    async def story(ledger: Ledger) -> tuple[dict[str, int], dict[str, Budget]]:
        return await ledger.counts(), await ledger.budgets("CNY", NOW)

    counts, budgets = with_ledger(valkey, prefix, story)
    assert counts == {"none": 4}
    assert budgets["day"][0] == 0, "the real budget is untouched"


def test_one_apology_a_customer_in_ninety_days(valkey: Valkey, prefix: str) -> None:
    assert reasons(claim(valkey, prefix, apology())) == [Reason.OK, Reason.OK]
    assert (
        reasons(claim(valkey, prefix, apology(order="1002"), now=NOW + 90 * DAY - 1))
        == [Reason.CUSTOMER_CAP] * 2
    )
    assert reasons(claim(valkey, prefix, apology(order="1003"), now=NOW + 90 * DAY)) == [Reason.OK, Reason.OK]


def test_the_ninety_days_begin_with_the_first_word_about_an_order(valkey: Valkey, prefix: str) -> None:
    for template, day in (("late", 0), ("lost", 80)):
        (decided,) = claim(valkey, prefix, [message(template=template)], now=NOW + day * DAY)
        assert decided.reason is Reason.OK
    (next_order,) = claim(valkey, prefix, [message(order="1002")], now=NOW + 90 * DAY)
    assert next_order.reason is Reason.OK


def test_three_apologies_a_year(valkey: Valkey, prefix: str) -> None:
    for number in range(3):
        (decided,) = claim(valkey, prefix, [message(order=str(number))], now=NOW + number * 95 * DAY)
        assert decided.reason is Reason.OK
    (fourth,) = claim(valkey, prefix, [message(order="3")], now=NOW + 285 * DAY)
    assert fourth.reason is Reason.CUSTOMER_CAP


def test_a_question_is_no_apology(valkey: Valkey, prefix: str) -> None:
    assert reasons(claim(valkey, prefix, apology())) == [Reason.OK, Reason.OK]
    question = message(order="1002", template="signature_question", cause="signature", capped=False)
    assert reasons(claim(valkey, prefix, [question])) == [Reason.OK]


def test_never_two_compensations_for_one_cause(valkey: Valkey, prefix: str) -> None:
    claim(valkey, prefix, [coupon()])
    customs = apology(template="coupon_customs", amount=1000)
    assert reasons(claim(valkey, prefix, customs)) == [Reason.ALREADY_COMPENSATED] * 2


def test_one_phone_under_many_names_is_one_customer(valkey: Valkey, prefix: str) -> None:
    (first,) = claim(valkey, prefix, [message("c-1", "1", contact_hashes=("h1", "h2"))])
    (second,) = claim(valkey, prefix, [message("c-2", "2", contact_hashes=("h2",))])
    (third,) = claim(valkey, prefix, [message("c-3", "3", contact_hashes=("h3",))])
    assert [first.reason, second.reason, third.reason] == [Reason.OK, Reason.CONTACT_CAP, Reason.OK]


def test_an_address_under_many_names_has_a_cap_of_its_own(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, address_cap=2)
    wanted = [message(f"c-{n}", str(n), contact_hashes=(f"h{n}", "a:1")) for n in range(3)]
    assert reasons(claim(valkey, prefix, wanted, rules)) == [Reason.OK, Reason.OK, Reason.CONTACT_CAP]
    elsewhere = message("c-9", "9", contact_hashes=("h9", "a:2"))
    assert reasons(claim(valkey, prefix, [elsewhere], rules)) == [Reason.OK]


def test_the_holdout_is_silent_recorded_and_always_the_same(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, holdout=5000)
    decided = claim(valkey, prefix, [message(f"c-{n}", str(n)) for n in range(200)], rules)
    held_out = {one.proposal.customer_id for one in decided if one.arm is Arm.HOLDOUT}
    assert 60 < len(held_out) < 140
    for one in decided:
        expected = Reason.HOLDOUT if one.arm is Arm.HOLDOUT else Reason.OK
        assert one.reason is expected
    later = claim(
        valkey, prefix, [message(f"c-{n}", f"x{n}", capped=False) for n in range(200)], rules, NOW + DAY
    )
    assert held_out == {one.proposal.customer_id for one in later if one.arm is Arm.HOLDOUT}


def test_a_holdout_costs_nothing_and_caps_nobody(valkey: Valkey, prefix: str) -> None:
    silent = replace(OPEN, holdout=10_000, budget_day=500)
    assert reasons(claim(valkey, prefix, apology(), silent)) == [Reason.HOLDOUT] * 2
    assert (
        reasons(claim(valkey, prefix, apology(order="1002"), replace(silent, holdout=0))) == [Reason.OK] * 2
    )


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"budget_tenant": 1200}, Reason.BUDGET_TENANT),
        ({"budget_day": 1200}, Reason.BUDGET_DAY),
        ({"budget_incident": 1200}, Reason.BUDGET_INCIDENT),
    ],
)
def test_a_budget_holds_to_the_cent(
    valkey: Valkey, prefix: str, limits: dict[str, Any], reason: Reason
) -> None:
    rules = replace(OPEN, **limits)
    wanted = [coupon(f"c-{n}", str(n), amount=400, incident_id="I1") for n in range(5)]
    assert reasons(claim(valkey, prefix, wanted, rules)) == [Reason.OK] * 3 + [reason] * 2


def test_a_customers_own_budget_outlives_the_cap(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, budget_customer=900)
    assert reasons(claim(valkey, prefix, [coupon(order="1")], rules)) == [Reason.OK]
    assert reasons(claim(valkey, prefix, [coupon(order="2")], rules, NOW + 91 * DAY)) == [
        Reason.BUDGET_CUSTOMER
    ]


def test_an_hour_may_not_eat_the_day(valkey: Valkey, prefix: str) -> None:
    """16:00 in Shanghai: 8 hours are left, so of 16.00 an hour may take 2.00 times a burst of 2, less what it took."""
    rules = replace(OPEN, budget_day=1600, burst=2.0)
    wanted = [coupon(f"c-{n}", str(n), amount=100) for n in range(6)]
    assert reasons(claim(valkey, prefix, wanted, rules)) == [Reason.OK] * 4 + [Reason.BUDGET_HOUR] * 2
    (later,) = claim(valkey, prefix, [coupon("c-9", "9", amount=100)], rules, NOW + HOUR)
    assert later.reason is Reason.OK


def test_without_money_for_the_coupon_the_words_go_alone(valkey: Valkey, prefix: str) -> None:
    decided = claim(valkey, prefix, apology(), replace(OPEN, budget_day=100))
    assert reasons(decided) == [Reason.BUDGET_DAY, Reason.OK]


def test_words_that_only_speak_of_the_coupon_fall_with_it(valkey: Valkey, prefix: str) -> None:
    gift, words = apology()
    decided = claim(valkey, prefix, [gift, replace(words, fallback=None)], replace(OPEN, budget_day=100))
    assert reasons(decided) == [Reason.BUDGET_DAY, Reason.BUDGET_DAY]


def test_a_follow_up_without_its_apology_is_not_written(valkey: Valkey, prefix: str) -> None:
    arrived = message(template="arrived", depends_on="A-never", capped=False)
    assert reasons(claim(valkey, prefix, [arrived])) == [Reason.DEPENDENCY]


def test_an_offer_needs_its_own_consent_where_the_law_asks_for_it(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, explicit_consent=True)

    async def story(ledger: Ledger) -> list[Reason]:
        before = await ledger.claim_all(apology(), NOW)
        await ledger.consent(
            "c-2", "offer", allowed=True, now=NOW, source="checkout", text_version="3", who="shop"
        )
        after = await ledger.claim_all(apology("c-2", "2"), NOW)
        return reasons([*before, *after])

    assert with_ledger(valkey, prefix, story, rules) == [Reason.NO_CONSENT, Reason.OK, Reason.OK, Reason.OK]


def test_who_said_no_is_not_written_to(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> list[Any]:
        await ledger.consent(
            "c-1", "all", allowed=False, now=NOW, source="sms", text_version="1", who="customer"
        )
        decided = await ledger.claim_all(apology(), NOW)
        return [
            *reasons(decided),
            await ledger.refuses("c-1", "service"),
            await ledger.refuses("c-2", "service"),
        ]

    assert with_ledger(valkey, prefix, story) == [Reason.OPTED_OUT, Reason.OPTED_OUT, Reason.OPTED_OUT, None]


def test_the_kill_switch_stops_everything_and_needs_no_restart(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> list[Reason]:
        assert await ledger.kill(ANNA, NOW)
        assert not await ledger.kill(ANNA, NOW)
        stopped = await ledger.claim_all([coupon(), ops_alert()], NOW)
        assert await ledger.revive(ANNA, NOW)
        return reasons([*stopped, *await ledger.claim_all([coupon("c-2", "2")], NOW)])

    assert with_ledger(valkey, prefix, story) == [Reason.KILL_SWITCH, Reason.KILL_SWITCH, Reason.OK]


def test_above_the_threshold_a_person_decides_for_coupon_and_words_together(
    valkey: Valkey, prefix: str
) -> None:
    rules = replace(OPEN, approval_above=5000)

    async def story(ledger: Ledger) -> None:
        gift, words = await ledger.claim_all(apology(amount=8000), NOW)
        assert [gift.reason, words.reason] == [Reason.NEEDS_APPROVAL] * 2
        assert {one.action_id for one in await ledger.held()} == {
            gift.proposal.action_id,
            words.proposal.action_id,
        }
        assert (await ledger.budgets("CNY", NOW))["day"][0] == 8000
        assert await ledger.approve(gift.proposal.action_id, ANNA, NOW + HOUR) == "done"
        assert await ledger.approve(gift.proposal.action_id, ANNA, NOW + HOUR) == "not_held"
        states = await ledger.claims([gift.proposal.action_id, words.proposal.action_id])
        assert [(one.outcome, one.state) for one in states] == [
            (Outcome.SEND, "pending"),
            (Outcome.SEND, "waiting"),
        ]

    with_ledger(valkey, prefix, story, rules)


def test_a_rejection_gives_money_and_cap_back(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, approval_above=5000, budget_day=8000)

    async def story(ledger: Ledger) -> None:
        gift, _ = await ledger.claim_all(apology(amount=8000), NOW)
        assert await ledger.reject(gift.proposal.action_id, ANNA, NOW) == "done"
        assert (await ledger.budgets("CNY", NOW))["day"] == (0, 8000)
        assert {one.reason for one in await ledger.claims([gift.proposal.action_id])} == {Reason.REJECTED}
        assert reasons(await ledger.claim_all(apology(order="1002"), NOW)) == [Reason.OK, Reason.OK]

    with_ledger(valkey, prefix, story, rules)


def test_a_release_is_no_approval(valkey: Valkey, prefix: str) -> None:
    """What is decided on hold is held for the hold; let go, a large one still waits for its own yes."""
    rules = replace(OPEN, approval_above=5000)

    async def story(ledger: Ledger) -> None:
        await ledger.hold(ANNA, NOW)
        small = await ledger.claim_all(apology("c-1", "1", amount=500), NOW)
        large = await ledger.claim_all(apology("c-2", "2", amount=8000), NOW)
        assert reasons([*small, *large]) == [Reason.HOLD] * 4
        on_hold = []

        async def trust() -> None:
            on_hold.append("hold" in await ledger.switches())

        assert await ledger.release(ANNA, NOW, trust) == 2
        assert on_hold == [True], (
            "whoever looks for doubts meanwhile finds them answered, or the hold still on"
        )
        claims = await ledger.claims([one.proposal.action_id for one in [*small, *large]])
        assert [one.state for one in claims] == ["pending", "waiting", "held", "held"]
        assert [one.reason for one in claims[2:]] == [Reason.NEEDS_APPROVAL] * 2
        assert await ledger.release(ANNA, NOW) == 0
        assert await ledger.approve(large[0].proposal.action_id, ANNA, NOW) == "done"
        claims = await ledger.claims([one.proposal.action_id for one in large])
        assert [one.state for one in claims] == ["pending", "waiting"]

    with_ledger(valkey, prefix, story, rules)


def test_a_stale_approval_sends_nothing(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> str:
        gift, _ = await ledger.claim_all(apology(amount=8000), NOW)
        return await ledger.approve(gift.proposal.action_id, ANNA, NOW + 3 * DAY)

    assert with_ledger(valkey, prefix, story, replace(OPEN, approval_above=5000)) == "expired"


def test_a_detector_gone_mad_trips_the_breaker_and_a_person_lets_go(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, breaker=10)

    async def story(ledger: Ledger) -> None:
        decided = await ledger.claim_all([message(f"c-{n}", str(n)) for n in range(15)], NOW)
        assert reasons(decided) == [Reason.OK] * 10 + [Reason.BREAKER] * 5
        (quiet,) = await ledger.claim_all([message("c-99", "99")], NOW + HOUR)
        assert quiet.reason is Reason.BREAKER, "a breaker stays open until a person closes it"
        assert (await ledger.claim_all([ops_alert()], NOW))[0].reason is Reason.OK
        assert await ledger.release(ANNA, NOW + HOUR) == 6
        assert await ledger.switches() == {}
        assert (await ledger.claim_all([message("c-100", "100")], NOW + HOUR))[0].reason is Reason.OK

    with_ledger(valkey, prefix, story, rules)


def test_a_minute_that_lies_ahead_of_a_clock_set_back_is_over(valkey: Valkey, prefix: str) -> None:
    """It would be counted in until it comes, and trip the breaker on a shop that decides once in ten minutes."""

    async def story(ledger: Ledger) -> set[Reason]:
        ahead = await ledger.claim_all([message("c-0", "0")], NOW + 365 * DAY)
        moments = [NOW + number * 600_000 for number in range(1, 15)]
        later = [await ledger.claim(message(f"c-{at}", "1"), at) for at in moments]
        mad = await ledger.claim_all([message(f"d-{n}", "1") for n in range(15)], moments[-1])
        assert Reason.BREAKER in reasons(mad), "and it still counts"
        return set(reasons([*ahead, *later]))

    assert with_ledger(valkey, prefix, story, replace(OPEN, breaker=10)) == {Reason.OK}


def test_the_usual_rate_of_a_large_shop_is_not_madness(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, breaker=10, breaker_factor=10)

    async def story(ledger: Ledger) -> set[Reason]:
        seen: set[Reason] = set()
        for minute in range(120):
            wanted = [message(f"c-{minute}-{n}", "1") for n in range(min(9, 1 + minute // 4))]
            seen |= set(reasons(await ledger.claim_all(wanted, NOW + minute * 60_000)))
        wanted = [message(f"d-{n}", "1") for n in range(30)]
        return seen | set(reasons(await ledger.claim_all(wanted, NOW + 121 * 60_000)))

    assert with_ledger(valkey, prefix, story, rules) == {Reason.OK}


def test_policys_no_is_not_for_ever(valkey: Valkey, prefix: str) -> None:
    (held_back,) = claim(valkey, prefix, [coupon(suppressed=Reason.FEED_SILENT)])
    (sent,) = claim(valkey, prefix, [coupon()])
    (late_no,) = claim(valkey, prefix, [coupon(suppressed=Reason.TICKET_OPEN)])
    assert (held_back.reason, held_back.outcome) == (Reason.FEED_SILENT, Outcome.SUPPRESSED)
    assert (sent.outcome, sent.repeated) == (Outcome.SEND, False)
    assert (late_no.outcome, late_no.reason, late_no.repeated) == (Outcome.SEND, Reason.OK, True)


def test_sixty_four_at_once_and_a_budget_for_eleven_make_eleven(valkey: Valkey, prefix: str) -> None:
    rules = replace(OPEN, budget_day=11 * 500 + 499)

    async def run() -> list[Decided]:
        async with Store(valkey.url, prefix) as store:
            ledgers = [Ledger(store, IDENTITY, rules) for _ in range(64)]
            return await asyncio.gather(
                *(one.claim(coupon(f"c-{n}", "1"), NOW) for n, one in enumerate(ledgers))
            )

    decided = asyncio.run(run())
    assert sum(one.outcome is Outcome.SEND for one in decided) == 11
    assert {one.reason for one in decided} == {Reason.OK, Reason.BUDGET_DAY}


def test_sixty_four_at_once_for_one_cause_make_one(valkey: Valkey, prefix: str) -> None:
    async def run() -> list[Decided]:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, OPEN)
            return await asyncio.gather(*(ledger.claim(coupon(), NOW) for _ in range(64)))

    decided = asyncio.run(run())
    assert sum(not one.repeated for one in decided) == 1
    assert len({one.coupon_code for one in decided}) == 1


def test_a_store_that_knows_less_than_the_checkpoint_is_held(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> None:
        await ledger.claim_all(apology(), NOW)
        head = await ledger.head()
        assert (await ledger.open(head, NOW)).seq == 2
        assert await ledger.switches() == {}
        await ledger.open(Head(head.ledger, head.seq + 1), NOW)
        assert set(await ledger.switches()) == {"hold"}
        assert reasons(await ledger.claim_all(apology("c-2", "2"), NOW)) == [Reason.HOLD] * 2
        assert (await ledger.claim_all([ops_alert()], NOW))[0].reason is Reason.OK
        assert await ledger.release(ANNA, NOW) == 2
        assert (await ledger.counts())["held"] == 0

    with_ledger(valkey, prefix, story)


def test_another_store_behind_the_same_address_is_held(valkey: Valkey, prefix: str) -> None:
    async def story(ledger: Ledger) -> set[str]:
        await ledger.open(Head("some-other-ledger", 0), NOW)
        return set(await ledger.switches())

    assert with_ledger(valkey, prefix, story) == {"hold"}


def test_keys_outlive_the_order_and_hold_no_name(valkey: Valkey, prefix: str) -> None:
    async def run() -> None:
        async with Store(valkey.url, prefix) as store:
            ledger = Ledger(store, IDENTITY, replace(OPEN, approval_above=400))
            await ledger.claim_all(
                [*apology("li-lei@example.com", "1"), message("li-lei@example.com", "1")], NOW
            )
            async for key in store.keys("ledger", "*"):
                assert "li-lei" not in key
                life = await store.call("PTTL", key)
                assert life == -1 or life > 399 * DAY, key

    asyncio.run(run())
